"""Where things lie: the repository, the cache that outlives it, the results."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """The folders of one invocation.

    repo: this repository; cache: shared between clones, safe to delete;
    out: results of this clone (out/<run-id>/ and out/latest).
    """

    repo: Path
    cache: Path
    out: Path

    @classmethod
    def discover(cls, repo: Path | None = None) -> Paths:
        """Return the paths from the environment (XDG_CACHE_HOME, KSERIES_OUT)."""
        root = (repo or Path(__file__).resolve().parents[2]).resolve()
        home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        out = os.environ.get("KSERIES_OUT")
        return cls(root, Path(home) / "kseries", Path(out) if out else root / "out")

    @property
    def downloads(self) -> Path:
        """Verified tarballs, named <sha256>.tar.xz, and partial downloads."""
        return self.cache / "dl"

    @property
    def git(self) -> Path:
        """Bare repositories of verified sources, one per tree id."""
        return self.cache / "git"

    @property
    def builds(self) -> Path:
        """Root of <key>/src and <key>/build; also ccache's base folder."""
        return self.cache / "builds"

    @property
    def ccache(self) -> Path:
        """The compiler cache."""
        return self.cache / "ccache"

    @property
    def tools(self) -> Path:
        """Programs unpacked for this host (a newer QEMU or pahole)."""
        return self.cache / "tools"

    @property
    def records(self) -> Path:
        """Stage records, one JSON file per stage and input key."""
        return self.cache / "records"

    @property
    def clone_id(self) -> str:
        """A short id of this clone: two clones do not share a worktree."""
        return hashlib.sha256(str(self.repo).encode()).hexdigest()[:12]

    @property
    def worktree(self) -> Path:
        """The kernel worktree a developer edits for this clone."""
        return self.cache / "trees" / self.clone_id / "linux"
