"""``make demo`` and ``make up``: the product on a stranger's machine."""
