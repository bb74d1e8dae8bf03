"""`check` and `ci`: stations in order, a budget, and one line at the end."""
