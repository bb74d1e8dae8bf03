"""Finding QEMU on this host, and knowing its version."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.core.proc import run

PROGRAM = "qemu-system-x86_64"
# The two forms of an assertion, the C library's and GLib's.
_OWN_FAILURE = re.compile(
    rf"^{PROGRAM}: .*: Assertion [`'].*' failed\."
    r"|^ERROR:\S+:\d+:\w+: (?i:assertion failed)\b.*",
    re.MULTILINE,
)
ICOUNT_MINIMUM = (10,)  # the first that divides an icount budget between vCPUs


@dataclass(frozen=True)
class Qemu:
    """One QEMU: its program, its version, and options it always needs (-L FOLDER)."""

    path: Path
    version: tuple[int, ...]
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The version as people write it, e.g. `10.0.2`."""
        return ".".join(map(str, self.version))


def parse_version(text: str) -> tuple[int, ...]:
    """Return the version in the output of `qemu-system-x86_64 --version`."""
    match = re.search(r"version (\d+(?:\.\d+)+)", text)
    if not match:
        raise KseriesError(
            Exit.HOST,
            "QEMU does not say its version",
            where=text.strip()[:200],
            hint=f"run `{PROGRAM} --version` by hand",
        )
    return tuple(int(part) for part in match[1].split("."))


def own_failure(said: str) -> str:
    """Return the line in which QEMU says that it broke one of its own rules, or nothing.

    said: what it printed.  Such an abort is the emulator's: a guest may be the
    occasion, as when several vCPUs run while PCI windows are being mapped
    (`msix_table_mmio_write: Assertion ... failed`, once in some thousand boots
    under QEMU 10.0), but no verdict on its kernel.
    """
    match = _OWN_FAILURE.search(said)
    return match[0].strip() if match else ""


def candidates(paths: Paths) -> Iterator[Path]:
    """Yield the places of QEMU, the most wanted first.

    KSERIES_QEMU names one and allows no other; then what was unpacked for
    this host (paths.tools/qemu*/bin, newest name first); then PATH.
    """
    named = os.environ.get("KSERIES_QEMU")
    if named:
        yield Path(named)
        return
    yield from sorted(paths.tools.glob(f"qemu*/bin/{PROGRAM}"), reverse=True)
    found = shutil.which(PROGRAM)
    if found:
        yield Path(found)


def find_qemu(paths: Paths, minimum: tuple[int, ...] | None = None) -> Qemu:
    """Return the first QEMU that runs and is at least minimum, or raise HOST.

    A tools folder may hold a file `options` beside bin/: words that this QEMU
    always needs, one a line.
    """
    seen: list[str] = []
    for path in candidates(paths):
        if not path.is_file() or not os.access(path, os.X_OK):
            seen.append(f"{path} is no program")
            continue
        done = run([path, "--version"], timeout=30, check=False)
        if not done.ok:
            seen.append(f"{path} failed: {done.stderr.strip()[:200]}")
            continue
        version = parse_version(done.stdout)
        if minimum is None or version >= minimum:
            extra = path.parent.parent / "options"
            options = extra.read_text().split("\n") if extra.is_file() else []
            return Qemu(path.resolve(), version, tuple(word for word in options if word))
        seen.append(f"{path} is {'.'.join(map(str, version))}")
    need = f" {'.'.join(map(str, minimum))} or newer" if minimum else ""
    raise KseriesError(
        Exit.HOST,
        f"QEMU{need} was not found on this host",
        where="; ".join(seen) or f"no {PROGRAM} on PATH",
        hint="run `./kseries doctor`, or name one with KSERIES_QEMU",
    )
