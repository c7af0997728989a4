"""An Airflow connection becomes a client or a path."""
