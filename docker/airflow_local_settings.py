"""Read by each of Airflow's processes at its start: the scheduler loads what its tasks need, once for all of them."""

from airflow_mlops.preload import preload

preload()
