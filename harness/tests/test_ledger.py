from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.lint.ledger import PAGE, ledger_text, lint_ledger, read_ledger
from harness.series.series import Series, read_series

PATCH = """\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: Agent Kernel Series <agent-kernel@localhost>
Date: Sat, 1 Jan 2000 00:00:00 +0000
Subject: [PATCH] mm: Add a | thing

Because.
---
 mm/Kconfig | 2 ++
 1 file changed, 2 insertions(+)

diff --git a/mm/Kconfig b/mm/Kconfig
--- a/mm/Kconfig
+++ b/mm/Kconfig
@@ -1 +1,3 @@
+config THING
+\tbool "vm.thing_max"
 endmenu
"""
LEDGER = """\
[topic.t]
symbol = ["THING"]
selftest = ["area:test_thing:thing.works"]
benchmark = ["thing:cost"]
off = ["CONFIG_THING=n", "vm.thing_max=0"]
page = ["docs/thing.md"]

[patch."t/b.patch"]
benchmark = { none = "text" }
"""


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    for name, text in {
        "patches/series": "t/a.patch\nt/b.patch\n",
        "patches/t/a.patch": PATCH,
        "patches/t/b.patch": PATCH,
        "patches/ledger.toml": LEDGER,
        "selftests/area/plan.toml": '[program.test_thing]\nbase = "fail"\n',
        "selftests/area/test_thing.c": "TEST_F(thing, works)\n",
        "benchmarks/thing/plan.toml": '[[case]]\nname = "cost"\n',
        "docs/thing.md": "# Thing\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / PAGE).write_text(ledger_text(read_ledger(tmp_path, series(tmp_path))))
    return tmp_path


def series(repo: Path) -> Series:
    return read_series(repo / "patches")


def test_a_whole_ledger_has_no_findings(repo: Path) -> None:
    assert lint_ledger(repo, series(repo)) == []
    rows = (repo / PAGE).read_text().split("\n")
    assert (
        "| `mm: Add a \\| thing` | `THING` | `area:test_thing:thing.works` | none (1) | "
        "`CONFIG_THING=n`, `vm.thing_max=0` | [thing](thing.md) |" in rows
    )
    assert "1. text" in rows


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('symbol = ["THING"]\n', "", "the ledger says no symbol"),
        ('["THING"]', '["OTHER"]', "the ledger's symbol OTHER: no patch of the series has it"),
        ('["THING"]', "[]", "the ledger says no symbol"),
        ('["THING"]', '{ none = "" }', "the ledger says no symbol"),
        ("area:", "nowhere:", "there is no such area"),
        (":test_thing:", ":test_other:", "the area has no program test_other"),
        ("thing.works", "thing.flies", "no source of the area has the case thing.flies"),
        ("thing:cost", "thing:gain", "its plan has no case gain"),
        ("thing:cost", "other:cost", "there is no such benchmark"),
        ("vm.thing_max=0", "vm.other_max=0", "no patch of the topic adds other_max"),
        ("CONFIG_THING=n", "CONFIG_OTHER=n", "no patch of the topic adds OTHER"),
        ("docs/thing.md", "docs/other.md", "there is no such file"),
    ],
)
def test_a_missing_or_untrue_cell(repo: Path, old: str, new: str, says: str) -> None:
    assert old in LEDGER
    (repo / "patches/ledger.toml").write_text(LEDGER.replace(old, new, 1))
    found = lint_ledger(repo, series(repo))
    assert all(finding.rule == "ledger" for finding in found)
    mine = [f for f in found if f.where == "patches/t/a.patch:1"]
    assert len(mine) == 1
    assert says in mine[0].what


def test_a_page_that_is_not_what_the_table_says(repo: Path) -> None:
    (repo / PAGE).write_text("old")
    assert [finding.where for finding in lint_ledger(repo, series(repo))] == [PAGE]
    (repo / PAGE).unlink()
    assert [finding.hint for finding in lint_ledger(repo, series(repo))] == ["`kseries ledger`"]


@pytest.mark.parametrize("old", ["[topic.t]", "t/b.patch"])
def test_an_entry_about_nothing(repo: Path, old: str) -> None:
    text = LEDGER.replace(old, old.replace("t/b", "t/c").replace(".t]", ".u]"))
    (repo / "patches/ledger.toml").write_text(text)
    found = [f for f in lint_ledger(repo, series(repo)) if f.where == "patches/ledger.toml"]
    assert [f.what for f in found] in (["the series has no u"], ["the series has no t/c.patch"])


@pytest.mark.parametrize(
    "text",
    [
        LEDGER.replace("page =", "pages ="),
        LEDGER.replace("none =", "nothing ="),
        LEDGER.replace('["THING"]', '"THING"'),
        "x = 1",
        "[",
    ],
)
def test_a_table_that_cannot_be_read(repo: Path, text: str) -> None:
    (repo / "patches/ledger.toml").write_text(text)
    with pytest.raises(KseriesError) as caught:
        read_ledger(repo, series(repo))
    assert caught.value.code == Exit.LINT


def test_the_ledger_of_the_repository() -> None:
    repo = Paths.discover().repo
    assert lint_ledger(repo, read_series(repo / "patches")) == []
