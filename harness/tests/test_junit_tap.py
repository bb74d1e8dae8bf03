"""JUnit and TAP against stored files: one case of every outcome."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from harness.results.junit import junit_xml
from harness.results.tap import tap_text
from harness.tests.synthetic_results import DATA, small

JUNIT = DATA / "synthetic-small.junit.xml"
TAP = DATA / "synthetic-small.tap"


def test_tap_is_the_stored_file() -> None:
    assert tap_text(small()) == TAP.read_text(encoding="utf-8")


def test_junit_is_the_stored_file() -> None:
    assert junit_xml(small()) == JUNIT.read_text(encoding="utf-8")


def test_junit_tells_crash_missing_and_failure_apart() -> None:
    root = ET.fromstring(junit_xml(small()).encode())
    errors = {case.get("name"): case.find("error") for case in root.iter("testcase")}
    kinds = {name: error.get("type") for name, error in errors.items() if error is not None}
    assert kinds == {"panics": "crash", "lost": "missing"}
    failures = [f.get("type") for f in root.iter("failure")]
    assert sorted(map(str, failures)) == ["regression", "splat", "target", "unexpected-pass"]
    properties = {p.get("name"): p.get("value") for p in root.iter("property")}
    assert properties["pin"] == "6.18.15"
    assert properties["toolchain.cc"] == "gcc 12.2.0-14"


def test_tap_plans_hold() -> None:
    lines = tap_text(small()).splitlines()
    plans = [int(line.split("..")[1]) for line in lines if line.startswith("    1..")]
    cases = [line for line in lines if line.startswith(("    ok", "    not ok"))]
    assert sum(plans) == len(cases)
    assert f"1..{len(plans)}" in lines


def rewrite(folder: Path = DATA) -> None:
    """Write the stored files anew, after a look at the difference."""
    (folder / JUNIT.name).write_text(junit_xml(small()), encoding="utf-8")
    (folder / TAP.name).write_text(tap_text(small()), encoding="utf-8")
