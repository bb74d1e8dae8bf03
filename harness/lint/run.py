"""All rules over the series: those of form, and those that need its kernel."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from harness.core.paths import Paths
from harness.core.ui import Ui
from harness.lint.checkers import CHECKPATCH, checkpatch, kernel_doc
from harness.lint.exceptions import excuse, load_exceptions, unused
from harness.lint.files import excluded_paths, maintainers, spdx
from harness.lint.ground import ground_of
from harness.lint.ledger import lint_ledger
from harness.lint.message import messages
from harness.lint.mutants import mutants_apply
from harness.lint.numbers import globs_of, load_numbers, numbers_free
from harness.series.lint import lint_canonical, lint_fragments, lint_patches
from harness.series.overlay import stale
from harness.series.series import Finding, Series, overlays
from harness.source.pin import load_pin
from harness.source.store import Source, open_source


@dataclass(frozen=True)
class Linted:
    """What lint found.

    skipped: what could not be checked here; excused: findings with an exception;
    behind: where series on other pins were made from earlier forms of a patch.
    """

    series: Series
    findings: tuple[Finding, ...]
    skipped: tuple[str, ...]
    excused: int
    behind: tuple[str, ...]


def lint(paths: Paths, ui: Ui) -> Linted:
    """Check everything that can be checked without fetching anything."""
    series, findings = lint_patches(paths.overlay or paths.patches, paths.overlay and paths.patches)
    findings += lint_fragments(paths.repo / "kconfig")
    behind: list[str] = []
    if paths.overlay is None:
        for other in overlays(paths.patches):
            findings += lint_patches(other, paths.patches)[1]
        if not findings:
            behind = [text for other in overlays(paths.patches) for text in stale(series, other)]
            findings += lint_ledger(paths.repo, series)
    skipped = []
    source = open_source(paths, load_pin(paths.pin_file))
    if source is None:
        skipped.append(
            "what needs the kernel: it is not in the cache (`kseries tree` gets it), so neither "
            "the canonical export nor checkpatch, kernel-doc, licences, maintainers, shared "
            "numbers, messages and mutants"
        )
    elif any(finding.rule == "form" and _of_series(finding) for finding in findings):
        skipped.append("what needs the patches applied: the findings in their form come first")
    else:
        findings += lint_canonical(paths, source, series, ui)
        found, left_out = lint_on_kernel(paths, source, series, ui)
        findings += found
        skipped += left_out
    exemptions = load_exceptions(paths.patches)
    left, excused = excuse(findings, exemptions)
    # Exceptions are stated for the series on pin.toml; another kernel may need fewer.
    if not skipped and paths.overlay is None:
        left += unused(exemptions)
    return Linted(series, tuple(left), tuple(skipped), excused, tuple(behind))


def lint_on_kernel(
    paths: Paths, source: Source, series: Series, ui: Ui
) -> tuple[list[Finding], list[str]]:
    """Return the findings of the rules that need the kernel, and what was left out."""
    numbers = load_numbers(paths.repo / "patches")
    skipped = []
    with ground_of(paths, source, series, ui, globs_of(numbers)) as ground:
        findings = [*excluded_paths(ground), *spdx(ground), *maintainers(ground)]
        findings += numbers_free(ground, numbers)
        findings += messages(ground)
        if paths.overlay is None:  # mutants are diffs on top of pin.toml's series
            findings += mutants_apply(paths.repo, source.git, ground.applied.top_tree)
        if not (ground.base / CHECKPATCH).is_file():
            skipped.append(f"checkpatch --strict: this kernel has no {CHECKPATCH}")
        elif not shutil.which("perl"):
            skipped.append("checkpatch --strict: the host has no perl (`kseries doctor`)")
        else:
            findings += checkpatch(ground, ui)
        findings += kernel_doc(ground, ui)
    return findings, skipped


def _of_series(finding: Finding) -> bool:
    return finding.where.startswith("patches/")
