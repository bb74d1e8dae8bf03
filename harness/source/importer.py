"""From a tarball, a folder or a git repository to a verified bare repository.

The import goes into a quarantine repository beside the place where the store
will be.  Only when its tree id is the pin's does it get its final name, so a
store that exists is a store that was verified.
"""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, cast

from harness.core.errors import Exit, KseriesError
from harness.core.pipe import StreamError, feeding, reading
from harness.core.ui import Ui
from harness.source.gitrepo import GIT, clean_env, git
from harness.source.pin import Pin
from harness.source.stream import (
    IMPORT_REF,
    Facts,
    folder_members,
    tar_members,
    write_fast_import,
)

BASE_REF = "refs/kseries/base"
_XZ_MAGIC = b"\xfd7zXZ\x00"
_GZIP_MAGIC = b"\x1f\x8b"
_UNREADABLE = (
    StreamError,
    tarfile.TarError,
    lzma.LZMAError,
    zlib.error,
    gzip.BadGzipFile,
    EOFError,
)
OTHER = "get another copy and name it: `kseries tree --source FILE`"


@dataclass(frozen=True)
class _Imported:
    tree: str
    facts: Facts


def base_message(pin: Pin) -> str:
    """Return the base commit's message; like all of it, equal on every machine."""
    return (
        f"Linux {pin.version}\n\nThe pristine release without the paths that pin.toml excludes.\n"
    )


def import_archive(archive: Path, store: Path, pin: Pin, ui: Ui) -> None:
    """Import a tarball as the store, or raise KseriesError(PIN) and leave nothing."""
    with (
        archive.open("rb", buffering=0) as file,
        ui.step(f"import Linux {pin.version}", archive.stat().st_size) as step,
    ):

        def progress(facts: Facts) -> None:
            # xz reads through the same file description: its offset is ours.
            step.update(os.lseek(file.fileno(), 0, os.SEEK_CUR), f"{facts.files} files")

        def fill(repo: Path) -> _Imported:
            return _fast_import(repo, pin, lambda out: _read_tar(file, pin, out, progress))

        _quarantined(store, pin, str(archive), fill)
        step.note = f"tree {pin.tree[:12]} verified"


def import_folder(folder: Path, store: Path, pin: Pin, ui: Ui) -> None:
    """Import an unpacked tree as the store, or raise KseriesError(PIN)."""
    with ui.step(f"import {folder}") as step:

        def fill(repo: Path) -> _Imported:
            return _fast_import(
                repo,
                pin,
                lambda out: write_fast_import(
                    folder_members(folder),
                    pin,
                    out,
                    lambda facts: step.update(None, f"{facts.files} files"),
                ),
            )

        _quarantined(store, pin, str(folder), fill)
        step.note = f"tree {pin.tree[:12]} verified"


def import_git(origin: Path, store: Path, pin: Pin, ui: Ui) -> None:
    """Import the pin's tag out of a git repository as the store, without its history."""
    found = git(
        "rev-parse", "--verify", "-q", f"refs/tags/{pin.tag}^{{tree}}", repo=origin, check=False
    )
    if not found.ok:
        raise KseriesError(
            Exit.PIN,
            f"the repository has no tag {pin.tag}",
            where=str(origin),
            hint=f"fetch it: `git -C {origin} fetch <stable kernels> tag {pin.tag}`, or {OTHER}",
        )
    tree = found.stdout.strip()
    with ui.step(f"import {pin.tag} of {origin}") as step:
        _quarantined(
            store, pin, f"{origin} {pin.tag}", lambda repo: _copy_tree(origin, tree, repo, pin)
        )
        step.note = f"tree {pin.tree[:12]} verified"


def measure_archive(archive: Path, folder: Path, pin: Pin, ui: Ui) -> tuple[Pin, Facts]:
    """Import a tarball that no pin knows yet; return its pin, and what was seen.

    folder: where stores lie; the kernel is there afterwards under its tree id.
    pin: what is known: `excluded`, artefacts, needs; version, tag and tree
    come from the tarball.  Raises KseriesError(PIN) for what is no kernel.
    """
    store = folder / "unknown.git"
    seen: list[tuple[Pin, Facts]] = []
    with archive.open("rb", buffering=0) as file, ui.step(f"read {archive.name}") as step:

        def know(imported: _Imported) -> Pin:
            version = imported.facts.version
            if not version or imported.facts.debian_patches:
                raise mismatch(pin, imported.tree, imported.facts, str(archive))
            known = replace(pin, version=version, tag=f"v{version}", tree=imported.tree)
            seen.append((known, imported.facts))
            return known

        def progress(facts: Facts) -> None:
            step.update(None, f"{facts.files} files")

        def fill(repo: Path) -> _Imported:
            return _fast_import(repo, pin, lambda out: _read_tar(file, pin, out, progress))

        _quarantined(store, pin, str(archive), fill, know)
        step.note = f"tree {seen[0][0].tree[:12]}"
    final = folder / f"{seen[0][0].tree}.git"
    if final.exists():
        shutil.rmtree(store)
    else:
        store.rename(final)
    return seen[0]


def _quarantined(
    store: Path,
    pin: Pin,
    origin: str,
    fill: Callable[[Path], _Imported],
    know: Callable[[_Imported], Pin] | None = None,
) -> None:
    quarantine = store.with_name(f"{store.name}.quarantine")
    # Whoever holds the store's lock is alone: what lies here was left by a killed run.
    shutil.rmtree(quarantine, ignore_errors=True)
    quarantine.mkdir(parents=True)
    try:
        git("init", "-q", "--bare", "-b", "none", "--template=", ".", repo=quarantine)
        # Stages add their commits here and refer to them from elsewhere.
        git("config", "gc.auto", "0", repo=quarantine)
        try:
            imported = fill(quarantine)
        except (
            StreamError,
            tarfile.TarError,
            lzma.LZMAError,
            zlib.error,
            gzip.BadGzipFile,
            EOFError,
        ) as error:
            raise KseriesError(
                Exit.PIN,
                f"the source cannot be read to its end, it is damaged or cut off ({error})",
                where=origin,
                hint=OTHER,
            ) from None
        if know is not None:
            pin = know(imported)
        if imported.tree != pin.tree:
            raise mismatch(pin, imported.tree, imported.facts, origin)
        _finish(quarantine, pin)
        quarantine.rename(store)
    finally:
        shutil.rmtree(quarantine, ignore_errors=True)


def _finish(repo: Path, pin: Pin) -> None:
    """Give the verified tree its commit, and the tree's own attributes for diffs."""
    made = git("commit-tree", pin.tree, repo=repo, stdin=base_message(pin))
    git("update-ref", BASE_REF, made.stdout.strip(), repo=repo)
    git("update-ref", "-d", IMPORT_REF, repo=repo, check=False)
    # A bare repository has no .gitattributes, and hunk headers depend on it.
    own = git("cat-file", "blob", f"{pin.tree}:.gitattributes", repo=repo, check=False)
    if own.ok:
        (repo / "info").mkdir(exist_ok=True)
        (repo / "info" / "attributes").write_text(own.stdout)


def _fast_import(repo: Path, pin: Pin, produce: Callable[[IO[bytes]], Facts]) -> _Imported:
    argv: list[str | Path] = [
        *GIT,
        "-C",
        repo,
        "-c",
        "core.compression=1",
        "-c",
        "pack.compression=1",
    ]
    argv += ["-c", "fastimport.unpackLimit=0", "fast-import", "--quiet", "--done", "--depth=0"]
    with feeding(argv, env=clean_env()) as out:
        facts = produce(out)
    tree = git("rev-parse", f"{IMPORT_REF}^{{tree}}", repo=repo).stdout.strip()
    return _Imported(tree, facts)


def _read_tar(
    file: IO[bytes], pin: Pin, out: IO[bytes], progress: Callable[[Facts], None]
) -> Facts:
    broken: tarfile.TarError | None = None
    facts = Facts()
    with _unpacked(file) as plain:
        try:
            facts = write_fast_import(tar_members(plain), pin, out, progress)
        except tarfile.TarError as error:
            # Leave the block first: xz's own words say more, if it has any.
            broken = error
    if broken:
        raise broken
    return facts


@contextmanager
def _unpacked(file: IO[bytes]) -> Iterator[IO[bytes]]:
    """Yield the tar stream; xz on all CPUs where the program is there."""
    magic = file.read(len(_XZ_MAGIC))
    file.seek(0)
    if magic == _XZ_MAGIC and shutil.which("xz"):
        with reading(["xz", "-dc", "-T0"], file) as plain:
            yield plain
    elif magic == _XZ_MAGIC:
        with lzma.open(file) as plain:
            yield plain
    elif magic.startswith(_GZIP_MAGIC):
        with gzip.open(file) as inflated:
            yield cast(IO[bytes], inflated)
    else:
        yield file


def _copy_tree(origin: Path, tree: str, repo: Path, pin: Pin) -> _Imported:
    """Copy a tree's objects as one pack: exact, whatever attributes say, and no history."""
    (repo / "objects" / "pack").mkdir(exist_ok=True)
    pack = repo.resolve() / "objects" / "pack" / "pack"
    git("pack-objects", "-q", "--revs", pack, repo=origin, stdin=f"{tree}\n")
    facts = Facts()
    kept: list[str] = []
    listing = git("ls-tree", "-r", "-z", tree, repo=repo).stdout
    for entry in filter(None, listing.split("\0")):
        path = entry.partition("\t")[2]
        facts.see(path)
        if not pin.excluding(path):
            kept.append(entry + "\0")
    makefile = git("cat-file", "blob", f"{tree}:Makefile", repo=repo, check=False)
    facts.makefile = makefile.stdout.encode()
    index = repo.resolve() / "import.index"
    env = {"GIT_INDEX_FILE": str(index)}
    git("update-index", "-z", "--index-info", repo=repo, env=env, stdin="".join(kept))
    result = git("write-tree", repo=repo, env=env).stdout.strip()
    index.unlink()
    return _Imported(result, facts)


def mismatch(pin: Pin, tree: str, facts: Facts, origin: str) -> KseriesError:
    """Return the refusal of a tree that is not the pin's, with the likely reason."""
    reasons = []
    if not facts.version:
        reasons.append("it has no Makefile that states a kernel version, so it is no kernel")
    elif facts.version != pin.version:
        reasons.append(f"its Makefile says {facts.version}, the pin is {pin.version}")
    if facts.debian_patches:
        reasons.append("it carries debian/patches: Debian's patched source, not the pristine one")
    if not reasons:
        reasons.append(
            "its version is right but its files are not: something was changed, added or lost"
        )
    hint = OTHER
    if facts.debian_patches:
        hint = "use the .orig.tar.xz that belongs to it, or kernel.org's tarball"
    return KseriesError(
        Exit.PIN,
        f"this is not the pinned kernel: {'; '.join(reasons)} "
        f"(its tree is {tree}, the pin's is {pin.tree})",
        where=origin,
        hint=hint,
        details={"expected": pin.tree, "found": tree, "version": facts.version},
    )
