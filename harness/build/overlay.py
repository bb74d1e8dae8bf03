"""A source tree to build tests in, made of links, so that the real one stays clean.

Several selftests write beside their sources even with O= (mm makes
local_config.h, for one).  Hard links would carry such writes into the kernel's
own source; so the folders that builds write to are copies, and everything
else is symbolic links.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path, PurePosixPath


def link_around(src: Path, dest: Path, hole: str) -> None:
    """Make dest a copy of src in links, but for the relative path hole.

    The folders on the way to hole become real ones with links inside; hole
    itself is left out, for the caller to fill.  dest must not exist.
    """
    dest.mkdir(parents=True)
    parts = PurePosixPath(hole).parts
    here_src, here_dest = src, dest
    for depth, part in enumerate(parts):
        if here_src.is_dir():
            for entry in here_src.iterdir():
                if entry.name != part:
                    (here_dest / entry.name).symlink_to(entry)
        here_src, here_dest = here_src / part, here_dest / part
        if depth + 1 < len(parts):
            here_dest.mkdir()


def make_overlay(src: Path, dest: Path, hole: str, fill: Path) -> None:
    """Lay src out at dest in links, with a real copy of fill at hole.

    dest appears whole or not at all; an existing one is left as it is.
    """
    if dest.exists():
        return
    partial = dest.with_name(f".{dest.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        link_around(src, partial, hole)
        shutil.copytree(fill, partial / hole, symlinks=True)
        partial.rename(dest)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def link_to(link: Path, target: Path) -> None:
    """Make link point to target, wherever it points now."""
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink() and link.readlink() == target:
        return
    link.unlink(missing_ok=True)
    link.symlink_to(target)
