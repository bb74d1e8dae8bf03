"""A mutant that the series has left behind is a finding that names it."""

from __future__ import annotations

import dataclasses
import difflib
from pathlib import Path

import pytest

from harness.core.paths import Paths
from harness.lint.run import lint_on_kernel
from harness.series.series import Finding, read_series
from harness.source.store import Source
from harness.tests.tinykernel import Author, quiet, source_in, write_series

MMAP = "mm/mmap.c"


@pytest.fixture
def tiny(tmp_path: Path) -> tuple[Paths, Source, Author]:
    """A series of one patch, in which mmap_9 is spelled out."""
    paths, source = source_in(tmp_path)
    author = Author(source, tmp_path / "work")
    author.edit(MMAP, b"mmap_9;", b"mmap_nine;")
    message = "mm/mmap: Spell nine\n\nmmap() in mm/mmap.c reads better so.\n"
    write_series(paths, {"t/a.patch": author.export(author.commit(message))})
    return paths, source, author


def diff_of(author: Author, name: str, old: str, new: str) -> str:
    """Return a plain diff of one file of the series' top, without a `diff --git` line."""
    text = (author.root / name).read_text()
    assert old in text
    rows = (text.splitlines(keepends=True), text.replace(old, new, 1).splitlines(keepends=True))
    return "".join(difflib.unified_diff(*rows, f"a/{name}", f"b/{name}"))


def mutant(paths: Paths, name: str, diff: str, head: str = "Breaks it.\n\nFails: one\n\n") -> None:
    path = paths.repo / "selftests/area/mutants" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head + diff)


def found(paths: Paths, source: Source) -> list[Finding]:
    series = read_series(paths.patches)
    findings, _ = lint_on_kernel(paths, source, series, quiet())
    return [finding for finding in findings if finding.rule == "mutant"]


def test_mutants_of_the_series_apply(tiny: tuple[Paths, Source, Author]) -> None:
    paths, source, author = tiny
    assert found(paths, source) == []
    diff = diff_of(author, MMAP, "mmap_nine;", "mmap_none;")
    mutant(paths, "nine.patch", diff)
    # Each is held against the series itself, not against the one before it.
    mutant(paths, "nine-again.patch", diff)
    assert found(paths, source) == []


def test_one_that_was_made_before_an_edit_of_its_line_is_named(
    tiny: tuple[Paths, Source, Author],
) -> None:
    paths, source, author = tiny
    diff = diff_of(author, MMAP, "mmap_nine;", "mmap_none;")
    mutant(paths, "good.patch", diff)
    mutant(paths, "old.patch", diff.replace("mmap_nine", "mmap_9"))
    (finding,) = found(paths, source)
    assert finding.where == "selftests/area/mutants/old.patch:1"
    assert finding.what.startswith("this mutant does not apply to the series: ")
    assert MMAP in finding.what
    assert "refresh its diff" in finding.hint
    assert "diff --git" not in finding.hint
    # They are diffs on pin.toml's series: another kernel has no business with them.
    elsewhere = dataclasses.replace(paths, pin=paths.repo / "pins/9.toml")
    assert found(elsewhere, source) == []


def test_two_files_need_their_header_lines(tiny: tuple[Paths, Source, Author]) -> None:
    paths, source, author = tiny
    first = diff_of(author, MMAP, "mmap_nine;", "mmap_none;")
    second = diff_of(author, "kernel/fork.c", "fork_3;", "fork_none;")
    mutant(paths, "two.patch", first + second)
    (finding,) = found(paths, source)
    assert finding.where == "selftests/area/mutants/two.patch:1"
    assert "put a line `diff --git a/FILE b/FILE` above each" in finding.hint
    headed = f"diff --git a/kernel/fork.c b/kernel/fork.c\n{second}"
    mutant(paths, "two.patch", first + headed)
    assert found(paths, source) == []


def test_one_that_names_no_case_is_a_finding_as_well(tiny: tuple[Paths, Source, Author]) -> None:
    paths, source, author = tiny
    diff = diff_of(author, MMAP, "mmap_nine;", "mmap_none;")
    mutant(paths, "idle.patch", diff, head="Breaks it.\n\n")
    (finding,) = found(paths, source)
    assert (finding.where, finding.what) == (
        "selftests/area/mutants/idle.patch:1",
        "a mutant that names no case",
    )
