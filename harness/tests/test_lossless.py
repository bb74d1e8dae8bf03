"""The gates of the quilt: apply, export, apply; git am; quilt."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.core.paths import Paths
from harness.series.export import export_commit
from harness.series.patchfile import decode, encode, parse_patch, write_patch
from harness.series.refresh import canonical_texts
from harness.series.series import read_series
from harness.series.tree import Applied, apply_texts
from harness.source.gitrepo import EPOCH, checkout_tree
from harness.source.pin import load_pin
from harness.source.store import Source, open_source
from harness.tests.tinykernel import (
    Author,
    awkward,
    binary,
    quiet,
    sh,
    source_in,
    write_series,
)

# Equal on every machine: the last commit of the awkward series.
TOP_COMMIT = "c361414f81ee2856ea984531b60cbf6152345cb6"


@dataclass(frozen=True)
class Awkward:
    paths: Paths
    source: Source
    author: Author
    texts: Mapping[str, str]
    applied: Applied


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Awkward:
    folder = tmp_path_factory.mktemp("awkward")
    paths, source = source_in(folder)
    author = Author(source, folder / "work")
    texts = awkward(author)
    applied = apply_texts(paths, source, list(texts.items()), quiet())
    return Awkward(paths, source, author, texts, applied)


def test_the_tree_is_the_developers(series: Awkward) -> None:
    head = sh("git", "rev-parse", "HEAD^{tree}", cwd=series.author.root).strip()
    assert series.applied.top_tree == head
    assert [patch.file for patch in series.applied.patches] == list(series.texts)
    assert series.applied.top_commit == TOP_COMMIT


def test_apply_export_apply(series: Awkward) -> None:
    texts = list(series.texts.items())
    again = canonical_texts(series.source, texts, series.applied)
    for (file, before), (_, after) in zip(texts, again, strict=True):
        assert after == before, file
    assert apply_texts(series.paths, series.source, again, quiet()) == series.applied


def test_what_a_mail_loses_is_kept(series: Awkward) -> None:
    subjects = [patch.subject for patch in series.applied.patches]
    assert "[RFC] mm: Ask for comments" in subjects
    notes = parse_patch(series.texts["awkward/notes.patch"]).notes
    assert notes.startswith("v2: reworded\n\n---- dashes")
    assert notes.endswith("\n mm/other.c | 3 +++\n\tindented")
    log = sh("git", "log", "--format=%an%n%b", series.applied.top_commit, cwd=series.source.git)
    assert "J\u00fcrgen \u00d8" in log
    assert "v2: reworded" not in log


def test_no_index_lines(series: Awkward) -> None:
    for file, text in series.texts.items():
        assert "\nindex " not in text, file
        assert "\n-- \n" not in text, file
    assert "rename from" not in series.texts["awkward/rename.patch"]


def test_git_am_makes_the_same_commits(series: Awkward, tmp_path: Path) -> None:
    root = Author(series.source, tmp_path / "am").root
    for file, text in series.texts.items():
        (tmp_path / "one.patch").write_bytes(encode(text))
        # --keep-cr: without it git am takes the CR off every line of a CRLF file.
        sh(
            "git", "am", "-q", "--keep-non-patch", "--keep-cr", tmp_path / "one.patch", cwd=root,
            GIT_COMMITTER_DATE=EPOCH,
        )  # fmt: skip
        head = sh("git", "rev-parse", "HEAD", cwd=root).strip()
        wanted = next(patch for patch in series.applied.patches if patch.file == file)
        assert head == wanted.commit, file


def test_binary(series: Awkward) -> None:
    texts = [*series.texts.items(), *binary(series.author).items()]
    assert "\nGIT binary patch\n" in texts[-1][1]
    assert "\nindex 0000" in texts[-1][1]
    applied = apply_texts(series.paths, series.source, texts, quiet())
    head = sh("git", "rev-parse", "HEAD^{tree}", cwd=series.author.root).strip()
    assert applied.top_tree == head
    assert canonical_texts(series.source, texts, applied) == texts


def test_hand_written_patches_become_canonical(series: Awkward, tmp_path: Path) -> None:
    """Plain format-patch output, with index lines, encoded headers and a signature."""
    listing = sh(
        "git", "format-patch", "-o", tmp_path, "-M", series.source.base_commit,
        cwd=series.author.root,
    ).splitlines()  # fmt: skip
    plain = [
        (file, decode(Path(path).read_bytes()))
        for file, path in zip(series.texts, listing, strict=False)
    ]
    assert "=?UTF-8?" in dict(plain)["awkward/utf8.patch"]
    assert "rename from" in dict(plain)["awkward/rename.patch"]
    applied = apply_texts(series.paths, series.source, plain, quiet())
    # [RFC] and notes are what plain git loses.
    lossy = {"awkward/notes.patch", "awkward/rfc.patch"}
    for file, text in canonical_texts(series.source, plain, applied):
        if file not in lossy:
            assert text == series.texts[file]


def test_stable_patch_ids_do_not_need_index_lines(series: Awkward) -> None:
    def ids(text: str) -> str:
        out = sh("git", "patch-id", "--stable", cwd=series.author.root, stdin=encode(text))
        return out.split()[0]

    patch = series.applied.patches[0]
    full = sh("git", "format-patch", "--stdout", "-1", patch.commit, cwd=series.source.git)
    assert "\nindex " in full
    assert ids(full) == ids(series.texts[patch.file])


def quilt_tree(source: Source, patches: Path, folder: Path) -> str:
    """Return the tree id of a plain unpack after `quilt push -a`."""
    checkout_tree(source.git, source.tree, folder)
    sh("quilt", "--quiltrc=/dev/null", "push", "-a", cwd=folder, QUILT_PATCHES=str(patches))
    shutil.rmtree(folder / ".pc")
    # The store has nearly every file already, so git only hashes.
    place = (f"--git-dir={source.git}", f"--work-tree={folder}")
    index = {"GIT_INDEX_FILE": str(folder.with_name("index"))}
    sh("git", *place, "add", "-A", "-f", ".", cwd=folder, **index)  # type: ignore[arg-type]
    return sh("git", *place, "write-tree", cwd=folder, **index).strip()  # type: ignore[arg-type]


needs_quilt = pytest.mark.skipif(not shutil.which("quilt"), reason="quilt is not installed")


@needs_quilt
def test_quilt(series: Awkward, tmp_path: Path) -> None:
    write_series(series.paths, series.texts)
    patches = series.paths.repo / "patches"
    assert quilt_tree(series.source, patches, tmp_path / "tree") == series.applied.top_tree


@pytest.fixture
def real() -> tuple[Paths, Source]:
    paths = Paths.discover()
    source = open_source(paths, load_pin(paths.repo / "pin.toml"))
    if source is None:
        pytest.skip("the pinned kernel is not in the cache (`kseries tree` gets it)")
    if not read_series(paths.repo / "patches").files:
        pytest.skip("the series has no patch yet")
    return paths, source


@pytest.mark.real_tarball
def test_the_repositorys_patches(real: tuple[Paths, Source]) -> None:
    paths, source = real
    texts = read_series(paths.repo / "patches").texts()
    applied = apply_texts(paths, source, texts, quiet())
    for (file, text), patch in zip(texts, applied.patches, strict=True):
        assert write_patch(parse_patch(text)) == text, file
        assert export_commit(source, patch.commit, parse_patch(text).notes) == text, file
    again = canonical_texts(source, texts, applied)
    assert apply_texts(paths, source, again, quiet()).top_tree == applied.top_tree


@needs_quilt
@pytest.mark.real_tarball
def test_quilt_on_the_repositorys_patches(real: tuple[Paths, Source], tmp_path: Path) -> None:
    paths, source = real
    texts = read_series(paths.repo / "patches").texts()
    applied = apply_texts(paths, source, texts, quiet())
    tree = quilt_tree(source, paths.repo / "patches", tmp_path / "tree")
    shutil.rmtree(tmp_path / "tree")
    assert tree == applied.top_tree
