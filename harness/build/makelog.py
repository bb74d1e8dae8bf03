"""What make said: errors, warnings, and which patch a new warning belongs to."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_PLACE = r"(?P<file>[^\s:()]+):(?P<line>\d+)(?::\d+)?: "
_ERROR = re.compile(_PLACE + r"(?:fatal )?error: (?P<text>.*)")
_WARNING = re.compile(_PLACE + r"warning: (?P<text>.*)")
# Kconfig writes file:line:warning: without a space, objtool and modpost no file:line.
_KCONFIG = re.compile(r"(?P<file>[^\s:]+):(?P<line>\d+):warning: (?P<text>.*)")
_OBJTOOL = re.compile(r"(?P<file>[^\s:]+\.o): (?:warning: objtool: |error: objtool: )(?P<text>.*)")
_MODPOST = re.compile(r"WARNING: modpost: (?P<text>.*)")
_LINKER = re.compile(r"(?:^|/)ld(?:\.bfd|\.lld)?: (?:warning: )(?P<text>.*)")
_OTHER_ERRORS = re.compile(
    r"undefined reference to|multiple definition of|No space left on device|"
    r"Killed signal terminated|internal compiler error|^FAILED:? |"
    r"error: objtool:|ERROR: modpost:|BTF.*(?:FAILED|failed)|No rule to make target"
)
_MAKE_ERROR = re.compile(r"make(?:\[\d+\])?: \*\*\* .*")


@dataclass(frozen=True)
class BuildError:
    """The first thing that went wrong: its file (relative to the tree) and lines."""

    file: str
    lines: tuple[str, ...]


def normalise(name: str, src: Path, build: Path) -> str:
    """Return a path of make's output relative to the tree, wherever that lies.

    make runs in the build folder, so sources appear as ../src/x, as absolute
    paths, or (generated files) relative to the build folder.
    """
    if name.startswith(("/", ".")):
        full = os.path.normpath(build / name)
        for root in (src, build):
            if full.startswith(f"{root}/"):
                return full[len(str(root)) + 1 :]
        return full
    return os.path.normpath(name)


def parse_warnings(log: str, src: Path, build: Path) -> tuple[str, ...]:
    """Return each warning once, in order, as `path:line: warning: text`.

    A warning of a header counts once per place, however many files include it.
    """
    seen: dict[str, None] = {}
    for line in log.splitlines():
        if found := _WARNING.match(line) or _KCONFIG.match(line):
            path = normalise(found["file"], src, build)
            seen.setdefault(f"{path}:{found['line']}: warning: {found['text'].strip()}")
        elif found := _OBJTOOL.match(line):
            path = normalise(found["file"], src, build)
            seen.setdefault(f"{path}: warning: objtool: {found['text'].strip()}")
        elif found := _MODPOST.search(line):
            seen.setdefault(f"vmlinux: warning: modpost: {found['text'].strip()}")
        elif found := _LINKER.search(line):
            seen.setdefault(f"vmlinux: warning: ld: {found['text'].strip()}")
    return tuple(seen)


def _identity(warning: str) -> str:
    """Return a warning without what an unrelated edit changes: its line, offsets, addresses."""
    text = re.sub(r"^([^:]+):\d+: ", r"\1: ", warning)
    return re.sub(r"\+0x[0-9a-f]+", "+0x", text)


def new_warnings(old: Sequence[str], new: Sequence[str]) -> tuple[str, ...]:
    """Return the warnings of new that old does not have, line numbers aside.

    Two equal warnings in one file where there was one count as one new.
    """
    spare = Counter(_identity(warning) for warning in old)
    fresh = []
    for warning in new:
        name = _identity(warning)
        if spare[name] > 0:
            spare[name] -= 1
        else:
            fresh.append(warning)
    return tuple(fresh)


def first_error(log: str, src: Path, build: Path, *, limit: int = 12) -> BuildError:
    """Return the first error of a log with up to limit lines from there on."""
    lines = log.splitlines()
    start, file = _find_error(lines, src, build)
    if start is None:
        return BuildError("", tuple(lines[-limit:]))
    chosen: list[str] = []
    for line in lines[start:]:
        if _MAKE_ERROR.match(line) and chosen:
            chosen.append(_shorten(line, src, build))
            break
        if len(chosen) >= limit:
            break
        # What other jobs print in between is noise here.
        if not re.match(r"  [A-Z0-9_]+ +\S+", line):
            chosen.append(_shorten(line, src, build))
    return BuildError(file, tuple(chosen))


def _find_error(lines: Sequence[str], src: Path, build: Path) -> tuple[int | None, str]:
    for index, line in enumerate(lines):
        if found := _ERROR.search(line):
            return index, normalise(found["file"], src, build)
    for index, line in enumerate(lines):
        if _OTHER_ERRORS.search(line):
            place = re.search(r"([\w./-]+\.[chS]):", line)
            return index, normalise(place[1], src, build) if place else ""
    for index, line in enumerate(lines):
        if _MAKE_ERROR.match(line):
            target = re.search(r"\*\*\* \[(?:[^\]]*: )?([^\]]+)\]", line)
            return index, target[1] if target else ""
    return None, ""


def _shorten(line: str, src: Path, build: Path) -> str:
    line = line.replace(f"{src}/", "")
    return line.replace(f"{build}/", "").replace("../src/", "")


def touching(path: str, touched: Iterable[tuple[str, Sequence[str]]]) -> tuple[str, ...]:
    """Return the patch files that touch a path; touched: (patch file, its paths).

    An object stands for its source: mm/memory.o is mm/memory.c or .S.
    """
    names = {path}
    if path.endswith(".o"):
        names |= {path[:-2] + ".c", path[:-2] + ".S"}
    return tuple(patch for patch, paths in touched if names & set(paths))


def attribute_warning(
    warning: str, touched: Sequence[tuple[str, Sequence[str]]]
) -> tuple[str, ...]:
    """Return the patches that a warning may come from.

    Those that touch its file; where none does (a header changed under it),
    those that touch a header or Kconfig; where that is none either, all.
    """
    path = warning.split(":", 1)[0]
    direct = touching(path, touched)
    if direct:
        return direct
    wide = tuple(
        patch
        for patch, paths in touched
        if any(p.endswith(".h") or Path(p).name.startswith("Kconfig") for p in paths)
    )
    return wide or tuple(patch for patch, _ in touched)
