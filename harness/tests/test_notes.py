from __future__ import annotations

import pytest

from harness.series.notes import Note, place, read_note, slug, write_note
from harness.series.series import Entry

ONE = Entry("t/one.patch", "sec: one")


@pytest.mark.parametrize("notes", ["", "a line", "two\nlines", "with\n\n  gap: and colon\n\tx"])
def test_round_trip(notes: str) -> None:
    assert read_note(write_note(ONE, notes)) == Note("t/one.patch", "sec: one", notes)


def test_squash_joins_notes_and_the_first_file_wins() -> None:
    two = Entry("t/two.patch", "sec: two")
    note = read_note(write_note(ONE, "n1") + "\n" + write_note(two, "n2"))
    assert note == Note("t/one.patch", "sec: one", "n1\n\nn2", ("t/two.patch",))
    spot = place([("mm: Do", note)])[0]
    assert spot.file == "t/one.patch"
    assert spot.said == ("squashed into t/one.patch: t/two.patch",)


def test_a_fixup_of_itself_is_no_squash() -> None:
    assert read_note(write_note(ONE, "") * 2).also == ()


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        ("mm: Do a thing", "mm-do-a-thing"),
        ("[RFC] [WIP] x86/uprobes: Emulate sub $imm, %rsp", "x86-uprobes-emulate-sub-imm-rsp"),
        ("\u00dc: \u00e4", "patch"),
        ("a" * 80, "a" * 60),
        ("mm: " + "word " * 20, "mm-" + "-".join(["word"] * 11)),
    ],
)
def test_slug(subject: str, name: str) -> None:
    assert slug(subject) == name
    assert len(name) <= 60


def test_new_commits_go_beside_their_neighbour() -> None:
    owned = ("mm: Old", Note("t/one.patch", "sec: one"))
    spots = place([("mm: New", Note()), owned, ("fs: Later", Note())])
    assert [(spot.file, spot.section) for spot in spots] == [
        ("t/mm-new.patch", "sec: one"),
        ("t/one.patch", "sec: one"),
        ("t/fs-later.patch", "sec: one"),
    ]
    assert spots[0].said == ("new: 'mm: New' goes to t/mm-new.patch",)


def test_the_first_commit_of_all_names_its_topic() -> None:
    spots = place([("[RFC] mm/page_alloc: Do", Note()), ("mm/page_alloc: Do", Note())])
    assert [spot.file for spot in spots] == [
        "mm-page-alloc/mm-page-alloc-do.patch",
        "mm-page-alloc/mm-page-alloc-do-2.patch",
    ]


def test_two_commits_with_one_note() -> None:
    note = Note("t/one.patch", "sec: one")
    spots = place([("mm: A", note), ("mm: B", note)])
    assert [spot.file for spot in spots] == ["t/one.patch", "t/mm-b.patch"]
    assert "belongs to an earlier commit" in spots[1].said[1]


def test_pending_patches_are_found_by_subject() -> None:
    pending = [(ONE, "mm: One", "kept"), (Entry("t/mm-x.patch", "sec: x"), "mm: Other", "")]
    spots = place([("mm: One", Note()), ("mm: X", Note())], pending)
    assert (spots[0].file, spots[0].notes, spots[0].said) == ("t/one.patch", "kept", ())
    # A file that waits is not taken by a new commit.
    assert spots[1].file == "t/mm-x-2.patch"
