"""Where a hunk fits in a file: as it is, elsewhere, roughly, already there, or nowhere.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.rebase.diffs import Hunk

# Context lines that may differ at each end of a hunk: what GNU patch allows.
MAX_FUZZ = 2


class Fit(StrEnum):
    """How a hunk meets a file."""

    CLEAN = "clean"  # all its lines, where it says
    OFFSET = "offset"  # all its lines, elsewhere
    FUZZY = "fuzzy"  # its lines without some context
    APPLIED = "applied"  # what it would make is there
    NOWHERE = "nowhere"


@dataclass(frozen=True)
class Placement:
    """A hunk's place: line (from 1; 0 if nowhere), and context lines left out."""

    fit: Fit
    line: int = 0
    fuzz: int = 0


def place_hunks(hunks: Sequence[Hunk], lines: Sequence[str]) -> list[Placement]:
    """Place a file's hunks in a version of the file, each below the one before."""
    places: list[Placement] = []
    index = _Index(lines)
    shift = 0
    floor = 0
    for hunk in hunks:
        placed = _place(hunk, index, shift, floor)
        places.append(placed)
        if placed.line:
            length = len(hunk.after if placed.fit == Fit.APPLIED else hunk.before)
            floor = placed.line - 1 + length - placed.fuzz
            shift = placed.line - _start(hunk)
    return places


def _start(hunk: Hunk) -> int:
    return hunk.start if hunk.count else hunk.start + 1


def _place(hunk: Hunk, index: _Index, shift: int, floor: int) -> Placement:
    wanted = _start(hunk) - 1 + shift
    before, after = hunk.before, hunk.after
    at = index.find(before, wanted, floor)
    if at is not None and before:
        fit = Fit.CLEAN if at + 1 == _start(hunk) else Fit.OFFSET
        return Placement(fit, at + 1)
    at = index.find(after, wanted, floor)
    if at is not None and after:
        return Placement(Fit.APPLIED, at + 1)
    if not before:  # a file that is made, or was empty
        return Placement(Fit.CLEAN, 1) if not index.lines else Placement(Fit.NOWHERE)
    head, tail = hunk.context
    for fuzz in range(1, MAX_FUZZ + 1):
        front, back = min(fuzz, head), min(fuzz, tail)
        if front + back == 0:
            break
        core = before[front : len(before) - back]
        at = index.find(core, wanted + front, floor) if core else None
        if at is not None:
            return Placement(Fit.FUZZY, at + 1 - front, fuzz)
    return Placement(Fit.NOWHERE)


class _Index:
    """The lines of a file, and where each text stands."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = lines
        self._places: dict[str, list[int]] = {}
        for at, line in enumerate(lines):
            self._places.setdefault(line, []).append(at)

    def find(self, wanted: Sequence[str], near: int, floor: int) -> int | None:
        """Return where these lines stand together (from 0), nearest to `near`."""
        if not wanted:
            return None
        # The rarest line has the fewest places to look at.
        key = min(range(len(wanted)), key=lambda n: len(self._places.get(wanted[n], ())))
        size = len(wanted)
        found = [
            at - key
            for at in self._places.get(wanted[key], ())
            if at - key >= floor and list(self.lines[at - key : at - key + size]) == list(wanted)
        ]
        return min(found, key=lambda at: (abs(at - near), at), default=None)
