"""A CI of several machines: parts, one summary, one report, a compiler cache in common."""

from __future__ import annotations

import dataclasses
import http.server
import itertools
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.build.toolchain import build_env
from harness.check.choose import parse_shard, shard
from harness.check.resume import Ledger
from harness.check.slow import slow_stations
from harness.check.station import Station, StationResult, Tally
from harness.check.stations import Bench, fast_stations
from harness.cli import build_parser
from harness.core.context import Context
from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.results.merge import merge_results
from harness.results.model import Results, load_results
from harness.tests.synthetic_results import passing, synthetic
from harness.tests.tinykernel import quiet


def nothing(tally: Tally) -> None:
    tally.good()


def made_up(estimates: list[int]) -> list[Station]:
    """Return stations of which every third builds on the one before it."""
    return [
        Station(f"s{n}", "", (), estimate, nothing, after=(f"s{n - 1}",) if n % 3 == 2 else ())
        for n, estimate in enumerate(estimates)
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 9000), min_size=1, max_size=25), st.integers(1, 9))
def test_the_union_of_all_shards_is_the_whole(estimates: list[int], count: int) -> None:
    stations = made_up(estimates)
    parts = [shard(stations, number, count) for number in range(1, count + 1)]
    assert {s.name for part in parts for s in part} == {s.name for s in stations}
    again = [shard(stations[::-1], number, count) for number in range(1, count + 1)]
    for part, other in zip(parts, again, strict=True):
        names = [s.name for s in part]
        assert names == [s.name for s in stations if s.name in names]
        assert {s.name for s in other} == set(names)
        assert all(need in names for s in part for need in s.after)


def real_stations() -> list[Station]:
    bench = Bench(Context(Paths.discover(), quiet()), boots=1)
    return fast_stations(bench) + slow_stations(bench)


def test_the_shards_of_the_real_stations() -> None:
    stations = real_stations()
    parts = [shard(stations, number, 8) for number in range(1, 9)]
    assert {s.name for part in parts for s in part} == {s.name for s in stations}
    assert all(parts)
    most = max(sum(s.estimate for s in part) for part in parts)
    assert most < sum(s.estimate for s in stations) / 3


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/0", "1", "a/b", "-1/4", "1/4/2"])
def test_a_bad_shard(text: str) -> None:
    with pytest.raises(KseriesError) as caught:
        parse_shard(text)
    assert caught.value.code == Exit.USAGE
    assert parse_shard("4/4") == (4, 4)


def left_by(folder: Path, repo: Path, stations: list[Station], bad: str = "") -> Path:
    """Return the stations.json of a machine that ran some stations, one of them in vain."""
    ledger = Ledger.open(Paths(repo, folder, folder / "out"), stations, full=True, fresh=True)
    for station in stations:
        tally = Tally(passed=2)
        if station.name == bad:
            tally.bad("it broke")
        ledger.keep(StationResult(station.name, "done", tally, 1.0))
    return ledger.file


def test_what_machines_left_becomes_one_summary(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    (repo / "harness").mkdir(parents=True)
    (repo / "harness/a.py").write_text("a")
    stations = made_up([5, 4, 3, 2])
    one = left_by(tmp_path / "1", repo, stations[:2])
    two = left_by(tmp_path / "2", repo, stations[1:3], bad="s1")
    ledger = Ledger.open(Paths(repo, tmp_path, tmp_path / "out"), stations, full=True, fresh=True)
    ledger.gather([one, two], stations)
    ends = {r.name: (r.state, r.tally.passed, r.tally.failed) for r in ledger.results(stations)}
    assert ends == {
        "s0": ("done", 2, 0),
        "s1": ("done", 2, 1),  # the worst of two
        "s2": ("done", 2, 0),
        "s3": ("skipped", 0, 1),  # no machine has it
    }
    assert len(json.loads(ledger.file.read_text())) == 4
    (repo / "harness/a.py").write_text("b")
    ledger = Ledger.open(Paths(repo, tmp_path, tmp_path / "out"), stations, full=True, fresh=True)
    ledger.gather([one, two], stations)
    assert all(r.tally.failed for r in ledger.results(stations)), "they were of another state"


def second(results: Results) -> Results:
    """Return the same results as another machine's run."""
    run = dataclasses.replace(results.run, id="20260131-142502-ffff", host={"cpu": "other"})
    return dataclasses.replace(results, run=run)


def test_several_runs_become_one(tmp_path: Path) -> None:
    first = synthetic()
    merged = merge_results([first, second(first)], "20260131-150000-0001", "./kseries report a b")
    merged.save(tmp_path / "results.json")
    assert load_results(tmp_path / "results.json") == merged
    assert len(merged.tests) == 2 * len(first.tests)
    keys = [(t.suite, t.name, t.arm, t.attempt) for t in merged.tests]
    assert len(set(keys)) == 2 * len({(t.suite, t.name, t.arm, t.attempt) for t in first.tests})
    assert len(merged.benchmarks) == 2 * len(first.benchmarks)
    assert merged.run.seconds == 2 * first.run.seconds
    assert any("several machines" in skip.reason for skip in merged.skips)
    assert merge_results([first], first.run.id, first.run.command).tests == first.tests


@pytest.mark.parametrize("field", ["pin", "base_tree", "patched_tree", "config"])
def test_runs_of_other_kernels_do_not_merge(field: str) -> None:
    other = passing()
    run = dataclasses.replace(other.run, **{field: "another"})  # type: ignore[arg-type]
    with pytest.raises(KseriesError, match=field):
        merge_results([passing(), dataclasses.replace(other, run=run)], "x", "")


def test_the_workflow_runs_every_shard_and_gathers() -> None:
    yaml = pytest.importorskip("yaml")
    text = (Paths.discover().repo / ".ci/workflows/shards.yml").read_text()
    flow = yaml.safe_load(text)
    shards = flow["jobs"]["shard"]["strategy"]["matrix"]["shard"]
    assert shards == list(range(1, len(shards) + 1))
    assert f"--shard ${{{{ matrix.shard }}}}/{len(shards)}" in text
    assert flow["jobs"]["report"]["needs"] == "shard"
    lines = re.findall(r"\./kseries (\w+)(.*)", text)
    assert [verb for verb, _ in lines] == ["ci", "report", "ci"]
    for verb, rest in lines:
        words = rest.replace("${{ matrix.shard }}", "1").replace("$runs", "a b").split()
        build_parser(verb).parse_args([verb, *words])


class Store(http.server.BaseHTTPRequestHandler):
    """An HTTP server that keeps what it is given, as a remote storage of ccache."""

    kept: ClassVar[dict[str, bytes]]
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        self.kept[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(201)

    def do_GET(self) -> None:
        self.answer(200 if self.path in self.kept else 404, self.kept.get(self.path, b""))

    def do_HEAD(self) -> None:
        self.answer(200 if self.path in self.kept else 404)

    def answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def store() -> Iterator[tuple[str, dict[str, bytes]]]:
    class Handler(Store):
        kept: ClassVar[dict[str, bytes]] = {}

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", Handler.kept
    server.shutdown()
    server.server_close()


def ccache_has_http() -> str:
    """Return why ccache cannot use an HTTP storage here, "" if it can."""
    if not shutil.which("ccache") or not shutil.which("gcc"):
        return "the host has no ccache or no gcc"
    said = subprocess.run(["ccache", "--version"], capture_output=True, text=True, check=True)
    return "" if "http-storage" in said.stdout else "this ccache has no HTTP storage"


@pytest.mark.network
@pytest.mark.skipif(bool(ccache_has_http()), reason=ccache_has_http())
def test_a_second_machine_takes_objects_from_the_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, store: tuple[str, dict[str, bytes]]
) -> None:
    url, kept = store
    monkeypatch.setenv("CCACHE_REMOTE_STORAGE", url)
    hits = []
    for machine, key in itertools.product(("one", "two"), ("key",)):
        paths = Paths(tmp_path, tmp_path / machine / "cache", tmp_path / "out")
        build = paths.builds / key / "build"
        build.mkdir(parents=True)
        (build / "a.c").write_text("int a(void) { return 42; }\n")
        env = build_env(paths)
        argv = ["ccache", "gcc", "-O2", "-c", str(build / "a.c"), "-o", "a.o"]
        subprocess.run(argv, cwd=build, env=env, check=True)
        said = subprocess.run(
            ["ccache", "--print-stats"], env=env, capture_output=True, text=True, check=True
        ).stdout
        stats = dict(line.split("\t") for line in said.splitlines())
        hits.append((int(stats["cache_miss"]), int(stats.get("remote_storage_hit", 0)) > 0))
    assert hits == [(1, False), (0, True)], hits
    assert kept


def test_an_empty_remote_storage_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CCACHE_REMOTE_STORAGE", "")
    env = build_env(Paths(tmp_path, tmp_path / "cache", tmp_path / "out"))
    assert "CCACHE_REMOTE_STORAGE" not in env
