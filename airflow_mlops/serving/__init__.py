"""The online scoring server: its own process, which knows no Airflow and keeps every model in a process of its own."""
