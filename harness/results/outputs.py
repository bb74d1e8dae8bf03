"""The files that a run's results become."""

from __future__ import annotations

from pathlib import Path

from harness.core.record import write_atomic
from harness.results.junit import junit_xml
from harness.results.model import Results
from harness.results.tap import tap_text

REPORT = "report.html"
JUNIT = "junit.xml"
TAP = "results.tap"


def write_junit(results: Results, path: Path) -> Path:
    """Write JUnit XML to path and return it."""
    write_atomic(path, junit_xml(results))
    return path


def write_tap(results: Results, path: Path) -> Path:
    """Write TAP to path and return it."""
    write_atomic(path, tap_text(results))
    return path


def write_report(results: Results, path: Path) -> Path:
    """Write the HTML report to path and return it."""
    from harness.results.html import report_html  # matplotlib takes a second

    write_atomic(path, report_html(results))
    return path


def write_outputs(results: Results, folder: Path) -> dict[str, Path]:
    """Write report, JUnit and TAP into a run's folder; return them by name."""
    return {
        "html": write_report(results, folder / REPORT),
        "junit": write_junit(results, folder / JUNIT),
        "tap": write_tap(results, folder / TAP),
    }
