"""What the rules stand on: the series on its kernel, and the kernel's own checkers.

Nothing is checked out whole.  The parts of the base that checkers read (their
scripts, the headers, the lists) are laid out once for each pin in the cache;
the files that the series touches, as it leaves them, in a scratch folder.
"""

from __future__ import annotations

import contextlib
import fnmatch
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.core.lock import locked
from harness.core.paths import Paths
from harness.core.record import hash_json
from harness.core.ui import Ui
from harness.lint.diff import FileDiff, file_diffs
from harness.series.patchfile import PatchFile, parse_patch
from harness.series.series import Series
from harness.series.tree import Applied, AppliedPatch, apply_series
from harness.source.gitrepo import checkout_tree, git
from harness.source.store import Source

# What checkpatch.pl, kernel-doc and get_maintainer.pl read of a tree, and by
# what they tell that it is one.
CHECKERS = (
    "scripts/*", "tools/docs/*", "tools/lib/python/*", "include/*", "LICENSES/*",
    "Documentation/index.rst", "arch/Kconfig", "drivers/Kconfig", "fs/Kconfig", "init/Kconfig",
    "ipc/Makefile", "kernel/Makefile", "lib/Kconfig",
)  # fmt: skip


@dataclass(frozen=True)
class Laid:
    """One patch of the series: file, text and pieces, files of its diff, its commit."""

    file: str
    text: str
    patch: PatchFile
    files: tuple[FileDiff, ...]
    commit: AppliedPatch

    def row(self, start: str) -> int:
        """Return the row of the patch file's first line that starts so, 1 without one."""
        lines = enumerate(self.text.split("\n"), 1)
        return next((number for number, line in lines if line.startswith(start)), 1)


@dataclass(frozen=True)
class Ground:
    """The series on its base.

    base_names, top_names: every path of the base and of the patched kernel;
    base, top: folders with the parts of them that rules read.
    """

    paths: Paths
    source: Source
    applied: Applied
    patches: tuple[Laid, ...]
    base_names: frozenset[str]
    top_names: frozenset[str]
    base: Path
    top: Path

    @property
    def touched(self) -> tuple[str, ...]:
        """Every path that the series touches, in order."""
        return tuple(dict.fromkeys(item.path for laid in self.patches for item in laid.files))

    def read(self, name: str) -> str:
        """Return a laid-out file as the series leaves it, "" for none."""
        for folder in (self.top, self.base) if name in self.touched else (self.base,):
            if (folder / name).is_file():
                return (folder / name).read_text(encoding="utf-8", errors="replace")
        return ""

    def text_at(self, tree: str, name: str) -> str:
        """Return a file of any tree of the store, "" if it has none."""
        return git("show", f"{tree}:{name}", repo=self.source.git, check=False).stdout

    def last_to_touch(self, name: str) -> str:
        """Return the last patch that touches a path, as findings name it."""
        hits = [laid.file for laid in self.patches if any(f.path == name for f in laid.files)]
        return f"patches/{hits[-1]}:1" if hits else "patches/series:1"


@contextlib.contextmanager
def ground_of(
    paths: Paths, source: Source, series: Series, ui: Ui, extra: Sequence[str] = ()
) -> Iterator[Ground]:
    """Yield the ground; extra: globs of further base files that rules read."""
    applied = apply_series(paths, source, series, ui)
    patches = []
    for (file, text), commit in zip(series.texts(), applied.patches, strict=True):
        patch = parse_patch(text)
        patches.append(Laid(file, text, patch, file_diffs(patch, text), commit))
    base_names = names_of(source.git, applied.base_tree)
    top_names = names_of(source.git, applied.top_tree)
    base = base_folder(paths, source, base_names, extra)
    touched = {item.path for laid in patches for item in laid.files} & top_names
    with tempfile.TemporaryDirectory(prefix="kseries-lint-") as name:
        top = Path(name) / "top"
        checkout_tree(source.git, applied.top_tree, top, touched)
        yield Ground(
            paths, source, applied, tuple(patches), base_names, top_names, base, top
        )  # fmt: skip


def names_of(store: Path, tree: str) -> frozenset[str]:
    """Return every path of a tree."""
    listed = git("ls-tree", "-r", "-z", "--name-only", tree, repo=store).stdout
    return frozenset(name for name in listed.split("\0") if name)


def matching(names: Iterable[str], globs: Sequence[str]) -> list[str]:
    """Return the names that a glob matches; * also matches slashes."""
    return sorted({n for glob in globs for n in fnmatch.filter(names, glob)})


def base_folder(
    paths: Paths, source: Source, names: frozenset[str], extra: Sequence[str] = ()
) -> Path:
    """Return the folder with the checkers' part of the base, laid out if it is not there."""
    globs = (*CHECKERS, *extra)
    folder = paths.cache / "checkers" / f"{source.tree[:20]}-{hash_json(list(globs))[:8]}"
    with locked(folder.with_suffix(".lock")):
        if not folder.is_dir():
            top_level = [name for name in names if "/" not in name]
            checkout_tree(source.git, source.tree, folder, [*top_level, *matching(names, globs)])
    return folder
