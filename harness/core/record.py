"""Stage records: what a stage made, keyed by a hash of what it was made from.

A stage whose record exists, and whose outputs are still there, is skipped.
Keys hold no timestamps and no paths of this machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def hash_json(value: Any) -> str:
    """Return the first 20 hex digits of sha256 over value as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def hash_files(root: Path, names: list[str] | None = None) -> str:
    """Return a hash over the names, modes and contents of files below root.

    names: paths relative to root; None takes every regular file.
    """
    if names is None:
        names = sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())
    entries = []
    for name in sorted(names):
        path = root / name
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        entries.append([name, bool(path.stat().st_mode & 0o100), digest])
    return hash_json(entries)


def write_atomic(path: Path, data: str | bytes) -> None:
    """Write data to path so that a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "wb") as out:
            out.write(data.encode() if isinstance(data, str) else data)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@dataclass(frozen=True)
class Record:
    """One stage's record: its name, inputs by hash, and outputs (JSON types)."""

    stage: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, Any]

    @property
    def key(self) -> str:
        """The hash that names the record."""
        return record_key(self.stage, self.inputs)


def record_key(stage: str, inputs: Mapping[str, str]) -> str:
    """Return the key of a stage with these inputs."""
    return hash_json([stage, dict(inputs)])


def load_record(folder: Path, stage: str, inputs: Mapping[str, str]) -> Record | None:
    """Return the stored record of this stage and inputs, or None."""
    path = folder / stage / f"{record_key(stage, inputs)}.json"
    try:
        data = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return Record(data["stage"], data["inputs"], data["outputs"])


def save_record(folder: Path, record: Record) -> Path:
    """Store the record and return its file."""
    path = folder / record.stage / f"{record.key}.json"
    body = {
        "stage": record.stage,
        "inputs": dict(record.inputs),
        "outputs": dict(record.outputs),
    }
    write_atomic(path, json.dumps(body, indent=2, sort_keys=True) + "\n")
    return path
