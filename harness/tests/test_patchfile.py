from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.series.patchfile import (
    PatchFile,
    PatchSyntaxError,
    decode,
    encode,
    parse_patch,
    starts_patch,
    strip_index,
    write_patch,
)

ZERO = "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\n"
STAT = " mm/x.c | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)"
DIFF = """\
diff --git a/mm/x.c b/mm/x.c
--- a/mm/x.c
+++ b/mm/x.c
@@ -1,3 +1,3 @@ int x(void)
 one
-two
+2
 three
"""
PLAIN = f"""\
{ZERO}From: A Name <a@localhost>
Date: Sat, 1 Jan 2000 00:00:00 +0000
Subject: [PATCH] mm: Do a thing that has a long
 subject

Because.

More.
---
{STAT}

{DIFF}"""


def test_pieces() -> None:
    patch = parse_patch(PLAIN)
    assert patch.from_line == ZERO
    assert patch.author == "A Name <a@localhost>"
    assert patch.subject == "mm: Do a thing that has a long subject"
    assert patch.body == "Because.\n\nMore.\n"
    assert patch.notes == ""
    assert patch.diffstat == STAT
    assert patch.diff == DIFF
    assert write_patch(patch) == PLAIN


@pytest.mark.parametrize(
    ("subject", "bare"),
    [
        ("[PATCH] a: B", "a: B"),
        ("[PATCH v2 3/7] a: B", "a: B"),
        ("[RFC PATCH] a: B", "a: B"),
        ("[PATCH] [RFC] a: B", "[RFC] a: B"),
        ("a: B [PATCH]", "a: B "),
        ("a: B", "a: B"),
    ],
)
def test_subject(subject: str, bare: str) -> None:
    text = PLAIN.replace("[PATCH] mm: Do a thing that has a long\n subject", subject)
    assert parse_patch(text).subject == bare


def test_notes_are_spliced_in_and_out() -> None:
    notes = "v2: first\n\n ---- not a separator\n mm/y.c | 9 +++\n\tindented"
    patch = parse_patch(PLAIN).with_notes(f"\n{notes}\n\n")
    again = parse_patch(write_patch(patch))
    assert again == patch
    assert again.notes == notes
    assert again.diffstat == STAT
    assert write_patch(again.with_notes("")) == PLAIN


def test_hand_written_notes_without_diffstat() -> None:
    text = PLAIN.replace(f"---\n{STAT}\n\n", "---\nnote\n\n\n")
    patch = parse_patch(text)
    assert (patch.notes, patch.diffstat) == ("note", "")
    assert write_patch(patch) == text


def test_summary_lines_belong_to_the_diffstat() -> None:
    stat = f"{STAT}\n create mode 100644 mm/x.c\n mode change 100755 => 100644 b"
    patch = parse_patch(PLAIN.replace(STAT, f"note\n\n{stat}"))
    assert (patch.notes, patch.diffstat) == ("note", stat)


@pytest.mark.parametrize("line", ["diff --git a/x b/x", "Index: x", "--- a/x"])
def test_notes_that_git_would_take_for_a_diff(line: str) -> None:
    assert starts_patch(f"{line}\n")
    with pytest.raises(PatchSyntaxError, match="as a diff"):
        parse_patch(PLAIN).with_notes(f"see\n{line}")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "no mail headers"),
        ("\n" + PLAIN, 1, "no mail headers"),
        (DIFF, 1, "no mail header"),
        (ZERO + "Subject: x", 2, "inside its mail headers"),
        (ZERO + "what is this\n\n", 2, "no mail header"),
        (PLAIN.replace(DIFF, ""), 13, "no diff"),
    ],
)
def test_bad_files(text: str, line: int, words: str) -> None:
    with pytest.raises(PatchSyntaxError, match=words) as caught:
        parse_patch(text)
    assert caught.value.line == line


def test_index_lines() -> None:
    head = "diff --git a/a b/a\n"
    indexed = f"{head}index 0123abc..456def0 100644\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n+y\n"
    stripped = indexed.replace("index 0123abc..456def0 100644\n", "")
    binary = (
        f"{head}index {'1' * 40}..{'2' * 40} 100644\nGIT binary patch\nliteral 3\nKcmZQzU|?i\n\n"
    )
    mode = f"{head}old mode 100644\nnew mode 100755\nindex 0123abc..456def0\n--- a/a\n"
    assert strip_index(indexed) == stripped
    assert strip_index(binary) == binary
    assert strip_index(indexed + binary + indexed) == stripped + binary + stripped
    assert strip_index(mode) == mode.replace("index 0123abc..456def0\n", "")
    # Text inside a hunk is nobody's header.
    inside = stripped + " index 0123abc..456def0\n"
    assert strip_index(inside) == inside


@given(st.binary())
def test_bytes_survive(data: bytes) -> None:
    assert encode(decode(data)) == data


@given(st.text(alphabet="From:SubjectDate -+@\n\t\x00abc019[]PATCH/.|<>\u00fc\udcff"))
def test_any_text_is_refused_or_survives(text: str) -> None:
    try:
        patch = parse_patch(text)
    except PatchSyntaxError:
        return
    assert write_patch(patch) == text


LINE = st.text(st.characters(exclude_characters="\n", exclude_categories=("Cc", "Cs")), max_size=40)
PROSE = st.lists(LINE.filter(lambda line: not starts_patch(f"{line}\n")), max_size=6)


@st.composite
def patches(draw: st.DrawFn) -> PatchFile:
    value = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=30)
    folded = st.lists(value, min_size=1, max_size=3).map("\n ".join)
    headers = tuple((name, f" {draw(folded)}\n") for name in ("From", "Date", "Subject", "X-Other"))
    body = "".join(f"{line}\n" for line in draw(PROSE))
    return PatchFile(draw(st.sampled_from([ZERO, ""])), headers, body, "---\n", f"{STAT}\n\n", DIFF)


@given(patches(), PROSE)
def test_built_patches_round_trip(patch: PatchFile, notes: list[str]) -> None:
    """What is written is read as the same pieces, with any notes spliced in."""
    full = patch.with_notes("\n".join(notes))
    text = write_patch(full)
    again = parse_patch(text)
    assert again == full
    assert write_patch(again) == text
    assert again.diffstat == STAT
    assert again.with_notes(again.notes) == full
