"""A series on another pin: which files are its own, and what each was made from.

patches/on/<pin>/ holds a patch only where the file of patches/ does not make
the same commit there; a change to any other patch serves both kernels.
origin.json beside them names, for each, the git blob of the file in patches/
that it was made from, so that a later rebase can tell what was adapted by
hand from what has changed since.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from harness.core.paths import Paths
from harness.core.record import write_atomic
from harness.core.ui import Ui
from harness.series.patchfile import encode, read_text, strip_places
from harness.series.series import Series, read_series
from harness.series.tree import Applied, apply_texts
from harness.source.store import Source

ORIGIN = "origin.json"


@dataclass(frozen=True)
class Origin:
    """What a patch was made from: the blob of the file in patches/, and why it differs.

    why is prose for the report, which a person may edit; seconds: what it
    took to adapt the patch.
    """

    blob: str
    why: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Origins:
    """origin.json: own files, and patches that were left out (upstream, empty, skipped)."""

    own: Mapping[str, Origin] = field(default_factory=dict)
    left_out: Mapping[str, Origin] = field(default_factory=dict)


def blob_id(text: str) -> str:
    """Return the id that git gives a patch file of this text."""
    data = encode(text)
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def load_origins(folder: Path) -> Origins:
    """Return what origin.json says; empty without one."""
    try:
        data = json.loads((folder / ORIGIN).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Origins()
    return Origins(
        *({file: Origin(**row) for file, row in data[key].items()} for key in ("own", "left_out"))
    )


def save_origins(folder: Path, origins: Origins) -> None:
    """Write origin.json."""
    body = {
        key: {file: asdict(row) for file, row in sorted(rows.items())}
        for key, rows in (("own", origins.own), ("left_out", origins.left_out))
    }
    write_atomic(folder / ORIGIN, json.dumps(body, indent=1) + "\n")


def stale(main: Series, folder: Path) -> list[str]:
    """Return what of patches/ a series on another pin (in folder) does not have yet."""
    origins = load_origins(folder)
    there = set(read_series(folder, main.folder).files)
    name = folder.relative_to(main.folder)
    found = []
    for file, text in main.texts():
        known = origins.own.get(file) or origins.left_out.get(file)
        if known and known.blob != blob_id(text):
            found.append(f"patches/{name}/{file} was made from an earlier form of patches/{file}")
        elif not known and file not in there:
            found.append(f"patches/{name} does not have patches/{file} yet")
    return found


def own_files(
    paths: Paths,
    source: Source,
    shared: Path,
    texts: Sequence[tuple[str, str]],
    applied: Applied,
    *,
    ui: Ui,
) -> frozenset[str]:
    """Return the files that a series on another pin needs as its own.

    texts, applied: the canonical series there.  A file of patches/ serves if
    it says the same and, applied there, makes the same commit: with a hunk
    that fits in two places it may not.
    """
    own = {file for file, text in texts if not _says(shared / file, text)}
    while True:
        trial = [(f, text if f in own else read_text(shared / f)) for f, text in texts]
        made = apply_texts(paths, source, trial, ui)
        pairs = zip(texts, applied.patches, made.patches, strict=True)
        wrong = next((f for (f, _), old, new in pairs if old.commit != new.commit), None)
        if wrong is None:
            return frozenset(own)
        own.add(wrong)


def origins_after(series: Series, own: Sequence[str]) -> Origins:
    """Return the origins of a series whose own files are now `own`.

    What an own file was made from stays; a new one was made from what
    patches/ has now, if it has it at all.
    """
    before = load_origins(series.folder)
    rows = dict(before.own)
    for file in own:
        path = (series.shared or series.folder) / file
        if file not in rows and path.is_file():
            rows[file] = Origin(blob_id(read_text(path)))
    return Origins({file: rows[file] for file in own if file in rows}, before.left_out)


def _says(path: Path, text: str) -> bool:
    return path.is_file() and strip_places(read_text(path)) == strip_places(text)
