"""For people who test their own DAGs: invariant checker, in-memory registry, local servers."""
