"""The steps for a shell: ``airflow-mlops`` by a tracking URI, ``airflow mlops`` by Airflow's connections."""
