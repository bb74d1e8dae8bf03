"""The patch file codec: mail headers, body, notes below ---, diffstat, diff.

Pure: text in, text out.  Reading keeps every character, so that writing what
was read gives the same file.  Files that are not UTF-8 throughout (a diff of
an old source file) come in with surrogate escapes and leave the same way.

The canonical form, which harness.series.export writes:

    From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
    From: Agent Kernel Series <agent-kernel@localhost>
    Date: Sat, 1 Jan 2000 00:00:00 +0000
    Subject: [PATCH] subsystem: Do this

    Why it is done.

    ---
    Notes for reviewers, which git forgets.

     mm/memcontrol.c | 2 ++
     1 file changed, 2 insertions(+)

    diff --git a/mm/memcontrol.c b/mm/memcontrol.c
    ...

There is no blank line before --- when format-patch writes none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

_FROM_LINE = re.compile(r"From [0-9a-f]{40,64} ")
_HEADER = re.compile(r"([!-9;-~]+):(.*)", re.S)
_STAT_TOTAL = re.compile(r" \d+ files? changed(, \d+ insertions?\(\+\))?(, \d+ deletions?\(-\))?")
_STAT_FILE = re.compile(r" .*\S +\| +(\d+( [+-]+)?|Bin( .*)?|Unmerged)")
_STAT_SUMMARY = re.compile(r" (create|delete|mode|rename|copy|rewrite) .*")
_PLACE = re.compile(r"(?m)^@@ -\d+(,\d+)? \+\d+(,\d+)? @@.*$")
_INDEX = re.compile(r"index [0-9a-f]+\.\.[0-9a-f]+( [0-7]{6})?\n")
_PATCH_TAG = re.compile(r"\[[^]]*PATCH[^]]*\]\s*")


class PatchSyntaxError(ValueError):
    """Why a text is no patch file; line counts from 1."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line
        self.what = what


@dataclass(frozen=True)
class PatchFile:
    """One patch file, cut where git cuts it; the pieces joined are the file.

    from_line: mbox's "From ..." line or ""; headers: (name, rest of the line
    and its folded lines) each; body: the text up to --- or the diff;
    separator: the --- line or ""; middle: notes and diffstat; diff: the rest.
    """

    from_line: str
    headers: tuple[tuple[str, str], ...]
    body: str
    separator: str
    middle: str
    diff: str

    def header(self, name: str) -> str:
        """Return a header's unfolded value, "" without one."""
        for key, value in self.headers:
            if key.lower() == name.lower():
                return re.sub(r"\r?\n[ \t]+", " ", value).strip()
        return ""

    @property
    def subject(self) -> str:
        """The subject without [PATCH ...]; other tags such as [RFC] stay."""
        return _PATCH_TAG.sub("", self.header("Subject"), count=1)

    @property
    def author(self) -> str:
        """The From: header."""
        return self.header("From")

    @property
    def notes(self) -> str:
        """The text between --- and the diffstat, without blank lines around it."""
        return self._split_middle()[0]

    @property
    def diffstat(self) -> str:
        """The diffstat's lines, "" without one."""
        return self._split_middle()[1]

    def with_notes(self, notes: str) -> PatchFile:
        """Return the canonical file with these notes ("" for none) below ---."""
        notes = _trim(notes)
        for line in notes.split("\n"):
            if starts_patch(line) and not _is_separator(line):
                raise PatchSyntaxError(1, f"git would read this note as a diff: {line!r}")
        stat = self.diffstat
        middle = (f"{notes}\n\n" if notes else "") + (f"{stat}\n\n" if stat else "")
        return replace(self, separator="---\n", middle=middle)

    def without_index(self) -> PatchFile:
        """Return the file without index lines, except those that binaries need."""
        return replace(self, diff=strip_index(self.diff))

    def _split_middle(self) -> tuple[str, str]:
        lines = _trim(self.middle).split("\n")
        at = len(lines)
        while at and _STAT_SUMMARY.fullmatch(lines[at - 1]):
            at -= 1
        if not at or not _STAT_TOTAL.fullmatch(lines[at - 1]):
            return _trim(self.middle), ""
        at -= 1
        while at and _STAT_FILE.fullmatch(lines[at - 1]):
            at -= 1
        return _trim("\n".join(lines[:at])), "\n".join(lines[at:])


def parse_patch(text: str) -> PatchFile:
    """Cut a patch file into its pieces; raises PatchSyntaxError."""
    lines = text.split("\n")
    lines = [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    at = 0
    from_line = ""
    if lines and _FROM_LINE.match(lines[0]):
        from_line = lines[0]
        at = 1
    headers: list[tuple[str, str]] = []
    while at < len(lines) and lines[at] != "\n":
        if lines[at][0] in " \t" and headers:
            name, value = headers[-1]
            headers[-1] = (name, value + lines[at])
        else:
            match = _HEADER.fullmatch(lines[at])
            if not match:
                raise PatchSyntaxError(at + 1, "this line is no mail header; a mail starts a patch")
            headers.append((match[1], match[2]))
        at += 1
    if not headers:
        raise PatchSyntaxError(1, "there are no mail headers (From:, Date:, Subject:)")
    if at == len(lines):
        raise PatchSyntaxError(at, "the file ends inside its mail headers")
    start = at = at + 1
    while at < len(lines) and not starts_patch(lines[at]):
        at += 1
    body = "".join(lines[start:at])
    separator = ""
    if at < len(lines) and _is_separator(lines[at]):
        separator = lines[at]
        at += 1
    start = at
    while at < len(lines) and not _starts_diff(lines, at):
        at += 1
    if at == len(lines):
        raise PatchSyntaxError(max(1, len(lines)), "there is no diff")
    middle = "".join(lines[start:at])
    return PatchFile(from_line, tuple(headers), body, separator, middle, "".join(lines[at:]))


def write_patch(patch: PatchFile) -> str:
    """Join the pieces; what parse_patch read comes out again, byte for byte."""
    headers = "".join(f"{name}:{value}" for name, value in patch.headers)
    return f"{patch.from_line}{headers}\n{patch.body}{patch.separator}{patch.middle}{patch.diff}"


def starts_patch(line: str) -> bool:
    """Whether git ends a mail's body at this line."""
    if line.startswith(("diff -", "Index: ")):
        return True
    return _is_separator(line) or (
        line.startswith("--- ") and len(line) > 4 and not line[4].isspace()
    )


def strip_index(diff: str) -> str:
    """Remove the index lines of a diff; a binary cannot be applied without its own."""
    parts = re.split(r"(?m)^(?=diff --git )", diff)
    return "".join(
        part
        if "\nGIT binary patch\n" in part
        else _INDEX.sub("", part, count=1)
        if _index_in_header(part)
        else part
        for part in parts
    )


def strip_places(text: str) -> str:
    """Remove where hunks are: what is left is equal for one change to two kernels."""
    return _PLACE.sub(r"@@ -\1 +\2 @@", text)


def read_text(path: Path) -> str:
    """Read a patch file, every byte kept."""
    return decode(path.read_bytes())


def decode(data: bytes) -> str:
    """Return a patch file's bytes as text; encode() gives them back."""
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """Return the bytes of a patch file's text."""
    return text.encode("utf-8", "surrogateescape")


def _index_in_header(part: str) -> bool:
    """Whether the part's first index line stands above its first hunk."""
    index = _INDEX.search(part)
    return index is not None and part[: index.start()].count("\n@@ ") == 0


def _is_separator(line: str) -> bool:
    return line.startswith("---") and not line[3:].strip()


def _starts_diff(lines: list[str], at: int) -> bool:
    if lines[at].startswith(("diff -", "Index: ")):
        return True
    return lines[at].startswith("--- ") and at + 1 < len(lines) and lines[at + 1].startswith("+++ ")


def _trim(text: str) -> str:
    """Remove blank lines at both ends, and the last newline."""
    lines = text.split("\n")
    while lines and not lines[0].strip():
        lines.pop(0)
    while lines and not lines[-1].strip():
        lines.pop()
    return "\n".join(lines)
