"""Mutants: diffs on top of the series that break one property each.

selftests/<area>/mutants/<name>.patch is a plain diff on top of pin.toml's series.
The text above it says what is broken, and a line `Fails: CASE[, CASE]` names
the cases of which at least one must fail on that kernel.  Where each CASE is
written as PROGRAM:CASE only these programs run, in whatever lane they are, else
the area's fast lane.  harness.check.mutants runs them.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import Exit, KseriesError
from harness.source.gitrepo import git

_FAILS = re.compile(r"^Fails: (.+)$", re.M)
_OLD_FILE = re.compile(r"^--- (?:a/|/dev/null)", re.M)
_HEADER = re.compile(r"^diff --git ", re.M)


@dataclass(frozen=True)
class Mutant:
    """One mutant: its area, its diff, and the cases of which one must fail."""

    area: str
    patch: Path
    fails: tuple[str, ...]

    @property
    def name(self) -> str:
        """How people call it: area/name."""
        return f"{self.area}/{self.patch.stem}"

    @property
    def patterns(self) -> tuple[str, ...]:
        """What of the area runs: the programs of the cases, or all of its fast lane."""
        programs = [case.rpartition(":")[0] for case in self.fails]
        if not all(programs):
            return (self.area,)
        return tuple(f"{self.area}:{program}" for program in dict.fromkeys(programs))


def mutant_files(selftests: Path, area: str = "*") -> list[Path]:
    """Return the diffs of an area, or of all."""
    return sorted(selftests.glob(f"{area}/mutants/*.patch"))


def areas_with_mutants(selftests: Path) -> list[str]:
    """Return the areas that have mutants."""
    return sorted({path.parents[1].name for path in mutant_files(selftests)})


def load_mutants(selftests: Path, area: str = "*") -> list[Mutant]:
    """Return the mutants of an area, or of all; one that names no case is an error."""
    return [read_mutant(path, path.parents[1].name) for path in mutant_files(selftests, area)]


def read_mutant(path: Path, area: str) -> Mutant:
    """Return one mutant of an area; one that names no case is an error."""
    head = path.read_text(encoding="utf-8").partition("\n--- a/")[0]
    match = _FAILS.search(head)
    if not match:
        raise KseriesError(
            Exit.LINT,
            "a mutant that names no case",
            where=str(path),
            hint="add a line `Fails: CASE` above its diff",
        )
    return Mutant(area, path, tuple(case.strip() for case in match[1].split(",")))


@dataclass(frozen=True)
class Index:
    """A tree of a bare repository in an index of its own, to which diffs are applied."""

    store: Path
    file: Path

    def refusal(self, patch: Path) -> str:
        """Return what git says against a diff, empty where it applies; nothing changes."""
        return self._apply(patch, "--check")

    def take(self, patch: Path) -> str:
        """Apply a diff; return what git says against it, empty when it is applied."""
        return self._apply(patch)

    def tree(self) -> str:
        """Return the id of the tree as it is now."""
        return git("write-tree", repo=self.store, env=self._env).stdout.strip()

    @property
    def _env(self) -> dict[str, str]:
        return {"GIT_INDEX_FILE": str(self.file)}

    def _apply(self, patch: Path, *words: str) -> str:
        # Who edits a mutant by hand does not count its lines.
        argv = ("apply", "--cached", "--recount", *words)
        done = git(*argv, patch.resolve(), repo=self.store, env=self._env, check=False)
        return "" if done.ok else done.stderr.strip() or f"git apply ended with {done.status}"


@contextmanager
def index_of(store: Path, tree: str) -> Iterator[Index]:
    """Yield a scratch index that holds the tree."""
    with tempfile.TemporaryDirectory(prefix="kseries-mutant-") as folder:
        index = Index(store, Path(folder) / "index")
        git("read-tree", tree, repo=store, env={"GIT_INDEX_FILE": str(index.file)})
        yield index


def how_to_mend(patch: Path) -> str:
    """Return what to do with a mutant that does not apply."""
    hint = "refresh its diff against the patched tree (`kseries tree`)"
    text = patch.read_text(encoding="utf-8", errors="replace")
    files = len(_OLD_FILE.findall(text))
    if len(_HEADER.findall(text)) < files - 1:
        hint += (
            "; it changes several files: put a line `diff --git a/FILE b/FILE` above each, or "
            "git apply --recount reads the next file's header as lines of the hunk before it"
        )
    return hint


def mutated_tree(store: Path, tree: str, mutant: Mutant) -> str:
    """Return the id of the tree with the mutant's diff applied."""
    with index_of(store, tree) as index:
        if refusal := index.take(mutant.patch):
            raise KseriesError(
                Exit.APPLY,
                f"the mutant {mutant.name} does not apply to the series: {refusal}",
                where=str(mutant.patch),
                hint=how_to_mend(mutant.patch),
            )
        return index.tree()
