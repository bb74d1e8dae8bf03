"""Unified diffs as data, and places between two versions of a file.  Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)")


@dataclass(frozen=True)
class Hunk:
    """One hunk: where it was made, the function git names, its lines with their signs.

    start, count: the lines of the file before (start counts from 1; of a hunk
    that only adds without context it is the line above); new_start,
    new_count: of the file after.
    """

    start: int
    count: int
    new_start: int
    new_count: int
    function: str
    lines: tuple[str, ...]

    @property
    def before(self) -> tuple[str, ...]:
        """The lines that must be there."""
        return tuple(line[1:] for line in self.lines if line[:1] in " -")

    @property
    def after(self) -> tuple[str, ...]:
        """The lines that will be there."""
        return tuple(line[1:] for line in self.lines if line[:1] in " +")

    @property
    def context(self) -> tuple[int, int]:
        """How many unchanged lines it begins and ends with."""
        signs = [line[:1] for line in self.lines if line[:1] in " -+"]
        head = next((n for n, sign in enumerate(signs) if sign != " "), len(signs))
        tail = next((n for n, sign in enumerate(reversed(signs)) if sign != " "), len(signs))
        return head, tail


@dataclass(frozen=True)
class FileDiff:
    """A file's part of a diff; before or after is "" for a file that is made or deleted."""

    before: str
    after: str
    hunks: tuple[Hunk, ...]

    @property
    def path(self) -> str:
        """The file's name, after the change if it still exists."""
        return self.after or self.before


def parse_diff(text: str) -> list[FileDiff]:
    """Read what `git diff-tree -p` prints (without renames, names not quoted)."""
    found = []
    for part in re.split(r"(?m)^(?=diff --git )", text):
        lines = part.split("\n")
        if not lines[0].startswith("diff --git "):
            continue
        # Names are equal on both sides: no renames are asked for.
        name = lines[0].removeprefix("diff --git ")
        name = name[2 : (len(name) - 1) // 2]
        head = lines[1:5]
        before = "" if any(line.startswith("new file") for line in head) else name
        after = "" if any(line.startswith("deleted file") for line in head) else name
        found.append(FileDiff(before, after, tuple(_hunks(lines))))
    return found


def _hunks(lines: Sequence[str]) -> Iterable[Hunk]:
    at = 0
    while at < len(lines):
        match = _HUNK.fullmatch(lines[at])
        at += 1
        if not match:
            continue
        start, count, new_start, new_count = (
            int(match[n]) if match[n] is not None else 1 for n in (1, 2, 3, 4)
        )
        content: list[str] = []
        old, new = count, new_count
        while at < len(lines) and (old > 0 or new > 0 or lines[at].startswith("\\")):
            line = lines[at]
            content.append(line)
            old -= line[:1] in " -"
            new -= line[:1] in " +"
            at += 1
        yield Hunk(start, count, new_start, new_count, match[5], tuple(content))


def lines_of(text: str) -> list[str]:
    """Cut a file into lines, as hunks hold them."""
    lines = text.split("\n")
    return lines[:-1] if lines and not lines[-1] else lines


def map_back(line: int, changes: Sequence[Hunk]) -> int:
    """Return where a line of the file after was in the file before.

    line counts from 1; changes: hunks without context, in order.  A line that
    a change made is mapped to the first line that the change replaced, or
    that came after what it inserted.
    """
    shift = 0
    for change in changes:
        first = change.new_start if change.new_count else change.new_start + 1
        if line < first:
            break
        if line < first + change.new_count:
            return change.start if change.count else change.start + 1
        shift = (change.start + change.count - (0 if change.count else -1)) - (
            first + change.new_count
        )
    return line + shift


def map_range(start: int, count: int, changes: Sequence[Hunk]) -> tuple[int, int]:
    """Return (start, end) of the lines before, end not included, for lines after."""
    if not count:
        at = map_back(start + 1, changes)
        return at, at
    first = map_back(start, changes)
    last = map_back(start + count - 1, changes)
    return first, max(first, last + 1)


def touching(first: int, end: int, changes: Sequence[Hunk]) -> list[Hunk]:
    """Return the changes (hunks without context) to lines first to end, end not included.

    Lines that were inserted count when both their neighbours are in the range.
    """
    found = []
    for change in changes:
        if change.count:
            inside = change.start < end and change.start + change.count > first
        else:
            inside = first <= change.start and change.start + 1 < end
        if inside:
            found.append(change)
    return found


def changed_lines(text: str) -> Counter[tuple[str, str]]:
    """Return how often each (file, line with + or -) is in a diff: hunks move and are cut anew."""
    return Counter(
        (diff.path, line)
        for diff in parse_diff(text)
        for hunk in diff.hunks
        for line in hunk.lines
        if line[:1] in {"+", "-"}
    )


def moved_lines(before: str, after: str) -> tuple[int, int]:
    """Return (added, removed): how many changed lines differ between two diffs of one patch."""
    old, new = changed_lines(before), changed_lines(after)
    return (new - old).total(), (old - new).total()


def also_removed(before: str, after: str) -> list[tuple[str, str]]:
    """Return (file, line) of lines that only the later form of a patch removes.

    Each belonged to the new kernel: replaced on purpose, or lost in a merge.
    """
    more = changed_lines(after) - changed_lines(before)
    return [(path, line[1:]) for path, line in more.elements() if line[0] == "-"]
