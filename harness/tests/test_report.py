"""The report: plots, page and verb, from stored results alone."""

from __future__ import annotations

import dataclasses
import html.parser
import json
import re
from pathlib import Path

import pytest

from harness.cli import main
from harness.core.paths import Paths
from harness.core.ui import Ui
from harness.results import svg
from harness.results.canvas import log_scale
from harness.results.drawing import drawing_of
from harness.results.html import report_html
from harness.results.model import Results
from harness.results.plots import WIDTHS, plots_of
from harness.results.store import RESULTS, set_latest
from harness.results.summary import figures_of
from harness.results.table import print_tables, tables_of
from harness.tests.synthetic_results import passing, run_info, small, synthetic

VOID = {"meta", "link", "input", "br", "rect", "path", "use"}


class Outline(html.parser.HTMLParser):
    """Collects what tests ask about: tags, ids, references, text; checks nesting."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.attributes.append((tag, values))
        if values.get("id"):
            self.ids.append(str(values["id"]))
        for name in ("href", "src", "action", "data", "srcset", "poster"):
            if values.get(name) is not None:
                self.references.append(str(values[name]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def page() -> str:
    return report_html(synthetic())


@pytest.fixture(scope="module")
def outline(page: str) -> Outline:
    return Outline(page)


def test_the_page_refers_to_nothing_outside(page: str, outline: Outline) -> None:
    outside = [r for r in outline.references if not r.startswith(("#", "data:,"))]
    assert not outside
    assert not re.findall(r"https?://|@import|url\((?!#)", page)
    assert {r[1:] for r in outline.references if r.startswith("#")} <= set(outline.ids)
    inner = set(re.findall(r"url\(#([^)]+)\)", page))
    assert inner <= set(outline.ids)


def test_ids_are_unique_and_tags_nest(outline: Outline) -> None:
    assert len(outline.ids) == len(set(outline.ids))
    assert outline.open == []


def test_what_a_reader_looks_for_is_there(outline: Outline) -> None:
    text = " ".join(outline.text.split())
    results = synthetic()
    for sentence in (
        "1 regression, 1 failed case, 1 kernel complaint, 1 of 2 targets missed",
        *(patch["subject"] for patch in results.run.patches),
        results.run.base_tree,
        results.run.patched_tree,
        results.run.config,
        "test_cgfreezer_ptrace <&> [retry]",
        "no end within 45 s; killed",
        "3.119 [2.993, 3.198] ms",
        "target met: under 50 ms at P99",
        "target missed: within 3 % of the emulated push class",
        "Lane L3 (virtual SMP), accelerator tcg, icount.",
        "WARNING: kernel/cgroup/freezer.c:211",
        "allowed: test_memcontrol provokes it".capitalize(),
        "this host has one NUMA node",
        *results.run.commands,
        *results.run.toolchain.values(),
        *results.run.host.values(),
        *(item.text for item in results.calibrations),
        "cgroup v1 freezer",
    ):
        assert " ".join(sentence.split()) in text, sentence
    for test in results.tests:
        assert test.name in text


def test_every_figure_has_a_picture_a_label_and_its_lane(outline: Outline) -> None:
    pictures = [a for tag, a in outline.attributes if tag == "svg" and a.get("role") == "img"]
    plots = [a for a in pictures if str(a.get("class")).startswith("plot")]
    assert len(plots) == len(figures_of(synthetic())) * len(WIDTHS)
    assert all("lane L" in str(a["aria-label"]) for a in plots)
    assert all("accelerator tcg" in str(a["aria-label"]) for a in plots)
    assert len(pictures) - len(plots) == 4  # the nodes
    assert all(a.get("scope") for tag, a in outline.attributes if tag == "th")


def hostile() -> Results:
    """Return results whose every text tries to leave its place."""
    evil = "</style></script><script>alert(1)</script><img src=//x onerror=y>\"'&\x1b[31m\x00"
    base = small()

    def bend(value: object) -> object:
        if isinstance(value, str):
            return evil + value
        if isinstance(value, dict):
            return {evil + str(k): bend(v) for k, v in value.items()}
        if isinstance(value, tuple):
            return tuple(bend(item) for item in value)
        return value

    def bent(item: object, *keep: str) -> dict[str, object]:
        return {
            f.name: bend(getattr(item, f.name))
            for f in dataclasses.fields(item)  # type: ignore[arg-type]
            if f.name not in keep
        }

    run = dataclasses.replace(base.run, **bent(base.run, "topology", "patches", "stages"))  # type: ignore[arg-type]
    run = dataclasses.replace(run, patches=({"file": evil, "subject": evil},))
    skip = ("arm", "attempt", "status", "seconds", "role", "samples")
    return dataclasses.replace(
        base,
        run=run,
        tests=tuple(dataclasses.replace(t, **bent(t, *skip)) for t in base.tests),  # type: ignore[arg-type]
        benchmarks=tuple(
            dataclasses.replace(b, **bent(b, *skip))  # type: ignore[arg-type]
            for b in base.benchmarks
        ),
        calibrations=tuple(
            dataclasses.replace(c, **bent(c))  # type: ignore[arg-type]
            for c in base.calibrations
        ),
        splats=tuple(dataclasses.replace(s, **bent(s)) for s in base.splats),  # type: ignore[arg-type]
        skips=tuple(dataclasses.replace(s, **bent(s)) for s in base.skips),  # type: ignore[arg-type]
    )


def test_no_text_of_a_result_becomes_markup() -> None:
    page = report_html(hostile())
    outline = Outline(page)
    assert page.count("<script") == 1
    assert page.count("<style") == 1
    assert not [tag for tag, _ in outline.attributes if tag == "img"]
    assert not [a for _, a in outline.attributes if "onerror" in a]
    assert not [r for r in outline.references if "//x" in r]
    assert "\x1b" not in page
    assert "\x00" not in page
    assert "alert(1)" in outline.text
    assert outline.open == []


def test_runs_with_nothing_but_tests_or_benchmarks_or_nothing() -> None:
    full = passing()
    for results in (
        Results(run_info()),
        Results(dataclasses.replace(run_info(), patches=(), topology={})),
        dataclasses.replace(full, benchmarks=(), calibrations=(), splats=(), skips=()),
        dataclasses.replace(full, tests=(), splats=()),
    ):
        outline = Outline(report_html(results))
        assert outline.open == []
        ids = set(outline.ids)
        assert {r[1:] for r in outline.references if r.startswith("#")} <= ids
    assert "no test and no benchmark gave a result" in report_html(Results(run_info()))


def test_the_page_is_the_same_every_time(page: str) -> None:
    assert report_html(synthetic()) == page


def test_plots_use_the_page_s_colours_and_text() -> None:
    for index, figure in enumerate(figures_of(synthetic())):
        for picture in plots_of(figure, run_info(), f"p{index}").values():
            assert not re.findall(r"[^(]#[0-9a-fA-F]{6}\b", picture)
            assert "var(--arm-patched)" in picture
            assert "<text" in picture
            for arm in figure.arms:
                assert arm.split()[0] in picture
            assert "xmlns" not in picture
            assert "DejaVu" not in picture


def test_every_colour_of_a_plot_is_defined_in_both_schemes(page: str) -> None:
    light, dark = page.split("@media screen and (prefers-color-scheme: dark)")
    for variable in svg.VARIABLES.values():
        assert f"{variable}:" in light
        assert f"{variable}:" in dark.split("}")[0]


def test_log_axis_over_thirty_times() -> None:
    assert log_scale([1, 31])
    assert not log_scale([1, 30])
    assert not log_scale([0, 1000])
    assert not log_scale([])


def test_edge_figures_can_be_drawn() -> None:
    figure = figures_of(synthetic())[0]
    row = figure.rows[0]
    zero = dataclasses.replace(row, value=0, low=0, high=0, samples=(), n=0)
    negative = dataclasses.replace(row, value=-3, low=-4, high=-2, samples=())
    flat = dataclasses.replace(row, samples=((5.0,) * 80,), value=5, low=5, high=5)
    for rows in ((zero,), (negative,), (negative, zero), (flat,)):
        assert "<svg" in plots_of(dataclasses.replace(figure, rows=rows), run_info(), "p")["wide"]
    one = dataclasses.replace(row, x=4.0, x_label="threads")
    drawn = plots_of(dataclasses.replace(figure, rows=(one,)), run_info(), "p")["narrow"]
    assert "threads" in drawn


def test_topology_drawing() -> None:
    drawing = drawing_of(passing().run.topology)
    assert drawing.title == "4 NUMA nodes, 12 CPUs, 3.5 GiB"
    assert [n.cpu_text for n in drawing.nodes] == ["CPUs 0-3", "CPUs 4-7", "no CPU", "CPUs 8-11"]
    assert [n.memory_text for n in drawing.nodes] == ["1 GiB", "512 MiB", "2 GiB", "no memory"]
    assert not drawing.plain
    usual = drawing_of(synthetic().run.topology)
    assert usual.plain
    assert usual.distances[0] == (10, 20, 20, 20)
    assert drawing_of({}).title == "0 NUMA nodes, 0 CPUs, 0 MiB"


def test_tables(capsys: pytest.CaptureFixture[str]) -> None:
    tables = {table.title: table for table in tables_of(synthetic())}
    assert list(tables) == [
        "Tests",
        "Cases that failed or changed",
        "Benchmarks",
        "Calibrations",
        "Kernel complaints",
        "Not done",
    ]
    program = next(row for row in tables["Tests"].rows if row[0].endswith("test_freezer"))
    assert program[1:] == (
        "10 pass, 1 mixed",
        "9 pass, 1 fail, 1 mixed",
        "1 regression, 1 flaky",
    )
    case = tables["Cases that failed or changed"].rows[0]
    assert case[1:4] == ("pass x3", "fail x3", "regression")
    figure = next(row for row in tables["Benchmarks"].rows if row[3] == "patched" and row[7])
    assert figure == (
        "freeze time to frozen",
        "latency p99",
        "L1 (tcg, icount)",
        "patched",
        "6.693 [6.251, 7.534] ms",
        "600",
        "497x lower",
        "met",
    )
    print_tables(Ui(), synthetic())
    printed = capsys.readouterr().out
    assert "test_cgfreezer_ptrace <&> [retry]" in printed
    assert "FAILS THE RUN" in printed


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / synthetic().run.id
    folder.mkdir()
    synthetic().save(folder / RESULTS)
    monkeypatch.setenv("KSERIES_OUT", str(tmp_path))
    return folder


def test_the_verb_remakes_the_files(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_latest(Paths.discover(), out)
    assert main(["report"]) == 0
    assert {p.name for p in out.iterdir()} == {
        "results.json",
        "report.html",
        "junit.xml",
        "results.tap",
    }
    said = capsys.readouterr().out
    assert "FAIL: 1 regression" in said
    assert said.rstrip().splitlines()[-3] == f"html: {out / 'report.html'}"


def test_the_verb_writes_only_what_is_named(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    junit, tap = tmp_path / "x" / "out.xml", tmp_path / "out.tap"
    words = ["report", "--json", out.name, "--junit", str(junit), "--tap", str(tap)]
    assert main(words) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["files"] == {"junit": str(junit), "tap": str(tap)}
    assert answer["verdict"]["exit"] == 6
    assert junit.read_text(encoding="utf-8").startswith("<?xml")
    assert tap.read_text(encoding="utf-8").startswith("TAP version 13")
    assert [p.name for p in out.iterdir()] == ["results.json"]


def test_the_verb_on_a_broken_file(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body = json.loads((out / RESULTS).read_text(encoding="utf-8"))
    del body["benchmarks"][0]["unit"]
    (out / RESULTS).write_text(json.dumps(body), encoding="utf-8")
    assert main(["report", out.name]) == 2
    assert "benchmarks[0].unit: is missing" in capsys.readouterr().err
