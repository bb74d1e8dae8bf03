"""The pure parts of a rebase: diffs read, lines mapped, hunks placed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.rebase.diffs import (
    Hunk,
    also_removed,
    lines_of,
    map_back,
    map_range,
    moved_lines,
    parse_diff,
    touching,
)
from harness.rebase.model import FileReport, HunkReport, Status, judge
from harness.rebase.place import Fit, Placement, place_hunks

DIFF = """\
diff --git a/mm/a.c b/mm/a.c
index 1..2 100644
--- a/mm/a.c
+++ b/mm/a.c
@@ -3,3 +3,4 @@ int f(void)
 three
-four
+vier
+4
 five
@@ -9 +10,0 @@
-nine
diff --git a/new file.c b/new file.c
new file mode 100644
--- /dev/null
+++ b/new file.c
@@ -0,0 +1,2 @@
+--- not a header
+two
\\ No newline at end of file
diff --git a/gone.c b/gone.c
deleted file mode 100644
--- a/gone.c
+++ /dev/null
@@ -1 +0,0 @@
-one
"""


def numbered(*numbers: int) -> list[str]:
    return [f"line {n}" for n in numbers]


def hunk(start: int, before: list[str], after: list[str], context: int = 1) -> Hunk:
    """Return a hunk whose first and last `context` lines are equal on both sides."""
    head, tail = before[:context], before[len(before) - context :]
    lines = [" " + text for text in head]
    lines += ["-" + text for text in before[context : len(before) - context]]
    lines += ["+" + text for text in after[context : len(after) - context]]
    lines += [" " + text for text in tail]
    return Hunk(start, len(before), start, len(after), "", tuple(lines))


def test_parse() -> None:
    first, new, gone = parse_diff(DIFF)
    assert (first.before, first.after) == ("mm/a.c", "mm/a.c")
    assert [(h.start, h.count, h.new_start, h.new_count) for h in first.hunks] == [
        (3, 3, 3, 4),
        (9, 1, 10, 0),
    ]
    assert first.hunks[0].function == "int f(void)"
    assert first.hunks[0].before == ("three", "four", "five")
    assert first.hunks[0].after == ("three", "vier", "4", "five")
    assert first.hunks[0].context == (1, 1)
    assert (new.before, new.after, new.path) == ("", "new file.c", "new file.c")
    assert new.hunks[0].after == ("--- not a header", "two")
    assert (gone.before, gone.after) == ("gone.c", "")
    assert lines_of("a\nb") == lines_of("a\nb\n") == ["a", "b"]
    assert parse_diff("") == []


BEFORE = numbered(*range(20))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (BEFORE, Placement(Fit.CLEAN, 11)),
        (["x", "y", *BEFORE], Placement(Fit.OFFSET, 13)),
        (BEFORE[4:], Placement(Fit.OFFSET, 7)),
        # One line of context differs, then two.
        ([*BEFORE[:10], "x", *BEFORE[11:]], Placement(Fit.FUZZY, 11, 1)),
        ([*BEFORE[:10], "x", "y", *BEFORE[12:]], Placement(Fit.FUZZY, 11, 2)),
        ([*BEFORE[:10], "x", "y", "z", *BEFORE[13:]], Placement(Fit.NOWHERE)),
        ([*BEFORE[:13], "changed", *BEFORE[14:]], Placement(Fit.APPLIED, 11)),
        ([*BEFORE[:13], "theirs", *BEFORE[14:]], Placement(Fit.NOWHERE)),
        ([], Placement(Fit.NOWHERE)),
        # Twice: the nearer one is meant.
        ([*BEFORE, *BEFORE], Placement(Fit.CLEAN, 11)),
        (["x"] * 12 + [*BEFORE, *BEFORE], Placement(Fit.OFFSET, 23)),
    ],
)
def test_place_one(lines: list[str], expected: Placement) -> None:
    after = [*BEFORE[10:13], "changed", *BEFORE[14:17]]
    assert place_hunks([hunk(11, BEFORE[10:17], after, 3)], lines) == [expected]


def test_place_in_order() -> None:
    """A hunk is placed below the one before it, with its offset."""
    same = ["{", "a", "}"]
    hunks = [hunk(1, same, ["{", "b", "}"]), hunk(4, same, ["{", "c", "}"])]
    assert place_hunks(hunks, [*same, *same]) == [Placement(Fit.CLEAN, 1), Placement(Fit.CLEAN, 4)]
    assert place_hunks(hunks, ["x", *same, *same]) == [
        Placement(Fit.OFFSET, 2),
        Placement(Fit.OFFSET, 5),
    ]
    assert place_hunks(hunks, same)[1].fit == Fit.NOWHERE


def test_place_a_made_file() -> None:
    made = Hunk(0, 0, 1, 1, "", ("+text",))
    assert place_hunks([made], []) == [Placement(Fit.CLEAN, 1)]
    assert place_hunks([made], ["text"]) == [Placement(Fit.APPLIED, 1)]
    assert place_hunks([made], ["other"]) == [Placement(Fit.NOWHERE)]


def test_touching() -> None:
    changed = Hunk(5, 2, 5, 3, "", ())
    inserted = Hunk(8, 0, 10, 1, "", ())
    both = [changed, inserted]
    assert touching(1, 5, both) == []
    assert touching(1, 6, both) == [changed]
    assert touching(6, 8, both) == [changed]
    assert touching(7, 9, both) == []  # the insertion is below line 8, the last one
    assert touching(8, 10, both) == [inserted]
    assert touching(9, 12, both) == []


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from("abcdef"), max_size=12),
    st.lists(st.sampled_from("abcdef"), max_size=12),
)
def test_map_back_agrees_with_diff(before: list[str], after: list[str]) -> None:
    """Lines that diff calls common are mapped to one another; none is mapped outside."""
    folder = Path("/tmp") if not Path("/dev/shm").is_dir() else Path("/dev/shm")
    import tempfile

    with tempfile.TemporaryDirectory(dir=folder) as place:
        old, new = Path(place) / "old", Path(place) / "new"
        old.write_text("".join(f"{text}\n" for text in before))
        new.write_text("".join(f"{text}\n" for text in after))
        done = subprocess.run(
            ["git", "diff", "--no-index", "-U0", old, new],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    body = done.stdout.partition("@@")[2]
    changes = parse_diff(f"diff --git a/x b/x\n@@{body}")[0].hunks if body else ()
    made = {line for c in changes for line in range(c.new_start, c.new_start + c.new_count)}
    for line in range(1, len(after) + 1):
        was = map_back(line, changes)
        if line in made:
            assert 1 <= was <= len(before) + 1
        else:
            assert before[was - 1] == after[line - 1]
    first, end = map_range(1, len(after), changes)
    assert 1 <= first <= end <= len(before) + 2


def test_moved_lines() -> None:
    assert moved_lines(DIFF, DIFF) == (0, 0)
    assert moved_lines(DIFF, DIFF.replace("@@ -3,3 +3,4", "@@ -33,3 +33,4")) == (0, 0)
    assert moved_lines(DIFF, DIFF.replace("+vier", "+four")) == (1, 1)
    assert moved_lines(DIFF, "") == (0, 7)
    assert also_removed(DIFF, DIFF) == []
    assert also_removed(DIFF.replace("-nine", " nine"), DIFF) == [("mm/a.c", "nine")]


def test_judge() -> None:
    def files(*fits: Fit, now: str = "a") -> tuple[FileReport, ...]:
        return (FileReport("a", now, False, tuple(HunkReport(1, "", f, 1, 0) for f in fits)),)

    assert judge(files(Fit.CLEAN)) == Status.CLEAN
    assert judge(files(Fit.CLEAN, Fit.OFFSET)) == Status.OFFSET
    assert judge(files(Fit.OFFSET, Fit.FUZZY)) == Status.FUZZY
    assert judge(files(Fit.CLEAN, Fit.APPLIED)) == Status.FUZZY
    assert judge(files(Fit.CLEAN, now="b")) == Status.FUZZY
