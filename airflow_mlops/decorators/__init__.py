"""TaskFlow forms of the operators that take a function."""
