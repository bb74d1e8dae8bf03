"""A run as KCIDB reads it, the database of KernelCI: checkout, builds, tests.

Checked by kcidb-io against the schema that it is written in.  The base commit
of the harness is nobody else's, so the checkout names trees and patches only.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from harness.core.errors import Exit, KseriesError
from harness.results.model import Benchmark, Results, Status, TestResult

ORIGIN = re.compile(r"[a-z0-9_]+")
_STATUS = {
    Status.PASS: "PASS",
    Status.XFAIL: "PASS",  # as its author said; misc tells
    Status.SKIP: "SKIP",
    Status.FAIL: "FAIL",
    Status.TIMEOUT: "FAIL",
    Status.CRASH: "ERROR",
    Status.MISSING: "MISS",
}


def kcidb_report(
    results: Results, origin: str, patches: Sequence[bytes] | None = None
) -> dict[str, Any]:
    """Return the report as plain data, valid for kcidb-io's newest schema.

    origin: the name of who submits; patches: the files of the patched kernel
    in order, None where they are not known any more.  Raises
    KseriesError(USAGE) for an origin that KCIDB would refuse.
    """
    from kcidb_io.schema import LATEST

    if not ORIGIN.fullmatch(origin):
        raise KseriesError(
            Exit.USAGE, f"{origin!r} is no origin", hint="lower-case letters, digits, _"
        )
    info = results.run
    prefix = f"{origin}:{info.id}"
    start = info.started.replace("Z", "+00:00")
    arms = ["base", "patched"] if info.patches else ["base"]
    report: dict[str, Any] = {
        "version": {"major": LATEST.major, "minor": LATEST.minor},
        "checkouts": [_checkout(results, origin, arm, start, patches) for arm in arms],
        "builds": [
            {
                "id": f"{prefix}-{arm}",
                "origin": origin,
                "checkout_id": f"{prefix}-{arm}",
                "start_time": start,
                "architecture": "x86_64",
                "compiler": info.toolchain.get("cc_version", ""),
                "config_name": info.config,
                "status": "PASS",
                "misc": {"toolchain": dict(info.toolchain)},
            }
            for arm in arms
        ],
        "tests": [
            *(_test(item, number, results, origin) for number, item in enumerate(results.tests)),
            *(_figure(item, n, results, origin) for n, item in enumerate(results.benchmarks)),
        ],
    }
    LATEST.validate(report)
    return report


def patchset_hash(patches: Sequence[bytes]) -> str:
    """Return KCIDB's hash of a patch set: over the hashes of its files, a line each."""
    lines = "".join(f"{hashlib.sha256(data).hexdigest()}\n" for data in patches)
    return hashlib.sha256(lines.encode()).hexdigest()


def path_of(*words: str) -> str:
    """Return a path of KCIDB's test tree: dots between words, no other marks."""
    parts = [part for word in words for part in re.split(r"[/:.]", word) if part]
    return ".".join(re.sub(r"[^a-zA-Z0-9_-]+", "_", part).strip("_") or "_" for part in parts)


def _checkout(
    results: Results, origin: str, arm: str, start: str, patches: Sequence[bytes] | None
) -> dict[str, Any]:
    info = results.run
    patched = arm == "patched"
    made: dict[str, Any] = {
        "id": f"{origin}:{info.id}-{arm}",
        "origin": origin,
        "tree_name": "stable",
        "git_commit_name": f"v{info.pin}",
        "start_time": start,
        "valid": True,
        "comment": f"Linux {info.pin}" + (f" and {len(info.patches)} patches" if patched else ""),
        "misc": {
            "tree": info.patched_tree if patched else info.base_tree,
            "patches": [dict(item) for item in info.patches] if patched else [],
        },
    }
    if not patched:
        made["patchset_hash"] = ""
    elif patches is not None:
        made["patchset_hash"] = patchset_hash(patches)
    return made


def _common(number: int, kind: str, arm: str, results: Results, origin: str) -> dict[str, Any]:
    info = results.run
    build = arm if arm == "base" or not info.patches else "patched"
    return {
        "id": f"{origin}:{info.id}-{kind}-{number}",
        "origin": origin,
        "build_id": f"{origin}:{info.id}-{build}",
        "start_time": info.started.replace("Z", "+00:00"),
        "environment": {
            "comment": f"QEMU {info.qemu}, {info.accel}",
            "misc": {"topology": dict(info.topology), "cpu": info.cpu},
        },
    }


def _test(item: TestResult, number: int, results: Results, origin: str) -> dict[str, Any]:
    return {
        **_common(number, "test", item.arm, results, origin),
        "path": path_of("kselftest", item.suite, item.name),
        "status": _STATUS[item.status],
        # A case inside a program has no time of its own.
        **({"duration": item.seconds} if item.seconds else {}),
        "comment": f"{item.suite} {item.name}",
        "misc": {
            "arm": item.arm,
            "attempt": item.attempt,
            "status": str(item.status),
            "expected": item.expected,
            "verdict": item.verdict,
            "reason": item.reason,
        },
    }


def _figure(item: Benchmark, number: int, results: Results, origin: str) -> dict[str, Any]:
    arm = "base" if item.role == "base" or item.arm == "base" else "patched"
    return {
        **_common(number, "figure", arm, results, origin),
        "path": path_of("benchmark", item.feature, item.name, item.lane, item.metric, item.arm),
        "status": "DONE",
        "number": {"value": item.value, "unit": item.unit},
        "comment": f"{item.feature} {item.name}: {item.metric}, {item.statistic}, {item.lane}",
        "misc": {"low": item.low, "high": item.high, "n": item.n, "statistic": item.statistic},
    }
