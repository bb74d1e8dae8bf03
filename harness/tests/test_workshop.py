"""A source that moves from tree to tree keeps the files that stay as they are."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.build import workshop as module
from harness.build.kernel import KernelJob
from harness.build.workshop import move_source, renew
from harness.core.paths import Paths
from harness.source.gitrepo import git
from harness.tests.tinykernel import quiet


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store.git"
    path.mkdir()
    git("init", "-q", "--bare", repo=path)
    return path


def _tree(store: Path, tmp_path: Path, files: dict[str, str]) -> str:
    index = tmp_path / "made"
    index.unlink(missing_ok=True)
    env = {"GIT_INDEX_FILE": str(index)}
    for name, text in files.items():
        blob = git("hash-object", "-w", "--stdin", repo=store, stdin=text).stdout.strip()
        git("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}", repo=store, env=env)
    return git("write-tree", repo=store, env=env).stdout.strip()


def test_only_what_differs_is_written(store: Path, tmp_path: Path) -> None:
    src, index = tmp_path / "w/src", tmp_path / "w/index"
    one = _tree(store, tmp_path, {"same": "s", "edited": "1", "gone": "g"})
    two = _tree(store, tmp_path, {"same": "s", "edited": "2", "d/new": "n"})
    move_source(store, one, src, index)
    old = 1_000_000_000
    for name in ("same", "edited"):
        os.utime(src / name, (old, old))
    move_source(store, one, src, index)  # make's clock must not run for a touched file
    assert (src / "same").stat().st_mtime == old
    move_source(store, two, src, index)
    assert (src / "same").stat().st_mtime == old
    assert (src / "edited").read_text() == "2"
    assert (src / "edited").stat().st_mtime > old
    assert (src / "d/new").read_text() == "n"
    assert not (src / "gone").exists()


def test_an_interrupted_move_is_finished_by_the_next(store: Path, tmp_path: Path) -> None:
    src, index = tmp_path / "w/src", tmp_path / "w/index"
    one = _tree(store, tmp_path, {"a": "1", "b": "1"})
    two = _tree(store, tmp_path, {"a": "2", "b": "1"})
    move_source(store, one, src, index)
    (src / "a").write_text("2")  # written, but the index never heard of it
    (src / "b").unlink()
    index.with_name("index.lock").touch()
    move_source(store, one, src, index)
    assert [(src / n).read_text() for n in "ab"] == ["1", "1"]
    move_source(store, two, src, index)
    assert [(src / n).read_text() for n in "ab"] == ["2", "1"]


def test_what_a_patch_changes_is_compiled_although_the_tree_before_had_it(
    store: Path, tmp_path: Path
) -> None:
    src, index = tmp_path / "w/src", tmp_path / "w/index"
    one = _tree(store, tmp_path, {"same": "s", "own": "o"})
    move_source(store, one, src, index)
    old = 1_000_000_000
    for name in ("same", "own"):
        os.utime(src / name, (old, old))
    renew(src, ["own", "removed/by/the/patch"])
    move_source(store, one, src, index)
    assert (src / "same").stat().st_mtime == old
    assert (src / "own").stat().st_mtime > old
    assert not (src / "removed").exists()


def test_a_second_visit_compiles_the_patch_and_an_interrupted_one_goes_on(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[set[str]] = []

    def make(job: Any, *_: object) -> None:
        """Compile what was edited after its object; `stop` is an interruption."""
        job.log.touch()
        built = {f.name for f in job.src.iterdir() if f.stat().st_mtime > old}
        for name in built - {"stop"}:
            os.utime(job.src / name, (old, old))
            with job.log.open("a") as log:
                log.write(f"{name}: warning\n")
        compiled.append(built)
        if "stop" in built:
            os.utime(job.src / "stop", (old, old))
            raise KeyboardInterrupt
        logs.append(job.log.read_text())

    old = 1_000_000_000
    logs: list[str] = []
    monkeypatch.setattr(KernelJob, "make", make)
    monkeypatch.setattr(module, "detect_toolchain", lambda: SimpleNamespace(id="gcc 12"))
    monkeypatch.setattr(module, "find_set", lambda *_: None)
    monkeypatch.setattr(module, "request_hash", lambda *_, **__: "c")
    one = _tree(store, tmp_path, {"a": "1", "b": "1"})
    two = _tree(store, tmp_path, {"a": "1", "b": "2"})
    cut = _tree(store, tmp_path, {"a": "3", "b": "2", "stop": ""})
    paths = Paths(tmp_path, tmp_path / "cache", tmp_path / "out")
    with module.workshop(paths, store, kconfig_dir=tmp_path, ui=quiet()) as kernel_of:
        kernel_of(one, (("one.patch", ("a",)),))
        kernel_of(two, (("two.patch", ("b",)),))
        kernel_of(one, (("one.patch", ("a",)),))
        # The object of a is fresh, but its warnings are what is asked for.
        assert compiled == [{"a", "b"}, {"b"}, {"a", "b"}]
        with pytest.raises(KeyboardInterrupt):
            kernel_of(cut, (("cut.patch", ("a",)),))
        kernel_of(cut, (("cut.patch", ("a",)),))
    assert compiled[3:] == [{"a", "b", "stop"}, set()]
    assert "a: warning" in logs[-1]  # of the compilation before the interruption
