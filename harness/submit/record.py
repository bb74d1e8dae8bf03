"""patches/<topic>/mail/: change-ids, and each version as it was prepared.

v<N>/<part>.mbox holds the patches of a version as plain patch files, so that
any clone, also one without history, can make the range-diff to the next one.
state.json has the change-id of each part, which never changes, and for each
version what it was made on and whether it was final.  A draft is replaced by
the next `prep` of its number; a final version is not.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.core.errors import Exit, KseriesError
from harness.core.record import write_atomic
from harness.series.patchfile import encode, read_text

FILE = "state.json"
_MAIL = re.compile(r"(?m)^(?=From 0{40} Mon Sep 17 00:00:00 2001$)")


@dataclass(frozen=True)
class Version:
    """One version: the kernel it was made on, whether it was final, tree id by part."""

    kernel: str
    final: bool
    trees: Mapping[str, str]


@dataclass
class History:
    """What patches/<topic>/mail/ holds."""

    folder: Path
    change_ids: dict[str, str] = field(default_factory=dict)
    versions: dict[int, Version] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> History:
        """Return the history of a topic, an empty one before its first version."""
        path = folder / FILE
        if not path.is_file():
            return cls(folder)
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        versions = {
            int(number): Version(item["kernel"], item["final"], item["trees"])
            for number, item in data["versions"].items()
        }
        return cls(folder, data["change_ids"], versions)

    def change_id(self, name: str, part: str) -> str:
        """Return the part's change-id, made at its first version in b4's form."""
        if part not in self.change_ids:
            day = datetime.now(UTC).strftime("%Y%m%d")
            slug = f"{name}-{part}" if part else name
            self.change_ids[part] = f"{day}-{slug.replace('_', '-')}-{secrets.token_hex(6)}"
        return self.change_ids[part]

    def check(self, number: int) -> None:
        """Raise USAGE unless `number` is the newest version, or the one after it."""
        newest = max(self.versions, default=0)
        if number not in (newest, newest + 1) or number < 1:
            raise KseriesError(
                Exit.USAGE,
                f"v{number} does not follow: the newest version here is "
                + (f"v{newest}" if newest else "none"),
                where=str(self.folder / FILE),
                hint=f"prepare -v{newest + 1}" + (f", or -v{newest} once more" if newest else ""),
            )

    def patches(self, number: int, part: str) -> list[tuple[str, str]]:
        """Return (name, text) of each patch of a version's part, none if it had no such part."""
        path = self._mbox(number, part)
        if not path.is_file():
            return []
        texts = [text for text in _MAIL.split(read_text(path)) if text]
        return [(f"v{number}/{at}", text) for at, text in enumerate(texts, 1)]

    def same(self, number: int, texts: Mapping[str, Sequence[str]]) -> bool:
        """Whether a version holds exactly these patches, by part."""
        return all(
            [text for _, text in self.patches(number, part)] == list(patches)
            for part, patches in texts.items()
        )

    def keep(self, number: int, version: Version, texts: Mapping[str, Sequence[str]]) -> None:
        """Store a version: its patches by part, then the state that names it."""
        folder = self.folder / f"v{number}"
        for part, patches in texts.items():
            write_atomic(self._mbox(number, part), b"".join(encode(text) for text in patches))
        for path in folder.glob("*.mbox"):
            if path not in {self._mbox(number, part) for part in texts}:
                path.unlink()
        self.versions[number] = version
        body = {
            "change_ids": self.change_ids,
            "versions": {
                str(key): {"kernel": item.kernel, "final": item.final, "trees": dict(item.trees)}
                for key, item in sorted(self.versions.items())
            },
        }
        write_atomic(self.folder / FILE, json.dumps(body, indent=1) + "\n")

    def _mbox(self, number: int, part: str) -> Path:
        return self.folder / f"v{number}" / f"{part or 'all'}.mbox"
