"""Decisions and maths on plain values and Arrow batches; no I/O, no clock, no Airflow."""
