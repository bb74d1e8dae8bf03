"""From a tree to kernels, selftests and benchmark programs."""
