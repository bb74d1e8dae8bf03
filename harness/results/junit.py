"""JUnit XML of a run: what CI servers read."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from harness.results.flat import Item, items_of
from harness.results.model import Results, RunInfo
from harness.results.text import clean


def junit_xml(results: Results) -> str:
    """Return the run as a JUnit document: a suite per test program and kernel.

    Crashes, timeouts and missing results are errors; failures that the judge
    excuses are skipped with their type (xfail, flaky), as pytest does.
    """
    items = items_of(results)
    root = ET.Element("testsuites", {"name": f"kseries {results.run.id}", **_counts(items)})
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.group, []).append(item)
    for group, members in groups.items():
        suite = ET.SubElement(
            root,
            "testsuite",
            {
                "name": clean(group),
                "timestamp": results.run.started,
                **_counts(tuple(members)),
            },
        )
        properties = ET.SubElement(suite, "properties")
        for name, value in _properties(results.run):
            ET.SubElement(properties, "property", name=name, value=clean(value))
        for item in members:
            _case(suite, item)
    ET.indent(root)
    body = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _case(suite: ET.Element, item: Item) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        classname=clean(item.group),
        name=clean(item.name),
        time=f"{item.seconds:.3f}",
    )
    tags = {"fail": "failure", "error": "error", "skip": "skipped", "excused": "skipped"}
    if item.outcome in tags:
        note = ET.SubElement(case, tags[item.outcome], type=item.kind, message=clean(item.text))
        if item.outcome in {"fail", "error"}:
            note.text = clean(item.text)


def _counts(items: tuple[Item, ...]) -> dict[str, str]:
    outcomes = [item.outcome for item in items]
    return {
        "tests": str(len(items)),
        "failures": str(outcomes.count("fail")),
        "errors": str(outcomes.count("error")),
        "skipped": str(outcomes.count("skip") + outcomes.count("excused")),
        "time": f"{sum(item.seconds for item in items):.3f}",
    }


def _properties(run: RunInfo) -> list[tuple[str, str]]:
    return [
        ("run", run.id),
        ("command", run.command),
        ("pin", run.pin),
        ("base_tree", run.base_tree),
        ("patched_tree", run.patched_tree),
        ("config", run.config),
        ("accel", run.accel),
        ("qemu", run.qemu),
        ("cpu", run.cpu),
        *((f"toolchain.{key}", value) for key, value in run.toolchain.items()),
        *((f"host.{key}", value) for key, value in run.host.items()),
    ]
