from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.series.series import read_series
from harness.series.tree import apply_series, apply_texts, strip_space
from harness.source.gitrepo import checkout_tree
from harness.source.store import Source, ensure_source
from harness.tests.tinykernel import Author, quiet, source_in, tree_of, write_series


@dataclass(frozen=True)
class Two:
    paths: Paths
    source: Source
    texts: Mapping[str, str]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Two:
    folder = tmp_path_factory.mktemp("two")
    paths, source = source_in(folder)
    author = Author(source, folder / "work")
    author.edit("mm/mmap.c", b"mmap_9;", b"mmap_nine;")
    one = author.export(author.commit("mm: Spell nine\n\nBody.\n"))
    author.edit("mm/mmap.c", b"mmap_30;", b"mmap_thirty;")
    author.edit("mm/mmap.c", b"mmap_50;", b"mmap_fifty;")
    second = author.export(author.commit("mm: Spell thirty and fifty\n\nBody.\n"))
    return Two(paths, source, {"t/one.patch": one, "t/two.patch": second})


def conflict(two: Two, texts: Mapping[str, str]) -> KseriesError:
    with pytest.raises(KseriesError) as caught:
        apply_texts(two.paths, two.source, list(texts.items()), quiet())
    assert caught.value.code == Exit.APPLY
    assert caught.value.hint
    return caught.value


def test_empty_series(two: Two, tmp_path: Path) -> None:
    applied = apply_series(two.paths, two.source, read_series(tmp_path), quiet())
    assert applied.top_tree == applied.base_tree == two.source.tree
    assert applied.top_commit == applied.base_commit == two.source.base_commit
    assert applied.patches == ()


def test_every_prefix_has_its_tree(two: Two, tmp_path: Path) -> None:
    write_series(two.paths, two.texts)
    series = read_series(two.paths.repo / "patches")
    applied = apply_series(two.paths, two.source, series, quiet())
    first, last = applied.patches
    assert (first.file, first.subject) == ("t/one.patch", "mm: Spell nine")
    assert (last.commit, last.tree) == (applied.top_commit, applied.top_tree)
    checkout_tree(two.source.git, first.tree, tmp_path / "first")
    text = (tmp_path / "first/mm/mmap.c").read_text()
    assert "mmap_nine" in text
    assert "mmap_thirty" not in text
    assert tree_of(tmp_path / "first") == first.tree


def test_nothing_is_applied_twice(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = list(two.texts.items())
    applied = apply_texts(two.paths, two.source, texts, quiet())

    def fail(*_: object) -> None:
        raise AssertionError("a recorded patch was applied again")

    monkeypatch.setattr("harness.series.tree.Work.apply", fail)
    assert apply_texts(two.paths, two.source, texts, quiet()) == applied
    # A changed patch is applied, the one before it is not.
    texts[1] = (texts[1][0], texts[1][1].replace("Body.", "Other body."))
    with pytest.raises(AssertionError):
        apply_texts(two.paths, two.source, texts, quiet())


def test_records_outlive_the_store(tmp_path: Path, two: Two) -> None:
    paths, source = source_in(tmp_path)
    texts = list(two.texts.items())
    applied = apply_texts(paths, source, texts, quiet())
    shutil.rmtree(source.git)
    ensure_source(paths, source.pin, quiet(), str(tmp_path / "kernel"))
    assert apply_texts(paths, source, texts, quiet()) == applied
    checkout_tree(source.git, applied.top_tree, tmp_path / "out")


def test_conflict_names_patch_file_hunk_and_line(two: Two) -> None:
    broken = two.texts["t/two.patch"].replace("-\tvalue[50] = mmap_50;", "-\tvalue[50] = other;")
    error = conflict(two, {**two.texts, "t/two.patch": broken})
    assert "t/two.patch does not apply: hunk 2 of mm/mmap.c" in error.what
    assert error.details["patch"] == "t/two.patch"
    assert error.details["file"] == "mm/mmap.c"
    assert error.details["hunk"] == 2
    assert error.details["line"] == 51
    assert error.details["applied"] == ["t/one.patch"]
    row = int(error.where.rpartition(":")[2])
    assert broken.split("\n")[row - 1].startswith("@@ -51,")


def test_a_missing_and_an_existing_file(two: Two) -> None:
    gone = two.texts["t/one.patch"].replace("mm/mmap.c", "mm/gone.c")
    assert "mm/gone.c does not exist" in conflict(two, {"t/gone.patch": gone}).what
    new = (
        two.texts["t/one.patch"].partition("diff --git")[0]
        + "diff --git a/mm/mmap.c b/mm/mmap.c\nnew file mode 100644\n"
        + "--- /dev/null\n+++ b/mm/mmap.c\n@@ -0,0 +1 @@\n+x\n"
    )
    assert "mm/mmap.c exists already" in conflict(two, {"t/new.patch": new}).what


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("Date: ", "X-Date: ", "its Date: header is missing"),
        ("From: ", "X-From: ", "its From: header is missing"),
        ("Subject: ", "X-Subject: ", "its Subject: header is missing"),
        ("Date: Sun, 9 Sep 2001 01:47:40 +0000", "Date: nonsense", "git makes no commit of it"),
        ("@@ -", "@@ x-", "patch"),
    ],
)
def test_unfit_patches(two: Two, old: str, new: str, words: str) -> None:
    text = two.texts["t/one.patch"]
    assert old in text
    error = conflict(two, {"t/one.patch": text.replace(old, new, 1)})
    assert words in error.what
    assert "t/one.patch" in error.what


def test_a_patch_without_a_diff(two: Two) -> None:
    text = two.texts["t/one.patch"].partition("---\n")[0]
    assert "it holds no diff" in conflict(two, {"t/one.patch": text}).what


def test_a_shifted_patch_applies_but_fuzz_does_not(two: Two) -> None:
    shifted = two.texts["t/one.patch"].replace("@@ -10,7 +10,7 @@", "@@ -14,7 +14,7 @@")
    assert shifted != two.texts["t/one.patch"]
    applied = apply_texts(two.paths, two.source, [("t/one.patch", shifted)], quiet())
    first = apply_texts(two.paths, two.source, [*two.texts.items()][:1], quiet())
    assert applied.top_commit == first.top_commit
    fuzzy = two.texts["t/one.patch"].replace("mmap_7;", "mmap_seven;")
    assert "hunk 1 of mm/mmap.c" in conflict(two, {"t/one.patch": fuzzy}).what


def test_strip_space() -> None:
    assert strip_space(b"\n\n a \t\n\n\n\nb\n\n") == b" a\n\nb\n"
    assert strip_space(b" \n") == b""
