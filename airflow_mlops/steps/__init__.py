"""One function per operator, for Airflow, a shell and a notebook alike: I/O here, decisions in core."""
