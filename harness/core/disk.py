"""Disk needs are checked before the work starts, not met in its middle."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.core.errors import Exit, KseriesError


def free_bytes(folder: Path) -> int:
    """Return the free bytes where folder is, or will be made."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def need_space(folder: Path, size: int, what: str) -> None:
    """Raise KseriesError(HOST) unless `size` bytes are free where folder lies."""
    free = free_bytes(folder)
    if free < size:
        raise KseriesError(
            Exit.HOST,
            f"{what} needs {size / 1e9:.1f} GB of disk, {free / 1e9:.1f} GB are free",
            where=str(folder),
            hint="free some (`kseries clean`), or set XDG_CACHE_HOME to a larger disk",
        )
