"""What a kernel list and its checkers would say of the series, said here first."""
