"""patches/exceptions.toml: findings that are as they should be, each with its reason.

    [[exception]]
    rule = "checkpatch/VOLATILE"            # as `kseries lint` prints it; * and ? match
    patch = "sched-agent/add-scx-*.patch"   # below patches/; * and ? match
    text = "scx_agent.bpf.c"                # optional: what the finding must say
    reason = "const volatile is how a BPF skeleton marks read-only data"

One that excuses nothing is a finding itself: what it was for is gone.
"""

from __future__ import annotations

import fnmatch
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from harness.core.errors import Exit, KseriesError
from harness.series.series import Finding

FILE = "exceptions.toml"
_NEEDED = ("rule", "patch", "reason")


@dataclass
class Exemption:
    """One entry; used counts what it has excused, row is where it stands."""

    rule: str
    patch: str
    reason: str
    text: str = ""
    row: int = field(default=1, compare=False)
    used: int = field(default=0, compare=False)

    def covers(self, finding: Finding) -> bool:
        """Whether it excuses this finding."""
        name = finding.where.removeprefix("patches/").rpartition(":")[0] or finding.where
        return (
            fnmatch.fnmatchcase(finding.rule, self.rule)
            and fnmatch.fnmatchcase(name, self.patch)
            and self.text in finding.what
        )


def load_exceptions(folder: Path) -> list[Exemption]:
    """Return the entries of folder/exceptions.toml, none without the file."""
    path = folder / FILE
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _bad(path, str(error)) from None
    rows = [n for n, line in enumerate(text.split("\n"), 1) if line.strip() == "[[exception]]"]
    known = {item.name for item in fields(Exemption)} - {"row", "used"}
    entries = data.pop("exception", [])
    if data or not isinstance(entries, list):
        raise _bad(path, "it holds something else than [[exception]] tables")
    found = []
    for row, entry in zip(rows, entries, strict=True):
        missing = [name for name in _NEEDED if not entry.get(name)]
        strange = sorted(set(entry) - known)
        if missing or strange or not all(isinstance(value, str) for value in entry.values()):
            why = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(strange)}"
            raise _bad(path, f"the entry at line {row} {why or 'holds no texts'}")
        found.append(Exemption(**entry, row=row))
    return found


def excuse(
    findings: Sequence[Finding], exemptions: Sequence[Exemption]
) -> tuple[list[Finding], int]:
    """Return the findings that nothing excuses, and how many were excused."""
    left = []
    for finding in findings:
        covering = [item for item in exemptions if item.covers(finding)]
        for item in covering:
            item.used += 1
        if not covering:
            left.append(finding)
    return left, len(findings) - len(left)


def unused(exemptions: Sequence[Exemption]) -> list[Finding]:
    """Return a finding for each entry that excused nothing."""
    return [
        Finding(
            f"patches/{FILE}:{item.row}",
            f"no finding of {item.rule} in {item.patch} needs this exception",
            "remove it: what it was for is gone",
            "exceptions",
        )
        for item in exemptions
        if not item.used
    ]


def _bad(path: Path, why: str) -> KseriesError:
    return KseriesError(
        Exit.LINT,
        f"the stated exceptions cannot be used: {why}",
        where=str(path),
        hint="each [[exception]] has rule, patch, reason, and perhaps text; all are texts",
    )
