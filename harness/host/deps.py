"""Which capabilities the host has, and which packages bring the others.

Standard library only: the bootstrap reads this before any library exists.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("packages.toml")
# Programs of administration lie outside an ordinary user's PATH.
SEARCH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
CLANG_RANGE = range(30, 13, -1)


@dataclass(frozen=True)
class Capability:
    """One row of packages.toml."""

    name: str
    why: str
    needs: tuple[str, ...]
    verbs: tuple[str, ...]
    debian: tuple[str, ...]
    fedora: tuple[str, ...]
    minimum: str = ""
    soft_minimum: str = ""  # older than `minimum` but no older than this: usable, with less
    optional: bool = False
    backports: bool = False  # Debian: take it from <suite>-backports where the suite is too old

    def serves(self, verb: str) -> bool:
        """Whether a verb needs this capability."""
        return "all" in self.verbs or verb in self.verbs


@dataclass(frozen=True)
class Finding:
    """What the host has of one capability: missing items, version, a remark."""

    capability: Capability
    missing: tuple[str, ...]
    version: str = ""
    remark: str = ""

    @property
    def ok(self) -> bool:
        """Whether everything is there and new enough."""
        return not self.missing and not self.remark

    @property
    def usable(self) -> bool:
        """Whether verbs can work with it, perhaps with a lane less."""
        return not self.missing


def load_capabilities(path: Path = TABLE) -> tuple[Capability, ...]:
    """Return the table's rows in order."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    rows: list[dict[str, Any]] = [
        {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
        for row in data["capability"]
    ]
    return tuple(Capability(**row) for row in rows)


def newest_clang(minimum: int) -> str:
    """Return the newest clang at or above `minimum` ("clang-19", "clang"), or ""."""
    for number in CLANG_RANGE:
        if number >= minimum and shutil.which(f"clang-{number}", path=SEARCH):
            return f"clang-{number}"
    if shutil.which("clang", path=SEARCH) and version_of("clang") >= (minimum,):
        return "clang"
    return ""


def parse_version(text: str) -> tuple[int, ...]:
    """Return the first dotted number of text: "QEMU emulator version 10.0.2" -> (10, 0, 2)."""
    found = re.search(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


def version_of(program: str) -> tuple[int, ...]:
    """Return what `program --version` says, () where it cannot be asked."""
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return parse_version(done.stdout or done.stderr)


def _present(need: str, minimum: str) -> bool:
    if need.startswith("python:"):
        return importlib.util.find_spec(need.removeprefix("python:")) is not None
    if need.startswith("/"):
        # Debian keeps some headers under the architecture's folder.
        name = Path(need)
        multiarch = name.parent.parent / "include/x86_64-linux-gnu" / name.name
        return name.exists() or multiarch.exists() or _multiarch(need).exists()
    if need == "clang-N":
        return bool(newest_clang(int(minimum)))
    if need == "llvm-strip-N":
        clang = newest_clang(int(minimum))
        return bool(clang and shutil.which(clang.replace("clang", "llvm-strip"), path=SEARCH))
    return shutil.which(need, path=SEARCH) is not None


def _multiarch(need: str) -> Path:
    return Path(need.replace("/usr/include/", "/usr/include/x86_64-linux-gnu/", 1))


def examine(capability: Capability, *, versions: bool = True) -> Finding:
    """Look for one capability on this host; versions=False asks no program."""
    missing = tuple(n for n in capability.needs if not _present(n, capability.minimum))
    if missing or not capability.minimum or not versions or capability.needs[0] == "clang-N":
        return Finding(capability, missing)
    have = version_of(capability.needs[0])
    text = ".".join(map(str, have))
    if have >= parse_version(capability.minimum):
        return Finding(capability, (), text)
    floor = parse_version(capability.soft_minimum or capability.minimum)
    if have >= floor:
        return Finding(capability, (), text, f"older than {capability.minimum}")
    return Finding(capability, (f"{capability.needs[0]} >= {capability.minimum}",), text)


def distribution(os_release: Path = Path("/etc/os-release")) -> tuple[str, str]:
    """Return ("debian" | "fedora" | "", codename) of this host."""
    try:
        text = os_release.read_text(encoding="utf-8")
    except OSError:
        return "", ""
    fields = dict(line.split("=", 1) for line in text.replace('"', "").splitlines() if "=" in line)
    family = f"{fields.get('ID', '')} {fields.get('ID_LIKE', '')}".split()
    for name in ("debian", "fedora"):
        if name in family:
            return name, fields.get("VERSION_CODENAME", "")
    return "", ""


def packages_for(findings: list[Finding], family: str) -> list[str]:
    """Return the packages that bring what the findings miss, in table order."""
    rows = [f.capability for f in findings if not f.ok]
    names = [n for row in rows for n in (row.fedora if family == "fedora" else row.debian)]
    return list(dict.fromkeys(names))
