"""Whether hot objects are those of the base while the symbols of the series are off.

kconfig/hot-objects.toml names, for each symbol that a patch defines, the
objects in which it has hooks.  Base and series are compiled in the same
folders with the set `off`, so that nothing differs but the source, and compared
function by function: bytes and relocations, as `objdump -dr` prints them.
Line numbers lie in tables outside of .text, and may differ.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.build.fragments import find_set
from harness.build.kconfig import request_hash
from harness.build.kernel import KernelJob
from harness.build.toolchain import default_jobs, detect_toolchain
from harness.build.workshop import move_source
from harness.core.errors import Exit, KseriesError
from harness.core.lock import locked
from harness.core.paths import Paths
from harness.core.proc import run
from harness.core.record import record_key
from harness.core.ui import Ui

TABLE = "hot-objects.toml"
OFF = "off"
_FUNCTION = re.compile(r"^[0-9a-f]+ <(\S+)>:$")
# An instruction (address, bytes, text) or a relocation (address, type and target).
_LINE = re.compile(r"^\s+([0-9a-f]+):\s+(\S.*)$")
# Where a jump goes to, counted from the start of the section: the bytes say it, too.
_TARGET = re.compile(r"\b[0-9a-f]+ (?=<)")


def read_table(kconfig_dir: Path) -> dict[str, tuple[str, ...]]:
    """Return the hot objects of each symbol; a missing file is an empty table."""
    path = kconfig_dir / TABLE
    if not path.is_file():
        return {}
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        return {name: tuple(table["objects"]) for name, table in data.items()}
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise KseriesError(
            Exit.CONFIG,
            f"this table of hot objects cannot be read: {error}",
            where=str(path),
            hint='a symbol is a table with one key: objects = ["kernel/sched/fair.o"]',
        ) from error


def functions(disassembly: str) -> dict[str, tuple[str, ...]]:
    """Return what `objdump -dr` says of each function, addresses counted from its start.

    Of several static functions with one name the later ones get a number.
    """
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    start: int | None = None
    for line in disassembly.splitlines():
        if named := _FUNCTION.match(line):
            numbers = (f"#{n}" if n > 1 else "" for n in itertools.count(1))
            name = next(full for n in numbers if (full := named[1] + n) not in found)
            lines = found[name] = []
            start = None
        elif match := _LINE.match(line):
            address = int(match[1], 16)
            start = address if start is None else start
            text = " ".join(_TARGET.sub("", match[2]).split())
            lines.append(f"{address - start:x}: {text}")
    return {name: tuple(lines) for name, lines in found.items()}


def differences(base: str, patched: str) -> list[str]:
    """Return the functions of two disassemblies that are not the same, in a sentence each."""
    old, new = functions(base), functions(patched)
    told = [f"{name} is gone" for name in old if name not in new]
    told += [f"{name} is new" for name in new if name not in old]
    for name in old:
        if name in new and old[name] != new[name]:
            pairs = itertools.zip_longest(old[name], new[name], fillvalue="(end)")
            first = next((a, b) for a, b in pairs if a != b)
            told.append(f"{name} differs: `{first[0]}` is now `{first[1]}`")
    return told


def compare(
    paths: Paths,
    store_git: Path,
    trees: tuple[str, str],
    table: Mapping[str, Sequence[str]],
    ui: Ui,
) -> dict[str, list[str]]:
    """Compile the table's objects of (base, series) with the set `off`; return what differs.

    Raises KseriesError(CONFIG) if a symbol of the table is on all the same.
    """
    kconfig_dir = paths.repo / "kconfig"
    toolchain = detect_toolchain()
    config = request_hash(find_set(kconfig_dir, OFF), root=paths.repo)
    key = record_key("objects", {"config": config, "compiler": toolchain.id})
    folder = paths.builds / f"objects-{key}"
    objects = sorted({name for names in table.values() for name in names})
    texts: list[dict[str, str]] = []
    with locked(paths.cache / "locks" / f"{folder.name}.lock", on_wait=ui.line):
        for tree in trees:
            job = KernelJob(paths, folder, tree, OFF, toolchain, ui, default_jobs())
            move_source(store_git, tree, job.src, folder / "index")
            values = job.configure(store_git, kconfig_dir).values
            on = [name for name in table if name in values]
            if on:
                raise KseriesError(
                    Exit.CONFIG,
                    f"the set {OFF!r} leaves CONFIG_{on[0]}={values[on[0]]}",
                    where="kconfig/off.config",
                    hint=f"add `# CONFIG_{on[0]} is not set` there",
                )
            job.compile((), objects)
            texts.append({name: _disassemble(job.build / name) for name in objects})
    return {name: differences(texts[0][name], texts[1][name]) for name in objects}


def _disassemble(path: Path) -> str:
    return run(["objdump", "-dr", path], timeout=600).stdout
