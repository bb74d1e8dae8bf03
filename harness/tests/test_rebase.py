"""Rebases of one to three patches between two tiny kernels, with their whole reports.

data/rebase/<case>.md is the page that a case must write, <case>.json its report.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.errors import Exit, KseriesError
from harness.rebase import engine
from harness.series.overlay import load_origins
from harness.series.series import load_series
from harness.tests.rebasebench import (
    MAPS,
    ONE,
    THREE,
    TWO,
    Bench,
    change,
    insert,
    slow_clock,
    swap,
)
from harness.tests.tinykernel import (
    lines,
    sh,
)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    slow_clock(monkeypatch)


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
