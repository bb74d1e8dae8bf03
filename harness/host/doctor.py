"""What this host offers: every capability, the machine, the disk, in one list."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.core.paths import Paths
from harness.host.deps import (
    Capability,
    Finding,
    examine,
    load_capabilities,
    parse_version,
)
from harness.host.newer import unpacked

# What a first run writes: git 0.4, two builds of 1.7 + 1.6 each, selftests and downloads.
DISK_NEED_GB = 12.0
MEMORY_NEED_GB = 6.0


@dataclass(frozen=True)
class Check:
    """One line of the doctor: ok, "missing" or "limited", and what to do."""

    name: str
    state: str
    detail: str
    next_step: str = ""


def capability_checks(
    paths: Paths, needs: Sequence[tuple[str, str]] = ()
) -> list[tuple[Finding, Check]]:
    """Examine every row of the package table; needs: what a pin's kernel asks beyond it."""
    rows = []
    wanted = dict(needs)
    for capability in load_capabilities():
        finding = examine(capability)
        version = wanted.get(capability.name, "")
        if version and finding.usable and parse_version(finding.version) < parse_version(version):
            rows.append((finding, _newer(paths, capability, finding, version)))
            continue
        packages = " ".join(capability.debian)
        if finding.missing:
            state = "limited" if capability.optional else "missing"
            detail = f"no {', '.join(finding.missing)}: {capability.why}"
            step = f"apt-get install --no-install-recommends {packages}"
        elif finding.remark:
            state, detail = "limited", f"{finding.version} is {finding.remark}: {capability.why}"
            step = "`kseries boot` as root installs a newer one from backports"
        else:
            state, detail, step = "ok", finding.version or "present", ""
        rows.append((finding, Check(capability.name, state, detail, step)))
    return rows


def _newer(paths: Paths, row: Capability, finding: Finding, version: str) -> Check:
    """Say how a program that is too old for the pin's kernel alone will be had."""
    program = row.needs[0]
    old = f"{finding.version} is older than {version}, which {paths.pin_file.name} needs"
    if folder := unpacked(paths, program, version):
        return Check(row.name, "ok", f"{folder.parent.name}, unpacked beside the host's ({old})")
    step = f"`kseries build --pin {paths.pin_file}` unpacks one of a newer Debian in its cache"
    return Check(row.name, "limited", f"{old}: {row.why}", step)


def machine_checks(paths: Paths) -> list[Check]:
    """Look at the machine itself: architecture, cores, memory, disk."""
    rows = []
    machine = platform.machine()
    rows.append(
        Check(
            "architecture",
            "ok" if machine == "x86_64" else "missing",
            machine,
            "" if machine == "x86_64" else "the series and its guests are x86-64",
        )
    )
    rows.append(Check("cores", "ok", str(len(os.sched_getaffinity(0)))))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    rows.append(
        Check(
            "memory",
            "ok" if memory >= MEMORY_NEED_GB else "limited",
            f"{memory:.1f} GiB",
            "" if memory >= MEMORY_NEED_GB else "linking vmlinux with BTF may run out of memory",
        )
    )
    free = free_gb(paths.cache)
    rows.append(
        Check(
            "disk",
            "ok" if free >= DISK_NEED_GB else "limited",
            f"{free:.0f} GB free for the cache, a first run writes {DISK_NEED_GB:.0f}",
            ""
            if free >= DISK_NEED_GB
            else "`kseries clean --older-than 7d`, or set XDG_CACHE_HOME",
        )
    )
    return rows


def free_gb(folder: Path) -> float:
    """Return the free disk, in GB, where folder lies or will lie."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free / 1e9
