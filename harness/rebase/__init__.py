"""Carry the series from one kernel to another, and say of each patch how it fared."""
