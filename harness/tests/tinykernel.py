"""Small artificial kernels for tests: a few files, a tarball, a matching pin.

Tree ids are computed by a plain `git add`, not by the code under test.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

from harness.core.paths import Paths
from harness.core.ui import Ui
from harness.series.export import export_commit
from harness.source.gitrepo import clean_env
from harness.source.pin import Artefact, Pin
from harness.source.store import Source, ensure_source

VERSION = "6.1.2"
EXCLUDED = ("drivers/left/out", "Documentation/left-out.txt")


def lines(name: str, count: int = 60) -> bytes:
    """Return C-like text whose lines differ, so that hunks have one place."""
    body = "".join(f"\tvalue[{n}] = {name}_{n};\n" for n in range(count))
    return f"// SPDX-License-Identifier: GPL-2.0\nint {name}(void)\n{{\n{body}}}\n".encode()


FILES: Mapping[str, bytes] = {
    "Makefile": b"# SPDX\nVERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 2\nEXTRAVERSION =\nNAME = Tiny\n",
    ".gitattributes": b"*.[ch] diff=cpp\n",
    "mm/memcontrol.c": lines("memcontrol"),
    "mm/mmap.c": lines("mmap"),
    "kernel/fork.c": lines("fork"),
    "kernel/latin1.c": b"// M\xfcller\n" + lines("latin"),
    "kernel/crlf.c": lines("crlf").replace(b"\n", b"\r\n"),
    "Documentation/\u00fcber.rst": b"\xc3\x9cber\n=====\n" + lines("text"),
    "Documentation/left-out.txt": b"not redistributable\n",
    "drivers/left/out/firmware.h": b"not redistributable\n",
    "drivers/left/outside.c": lines("outside"),
    "init/empty": b"",
}
SCRIPT = "scripts/run.sh"
LINK = "include/link"


def lay_out(root: Path, files: Mapping[str, bytes] = FILES) -> Path:
    """Write the kernel's files below root, a script and a link among them."""
    for name, data in {**files, SCRIPT: b"#!/bin/sh\ntrue\n"}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (root / SCRIPT).chmod(0o755)
    (root / LINK).parent.mkdir(exist_ok=True)
    (root / LINK).symlink_to("../mm")
    return root


def sh(*argv: str | Path, cwd: Path, stdin: bytes = b"", **env: str) -> str:
    """Run a program that must succeed, in git's clean environment; return its stdout."""
    done = subprocess.run(
        [str(word) for word in argv],
        cwd=cwd,
        env=clean_env(env),
        input=stdin,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, (argv, done.stdout, done.stderr)
    return done.stdout.decode(errors="surrogateescape")


def tree_of(folder: Path) -> str:
    """Return the git tree id of a folder's content."""
    scratch = folder.parent / f".{folder.name}.git"
    shutil.rmtree(scratch, ignore_errors=True)
    sh("git", "init", "-q", "--bare", scratch, cwd=folder.parent)
    place = (f"--git-dir={scratch}", f"--work-tree={folder}")
    sh("git", *place, "-c", "core.attributesFile=/dev/null", "add", "-A", "-f", ".", cwd=folder)
    tree = sh("git", *place, "write-tree", cwd=folder).strip()
    shutil.rmtree(scratch)
    return tree


def pack(folder: Path, dest: Path, top: str = f"linux-{VERSION}") -> Path:
    """Make a tarball of a folder; xz, gz or none by dest's suffix."""
    mode = {".xz": "w:xz", ".gz": "w:gz"}.get(dest.suffix, "w")
    with tarfile.open(dest, mode) as tar:  # type: ignore[call-overload]
        tar.add(folder, arcname=top)
    return dest


def artefact(tarball: Path, kind: str = "debian-orig", url: str = "") -> Artefact:
    """Return the pin's entry of a tarball."""
    data = tarball.read_bytes()
    return Artefact(
        tarball.name,
        kind,
        hashlib.sha256(data).hexdigest(),
        len(data),
        sha1=hashlib.sha1(data).hexdigest(),
        url=url,
    )


def pin_for(root: Path, *artefacts: Artefact) -> Pin:
    """Return the pin of the kernel in root, which may hold the excluded paths."""
    bare = root.parent / f"{root.name}-without"
    if not bare.exists():
        shutil.copytree(root, bare, symlinks=True)
        for name in EXCLUDED:
            path = bare / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    return Pin(VERSION, f"v{VERSION}", tree_of(bare), EXCLUDED, artefacts)


def paths_in(folder: Path) -> Paths:
    """Return paths of a repository below folder, with an empty cache."""
    repo = folder / "repo"
    (repo / "patches").mkdir(parents=True, exist_ok=True)
    return Paths(repo, folder / "cache", repo / "out")


def quiet() -> Ui:
    """Return a terminal that says nothing."""
    return Ui(quiet=True, stream=io.StringIO())


def source_in(folder: Path) -> tuple[Paths, Source]:
    """Return paths and the imported store of the tiny kernel."""
    paths = paths_in(folder)
    root = lay_out(folder / "kernel")
    return paths, ensure_source(paths, pin_for(root), quiet(), str(root))


class Author:
    """A developer's own clone of the base, to make commits in."""

    def __init__(self, source: Source, folder: Path) -> None:
        self.source = source
        self.root = folder
        sh("git", "init", "-q", "-b", "work", folder, cwd=folder.parent)
        info = folder / ".git" / "objects" / "info"
        info.mkdir(exist_ok=True)
        (info / "alternates").write_text(f"{source.git / 'objects'}\n")
        sh("git", "reset", "-q", "--hard", source.base_commit, cwd=folder)
        self.date = 1_000_000_000

    def edit(self, name: str, old: bytes, new: bytes) -> None:
        """Replace text in a file."""
        path = self.root / name
        data = path.read_bytes()
        assert old in data
        path.write_bytes(data.replace(old, new, 1))

    def commit(self, message: str, author: str = "", **env: str) -> str:
        """Commit everything and return the id."""
        self.date += 60
        sh("git", "add", "-A", cwd=self.root)
        extra = ["--author", author] if author else []
        sh(
            "git", "commit", "-q", "--allow-empty", "--cleanup=verbatim", *extra, "-F", "-",
            cwd=self.root, stdin=message.encode(), GIT_AUTHOR_DATE=f"@{self.date} +0000", **env,
        )  # fmt: skip
        return sh("git", "rev-parse", "HEAD", cwd=self.root).strip()

    def export(self, commit: str, notes: str = "") -> str:
        """Return the canonical patch file of a commit."""
        return export_commit(self.source, commit, notes, self.root / ".git" / "objects")


def write_series(paths: Paths, texts: Mapping[str, str], listing: str | None = None) -> None:
    """Write patch files and series."""
    folder = paths.repo / "patches"
    for file, text in texts.items():
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_bytes(text.encode("utf-8", "surrogateescape"))
    (folder / "series").write_text(
        "# --- test: things ---\n" + "".join(f"{file}\n" for file in texts)
        if listing is None
        else listing
    )


def awkward(author: Author) -> dict[str, str]:
    """Return patches of every kind that a mail or a quilt finds hard: file to text."""
    root = author.root
    made: dict[str, str] = {}

    def add(file: str, message: str, notes: str = "", who: str = "") -> None:
        made[file] = author.export(author.commit(message, who), notes)

    author.edit("mm/mmap.c", b"mmap_7;", b"mmap_seven;")
    add("awkward/plain.patch", "mm: Spell a number\n\nBecause it reads better.\n")
    author.edit("mm/mmap.c", b"mmap_9;", b"mmap_nine;")
    add("awkward/no-body.patch", "mm: Spell another number\n")
    (root / "Documentation/caf\u00e9.rst").write_text("Caf\u00e9 \u2615\n")
    author.edit("Documentation/\u00fcber.rst", b"text_3;", "t\u00ebxt;".encode())
    add(
        "awkward/utf8.patch",
        "docs: Say \u00fcber in UTF-8\n\nThe caf\u00e9 is open.\n",
        who="J\u00fcrgen \u00d8 <j@localhost>",
    )
    (root / SCRIPT).chmod(0o644)
    add("awkward/mode.patch", "scripts: Drop the executable bit\n\nNobody runs it.\n")
    (root / SCRIPT).chmod(0o755)
    author.edit(SCRIPT, b"true", b"false")
    add("awkward/mode-and-text.patch", "scripts: Set the bit, change the text\n\nBoth.\n")
    (root / "kernel/fork.c").rename(root / "kernel/spoon.c")
    add("awkward/rename.patch", "kernel: Rename the fork\n\nIt is a spoon.\n")
    (root / "mm/memcontrol.c").unlink()
    add("awkward/delete.patch", "mm: Delete a file\n\nIt was in the way.\n")
    (root / "init/new").write_bytes(b"")
    (root / "init/text").write_text("no newline at the end")
    add("awkward/empty-file.patch", "init: Add an empty file\n\nAnd one without a newline.\n")
    author.edit("kernel/latin1.c", b"M\xfcller", b"M\xf6ller")
    add("awkward/latin1.patch", "kernel: Change a name in Latin-1\n\nNot UTF-8.\n")
    author.edit("kernel/crlf.c", b"crlf_5;", b"crlf_five;")
    add("awkward/crlf.patch", "kernel: Change a line that ends in CRLF\n\nIt stays so.\n")
    author.edit("mm/mmap.c", b"mmap_20;", b"mmap_twenty;")
    add(
        "awkward/notes.patch",
        "mm: Carry notes\n\nWith a body:\n\n  indented text\n  mm/x.c | 3 ++-\n",
        notes="v2: reworded\n\n---- dashes, and a | bar\n mm/other.c | 3 +++\n\tindented",
    )
    author.edit("mm/mmap.c", b"mmap_30;", b"mmap_thirty;")
    add("awkward/rfc.patch", "[RFC] mm: Ask for comments\n\nWhat do you think?\n")
    author.edit("mm/mmap.c", b"mmap_40;", b"mmap_forty;")
    long = "mm/mmap: Use a subject so long that a mail must fold it somewhere in its middle, alas"
    add("awkward/long.patch", f"{long}\n\nFrom a line that starts with From.\n")
    return made


def binary(author: Author) -> dict[str, str]:
    """Return a patch with a binary: git reads it, GNU patch does not."""
    (author.root / "init/logo.bin").write_bytes(bytes(range(256)) * 3)
    text = author.export(author.commit("init: Add a logo\n\nIt is binary.\n"))
    return {"awkward/binary.patch": text}


def env_without_git() -> dict[str, str]:
    """Return this process's environment without git's variables."""
    return {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
