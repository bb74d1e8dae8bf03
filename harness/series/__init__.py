"""The quilt of patches: read, applied, exported, checked, without loss."""
