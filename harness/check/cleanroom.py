"""The clean room: a bare Debian of debootstrap in which the demo must succeed.

Without it a green run may rest on packages that somebody installed by hand.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from harness.check.trials import LEFT_OUT
from harness.core.paths import Paths
from harness.core.proc import run
from harness.host.deps import distribution

BINDS = ("proc", "sys", "dev")
# What a machine behind a proxy needs to reach its registries at all.
HOST_FILES = ("etc/resolv.conf", "etc/hosts", "etc/ssl/certs/ca-certificates.crt", "etc/pip.conf")
LIMIT = 5400.0


def demo_in_clean_room(paths: Paths, room: Path) -> tuple[str, str]:
    """Make a bare system in `room`, run ./kseries demo there; return (problem, log).

    The room has python3 and certificates, no git, xz, curl, sudo, ps or
    ensurepip, an empty cache and an empty HOME.
    """
    _, codename = distribution()
    root = room / "root"
    log = run(
        ["debootstrap", "--variant=minbase", "--include=python3,ca-certificates",
         codename or "bookworm", root],
        on_line=lambda line: None,
    ).stdout  # fmt: skip
    for name in HOST_FILES:
        source, target = Path("/") / name, root / name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            shutil.copyfile(source, target)
    shutil.copytree(
        paths.repo, root / "root/series", symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT)
    )
    lacks = [p for p in ("git", "xz", "curl", "sudo", "gcc") if (root / "usr/bin" / p).exists()]
    if lacks:
        return f"the room is not bare: it has {', '.join(lacks)}", log
    with _mounted(root):
        done = run(
            ["chroot", root, "/usr/bin/env", "-i", "HOME=/root", "LANG=C.UTF-8",
             "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "/bin/sh", "-c",
             "cd /root/series && exec ./kseries demo"],
            on_line=lambda line: None,
            check=False,
            timeout=LIMIT,
        )  # fmt: skip
    log += done.stdout
    report = root / "root/series/out/latest/report.html"
    if done.status:
        tail = "\n".join(done.stdout.strip().splitlines()[-15:])
        return f"the demo ended with {done.status} in the clean room:\n{tail}", log
    if not report.exists():
        return "the demo succeeded in the clean room, but left no report", log
    return "", log


@contextlib.contextmanager
def _mounted(root: Path) -> Iterator[None]:
    """Hold /proc, /sys and /dev mounted in the room."""
    held: list[Path] = []
    try:
        for name in BINDS:
            run(["mount", "--rbind", f"/{name}", root / name])
            held.append(root / name)
            run(["mount", "--make-rslave", root / name])
        yield
    finally:
        for place in reversed(held):
            # A mount that stays would let the removal of the room reach the host.
            subprocess.run(["umount", "-R", "-l", place], check=True)
