"""Selftests: planned, run one by one, parsed, judged against the base."""
