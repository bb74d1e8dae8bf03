"""kseries clean: what goes, what stays, and that no worktree loses its objects."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.cli.clean import SIZES, UNITS, Item, choose, collect, parse_unit, remove
from harness.core.context import Context
from harness.core.errors import KseriesError
from harness.core.paths import Paths
from harness.core.ui import Ui

ITEMS = [
    Item(Path("old"), "build", 100, 900.0),
    Item(Path("mid"), "build", 50, 500.0),
    Item(Path("new"), "build", 10, 1.0, newest=True),
]


def names(items: list[Item]) -> list[str]:
    return [str(item.path) for item in items]


def test_by_age_and_by_size() -> None:
    assert names(choose(ITEMS, older=400, keep=None, everything=False)) == ["old", "mid"]
    assert names(choose(ITEMS, older=None, keep=70, everything=False)) == ["old"]


def test_the_newest_of_a_kind_goes_with_all_alone() -> None:
    assert names(choose(ITEMS, older=None, keep=0, everything=False)) == ["old", "mid"]
    assert names(choose(ITEMS, older=None, keep=None, everything=True)) == ["old", "mid", "new"]


def build(paths: Paths, name: str, age: int, config: str | None) -> Path:
    folder = paths.builds / name
    folder.mkdir(parents=True)
    if config is not None:
        (folder / "build").mkdir()
        (folder / "build/.config").write_text(config)
    os.utime(folder, (age, age))
    return folder


def test_a_kind_is_a_configuration_or_a_topic(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "repo", tmp_path / "cache", tmp_path / "out")
    build(paths, "a1", 100, "CONFIG_A=y\n")
    build(paths, "a2", 200, "# a comment\nCONFIG_A=y\n")
    build(paths, "b1", 50, "CONFIG_A=y\nCONFIG_B=y\n")
    build(paths, "bench-freeze-1", 10, None)
    build(paths, "bench-freeze-2", 20, None)
    build(paths, "bench-munmap-3", 5, None)
    newest = {i.path.name for i in collect(Context(paths, Ui(quiet=True))) if i.newest}
    assert newest == {"a2", "b1", "bench-freeze-2", "bench-munmap-3"}


def test_the_source_of_a_worktree_stays(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "repo", tmp_path / "cache", tmp_path / "out")
    for name in ("used.git", "unused.git"):
        (paths.git / name / "objects").mkdir(parents=True)
    info = paths.cache / "trees/key/linux/.git/objects/info"
    info.mkdir(parents=True)
    (info / "alternates").write_text(f"{paths.git / 'used.git/objects'}\n")
    found = [item.path.name for item in collect(Context(paths, Ui(quiet=True)))]
    assert found == ["unused.git"]


def test_units() -> None:
    assert parse_unit("7d", UNITS, "an age") == 7 * 86400
    assert parse_unit("1.5G", SIZES, "a size") == 1.5 * 2**30
    with pytest.raises(KseriesError):
        parse_unit("7", UNITS, "an age")


def test_files_and_folders_are_removed(tmp_path: Path) -> None:
    (tmp_path / "d/e").mkdir(parents=True)
    (tmp_path / "f").write_text("")
    remove(tmp_path / "d")
    remove(tmp_path / "f")
    assert list(tmp_path.iterdir()) == []
