"""Apache Airflow provider that closes the model loop: snapshot, validate, train, evaluate, gate, register, promote."""

__version__ = "0.1.0"
