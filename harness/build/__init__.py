"""From a tree to kernels, selftests and benchmark programs.

fragments -> kconfig (with symbols and explain for what did not take) ->
kernel -> selftests and programs; toolchain and makelog serve them all.
"""
