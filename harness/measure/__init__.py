"""Benchmarks: plans, lanes, calibration, statistics."""
