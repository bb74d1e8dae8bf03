from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.paths import Paths
from harness.series.lint import (
    lint_canonical,
    lint_fragment,
    lint_fragments,
    lint_patch,
    lint_patches,
)
from harness.series.series import Finding, read_series
from harness.tests.tinykernel import Author, quiet, source_in, write_series

GOOD = """\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: Agent Kernel Series <agent-kernel@localhost>
Date: Sat, 1 Jan 2000 00:00:00 +0000
Subject: [PATCH] x86/uprobes: Emulate sub

Because single-stepping is slow.
---
 mm/x.c | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)

diff --git a/mm/x.c b/mm/x.c
--- a/mm/x.c
+++ b/mm/x.c
@@ -1 +1 @@
-two
+2
"""


def test_a_good_patch() -> None:
    assert lint_patch("t/a.patch", GOOD) == []


@pytest.mark.parametrize(
    "subject",
    [
        "mm: Do this",
        "[RFC] sched/fair: Do this",
        "sched: agent: Do this",
        "selftests/mm, x86: Do this",
        "x86/uprobes: emulate sub $imm, %rsp",
        "Documentation: ABI: 32-bit tasks are fine",
    ],
)
def test_good_subjects(subject: str) -> None:
    assert lint_patch("t/a.patch", GOOD.replace("x86/uprobes: Emulate sub", subject)) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("From 000", "From 123", 1, "zero commit"),
        ("From: Agent Kernel Series <agent", "From: A Person <person", 2, "its author is A Person"),
        ("Date: ", "X-Date: ", 1, "no Date: header"),
        ("[PATCH] ", "[PATCH v2] ", 4, "does not start with [PATCH]"),
        ("x86/uprobes: Emulate", "Emulate", 4, "not of the form"),
        ("uprobes: Emulate", "uprobes:Emulate", 4, "not of the form"),
        ("Emulate sub\n", "Emulate sub.\n", 4, "not of the form"),
        ("Emulate sub\n", "Adds sub\n", 4, "not an order"),
        ("Emulate sub\n", "Adding sub\n", 4, "not an order"),
        ("Emulate sub\n", f"Emulate {'s' * 80}\n", 4, "the subject has 101 characters"),
        ("Because single-stepping is slow.\n", "", 4, "no body"),
        ("slow.\n", "slow.\n\nSigned-off-by: A <a@b>\n", 8, "Signed-off-by"),
        ("---\n mm", "---\nsigned-off-by: A <a@b>\n\n mm", 8, "Signed-off-by"),
        (" mm/x.c | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)\n", "", 8, "diffstat"),
        ("b/mm/x.c\n---", "b/mm/x.c\nindex 123abc..456def 100644\n---", 12, "index lines"),
        ("diff --git", "nothing", 9, "three dashes"),
        ("Subject: ", "what is this\nSubject: ", 4, "cannot be read"),
    ],
)
def test_findings(old: str, new: str, line: int, words: str) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    if words == "three dashes":
        text = GOOD.replace("---\n mm", " mm", 1)
    found = lint_patch("t/a.patch", text)
    assert [finding for finding in found if words in finding.what], found
    assert found[0].where == f"patches/t/a.patch:{line}" or len(found) > 1
    hit = next(finding for finding in found if words in finding.what)
    assert hit.where == f"patches/t/a.patch:{line}"
    assert hit.hint


def test_series_and_folder(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t/a.patch").write_text(GOOD)
    (tmp_path / "t/stray.patch").write_text("not looked into")
    (tmp_path / "series").write_text("t/a.patch\nt/gone.patch\n")
    series, findings = lint_patches(tmp_path)
    assert series.files == ("t/a.patch", "t/gone.patch")
    assert [finding.where for finding in findings] == [
        "patches/series:2",
        "patches/t/stray.patch",
    ]
    (tmp_path / "t/stray.patch").unlink()
    (tmp_path / "series").write_text("\n\nt/a.patch\n")
    assert [finding.what for finding in lint_patches(tmp_path)[1]] == [
        "it is not in canonical form (blank lines)"
    ]


def test_canonical_form(tmp_path: Path) -> None:
    paths, source = source_in(tmp_path)
    author = Author(source, tmp_path / "work")
    author.edit("mm/mmap.c", b"mmap_9;", b"mmap_nine;")
    text = author.export(author.commit("mm: Spell nine\n\nBody.\n"))
    write_series(paths, {"t/a.patch": text})
    series = read_series(paths.repo / "patches")
    assert lint_canonical(paths, source, series, quiet()) == []
    # A context line more or less is the same change in another form.
    head, _, body = text.partition("@@ -10,7 +10,7 @@")
    other = body.split("\n")
    short = f"{head}@@ -11,6 +11,6 @@{other[0]}\n" + "\n".join(other[2:])
    write_series(paths, {"t/a.patch": short})
    row = short[: short.index("@@")].count("\n") + 1
    assert lint_canonical(paths, source, series, quiet()) == [
        Finding(
            f"patches/t/a.patch:{row}",
            "it is not in canonical form",
            "`kseries refresh` writes it in canonical form",
        )
    ]


FRAGMENT = """\
# x.config: what it is for.

# Why A and B are here.
CONFIG_A=y
# CONFIG_B is not set
CONFIG_C="text with spaces"
"""


def test_a_good_fragment() -> None:
    assert lint_fragment("kconfig/x.config", FRAGMENT) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("# Why A and B are here.\n", "", 3, "nothing says why CONFIG_A is here"),
        ("# CONFIG_B", "\n# CONFIG_B", 6, "nothing says why CONFIG_B is here"),
        ("CONFIG_A=y", "CONFIG_A=y CONFIG_D=y", 4, "no symbol and no comment"),
        ("CONFIG_A=y", "CONFIG_A = y", 4, "no symbol and no comment"),
        ("CONFIG_A=y", "CONFIG_A=", 4, "no symbol and no comment"),
        ("CONFIG_A=y", "A=y", 4, "no symbol and no comment"),
        ("CONFIG_B", "CONFIG_A", 5, "CONFIG_A is set again (first in line 4)"),
    ],
)
def test_bad_fragments(old: str, new: str, line: int, words: str) -> None:
    found = lint_fragment("kconfig/x.config", FRAGMENT.replace(old, new, 1))
    assert words in found[0].what
    assert found[0].where == f"kconfig/x.config:{line}"


def test_the_repository() -> None:
    repo = Paths.discover().repo
    assert lint_fragments(repo / "kconfig") == []
    assert lint_patches(repo / "patches")[1] == []
