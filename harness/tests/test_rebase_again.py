"""Rebases that are repeated, edits on the new kernel, a history, and wrong use."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.cli import lint, refresh, tree
from harness.core.errors import Exit, KseriesError
from harness.series.overlay import load_origins
from harness.series.series import load_series
from harness.series.tree import apply_series
from harness.source.pin import Pin, load_pin
from harness.source.store import ensure_source
from harness.tests.rebasebench import (
    MAPS,
    NEW,
    ONE,
    THREE,
    TWO,
    Bench,
    change,
    slow_clock,
    swap,
)
from harness.tests.tinykernel import (
    quiet,
    sh,
    tree_of,
)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    slow_clock(monkeypatch)


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
