"""Look at a patch, the kernel it was made for and the new one: facts for the report.

Every function takes `repo`, a repository that sees the objects of both kernels.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import Exit, KseriesError
from harness.rebase.diffs import FileDiff, Hunk, lines_of, map_range, parse_diff, touching
from harness.rebase.model import BaseChange, FileReport, HunkReport
from harness.rebase.place import Fit, Placement, place_hunks
from harness.source.gitrepo import git

_PATCH = ("-c", "core.quotePath=false", "diff-tree", "-p", "--no-renames", "--no-ext-diff")
_SAME_TEXT = ("--no-textconv", "--patience")
# Commits named for one change: more than that explain nothing.
_COMMITS = 12


@dataclass(frozen=True)
class History:
    """A git repository that has both releases with their history, by their tags."""

    repo: Path
    old_tag: str
    new_tag: str

    @property
    def range(self) -> str:
        """What the new release has and the old one has not."""
        return f"{self.old_tag}..{self.new_tag}"


@dataclass(frozen=True)
class Kernels:
    """The trees of both kernels, and where files of the old one went ("" for nowhere)."""

    old: str
    new: str
    moved: Mapping[str, str]
    history: History | None = None


def open_history(repo: Path, old_tag: str, new_tag: str) -> History:
    """Return the history, or raise KseriesError(USAGE) if it lacks a tag."""
    for tag in (old_tag, new_tag):
        found = git("rev-parse", "-q", "--verify", f"{tag}^{{commit}}", repo=repo, check=False)
        if not found.ok:
            raise KseriesError(
                Exit.USAGE,
                f"the history has no tag {tag}",
                where=str(repo),
                hint=f"`git fetch` it there, or leave --history out: trees are compared then "
                f"({found.stderr.strip() or 'git finds no such commit'})",
            )
    return History(repo, old_tag, new_tag)


def patch_of(repo: Path, before: str, after: str, *paths: str, context: int = 3) -> str:
    """Return the diff between two trees or commits."""
    words = (*_PATCH, *_SAME_TEXT, f"-U{context}", "-r", before, after, "--", *paths)
    return git(*words, repo=repo).stdout


def files_in(repo: Path, tree: str, paths: Iterable[str]) -> dict[str, str]:
    """Return the blob ids of those paths that a tree has."""
    wanted = list(dict.fromkeys(paths))
    if not wanted:
        return {}
    listing = git("ls-tree", "-r", "-z", "--full-tree", tree, "--", *wanted, repo=repo).stdout
    found = {}
    for entry in filter(None, listing.split("\0")):
        facts, _, path = entry.partition("\t")
        found[path] = facts.split()[2]
    return {path: found[path] for path in wanted if path in found}


def find_moved(repo: Path, old: str, new: str, paths: Iterable[str]) -> dict[str, str]:
    """Return where files of the old kernel are that the new one has not under their names.

    A file counts as renamed when git finds half of it in one that is new;
    "" where none is like it.
    """
    before = files_in(repo, old, paths)
    gone = sorted(set(before) - set(files_in(repo, new, before)))
    if not gone:
        return {}
    rows = _added(repo, old, new)
    left = _tree_of(repo, [("100644", before[path], path) for path in gone])
    right = _tree_of(repo, rows)
    names = git(
        "diff-tree", "-r", "-z", "-M50%", "-l0", "--diff-filter=R", "--name-status", left, right,
        repo=repo,
    ).stdout.split("\0")  # fmt: skip
    pairs = dict(zip(names[1::3], names[2::3], strict=False))
    return {path: pairs.get(path, "") for path in gone}


def find_namesakes(repo: Path, old: str, new: str, gone: Iterable[str]) -> dict[str, list[str]]:
    """Return the new kernel's new files that are called like those that are gone.

    The nearest folder comes first.  A file that was moved and rewritten in one
    release is no rename to git, but its name often stays.
    """
    names = list(gone)
    added = [path for _, _, path in _added(repo, old, new)] if names else []
    found = {}
    for name in names:
        same = [path for path in added if Path(path).name == Path(name).name]
        nearest = sorted((-len(os.path.commonpath([path, name])), path) for path in same)
        found[name] = [path for _, path in nearest[:3]]
    return found


def _added(repo: Path, old: str, new: str) -> list[tuple[str, str, str]]:
    """Return (mode, blob, path) of the files that only the new kernel has."""
    words = ("diff-tree", "-r", "-z", "--no-renames", "--diff-filter=A", old, new)
    found = [entry for entry in git(*words, repo=repo).stdout.split("\0") if entry]
    # Pairs of (facts, path); the new mode and blob are the facts' 2nd and 4th.
    return [
        (facts.split()[1], facts.split()[3], path)
        for facts, path in zip(found[::2], found[1::2], strict=True)
    ]


def _tree_of(repo: Path, rows: Iterable[tuple[str, str, str]]) -> str:
    """Make a tree of (mode, blob, path) rows."""
    index = repo.resolve() / ".git" / "kseries-moved.index"
    index.unlink(missing_ok=True)
    env = {"GIT_INDEX_FILE": str(index)}
    text = "".join(f"{mode} {blob}\t{path}\0" for mode, blob, path in rows)
    git("update-index", "-z", "--index-info", repo=repo, env=env, stdin=text)
    tree = git("write-tree", repo=repo, env=env).stdout.strip()
    index.unlink(missing_ok=True)
    return tree


def inspect(
    repo: Path, kernels: Kernels, parent: str, commit: str, head: str
) -> tuple[FileReport, ...]:
    """Return how each hunk of a commit meets `head`; parent: what it was made on."""
    diffs = parse_diff(patch_of(repo, parent, commit))
    names = {diff.path: kernels.moved.get(diff.path, diff.path) for diff in diffs}
    there = files_in(repo, head, filter(None, names.values()))
    places = {name: (name, there[name]) for name in there}
    return tuple(
        _file(repo, kernels, parent, diff, places.get(names[diff.path], ("", ""))) for diff in diffs
    )


def _file(
    repo: Path, kernels: Kernels, parent: str, diff: FileDiff, place: tuple[str, str]
) -> FileReport:
    """Report on one file; place: its name and blob in the new kernel, ("", "") where gone."""
    now, blob = place
    lines = lines_of(git("cat-file", "blob", blob, repo=repo).stdout) if now else []
    places: list[Placement]
    if now or not diff.before:
        places = place_hunks(diff.hunks, lines)
    else:
        gone = Fit.NOWHERE if diff.after else Fit.APPLIED  # it deletes what is gone
        places = [Placement(gone) for _ in diff.hunks]
    if not diff.before and now and lines and any(p.fit != Fit.APPLIED for p in places):
        places = [Placement(Fit.NOWHERE) for _ in diff.hunks]
    hard = [p.fit not in {Fit.CLEAN, Fit.OFFSET} for p in places]
    changes = _base_changes(repo, kernels, parent, diff, now) if now and any(hard) else None
    return FileReport(
        diff.path,
        now or ("" if diff.before else diff.path),
        not diff.before,
        tuple(
            HunkReport(
                hunk.start,
                hunk.function,
                place.fit,
                place.line,
                place.fuzz,
                changes(hunk) if changes and difficult else (),
            )
            for hunk, place, difficult in zip(diff.hunks, places, hard, strict=True)
        ),
    )


class _Changes:
    """What differs between two kernels around the hunks of one file."""

    def __init__(
        self, upper: Sequence[Hunk], base: Sequence[Hunk], history: History | None, path: str
    ) -> None:
        self.upper = upper
        self.base = base
        self.history = history
        self.path = path

    def __call__(self, hunk: Hunk) -> tuple[BaseChange, ...]:
        first, end = map_range(hunk.start, hunk.count, self.upper)
        return tuple(
            BaseChange(
                change.new_start,
                change.lines,
                _commits(self.history, self.path, change) if self.history else (),
            )
            for change in touching(first, end, self.base)
        )


def _base_changes(
    repo: Path, kernels: Kernels, parent: str, diff: FileDiff, now: str
) -> _Changes | None:
    """Return what tells the changes of the base at a hunk; None for a file of the series."""
    old = files_in(repo, kernels.old, [diff.path]).get(diff.path)
    new = files_in(repo, kernels.new, [now]).get(now)
    if not old or not new:
        return None
    upper = parse_diff(patch_of(repo, kernels.old, parent, diff.path, context=0))
    words = ("diff", "--no-ext-diff", *_SAME_TEXT, "-U0", old, new)
    base = parse_diff(git(*words, repo=repo).stdout)
    return _Changes(
        upper[0].hunks if upper else (), base[0].hunks if base else (), kernels.history, now
    )


def _commits(history: History, path: str, change: Hunk) -> tuple[tuple[str, str], ...]:
    """Return the commits of the new kernel that made a change."""
    first = max(1, change.new_start)
    last = change.new_start + max(change.new_count - 1, 1 - bool(change.new_count))
    words = ("log", "-s", "--abbrev=12", "--format=%h%x00%s", f"-n{_COMMITS}")
    done = git(
        *words, f"-L{first},{last}:{path}", history.range, "--", repo=history.repo, check=False
    )
    rows = [line.partition("\0") for line in done.stdout.splitlines() if "\0" in line]
    return tuple((commit, subject) for commit, _, subject in rows)


def patch_ids(repo: Path, text: str) -> dict[str, str]:
    """Return {patch id: commit} of `git log -p` or `git diff-tree -p` output."""
    listing = git("patch-id", "--stable", repo=repo, stdin=text).stdout
    return {line.split()[0]: line.split()[1] for line in listing.splitlines()}


def upstream_ids(history: History, paths: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return {patch id: (commit, subject)} of upstream commits that touch these paths."""
    words = ("log", "-p", "--no-merges", "--full-diff", "--no-ext-diff", "--no-textconv")
    text = git(*words, history.range, "--", *paths, repo=history.repo).stdout
    found = patch_ids(history.repo, text)
    if not found:
        return {}
    named = git("log", "--no-walk=unsorted", "--abbrev=12", "--format=%H%x00%h%x00%s", "--stdin",
                repo=history.repo, stdin="".join(f"{c}\n" for c in found.values()))  # fmt: skip
    rows = [line.split("\0") for line in named.stdout.splitlines()]
    names = {commit: (short, subject) for commit, short, subject in rows}
    return {key: names[commit] for key, commit in found.items() if commit in names}
