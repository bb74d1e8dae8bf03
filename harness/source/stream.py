"""A kernel's files as a stream: out of a tarball or a folder, into git fast-import."""

from __future__ import annotations

import os
import re
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from harness.source.pin import Pin

# Where the stream's commit goes before it is known to be the right one.
IMPORT_REF = "refs/kseries/import"


@dataclass(frozen=True)
class Member:
    """One file: path below the kernel's root, git mode, content (a link's target)."""

    path: str
    mode: str
    data: bytes


@dataclass
class Facts:
    """What was seen on the way, to explain a refusal: pristine trees need none of it."""

    files: int = 0
    makefile: bytes = field(default=b"", repr=False)
    debian_patches: bool = False
    left_out: set[str] = field(default_factory=set, repr=False)

    @property
    def version(self) -> str:
        """The version that the top Makefile states, or "" without one."""
        return makefile_version(self.makefile.decode(errors="replace"))

    def see(self, path: str) -> None:
        """Note one path below the kernel's root."""
        self.files += 1
        if path.startswith("debian/patches/"):
            self.debian_patches = True


def makefile_version(text: str) -> str:
    """Return the release that a kernel's top Makefile states, "" if it states none."""
    found: dict[str, str] = dict(
        re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION)[ \t]*=[ \t]*(\S*)", text, re.M)
    )
    if not found.get("VERSION") or not found.get("PATCHLEVEL"):
        return ""
    version = f"{found['VERSION']}.{found['PATCHLEVEL']}"
    if found.get("SUBLEVEL", "0") not in {"", "0"}:
        version += f".{found['SUBLEVEL']}"
    return version + found.get("EXTRAVERSION", "")


class _Tail:
    """A stream that remembers its end: tarfile takes a cut for the end of the archive."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._last = b""

    def read(self, size: int) -> bytes:
        """Read up to size bytes."""
        data = self._raw.read(size)
        self._last = (self._last + data)[-tarfile.BLOCKSIZE :]
        return data

    def finish(self) -> None:
        """Read to the end, which must be the empty block that ends every archive."""
        while self.read(1 << 20):
            pass
        if self._last != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("unexpected end of data")


def tar_members(archive: IO[bytes]) -> Iterator[Member]:
    """Yield the files of an uncompressed tar stream without its top folder.

    Raises tarfile.ReadError for a stream that is no tar, or cut off.
    """
    tail = _Tail(archive)
    with tarfile.open(fileobj=tail, mode="r|", bufsize=1 << 20) as tar:  # type: ignore[call-overload]
        for entry in tar:
            # A list of 90,000 members would only cost memory.
            tar.members = []
            path = entry.name.removeprefix("./").partition("/")[2]
            if entry.isdir() or not path:
                continue
            if entry.issym():
                yield Member(path, "120000", os.fsencode(entry.linkname))
            elif entry.isreg():
                content = tar.extractfile(entry)
                data = content.read()
                if len(data) != entry.size:
                    raise tarfile.ReadError("unexpected end of data")
                yield Member(path, "100755" if entry.mode & 0o100 else "100644", data)
            else:
                raise tarfile.ReadError(f"{entry.name} is neither a file nor a link nor a folder")
    tail.finish()


def folder_members(root: Path) -> Iterator[Member]:
    """Yield the files of an unpacked kernel."""
    for place, folders, files in os.walk(root):
        folders.sort()
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        for name in sorted(files + links):
            path = Path(place) / name
            status = path.lstat()
            relative = str(path.relative_to(root))
            if stat.S_ISLNK(status.st_mode):
                yield Member(relative, "120000", os.fsencode(path.readlink()))
            elif stat.S_ISREG(status.st_mode):
                mode = "100755" if status.st_mode & 0o100 else "100644"
                yield Member(relative, mode, path.read_bytes())


def write_fast_import(
    members: Iterable[Member],
    pin: Pin,
    out: IO[bytes],
    progress: Callable[[Facts], None] = lambda facts: None,
) -> Facts:
    """Write members as one commit on IMPORT_REF for `git fast-import`.

    Paths that the pin excludes are left out.  progress is called every 512
    files.  Returns what was seen.
    """
    facts = Facts()
    out.write(
        b"feature done\n"
        b"commit " + IMPORT_REF.encode() + b"\n"
        b"committer import <import@localhost> 0 +0000\n"
        b"data 0\n"
    )
    for member in members:
        facts.see(member.path)
        if member.path == "Makefile":
            facts.makefile = member.data
        if facts.files % 512 == 0:
            progress(facts)
        if left := pin.excluding(member.path):
            facts.left_out.add(left)
            continue
        head = b"M %s inline %s\ndata %d\n" % (
            member.mode.encode(),
            quote_path(member.path),
            len(member.data),
        )
        out.write(head + member.data + b"\n")
    out.write(b"done\n")
    return facts


def quote_path(path: str) -> bytes:
    """Return path as git fast-import wants it: C-quoted where it must be."""
    raw = os.fsencode(path)
    if raw.startswith(b'"') or b"\n" in raw:
        raw = raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
        return b'"' + raw + b'"'
    return raw
