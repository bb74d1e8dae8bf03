"""Stored consoles and KTAP logs with the verdict each must get.

data/consoles/<case>/: console.log, expected.json, source.txt;
data/ktap/<case>/: ktap.log, expected.json, source.txt.  source.txt says which
run or which public document the log comes from.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from harness.guest.splat import console_problem, find_splats, panicked
from harness.kselftest.ktap import parse_ktap

DATA = Path(__file__).with_name("data")
CONSOLES = sorted(path for path in (DATA / "consoles").iterdir() if path.is_dir())
KTAP = sorted(path for path in (DATA / "ktap").iterdir() if path.is_dir())


def _read(path: Path) -> str:
    return path.read_bytes().decode("utf-8", errors="replace")


def _expected(case: Path) -> dict[str, Any]:
    source = (case / "source.txt").read_text()
    assert len(source.split()) > 5, "say where the log comes from"
    data: dict[str, Any] = json.loads((case / "expected.json").read_text())
    return data


def console_verdict(console: str) -> dict[str, Any]:
    return {
        "splats": [
            {
                "kind": splat.kind,
                "title": splat.title,
                "line": splat.line,
                "lines": splat.text.count("\n") + 1,
                "last": splat.text.rsplit("\n", 1)[-1],
                "allowed": splat.allowed,
            }
            for splat in find_splats(console)
        ],
        "panicked": panicked(console),
        "problem": console_problem(console),
    }


def ktap_verdict(text: str, exit_status: int | None, require_plan: bool) -> dict[str, Any]:
    result = parse_ktap(text, exit_status, require_plan=require_plan)
    return {
        "status": str(result.status),
        "reason": result.reason,
        "counts": dict(sorted(Counter(str(case.status) for case in result.cases).items())),
        "cases": [[case.name, str(case.status), case.reason] for case in result.cases],
        "notes": list(result.notes),
    }


@pytest.mark.parametrize("case", CONSOLES, ids=lambda case: case.name)
def test_console(case: Path) -> None:
    assert console_verdict(_read(case / "console.log")) == _expected(case)


@pytest.mark.parametrize("case", KTAP, ids=lambda case: case.name)
def test_ktap(case: Path) -> None:
    expected = _expected(case)
    got = ktap_verdict(
        _read(case / "ktap.log"), expected.pop("exit_status"), expected.pop("require_plan")
    )
    assert got == expected


def test_every_class_has_a_stored_log() -> None:
    kinds = {s["kind"] for case in CONSOLES for s in _expected(case)["splats"]}
    assert {
        "kasan",
        "kcsan",
        "lockdep",
        "warn",
        "bug",
        "oops",
        "rcu-stall",
        "hung-task",
        "oom-kill",
        "panic",
        "atomic-sleep",
        "soft-lockup",
        "ubsan",
    } <= kinds
    assert any(not _expected(case)["splats"] for case in CONSOLES), "a clean one"
    states = {s for case in KTAP for s in _expected(case)["counts"]}
    assert {"pass", "fail", "skip", "xfail", "timeout", "missing"} <= states


@pytest.mark.parametrize("case", KTAP, ids=lambda case: case.name)
def test_no_cut_of_a_real_log_has_more_passes(case: Path) -> None:
    text = _read(case / "ktap.log")
    expected = _expected(case)
    plan = expected["require_plan"]
    whole = expected["counts"].get("pass", 0)
    step = max(1, len(text) // 40)
    for cut in range(0, len(text), step):
        counts = ktap_verdict(text[:cut], None, plan)["counts"]
        assert counts.get("pass", 0) <= whole
