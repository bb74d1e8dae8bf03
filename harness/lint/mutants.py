"""Mutants that the series has left behind: each must still apply on top of it.

A positive control whose diff no longer fits is noticed here, not after the hours
that its station of `kseries ci --full` waits for.
"""

from __future__ import annotations

from pathlib import Path

from harness.core.errors import KseriesError
from harness.series.mutants import how_to_mend, index_of, mutant_files, read_mutant
from harness.series.series import Finding


def mutants_apply(repo: Path, store: Path, top_tree: str) -> list[Finding]:
    """Return a finding for each mutant that names no case or does not apply.

    repo: the repository; store: bare repository that has top_tree, the kernel
    with the whole series on it.
    """
    files = mutant_files(repo / "selftests")
    if not files:
        return []
    findings = []
    with index_of(store, top_tree) as index:
        for path in files:
            where = f"{path.relative_to(repo)}:1"
            try:
                read_mutant(path, path.parents[1].name)
            except KseriesError as error:
                findings.append(Finding(where, error.what, error.hint, "mutant"))
            if refusal := index.refusal(path):
                first = refusal.splitlines()[0].removeprefix("error: ")
                what = f"this mutant does not apply to the series: {first}"
                findings.append(Finding(where, what, how_to_mend(path), "mutant"))
    return findings
