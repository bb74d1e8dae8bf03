"""What a rebase says of each patch: data for the page and for --json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from harness.rebase.place import Fit


class Status(StrEnum):
    """How a patch met the new kernel."""

    CLEAN = "clean"  # every hunk where it says
    OFFSET = "offset"  # every hunk with all its lines, some of them elsewhere
    FUZZY = "fuzzy"  # merged three ways: what is around some hunk is other text
    CONFLICT = "conflict"  # a person had to decide
    UPSTREAM = "upstream"  # the new kernel has it
    EMPTY = "empty"  # nothing of it is left to do


class How(StrEnum):
    """Who made the patch what it is now."""

    MERGED = "merged"
    BY_HAND = "by hand"
    AS_BEFORE = "as before"  # as it was adapted in an earlier rebase
    LEFT_OUT = "left out"  # upstream, or empty
    SKIPPED = "skipped"  # by the person who rebased


@dataclass(frozen=True)
class BaseChange:
    """What changed between the two kernels in the lines of a hunk.

    line: in the new kernel's file; text: lines with - and +; commits:
    (id, subject) of the new kernel's history, where one was given.
    """

    line: int
    text: tuple[str, ...]
    commits: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class HunkReport:
    """One hunk: its line in the patch, the function, its place in the new kernel."""

    line: int
    function: str
    fit: Fit
    at: int
    fuzz: int
    changes: tuple[BaseChange, ...] = ()


@dataclass(frozen=True)
class FileReport:
    """One file of a patch; now: its name in the new kernel, "" where it is gone."""

    path: str
    now: str
    made: bool
    hunks: tuple[HunkReport, ...]

    @property
    def fate(self) -> str:
        """What happened to the file: "renamed", "deleted" or ""."""
        if self.made or self.now == self.path:
            return ""
        return "renamed" if self.now else "deleted"


@dataclass(frozen=True)
class PatchReport:
    """One patch: how it met the new kernel, and what came of it.

    conflicts: git's own words; commits: upstream commits with the same patch
    id; added, removed: changed lines that only the new or the old form has;
    seconds: from its start to its commit, a person's time included; commit:
    in the new series, "" when it has none.
    """

    file: str
    subject: str
    status: Status
    how: How
    files: tuple[FileReport, ...]
    conflicts: tuple[str, ...] = ()
    commits: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()
    why: str = ""
    added: int = 0
    removed: int = 0
    seconds: float = 0.0
    commit: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON types."""
        return asdict(self)


def patch_report(data: Mapping[str, Any]) -> PatchReport:
    """Return what as_json gave."""
    rest = {key: _tuples(value) for key, value in data.items() if key != "files"}
    files = tuple(
        FileReport(row["path"], row["now"], row["made"], tuple(map(_hunk, row["hunks"])))
        for row in data["files"]
    )
    rest.update(status=Status(data["status"]), how=How(data["how"]), files=files)
    return PatchReport(**rest)


@dataclass(frozen=True)
class Report:
    """A whole rebase: (version, tree) of both kernels, the patches, and git's range-diff."""

    old: tuple[str, str]
    new: tuple[str, str]
    patches: tuple[PatchReport, ...]
    range_diff: str = ""
    history: bool = False
    top_tree: str = ""
    own: tuple[str, ...] = field(default_factory=tuple)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON types."""
        return asdict(self)


def judge(files: tuple[FileReport, ...]) -> Status:
    """Return the status of a patch that git merged, by how its hunks fit."""
    fits = {hunk.fit for item in files for hunk in item.hunks}
    if fits - {Fit.CLEAN, Fit.OFFSET} or any(item.fate for item in files):
        return Status.FUZZY
    return Status.OFFSET if Fit.OFFSET in fits else Status.CLEAN


def _hunk(row: Mapping[str, Any]) -> HunkReport:
    changes = tuple(
        BaseChange(c["line"], tuple(c["text"]), _tuples(c["commits"])) for c in row["changes"]
    )
    return HunkReport(
        row["line"], row["function"], Fit(row["fit"]), row["at"], row["fuzz"], changes
    )


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
