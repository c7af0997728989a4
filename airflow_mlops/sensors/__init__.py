"""Operators that wait, in a worker or in the triggerer."""
