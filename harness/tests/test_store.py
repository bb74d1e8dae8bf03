"""Run folders: ids that sort, a `latest` that is never half there, names that are clear."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from harness.core.errors import KseriesError
from harness.core.paths import Paths
from harness.results import store
from harness.tests.synthetic_results import synthetic


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path, tmp_path / "cache", tmp_path / "out")


def stored(paths: Paths, run_id: str) -> Path:
    folder = paths.out / run_id
    folder.mkdir(parents=True)
    synthetic().save(folder / store.RESULTS)
    return folder


def test_ids_are_utc_and_sort_by_time(paths: Paths) -> None:
    berlin = timezone(timedelta(hours=1))
    first = store.new_run(paths, datetime(2026, 1, 31, 0, 30, tzinfo=berlin))
    second = store.new_run(paths, datetime(2026, 1, 31, 0, 30, tzinfo=UTC))
    assert first.name.startswith("20260130-233000-")
    assert sorted([second.name, first.name]) == [first.name, second.name]


def test_runs_of_one_second_do_not_meet(paths: Paths) -> None:
    now = datetime(2026, 1, 31, tzinfo=UTC)
    folders = {store.new_run(paths, now) for _ in range(50)}
    assert len(folders) == 50
    assert all(folder.is_dir() for folder in folders)


def test_latest_is_replaced_and_relative(paths: Paths) -> None:
    one, two = stored(paths, "20260101-000000-0001"), stored(paths, "20260102-000000-0001")
    store.set_latest(paths, one)
    store.set_latest(paths, two)
    link = paths.out / "latest"
    assert link.readlink() == Path(two.name)
    assert store.find_run(paths, "latest") == two
    assert [p.name for p in paths.out.iterdir() if p.name.startswith(".")] == []


def test_latest_is_always_there_for_a_reader(paths: Paths) -> None:
    runs = [stored(paths, f"2026010{n}-000000-0001") for n in (1, 2)]
    store.set_latest(paths, runs[0])
    stop = threading.Event()
    failures: list[str] = []

    def read() -> None:
        while not stop.is_set():
            if not (paths.out / "latest").is_dir():
                failures.append("gone")

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(300):
        store.set_latest(paths, runs[turn % 2])
    stop.set()
    reader.join()
    assert not failures


def test_a_folder_in_the_way_of_latest_is_named(paths: Paths) -> None:
    run = stored(paths, "20260101-000000-0001")
    (paths.out / "latest").mkdir()
    with pytest.raises(KseriesError, match="cannot be replaced") as caught:
        store.set_latest(paths, run)
    assert "symbolic link" in caught.value.hint
    assert not [p for p in paths.out.iterdir() if p.name.startswith(".")]


def test_a_run_is_found_by_id_prefix_path_and_file(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stored(paths, "20260101-000000-00aa")
    stored(paths, "20260102-000000-00bb")
    for name in (run.name, "20260101", str(run), str(run / "results.json")):
        assert store.find_run(paths, name) == run
    monkeypatch.chdir(paths.out)
    assert store.find_run(paths, f"./{run.name}") == run
    folder, results = store.load_run(paths, "20260101")
    assert (folder, results) == (run, synthetic())


def test_list_is_in_order_and_says_what_is_complete(paths: Paths) -> None:
    stored(paths, "20260102-000000-00bb")
    (paths.out / "20260101-000000-00aa").mkdir()
    (paths.out / "something else").mkdir()
    (paths.out / "latest").symlink_to("20260102-000000-00bb")
    runs = [(run.id, run.complete) for run in store.list_runs(paths)]
    assert runs == [("20260101-000000-00aa", False), ("20260102-000000-00bb", True)]


def test_an_ambiguous_prefix_names_the_candidates(paths: Paths) -> None:
    stored(paths, "20260101-000000-00aa")
    stored(paths, "20260101-000000-00ab")
    with pytest.raises(KseriesError, match="the start of 2 run ids") as caught:
        store.find_run(paths, "20260101")
    assert "20260101-000000-00ab" in caught.value.hint


@pytest.mark.parametrize("name", ["latest", "2031", "", "no/such/place"])
def test_what_is_not_there_is_said_with_what_is(paths: Paths, name: str) -> None:
    with pytest.raises(KseriesError) as caught:
        store.find_run(paths, name)
    assert "no run is stored yet" in caught.value.hint
    stored(paths, "20260101-000000-00aa")
    with pytest.raises(KseriesError) as caught:
        store.find_run(paths, name)
    # An empty name must not mean "the only one there is".
    assert "newest first: 20260101-000000-00aa" in caught.value.hint


def test_an_interrupted_run_is_told_from_a_missing_one(paths: Paths) -> None:
    (paths.out / "20260101-000000-00aa").mkdir(parents=True)
    with pytest.raises(KseriesError, match="was interrupted"):
        store.find_run(paths, "20260101")
