"""The pinned kernel: found, fetched, verified, imported."""
