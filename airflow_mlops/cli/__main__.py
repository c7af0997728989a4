"""``python -m airflow_mlops.cli``."""

from __future__ import annotations

from airflow_mlops.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
