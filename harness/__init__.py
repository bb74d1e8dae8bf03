"""kseries: from a quilt of kernel patches to evidence.

The folders follow the flow: `source` (a pinned kernel), `series` (patches on
it), `build` (config, kernels, selftests), `guest` (a booted kernel with NUMA
nodes), `kselftest` (what passes), `measure` (what it costs) and `results`
(what a person reads).  `core` holds what every stage needs, `host` what the
machine must offer, and `cli` one file a verb.
"""

__version__ = "0.1.0"
