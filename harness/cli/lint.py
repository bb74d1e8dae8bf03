"""kseries lint: the form of patches/ and kconfig/."""

from __future__ import annotations

import argparse

from harness.core.context import Context, Outcome
from harness.core.errors import Exit
from harness.series.lint import lint_canonical, lint_fragments, lint_patches
from harness.series.overlay import stale
from harness.series.series import overlays
from harness.source.pin import load_pin
from harness.source.store import open_source

DESCRIPTION = """\
Check the form of what is kept in patches/ and kconfig/: `series` and the
folder agree; each patch is in the form that `kseries refresh` writes, has the
series' identity, a subject `subsystem: Do this`, a body, and no
Signed-off-by; each kconfig fragment has one symbol a line and a reason above.
Nothing is fetched: without the kernel in the cache the comparison with the
canonical export is left out, and said to be.

Series on other pins (patches/on/) are checked for form, too, and it is said
where patches/ has gone on without them; --pin compares one with its kernel."""
EXAMPLE = """\
  kseries lint
  kseries lint --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options: it has none."""


def run(args: argparse.Namespace, context: Context) -> Outcome:
    """Check, and list what was found."""
    paths = context.paths
    series, findings = lint_patches(paths.overlay or paths.patches, paths.overlay and paths.patches)
    findings += lint_fragments(paths.repo / "kconfig")
    behind: list[str] = []
    if paths.overlay is None:
        for folder in overlays(paths.patches):
            findings += lint_patches(folder, paths.patches)[1]
        if not findings:
            behind = [text for folder in overlays(paths.patches) for text in stale(series, folder)]
    source = open_source(paths, load_pin(paths.pin_file))
    skipped = []
    if source is None:
        skipped.append("canonical export: the kernel is not in the cache (`kseries tree` gets it)")
    elif any(finding.where.startswith("patches/") for finding in findings):
        skipped.append("canonical export: the findings in patches/ come first")
    else:
        findings += lint_canonical(paths, source, series, context.ui)
    lines = []
    for finding in findings:
        lines += [f"{finding.where}: {finding.what}", f"  next: {finding.hint}"]
    lines += [f"not checked: {text}" for text in skipped]
    lines += [f"behind: {text} (`kseries rebase --onto` brings it there)" for text in behind]
    lines.append(f"{len(series.entries)} patches, {len(findings)} findings")
    return Outcome(
        Exit.LINT if findings else Exit.OK,
        {"findings": [vars(finding) for finding in findings], "skipped": skipped, "behind": behind},
        "\n".join(lines),
    )
