"""A patch's diff, file by file, with the rows of the patch file. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from harness.series.patchfile import PatchFile

_HEAD = re.compile(r'diff --git "?a/(.*?)"? "?b/(.*?)"?')


@dataclass(frozen=True)
class FileDiff:
    """One file of a patch: path after it, whether it is new or gone, (row, line) of its diff.

    row counts from 1 in the patch file; a line keeps its first character.
    """

    path: str
    new: bool
    gone: bool
    lines: tuple[tuple[int, str], ...]

    @property
    def added(self) -> Iterator[tuple[int, str]]:
        """Yield (row, text) of the lines that the patch adds."""
        for row, line in self.lines:
            if line.startswith("+") and not line.startswith("+++ "):
                yield row, line[1:]

    @property
    def changed(self) -> Iterator[str]:
        """Yield what it adds and removes, and the functions that git names above hunks."""
        for _, line in self.lines:
            if line.startswith(("+", "-")):
                yield line[1:]
            elif line.startswith("@@ "):
                yield line.split("@@", 2)[-1]


def file_diffs(patch: PatchFile, text: str) -> tuple[FileDiff, ...]:
    """Cut a patch's diff into its files; text: the whole patch file."""
    row = text[: len(text) - len(patch.diff)].count("\n")
    found: list[FileDiff] = []
    path = ""
    lines: list[tuple[int, str]] = []

    def close() -> None:
        if path:
            head = [line for _, line in lines[:6]]
            new = any(line.startswith("new file mode") for line in head)
            gone = any(line.startswith("deleted file mode") for line in head)
            found.append(FileDiff(path, new, gone, tuple(lines)))

    for line in patch.diff.split("\n"):
        row += 1
        if head := _HEAD.fullmatch(line):
            close()
            path, lines = head[2], []
        lines.append((row, line))
    close()
    return tuple(found)
