"""Thin: take from the hook, call the step, return plain data."""
