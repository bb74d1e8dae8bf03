"""A booted kernel: topology, accelerator, the virtme-ng line, the watch over it."""
