"""What this host offers: every capability, the machine, the disk, in one list."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

from harness.core.paths import Paths
from harness.host.deps import Finding, examine, load_capabilities

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


def capability_checks() -> list[tuple[Finding, Check]]:
    """Examine every row of the package table."""
    rows = []
    for capability in load_capabilities():
        finding = examine(capability)
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
