"""What a rebase under way has done, and what is left: one file, replaced after each patch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.core.record import write_atomic
from harness.rebase.model import PatchReport, patch_report
from harness.series.series import Entry

PICKING, STOPPED = "picking", "stopped"


@dataclass(frozen=True)
class Patch:
    """A patch to carry: its entry in series, the blob of its file, its commit and notes."""

    entry: Entry
    blob: str
    commit: str
    subject: str
    notes: str


@dataclass
class State:
    """One rebase.

    old, new: (version, tag, tree, base commit); head: the last commit that
    is whole; phase: PICKING while the tool is at work, STOPPED while a
    person is; since: when the current patch was begun (seconds of the
    clock); history: a git repository, or ""; moved, namesakes: where files
    of the old kernel went, and what is called like those that went nowhere.
    """

    old: tuple[str, str, str, str]
    new: tuple[str, str, str, str]
    patches: tuple[Patch, ...]
    preamble: tuple[str, ...]
    trailing: tuple[str, ...]
    head: str
    history: str = ""
    phase: str = PICKING
    since: float = 0.0
    reports: list[PatchReport] = field(default_factory=list)
    pending: PatchReport | None = None
    moved: Mapping[str, str] = field(default_factory=dict)
    namesakes: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def next(self) -> int:
        """The number of the patch that comes next, from 0."""
        return len(self.reports)

    @property
    def old_top(self) -> str:
        """The last commit of the series on the old kernel."""
        return self.patches[-1].commit if self.patches else self.old[3]


def state_file(folder: Path) -> Path:
    """Return where the state of the rebase in this worktree lies."""
    return folder / ".git" / "kseries-rebase.json"


def save_state(folder: Path, state: State) -> None:
    """Store the state."""
    body = asdict(state)
    write_atomic(state_file(folder), json.dumps(body, indent=1) + "\n")


def load_state(folder: Path) -> State | None:
    """Return the stored state, None where no rebase is under way."""
    try:
        data: dict[str, Any] = json.loads(state_file(folder).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    patches = tuple(
        Patch(
            Entry(row["entry"]["file"], row["entry"]["section"], tuple(row["entry"]["comments"])),
            row["blob"],
            row["commit"],
            row["subject"],
            row["notes"],
        )
        for row in data.pop("patches")
    )
    pending = data.pop("pending")
    for key in ("old", "new", "preamble", "trailing"):
        data[key] = tuple(data[key])
    data["reports"] = [patch_report(row) for row in data["reports"]]
    return State(patches=patches, pending=patch_report(pending) if pending else None, **data)
