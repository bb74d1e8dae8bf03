"""Programs that some kernel wants newer than this host has, unpacked beside it.

The packages of a newer suite, with all that they depend on, are fetched
through apt lists of their own, which Debian's keyring verifies, and unpacked
into the cache.  The program runs with the loader and the libraries that came
along: the host stays as it is, and no root is needed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from harness.core.disk import need_space
from harness.core.errors import Exit, KseriesError
from harness.core.lock import locked
from harness.core.paths import Paths
from harness.core.proc import run
from harness.core.ui import Ui
from harness.host.deps import (
    Capability,
    distribution,
    load_capabilities,
    parse_version,
    version_of,
)
from harness.host.install import mirrors_of, private_lists

# Debian's suites, oldest first: a newer one's packages are looked for in this order.
SUITES = ("bookworm", "trixie", "forky")
# Packages, and what they unpack to, of a program like pahole: 60 MB.
_SPACE = 200_000_000
_LOADER = "ld-linux-x86-64.so.2"


def provide(paths: Paths, needs: Sequence[tuple[str, str]], verb: str, ui: Ui) -> None:
    """Put programs on PATH that are as new as a pin's kernel needs them.

    needs: (capability, version) of the pin; verb: who asks, as the host table
    names it.  A program of the host that is new enough is left alone.
    Raises KseriesError(HOST) where none can be had.
    """
    table = {item.name: item for item in load_capabilities()}
    for name, version in needs:
        row = table.get(name)
        if row is None:
            raise KseriesError(
                Exit.USAGE,
                f"the pin needs {name!r}, which the host table does not have",
                where=str(paths.pin_file),
                hint=f"the table has: {', '.join(table)}",
            )
        if not row.serves(verb) or version_of(row.needs[0]) >= parse_version(version):
            continue
        with locked(paths.tools / f".{row.needs[0]}.lock", on_wait=ui.line):
            folder = unpacked(paths, row.needs[0], version) or _fetch(paths, row, version, ui)
        os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"


def unpacked(paths: Paths, program: str, version: str) -> Path | None:
    """Return the newest bin folder in the cache with such a program, new enough."""
    found = [
        (parse_version(folder.parent.name.removeprefix(f"{program}-")), folder)
        for folder in paths.tools.glob(f"{program}-*/bin")
    ]
    usable = [row for row in found if row[0] >= parse_version(version)]
    return max(usable)[1] if usable else None


def newer_suites(codename: str) -> tuple[str, ...]:
    """Return the suites after a host's own."""
    return SUITES[SUITES.index(codename) + 1 :] if codename in SUITES else ()


def _fetch(paths: Paths, row: Capability, version: str, ui: Ui) -> Path:
    program = row.needs[0]
    family, codename = distribution()
    suites = newer_suites(codename) if family == "debian" and shutil.which("apt-get") else ()
    reasons: list[str] = []
    for suite in suites:
        need_space(paths.tools, _SPACE, f"{program} of Debian {suite}")
        with ui.step(f"get {program} {version} or newer from Debian {suite}") as step:
            partial = paths.tools / f".{program}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            try:
                count = _unpack(row, codename, suite, partial / "root")
                have = _install(partial, program)
            except KseriesError as error:
                step.note = "no"
                reasons.append(f"{suite}: {error.what} ({error.hint.strip()[-200:]})")
                continue
            if have < parse_version(version):
                step.note = f"it has {'.'.join(map(str, have))}"
                reasons.append(f"{suite} has {'.'.join(map(str, have))}")
                continue
            name = f"{program}-{'.'.join(map(str, have))}"
            final = paths.tools / name
            shutil.rmtree(final, ignore_errors=True)
            partial.rename(final)
            step.note = f"{name}, {count} packages"
            return final / "bin"
    shutil.rmtree(paths.tools / f".{program}.partial", ignore_errors=True)
    tried = "; ".join(reasons) or "only Debian's packages can be unpacked beside a host"
    raise KseriesError(
        Exit.HOST,
        f"this kernel needs {program} {version} or newer, the host has "
        f"{'.'.join(map(str, version_of(program))) or 'none'} ({tried})",
        where=str(paths.pin_file),
        hint=f"install a newer {program} ({row.why}), or put it first on PATH",
    )


def _unpack(row: Capability, codename: str, suite: str, root: Path) -> int:
    """Download a suite's packages with their dependencies, unpack them; return how many."""
    with private_lists(mirrors_of(codename), (suite,)) as options:
        cache = Path(next(word for word in options if word.startswith("Dir::Cache=")).split("=")[1])
        # As on a machine with nothing installed: every library comes along.
        status = cache / "status"
        status.touch()
        alone = ["-o", f"Dir::State::status={status}", "-o", "Debug::NoLocking=1"]
        run(["apt-get", *options, *alone, "-qq", "update"], timeout=300, code=Exit.HOST)
        words = ["-y", "--no-install-recommends", "--download-only", "install", *row.debian]
        run(["apt-get", *options, *alone, "-qq", *words], timeout=600, code=Exit.HOST)
        packages = sorted((cache / "archives").glob("*.deb"))
        root.mkdir(parents=True)
        for package in packages:
            run(["dpkg-deb", "-x", package, root], timeout=120, code=Exit.HOST)
    return len(packages)


def _install(folder: Path, program: str) -> tuple[int, ...]:
    """Write the program's starter into folder/bin; return the version that it says."""
    root = folder / "root"
    loaders = sorted(root.glob(f"usr/lib*/**/{_LOADER}"))
    target = root / "usr" / "bin" / program
    if not loaders or not target.exists():
        raise KseriesError(
            Exit.HOST, f"the packages hold no {program}, or no loader", where=str(root)
        )
    starter = folder / "bin" / program
    starter.parent.mkdir()
    loader = loaders[0].relative_to(folder)
    starter.write_text(
        "#!/bin/sh\n"
        "# Runs with the libraries that it was unpacked with.\n"
        'here=$(dirname "$(dirname "$(readlink -f "$0")")")\n'
        f'exec "$here/{loader}" --library-path \\\n'
        '    "$here/root/usr/lib/x86_64-linux-gnu:$here/root/lib/x86_64-linux-gnu" \\\n'
        f'    "$here/root/usr/bin/{program}" "$@"\n'
    )
    starter.chmod(0o755)
    return parse_version(run([starter, "--version"], timeout=20, check=False).stdout)
