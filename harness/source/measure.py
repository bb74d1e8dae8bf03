"""A pin for a tarball that none names yet: its identity, and what its kernel needs."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path

from harness.core.disk import need_space
from harness.core.errors import Exit, KseriesError
from harness.core.lock import locked
from harness.core.paths import Paths
from harness.core.ui import Ui
from harness.host.deps import load_capabilities, parse_version
from harness.source.gitrepo import git
from harness.source.importer import measure_archive
from harness.source.pin import Artefact, Pin, pin_text
from harness.source.store import STORE_RATIO, store_path

CHANGES = "Documentation/process/changes.rst"
_DEBIAN = re.compile(r"linux_[\w.~]+\.orig\.tar\.\w+")
_UPSTREAM = re.compile(r"linux-(\d+)\.[\w.]+\.tar\.\w+")
# Programs of the kernel's own table of requirements, and our capability for each.
_CAPABILITIES = {"pahole": "btf"}


@dataclass(frozen=True)
class Measured:
    """A pin, the excluded paths that its tarball does hold, and the text of a pin file."""

    pin: Pin
    held: tuple[str, ...]
    text: str


def measure_pin(paths: Paths, archive: Path, like: Pin, ui: Ui) -> Measured:
    """Compute the pin of a release's tarball, with the excluded paths of another pin.

    The kernel is in the cache afterwards.  Raises KseriesError: USAGE for no
    file or a name of neither publisher, PIN for what is no pristine kernel.
    """
    artefact = describe(archive)
    known = replace(like, artefacts=(artefact,), needs=())
    with locked(paths.git / ".unknown.lock", on_wait=ui.line):
        need_space(paths.git, int(artefact.size * STORE_RATIO), f"importing {archive.name}")
        pin, facts = measure_archive(archive, paths.git, known, ui)
    changes = git("cat-file", "blob", f"{pin.tree}:{CHANGES}", repo=store_path(paths, pin),
                  check=False)  # fmt: skip
    pin = replace(pin, needs=needs_of(changes.stdout if changes.ok else ""))
    held = tuple(name for name in pin.excluded if name in facts.left_out)
    remarks = [
        f"Linux {pin.version}: its identity is `tree`, as pin.toml explains. Computed from",
        f"{artefact.name} by `kseries tree --pin-of`; of the excluded paths",
        f"the tarball holds {', '.join(held) or 'none'}.",
    ]
    return Measured(pin, held, pin_text(pin, remarks))


def describe(archive: Path) -> Artefact:
    """Return a tarball's entry in a pin: kind and URL by its name, digests by its content."""
    if not archive.is_file():
        raise KseriesError(
            Exit.USAGE,
            "there is no such tarball",
            where=str(archive),
            hint="name a file linux_VERSION.orig.tar.xz or linux-VERSION.tar.xz",
        )
    name = archive.name
    upstream = _UPSTREAM.fullmatch(name)
    if not upstream and not _DEBIAN.fullmatch(name):
        raise KseriesError(
            Exit.USAGE,
            "the name does not say whose tarball this is",
            where=str(archive),
            hint="give it the name that it was published under: linux_VERSION.orig.tar.xz "
            "(Debian) or linux-VERSION.tar.xz (kernel.org); sources are looked for by it",
        )
    with archive.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        sha1 = hashlib.file_digest(file, "sha1").hexdigest()
    size = archive.stat().st_size
    if upstream:
        url = f"https://cdn.kernel.org/pub/linux/kernel/v{upstream[1]}.x/{name}"
        return Artefact(name, "kernel.org", sha256, size, url=url)
    return Artefact(name, "debian-orig", sha256, size, sha1=sha1)


def needs_of(changes: str) -> tuple[tuple[str, str], ...]:
    """Return what a kernel's changes.rst asks beyond our table of host packages."""
    table = {item.name: item.minimum for item in load_capabilities()}
    found = []
    for line in changes.splitlines():
        words = line.split()
        name = _CAPABILITIES.get(words[0], "") if len(words) > 1 else ""
        # Rows are: program, version, how to ask it.
        wanted = words[1] if name and re.fullmatch(r"\d+(\.\d+)+", words[1]) else "0"
        if parse_version(wanted) > parse_version(table.get(name, "0")):
            found.append((name, wanted))
    return tuple(dict.fromkeys(found))
