"""kseries ledger: what each patch is switched, tested, measured and described by."""

from __future__ import annotations

import argparse

from harness.core.context import Context, Outcome
from harness.core.errors import Exit
from harness.core.record import write_atomic
from harness.lint.ledger import PAGE, ledger_text, lint_ledger, read_ledger
from harness.series.series import read_series

DESCRIPTION = """\
Write docs/ledger.md, the table of what every patch claims and what shows it:
Kconfig symbol, selftest, benchmark, off-switch, page.  patches/ledger.toml
states them; each is looked up in the repository, and a cell that is missing
or untrue ends in exit status 11, as it does in `kseries lint`."""
EXAMPLE = """\
  kseries ledger
  kseries ledger --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options: it has none."""


def run(args: argparse.Namespace, context: Context) -> Outcome:
    """Write the page, and list what is missing."""
    repo = context.paths.repo
    series = read_series(repo / "patches")
    rows = read_ledger(repo, series)
    write_atomic(repo / PAGE, ledger_text(rows))
    findings = lint_ledger(repo, series)
    lines = [f"{finding.where}: {finding.what}" for finding in findings]
    lines.append(f"{PAGE}: {len(rows)} patches, {len(findings)} findings")
    data = {
        "page": PAGE,
        "patches": [
            {"file": row.file, **{name: vars(cell) for name, cell in row.cells.items()}}
            for row in rows
        ],
        "findings": [vars(finding) for finding in findings],
    }
    return Outcome(Exit.LINT if findings else Exit.OK, data, "\n".join(lines))
