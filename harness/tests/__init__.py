"""Tests of the harness: no QEMU, no compiler, no network."""
