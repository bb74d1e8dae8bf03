"""What a commit carries beside its content: file name, section, notes below ---.

It travels in git notes, one `Key: value` a line, which `git rebase` and
`git commit --amend` keep (notes.rewriteRef).  A squash joins the notes of
both commits, so a key may come twice: the first file and section win, the
notes below --- are all kept.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from harness.series.series import Entry

REF = "refs/notes/kseries"
_SLUG_LENGTH = 60


@dataclass(frozen=True)
class Note:
    """One commit's note: its file ("" if new), section, notes; `also`: squashed-in files."""

    file: str = ""
    section: str = ""
    notes: str = ""
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Placed:
    """Where a commit goes: file, section, notes; said: what a person should know."""

    file: str
    section: str
    notes: str
    said: tuple[str, ...] = ()


def write_note(entry: Entry, notes: str) -> str:
    """Return the text of the git note of a patch."""
    lines = [f"File: {entry.file}", f"Section: {entry.section}"]
    lines += [f"Note: {line}" for line in notes.split("\n") if notes]
    return "\n".join(lines) + "\n"


def read_note(text: str) -> Note:
    """Return what a git note says, also a joined one."""
    files: list[str] = []
    sections: list[str] = []
    notes: list[str] = []
    for line in text.split("\n"):
        key, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if key == "File":
            if files and notes:
                notes.append("")
            files.append(value)
        elif key == "Section":
            sections.append(value)
        elif key == "Note":
            notes.append(value)
    return Note(
        files[0] if files else "",
        sections[0] if sections else "",
        "\n".join(notes).strip("\n"),
        tuple(dict.fromkeys(name for name in files[1:] if name != files[0])),
    )


def slug(subject: str) -> str:
    """Return the file name, without .patch, for a subject."""
    text = re.sub(r"^(\[[^]]*\]\s*)+", "", subject).lower()
    words = re.sub(r"[^a-z0-9]+", "-", text).strip("-")
    if len(words) > _SLUG_LENGTH:
        words = words[: _SLUG_LENGTH + 1].rpartition("-")[0] or words[:_SLUG_LENGTH]
    return words or "patch"


def place(
    commits: Sequence[tuple[str, Note]],
    pending: Sequence[tuple[Entry, str, str]] = (),
) -> list[Placed]:
    """Say for each (subject, note), in order, which file it goes to.

    pending: (entry, subject, notes) of patches that were not applied yet; a
    commit without a note but with such a subject is that patch.  Pure.
    """
    claimed: set[str] = set()
    owners: dict[int, str] = {}
    for index, (_, note) in enumerate(commits):
        if note.file and note.file not in claimed:
            owners[index] = note.file
            claimed.add(note.file)
    waiting = {subject: (entry, notes) for entry, subject, notes in pending}
    result: list[Placed] = []
    for index, (subject, note) in enumerate(commits):
        if index in owners:
            result.append(Placed(owners[index], note.section, note.notes, _squash_said(note)))
            continue
        if subject in waiting and waiting[subject][0].file not in claimed:
            entry, notes = waiting[subject]
            claimed.add(entry.file)
            result.append(Placed(entry.file, entry.section, notes))
            continue
        topic, section = _neighbour(index, result, commits, subject)
        file = _free(f"{topic}/{slug(subject)}", claimed | {entry.file for entry, _, _ in pending})
        claimed.add(file)
        said = [f"new: {subject!r} goes to {file}"]
        if note.file:
            said.append(f"{note.file} belongs to an earlier commit with the same note")
        result.append(Placed(file, section, note.notes, tuple(said)))
    return result


def _squash_said(note: Note) -> tuple[str, ...]:
    if not note.also:
        return ()
    return (f"squashed into {note.file}: {', '.join(note.also)}",)


def _neighbour(
    index: int, before: Sequence[Placed], commits: Sequence[tuple[str, Note]], subject: str
) -> tuple[str, str]:
    """Return topic and section of a new commit: those of the patch before it, or after."""
    if before:
        return before[-1].file.partition("/")[0], before[-1].section
    for _, note in commits[index + 1 :]:
        if note.file:
            return note.file.partition("/")[0], note.section
    subsystem = re.sub(r"^(\[[^]]*\]\s*)+", "", subject).partition(":")[0]
    topic = slug(subsystem)
    return topic, topic


def _free(stem: str, claimed: Collection[str]) -> str:
    file = f"{stem}.patch"
    number = 2
    while file in claimed:
        file = f"{stem}-{number}.patch"
        number += 1
    return file
