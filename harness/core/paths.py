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
    out: results of this clone (out/<run-id>/ and out/latest); pin: another
    pin file than pin.toml, with which goes the series rebased onto it.
    """

    repo: Path
    cache: Path
    out: Path
    pin: Path | None = None

    @classmethod
    def discover(cls, repo: Path | None = None, pin: Path | None = None) -> Paths:
        """Return the paths from the environment (XDG_CACHE_HOME, KSERIES_OUT)."""
        root = (repo or Path(__file__).resolve().parents[2]).resolve()
        home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        out = os.environ.get("KSERIES_OUT")
        own = pin is None or pin.resolve() == root / "pin.toml"
        return cls(
            root,
            Path(home) / "kseries",
            Path(out) if out else root / "out",
            None if own or pin is None else pin.resolve(),
        )

    @property
    def pin_file(self) -> Path:
        """The pin file of this invocation."""
        return self.pin or self.repo / "pin.toml"

    @property
    def patches(self) -> Path:
        """The quilt on pin.toml's kernel."""
        return self.repo / "patches"

    @property
    def overlay(self) -> Path | None:
        """What another pin's series has in place of files of patches/; None for pin.toml."""
        return self.patches / "on" / self.pin.stem if self.pin else None

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
        """The kernel worktree a developer edits for this clone and pin."""
        name = f"linux-{self.pin.stem}" if self.pin else "linux"
        return self.cache / "trees" / self.clone_id / name

    @property
    def rebasing(self) -> Path:
        """Where a rebase onto this pin is under way; gone when it has ended."""
        return self.cache / "trees" / self.clone_id / f"rebase-{self.pin_file.stem}"
