from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.errors import Exit, KseriesError
from harness.series.series import (
    Entry,
    Series,
    parse_series,
    read_series,
    scan_series,
    series_text,
)

TEXT = """\
# The series.  Order matters.
# Second line.

# --- memcg: freeze ---
# This one first, because.
cgroup-freeze/one.patch
cgroup-freeze/two.patch

# --- x86: uprobes ---
uprobes/three.patch
# An end.
"""


def test_parse() -> None:
    series, findings = parse_series(TEXT, Path("p"))
    assert not findings
    assert series.preamble == ("# The series.  Order matters.", "# Second line.")
    assert series.entries == (
        Entry("cgroup-freeze/one.patch", "memcg: freeze", ("# This one first, because.",)),
        Entry("cgroup-freeze/two.patch", "memcg: freeze"),
        Entry("uprobes/three.patch", "x86: uprobes"),
    )
    assert series.trailing == ("# An end.",)
    assert series.entries[2].topic == "uprobes"
    assert series_text(series) == TEXT


def test_untidy_text_becomes_canonical() -> None:
    untidy = TEXT.replace("\n# ---", "\n\n\n# ---").replace("two.patch", "  two.patch  ")
    untidy = untidy.replace("cgroup-freeze/  two", "  cgroup-freeze/two")
    series, findings = parse_series(untidy, Path("p"))
    assert not findings
    assert series_text(series) == TEXT


NAME = st.from_regex(r"[a-z0-9][a-z0-9-]{0,5}", fullmatch=True)
TITLE = st.from_regex(r"[a-z0-9:]{1,4}( [a-z0-9:]{1,4}){0,2}", fullmatch=True)
COMMENT = st.from_regex(r"# [a-z]{1,9}", fullmatch=True)


@given(
    st.lists(
        st.tuples(NAME, NAME, TITLE, st.lists(COMMENT, max_size=2)),
        unique_by=lambda item: item[:2],
        min_size=1,
        max_size=6,
    ),
    st.lists(COMMENT, max_size=2),
)
def test_any_series_round_trips(
    items: list[tuple[str, str, str, list[str]]], preamble: list[str]
) -> None:
    entries = tuple(
        Entry(f"{topic}/{name}.patch", section, tuple(comments))
        for topic, name, section, comments in items
    )
    series = Series(Path("p"), entries, tuple(preamble))
    again, findings = parse_series(series_text(series), Path("p"))
    assert not findings
    assert again == series


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_empty(tmp_path: Path, text: str) -> None:
    (tmp_path / "series").write_text(text)
    assert read_series(tmp_path).entries == ()
    assert series_text(read_series(tmp_path)) == ""


def test_symbols_are_those_that_patches_define(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "series").write_text("a/one.patch\n")
    (tmp_path / "a/one.patch").write_text(
        "+config BURST\n+\tbool\n+menuconfig LANE\n config OLD\n-config GONE\n+config_is = 1\n"
    )
    assert read_series(tmp_path).symbols() == {"BURST", "LANE"}


def test_missing_folder_is_an_empty_series(tmp_path: Path) -> None:
    assert read_series(tmp_path / "patches").entries == ()


@pytest.mark.parametrize(
    "line",
    ["a.patch", "0001 topic/a.patch", "topic/a.patch -p1", "../x/a.patch", "T/a.patch", "t/a.diff"],
)
def test_bad_lines(line: str) -> None:
    series, findings = parse_series(f"# --- a ---\n{line}\n", Path("p"))
    assert not series.entries
    assert [finding.where for finding in findings] == ["patches/series:2"]


def test_disagreements(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t/there.patch").write_text("")
    (tmp_path / "t/stray.patch").write_text("")
    (tmp_path / "series").write_text("t/there.patch\nt/there.patch\nt/gone.patch\n")
    _, findings = scan_series(tmp_path)
    assert [(finding.where, finding.what) for finding in findings] == [
        ("patches/series:2", "t/there.patch is listed twice"),
        ("patches/series:3", "t/gone.patch is listed but not there"),
        ("patches/t/stray.patch", "this patch is in no line of patches/series"),
    ]
    with pytest.raises(KseriesError, match="2 more") as caught:
        read_series(tmp_path)
    assert caught.value.code == Exit.LINT
