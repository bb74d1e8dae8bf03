"""Rebases of one to three patches between two tiny kernels, with their whole reports.

data/rebase/<case>.md is the page that a case must write, <case>.json its report.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from harness.cli import lint, rebase, refresh, tree
from harness.core.context import Context, Outcome
from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.rebase import engine
from harness.series.overlay import load_origins
from harness.series.series import load_series
from harness.series.tree import apply_series
from harness.source.pin import Pin, load_pin, pin_text
from harness.source.store import ensure_source
from harness.tests.tinykernel import (
    Author,
    lay_out,
    lines,
    paths_in,
    pin_for,
    quiet,
    sh,
    tree_of,
    write_series,
)

DATA = Path(__file__).with_name("data") / "rebase"
MAPS = "mm/mmap.c"
ONE, TWO, THREE = "mm/one.patch", "mm/two.patch", "kernel/three.patch"
NEW = "6.2.3"
Edit = Callable[[Path], None]


def swap(name: str, *pairs: tuple[str, str]) -> Edit:
    """Return an edit of a file: old text, new text, each once."""

    def edit(root: Path) -> None:
        path = root / name
        text = path.read_text()
        for old, new in pairs:
            assert text.count(old) == 1, (old, text.count(old))
            text = text.replace(old, new)
        path.write_text(text)

    return edit


def same(stored: Path, text: str) -> None:
    """Compare with a stored file; KSERIES_STORE=1 stores it, for a person to read."""
    if os.environ.get("KSERIES_STORE"):
        stored.write_text(text)
    assert text == (stored.read_text() if stored.exists() else "")


class Bench:
    """A repository with a series on one kernel, and the pin of another kernel."""

    def __init__(
        self, folder: Path, upstream: tuple[Edit, ...], common: tuple[Edit, ...] = ()
    ) -> None:
        self.folder = folder
        self.paths = paths_in(folder)
        self.context = Context(self.paths, quiet())
        old = lay_out(folder / "kernel")
        for edit in common:
            edit(old)
        (self.paths.repo / "pin.toml").write_text(pin_text(pin_for(old), []))
        self.source = ensure_source(self.paths, pin_for(old), quiet(), str(old))
        self.new = folder / "new-kernel"
        shutil.copytree(old, self.new, symlinks=True)
        swap("Makefile", ("PATCHLEVEL = 1", "PATCHLEVEL = 2"), ("SUBLEVEL = 2", "SUBLEVEL = 3"))(
            self.new
        )
        for edit in upstream:
            edit(self.new)
        pin = replace(pin_for(self.new), version=NEW, tag=f"v{NEW}")
        self.pin = self.paths.repo / "pins" / f"{NEW}.toml"
        self.pin.parent.mkdir()
        self.pin.write_text(pin_text(pin, []))
        self.author = Author(self.source, folder / "work")
        self.texts: dict[str, str] = {}

    def patch(self, file: str, subject: str, *edits: Edit, notes: str = "") -> None:
        """Add a patch that makes these edits."""
        for edit in edits:
            edit(self.author.root)
        commit = self.author.commit(f"{subject}\n\nBody of {file}.\n")
        self.texts[file] = self.author.export(commit, notes)
        write_series(self.paths, self.texts)

    def call(self, *words: str, module: Any = rebase, pin: Path | None = None) -> Outcome:
        parser = argparse.ArgumentParser()
        module.add_arguments(parser)
        paths = replace(self.paths, pin=pin)
        outcome = module.run(parser.parse_args(words), Context(paths, quiet()))
        assert isinstance(outcome, Outcome)
        json.dumps(outcome.data)
        return outcome

    def onto(self, *words: str) -> Outcome:
        """Begin the rebase; the new kernel comes from its folder."""
        return self.call("--onto", str(self.pin), "--source", str(self.new), *words)

    @property
    def rebased(self) -> Paths:
        return replace(self.paths, pin=self.pin)

    @property
    def tree(self) -> Path:
        """The worktree that a stopped rebase leaves."""
        return self.rebased.rebasing

    def git(self, *words: str) -> str:
        return sh("git", *words, cwd=self.tree)

    def resolve(self, name: str, text: str, new: str) -> None:
        """Take the series' side of the conflict in a file, and one more edit."""
        path = self.tree / name
        assert "<<<<<<<" in path.read_text()
        self.git("checkout", "-q", "--theirs", name)
        assert text in path.read_text()
        path.write_text(path.read_text().replace(text, new))
        self.git("add", name)

    def golden(self, case: str) -> None:
        """Compare the page, and the report that --json gives, with the stored ones."""
        page = (self.paths.repo / f"docs/rebase/{NEW}.md").read_text()
        same(DATA / f"{case}.md", page)

    def finished(self, outcome: Outcome, case: str) -> dict[str, Any]:
        """Check what every finished rebase has in common, and its report."""
        assert outcome.code == Exit.OK
        self.golden(case)
        text = json.dumps(outcome.data["report"], indent=1) + "\n"
        same(DATA / f"{case}.json", text)
        assert not self.tree.exists()
        self.consistent()
        report: dict[str, Any] = json.loads(text)
        return report

    def consistent(self) -> None:
        """The new series applies, is canonical, and the old one is as it was."""
        listed = self.call(module=tree, pin=self.pin)
        worktree = Path(listed.data["worktree"])
        assert sh("git", "status", "--porcelain", cwd=worktree) == ""
        assert not listed.data["commits_not_in_patches"]
        (self.paths.repo / "kconfig").mkdir(exist_ok=True)
        checked = self.call(module=lint, pin=self.pin)
        assert checked.data["findings"] == []
        assert checked.data["skipped"] == []
        assert self.call(module=lint).data["findings"] == []
        for file, text in self.texts.items():
            assert (self.paths.patches / file).read_text() == text
        assert self.call(module=refresh, pin=self.pin).data["changed"] == []

    def content(self) -> Mapping[str, str]:
        """Return the new kernel's files with the rebased series on it."""
        worktree = self.rebased.worktree
        names = sh("git", "ls-files", cwd=worktree).splitlines()
        return {n: (worktree / n).read_text() for n in names if n.endswith(".c") and "lat" not in n}


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock on which everything takes its time: 7 seconds a look."""
    ticks = count(0, 7)
    monkeypatch.setattr(engine, "now", lambda: float(next(ticks)))


def change(*numbers: int, name: str = "mmap", to: str = "ours") -> Edit:
    """Return an edit of lines of a file of the tiny kernel."""
    path = {"mmap": MAPS, "fork": "kernel/fork.c", "memcontrol": "mm/memcontrol.c"}[name]
    return swap(path, *((f"= {name}_{n};", f"= {to}_{n};") for n in numbers))


def insert(number: int, *new: str) -> Edit:
    line = f"\tvalue[{number}] = mmap_{number};\n"
    return swap(MAPS, (line, line + "".join(f"\t{text}\n" for text in new)))


def test_clean(tmp_path: Path) -> None:
    bench = Bench(tmp_path, (change(5, name="memcontrol", to="theirs"),))
    bench.patch(ONE, "mm: Change 10", change(10), notes="v2: a note")
    bench.patch(TWO, "mm: Change 40", change(40))
    report = bench.finished(bench.onto(), "clean")
    assert [patch["status"] for patch in report["patches"]] == ["clean", "clean"]
    # Nothing differs: both kernels share both files.
    assert report["own"] == []
    assert sorted(path.name for path in bench.rebased.overlay.iterdir()) == [  # type: ignore[union-attr]
        "origin.json",
        "series",
    ]
    assert "ours_40" in bench.content()[MAPS]
    assert "theirs_5" in bench.content()["mm/memcontrol.c"]


def test_offset(tmp_path: Path) -> None:
    bench = Bench(tmp_path, (insert(2, "one();", "two();"),))
    bench.patch(ONE, "mm: Change 10", change(10))
    bench.patch(TWO, "mm: Change 20 and 50", change(20, 50))
    report = bench.finished(bench.onto(), "offset")
    hunks = report["patches"][1]["files"][0]["hunks"]
    assert [hunk["at"] - hunk["line"] for hunk in hunks] == [2, 2]
    # The line numbers differ, the change does not: shared all the same.
    assert report["own"] == []


def test_fits_in_two_places(tmp_path: Path) -> None:
    """A copy of the lines stands where the patch says, and the lines themselves have moved."""
    block = "".join(f"\tagain_{n}();\n" for n in range(8))
    common = swap(MAPS, ("\tvalue[30]", f"{block}\tvalue[30]"))
    # The copy begins at the block's old line.
    above = "".join(f"\tabove_{n}();\n" for n in range(20))
    copied = swap(MAPS, ("\tvalue[10]", f"{above}{block}\tvalue[10]"))
    bench = Bench(tmp_path, (copied,), common=(common,))
    bench.patch(ONE, "mm: Change the block", swap(MAPS, ("again_4", "ours_4")))
    report = bench.finished(bench.onto(), "two-places")
    # Every line fits where it says, and yet the file of patches/ would do something else.
    assert report["patches"][0]["files"][0]["hunks"][0]["fit"] == "clean"
    assert report["patches"][0]["status"] == "fuzzy"
    assert report["own"] == [ONE]
    text = bench.content()[MAPS]
    assert text.index("value[29]") < text.index("ours_4") < text.index("value[30]")
    assert text.index("again_4") < text.index("value[10]")


def test_fuzzy(tmp_path: Path) -> None:
    bench = Bench(tmp_path, (change(12, 37, 43, to="theirs"),))
    bench.patch(ONE, "mm: Change 10", change(10))
    bench.patch(TWO, "mm: Change 40", change(40))
    report = bench.finished(bench.onto(), "fuzzy")
    assert [patch["status"] for patch in report["patches"]] == ["fuzzy", "fuzzy"]
    assert report["own"] == [ONE, TWO]
    text = bench.content()[MAPS]
    assert all(word in text for word in ("ours_10", "theirs_12", "ours_40", "theirs_43"))


def test_conflict_resolved(tmp_path: Path) -> None:
    bench = Bench(tmp_path, (change(30, to="theirs"),))
    bench.patch(ONE, "mm: Change 10", change(10))
    bench.patch(TWO, "mm: Change 30", change(30), notes="for reviewers")
    bench.patch(THREE, "kernel: Change 20", change(20, name="fork"))
    stopped = bench.onto()
    assert stopped.code == Exit.APPLY
    assert stopped.data["stopped"]["file"] == TWO
    assert stopped.data["left"] == [THREE]
    assert "(content): Merge conflict in mm/mmap.c" in stopped.text
    assert not (bench.paths.repo / "docs").exists()
    assert not (bench.paths.patches / "on").exists()
    # Plain git knows what is going on.
    assert "git cherry-pick --continue" in bench.git("status")
    for words, what in (
        (("--continue",), "still has a conflict"),
        (("--onto", str(bench.pin)), "it waits at mm/two.patch"),
    ):
        with pytest.raises(KseriesError) as caught:
            bench.call(*words)
        assert what in caught.value.what
    bench.git("add", MAPS)
    with pytest.raises(KseriesError) as caught:
        bench.call("--continue")
    assert "has a conflict marker in line" in caught.value.what
    bench.git("checkout", "-q", "HEAD", "--", MAPS)
    with pytest.raises(KseriesError) as caught:
        bench.call("--continue")
    assert "nothing of mm/two.patch is staged" in caught.value.what
    swap(MAPS, ("theirs_30", "both_30"))(bench.tree)
    with pytest.raises(KseriesError) as caught:
        bench.call("--continue")
    assert "not staged" in caught.value.what
    bench.git("add", MAPS)
    done = bench.call("--continue", "--why", "both sides count | together")
    report = bench.finished(done, "conflict")
    assert [patch["how"] for patch in report["patches"]] == ["merged", "by hand", "merged"]
    assert report["own"] == [TWO]
    text = load_series(bench.rebased).text(TWO)
    assert "for reviewers" in text
    assert "-\tvalue[30] = theirs_30;\n+\tvalue[30] = both_30;\n" in text
    assert load_origins(bench.rebased.overlay).own[TWO].why == "both sides count | together"  # type: ignore[arg-type]


def test_conflict_resolved_with_plain_git(tmp_path: Path) -> None:
    bench = Bench(tmp_path, (change(30, to="theirs"),))
    bench.patch(ONE, "mm: Change 30", change(30))
    bench.patch(TWO, "mm: Change 50", change(50))
    bench.onto()
    bench.resolve(MAPS, "ours_30", "both_30")
    bench.git("-c", "core.editor=true", "cherry-pick", "--continue")
    # A second commit of one's own becomes a patch of its own.
    swap("kernel/fork.c", ("= fork_3;", "= more_3;"))(bench.tree)
    with pytest.raises(KseriesError) as caught:
        bench.call("--continue")
    assert "edits that are in no commit: kernel/fork.c" in caught.value.what
    bench.git("commit", "-qam", "kernel: Follow\n\nBecause.")
    report = bench.finished(bench.call("--continue"), "plain-git")
    assert load_series(bench.rebased).files == (ONE, "mm/kernel-follow.patch", TWO)
    assert report["patches"][0]["how"] == "by hand"


def test_upstream(tmp_path: Path) -> None:
    bench = Bench(tmp_path, (change(10, 13, to="ours"), change(40, to="theirs")))
    bench.patch(ONE, "mm: Change 10", change(10, 13))
    bench.patch(TWO, "mm: Change 20", change(20))
    report = bench.finished(bench.onto(), "upstream")
    assert [patch["status"] for patch in report["patches"]] == ["upstream", "clean"]
    assert load_series(bench.rebased).files == (TWO,)


def test_becomes_empty(tmp_path: Path) -> None:
    """Upstream did the same, and more beside it: nothing is left, though it is not the patch."""
    bench = Bench(tmp_path, (change(10, to="ours"), change(12, to="theirs")))
    bench.patch(ONE, "mm: Change 10", change(10))
    bench.patch(TWO, "mm: Change 20", change(20))
    report = bench.finished(bench.onto(), "empty")
    assert [patch["status"] for patch in report["patches"]] == ["empty", "clean"]


def test_renamed(tmp_path: Path) -> None:
    def rename(root: Path) -> None:
        (root / "mm/map").mkdir()
        (root / MAPS).rename(root / "mm/map/map.c")
        swap("mm/map/map.c", ("= mmap_3;", "= theirs_3;"))(root)

    bench = Bench(tmp_path, (rename,))
    bench.patch(ONE, "mm: Change 10 and 30", change(10, 30))
    report = bench.finished(bench.onto(), "renamed")
    assert report["patches"][0]["status"] == "fuzzy"
    assert "ours_30" in bench.content()["mm/map/map.c"]
    assert "+++ b/mm/map/map.c" in load_series(bench.rebased).text(ONE)


def test_deleted(tmp_path: Path) -> None:
    bench = Bench(tmp_path, (lambda root: (root / MAPS).unlink(),))
    bench.patch(ONE, "mm: Change 10", change(10), change(10, name="fork"))
    bench.patch(TWO, "mm: Change 20", change(20, name="fork"))
    stopped = bench.onto()
    assert "file: mm/mmap.c was deleted in the new kernel" in stopped.text
    assert "(modify/delete)" in stopped.text
    bench.git("rm", "-q", MAPS)
    report = bench.finished(bench.call("--continue", "--why", "mmap.c is gone"), "deleted")
    assert report["patches"][0]["status"] == "conflict"
    assert MAPS not in bench.content()
    assert "ours_10" in bench.content()["kernel/fork.c"]


def test_moved_and_rewritten(tmp_path: Path) -> None:
    """Too much has changed for a rename: the report says what has the same name."""

    def move(root: Path) -> None:
        (root / MAPS).unlink()
        for name in ("lib/mmap.c", "mm/map/mmap.c"):
            (root / name).parent.mkdir()
            (root / name).write_bytes(lines("rewritten"))

    bench = Bench(tmp_path, (move,))
    bench.patch(ONE, "mm: Change 10", change(10))
    stopped = bench.onto()
    assert "`mm/mmap.c` may be what is `mm/map/mmap.c` or `lib/mmap.c` now" in stopped.text
    bench.git("rm", "-q", MAPS)
    swap("mm/map/mmap.c", ("= rewritten_10;", "= ours_10;"))(bench.tree)
    bench.git("add", "mm/map/mmap.c")
    bench.finished(bench.call("--continue", "--why", "it lies in map/"), "moved")


def test_added_file_is_taken(tmp_path: Path) -> None:
    def add(root: Path) -> None:
        (root / "mm/new.c").write_bytes(lines("other", 3))

    bench = Bench(tmp_path, (add,))

    def ours(root: Path) -> None:
        (root / "mm/new.c").write_bytes(lines("n", 3))

    bench.patch(ONE, "mm: Add a file", ours)
    stopped = bench.onto()
    assert "(add/add)" in stopped.text
    assert stopped.data["stopped"]["files"][0]["hunks"][0]["fit"] == "nowhere"
    bench.resolve("mm/new.c", "n_1", "both_1")
    bench.finished(bench.call("--continue"), "add-add")


def test_skip(tmp_path: Path) -> None:
    bench = Bench(tmp_path, (change(30, to="theirs"),))
    bench.patch(ONE, "mm: Change 30", change(30))
    bench.patch(TWO, "mm: Change 50", change(50))
    bench.onto()
    (bench.tree / MAPS).write_text("half a resolution\n")
    report = bench.finished(bench.call("--skip", "--why", "not needed there"), "skip")
    assert [patch["how"] for patch in report["patches"]] == ["skipped", "merged"]
    assert load_series(bench.rebased).files == (TWO,)
    # The next time nobody is asked about the same patch again.
    again = bench.onto()
    assert again.code == Exit.OK
    assert again.data["report"]["patches"][0]["why"] == "not needed there"
    # Changed, it is another patch, and the question comes back.
    bench.texts.clear()
    sh("git", "reset", "-q", "--hard", bench.source.base_commit, cwd=bench.author.root)
    bench.patch(ONE, "mm: Change 30", change(30, to="otherwise"))
    bench.patch(TWO, "mm: Change 50", change(50))
    assert bench.onto().code == Exit.APPLY


def test_abort(tmp_path: Path) -> None:
    bench = Bench(tmp_path, (change(30, to="theirs"),))
    bench.patch(ONE, "mm: Change 30", change(30))
    before = {p: p.read_bytes() for p in bench.paths.repo.rglob("*") if p.is_file()}
    bench.onto()
    assert bench.tree.is_dir()
    assert bench.call("--abort").data == {"aborted": True}
    assert not bench.tree.exists()
    assert before == {p: p.read_bytes() for p in bench.paths.repo.rglob("*") if p.is_file()}
    for words in (("--abort",), ("--continue",), ("--onto", str(bench.pin), "--skip")):
        with pytest.raises(KseriesError) as caught:
            bench.call(*words)
        assert caught.value.code == Exit.USAGE
    assert bench.onto().code == Exit.APPLY


@pytest.mark.parametrize("cut", ["carried", "picked", "checked out", "written"])
def test_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: str) -> None:
    """Wherever a run is cut off, the next one ends as if it had never been."""
    bench = Bench(tmp_path, (insert(2, "one();"), change(30, to="theirs")))
    bench.patch(ONE, "mm: Change 10", change(10))
    bench.patch(TWO, "mm: Change 30", change(30))
    bench.patch(THREE, "kernel: Change 20", change(20, name="fork"))

    def die(*args: object, **more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if cut == "carried":  # before the second patch is begun
            real = engine.Rebase._carry
            patch.setattr(
                engine.Rebase,
                "_carry",
                lambda self, p, *rest: die() if p.entry.file == TWO else real(self, p, *rest),
            )
        elif cut == "picked":  # with a pick in the worktree that nobody recorded
            patch.setattr(engine.Rebase, "_decide", die)
        elif cut == "checked out":
            patch.setattr(engine.Rebase, "run", die)
        else:
            patch.setattr("harness.rebase.finish._write", die)
        if cut == "written":
            bench.onto()
            bench.resolve(MAPS, "ours_30", "both_30")
        with pytest.raises(KeyboardInterrupt):
            bench.call("--continue", "--why", "both") if cut == "written" else bench.onto()
    assert not (bench.paths.repo / "docs").exists()
    if cut == "picked":
        (bench.tree / ".git/index.lock").touch()
        (bench.tree / MAPS).write_text("half written")
    if cut == "written":
        done = bench.call("--continue")
    else:
        assert bench.onto().code == Exit.APPLY
        bench.resolve(MAPS, "ours_30", "both_30")
        done = bench.call("--continue", "--why", "both")
    bench.finished(done, "interrupted")


def test_again_after_the_series_changed(tmp_path: Path) -> None:
    """What was adapted by hand is kept, and what changed in patches/ since is merged in."""
    bench = Bench(tmp_path, (change(30, to="theirs"),))
    bench.patch(ONE, "mm: Change 30 and 50", change(30, 50))
    repo = bench.paths.repo
    sh("git", "init", "-q", ".", cwd=repo)
    sh("git", "add", "patches", cwd=repo)
    sh("git", "commit", "-qm", "first", cwd=repo)
    bench.onto()
    bench.resolve(MAPS, "ours_30", "both_30")
    bench.call("--continue", "--why", "both count")
    same = bench.onto()
    assert same.data["report"]["patches"][0]["how"] == "as before"
    sh("git", "reset", "-q", "--hard", bench.source.base_commit, cwd=bench.author.root)
    bench.patch(ONE, "mm: Change 30 and 55", change(30), change(55, to="new"))
    done = bench.onto()
    report = bench.finished(done, "again")
    assert report["patches"][0]["why"] == "both count"
    text = bench.content()[MAPS]
    assert all(word in text for word in ("both_30", "mmap_50", "new_55"))
    assert load_series(bench.rebased).text(ONE).count("Subject: [PATCH] mm: Change 30 and 55") == 1
    # Where both sides changed the same line since, a person decides.
    sh("git", "reset", "-q", "--hard", bench.source.base_commit, cwd=bench.author.root)
    bench.patch(ONE, "mm: Change 30", change(30, to="new"))
    assert bench.onto().code == Exit.APPLY


def test_again_after_an_earlier_patch_changed(tmp_path: Path) -> None:
    """The adapted form does not fit below the other patches any more: file by file it does."""
    bench = Bench(tmp_path, (change(30, to="theirs"),))
    bench.patch(ONE, "kernel: Change 20", change(20, name="fork"))
    bench.patch(TWO, "mm: Change 30", change(30), change(22, name="fork"))
    repo = bench.paths.repo
    sh("git", "init", "-q", ".", cwd=repo)
    sh("git", "add", "patches", cwd=repo)
    sh("git", "commit", "-qm", "first", cwd=repo)
    bench.onto()
    bench.resolve(MAPS, "ours_30", "both_30")
    bench.call("--continue", "--why", "both count")
    sh("git", "reset", "-q", "--hard", bench.source.base_commit, cwd=bench.author.root)
    bench.patch(ONE, "kernel: Change 20", change(20, name="fork", to="new"))
    bench.patch(TWO, "mm: Change 30, of course", change(30), change(22, name="fork"))
    report = bench.finished(bench.onto(), "again-by-file")
    assert [patch["how"] for patch in report["patches"]] == ["merged", "as before"]
    assert "both_30" in bench.content()[MAPS]
    assert all(word in bench.content()["kernel/fork.c"] for word in ("new_20", "ours_22"))
    # Where the adapted file itself has changed since, a person decides.
    sh("git", "reset", "-q", "--hard", bench.source.base_commit, cwd=bench.author.root)
    bench.patch(ONE, "kernel: Change 20", change(20, name="fork"))
    bench.patch(TWO, "mm: Change 30", change(30, to="new"), change(22, name="fork"))
    behind = bench.call(module=lint).data["behind"]
    assert behind == [
        f"patches/on/{NEW}/{TWO} was made from an earlier form of patches/{TWO}",
    ]
    stopped = bench.onto()
    assert stopped.code == Exit.APPLY
    assert f"its form in patches/on/{NEW} could not be carried over" in stopped.text
    bench.call("--abort")
    bench.patch(THREE, "mm: Change 50", change(50))
    assert (
        f"patches/on/{NEW} does not have patches/{THREE} yet"
        in (bench.call(module=lint).data["behind"])
    )


def test_edits_on_the_new_kernel(tmp_path: Path) -> None:
    """tree, edit, refresh with --pin: only patches/on/ changes, and rebase keeps it."""
    bench = Bench(tmp_path, ())
    bench.patch(ONE, "mm: Change 10", change(10))
    bench.patch(TWO, "mm: Change 40", change(40))
    bench.onto()
    worktree = Path(bench.call("-q", module=tree, pin=bench.pin).text)
    assert worktree != bench.paths.worktree
    swap(MAPS, ("ours_40", "adapted_40"))(worktree)
    sh("git", "commit", "-qa", "--amend", "--no-edit", cwd=worktree)
    with pytest.raises(KseriesError) as caught:
        bench.onto()
    assert "commits that patches/ does not have" in caught.value.what
    done = bench.call(module=refresh, pin=bench.pin)
    assert done.data["changed"] == [TWO]
    overlay = bench.rebased.overlay
    assert overlay is not None
    assert (overlay / TWO).is_file()
    assert not (overlay / ONE).exists()
    bench.consistent()
    assert bench.onto().data["report"]["patches"][1]["how"] == "as before"
    assert "adapted_40" in bench.content()[MAPS]
    # Taken back, the file is shared again.
    swap(MAPS, ("adapted_40", "ours_40"))(worktree)
    sh("git", "commit", "-qa", "--amend", "--no-edit", cwd=worktree)
    bench.call(module=refresh, pin=bench.pin)
    assert not (overlay / TWO).exists()
    assert load_origins(overlay).own == {}
    bench.consistent()


def test_history(tmp_path: Path) -> None:
    """A clone with both releases names the commits behind a conflict, and what went upstream."""
    upstream = (change(10, to="ours"), change(30, to="theirs"), change(20, to="theirs"))
    bench = Bench(tmp_path, upstream)
    bench.patch(ONE, "mm: Change 10", change(10))
    bench.patch(TWO, "mm: Change 30", change(30))
    clone = tmp_path / "clone"
    shutil.copytree(tmp_path / "kernel", clone, symlinks=True)
    sh("git", "init", "-q", ".", cwd=clone)

    def commit(subject: str) -> None:
        sh("git", "add", "-A", cwd=clone)
        sh("git", "commit", "-qm", subject, cwd=clone)

    commit("Linux 6.1.2")
    sh("git", "tag", "v6.1.2", cwd=clone)
    for edit, subject in zip(
        upstream, ("mm: Take ours", "mm: Have another", "mm: Be near"), strict=True
    ):
        edit(clone)
        commit(subject)
    with pytest.raises(KseriesError) as caught:
        bench.onto("--history", str(clone))
    assert "has no tag v6.2.3" in caught.value.what
    sh("git", "tag", "v6.2.3", cwd=clone)
    stopped = bench.onto("--history", str(clone))
    hunk = stopped.data["stopped"]["files"][0]["hunks"][0]
    assert [subject for _, subject in hunk["changes"][0]["commits"]] == ["mm: Have another"]
    bench.resolve(MAPS, "ours_30", "both_30")
    report = bench.finished(bench.call("--continue"), "history")
    assert [subject for _, subject in report["patches"][0]["commits"]] == ["mm: Take ours"]


def test_usage(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ())
    bench.patch(ONE, "mm: Change 10", change(10))
    own = str(bench.paths.repo / "pin.toml")
    for words, what in ((("--onto", own), "another pin than its own"), ((), "none is under way")):
        with pytest.raises(KseriesError) as caught:
            bench.call(*words)
        assert what in caught.value.what
        assert caught.value.hint
    with pytest.raises(KseriesError) as caught:
        bench.call(module=tree, pin=bench.pin)
    assert "no series on 6.2.3 yet" in caught.value.what
    assert "kseries rebase --onto" in caught.value.hint


def test_shared_patch_changes_and_does_not_fit(tmp_path: Path) -> None:
    """An edit in patches/ serves both kernels, or is refused with the file and a way out."""
    bench = Bench(tmp_path, (change(50, to="theirs"),))
    bench.patch(ONE, "mm: Change 10", change(10))
    bench.onto()
    sh("git", "reset", "-q", "--hard", bench.source.base_commit, cwd=bench.author.root)
    bench.patch(ONE, "mm: Change 10", change(10, 50))
    series = load_series(bench.rebased)
    source = ensure_source(bench.rebased, load_pin(bench.pin), quiet())
    with pytest.raises(KseriesError) as caught:
        apply_series(bench.rebased, source, series, quiet())
    assert caught.value.where.startswith(f"patches/{ONE}")
    assert "kseries rebase" in caught.value.hint


def test_pin_of_both_trees_differs(tmp_path: Path) -> None:
    bench = Bench(tmp_path, (change(50, to="theirs"),))
    pin: Pin = load_pin(bench.pin)
    assert pin.tree == tree_of(tmp_path / "new-kernel-without")
