"""results.json is read strictly: what save() wrote comes back, nothing else does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.core.errors import Exit, KseriesError
from harness.results.model import (
    Benchmark,
    Calibration,
    Results,
    RunInfo,
    Skip,
    SplatRecord,
    Status,
    TestResult,
    load_results,
    results_from_json,
)
from harness.tests.synthetic_results import DATA, STORED, synthetic

text = st.text(max_size=12)
real = st.floats(allow_nan=False, allow_infinity=False)
words = st.dictionaries(text, text, max_size=2)
RUN_TEXTS = """
    id started command accel qemu cpu line pin base_tree patched_tree base_commit config
"""
BENCHMARK_TEXTS = """
    feature name lane arm metric unit better statistic role target note x_label
"""
runs = st.builds(
    RunInfo,
    **dict.fromkeys(RUN_TEXTS.split(), text),
    seconds=real,
    topology=st.dictionaries(text, st.one_of(text, real, st.lists(real, max_size=2)), max_size=2),
    patches=st.lists(words, max_size=2).map(tuple),
    toolchain=words,
    host=words,
    commands=st.lists(text, max_size=2).map(tuple),
    stages=st.dictionaries(text, real, max_size=2),
)
benchmarks = st.builds(
    Benchmark,
    **dict.fromkeys(BENCHMARK_TEXTS.split(), text),
    value=real,
    low=real,
    high=real,
    n=st.integers(0, 10**9),
    samples=st.lists(st.lists(real, max_size=3).map(tuple), max_size=2).map(tuple),
    target_met=st.none() | st.booleans(),
    limit=st.none() | real,
    x=st.none() | real,
)
tests = st.builds(
    TestResult,
    suite=text,
    name=text,
    arm=text,
    attempt=st.integers(1, 5),
    status=st.sampled_from(Status),
    expected=text,
    verdict=text,
    reason=text,
    seconds=real,
)
documents = st.builds(
    Results,
    run=runs,
    tests=st.lists(tests, max_size=2).map(tuple),
    benchmarks=st.lists(benchmarks, max_size=2).map(tuple),
    calibrations=st.lists(
        st.builds(
            Calibration,
            lane=text,
            margin=real,
            figures=st.dictionaries(text, real, max_size=2),
            qemu=text,
            text=text,
        ),
        max_size=1,
    ).map(tuple),
    splats=st.lists(
        st.builds(SplatRecord, boot=text, arm=text, kind=text, title=text, text=text, allowed=text),
        max_size=1,
    ).map(tuple),
    skips=st.lists(st.builds(Skip, what=text, reason=text), max_size=1).map(tuple),
)


@settings(max_examples=60, deadline=None)
@given(documents)
def test_what_is_saved_comes_back(results: Results) -> None:
    stored = json.loads(json.dumps(results.as_json()))
    assert results_from_json(stored, "here") == results


def test_save_and_load(tmp_path: Path) -> None:
    synthetic().save(tmp_path / "results.json")
    assert load_results(tmp_path / "results.json") == synthetic()


@pytest.mark.parametrize("name", sorted(STORED))
def test_stored_files_are_what_the_generator_makes(name: str) -> None:
    assert load_results(DATA / name) == STORED[name]()


def test_an_old_file_without_a_field_that_has_a_default() -> None:
    body = json.loads(json.dumps(synthetic().as_json()))
    del body["run"]["stages"]
    assert results_from_json(body, "here").run.stages == {}


Edit = Callable[[dict[str, Any]], Any]
WRONG: dict[str, tuple[Edit, str]] = {
    "no run": (lambda d: d.pop("run"), "run: is missing"),
    "no list of tests": (lambda d: d.pop("tests"), "tests: is missing"),
    "no list of splats": (lambda d: d.pop("splats"), "splats: is missing"),
    "unknown field": (lambda d: d.update(extra=1), "extra: is not a field"),
    "unknown field inside": (lambda d: d["run"].update(x=1), "run.x: is not a field"),
    "status": (
        lambda d: d["tests"][3].update(status="passed"),
        "tests[3].status: 'passed' is none of pass, xfail",
    ),
    "text for a number": (
        lambda d: d["benchmarks"][0].update(value="3"),
        "benchmarks[0].value: must be a number, not a string",
    ),
    "true for a number": (
        lambda d: d["benchmarks"][0].update(low=True),
        "benchmarks[0].low: must be a number",
    ),
    "nan": (
        lambda d: d["benchmarks"][1]["samples"].append([float("nan")]),
        "benchmarks[1].samples[0][0]: must be finite",
    ),
    "null": (lambda d: d["run"].update(seconds=None), "run.seconds: must be a number, not null"),
    "fraction for a count": (
        lambda d: d["tests"][0].update(attempt=1.5),
        "tests[0].attempt: must be an integer",
    ),
    "object for a list": (lambda d: d.update(skips={}), "skips: must be a list, not an object"),
    "list for an object": (
        lambda d: d["run"].update(host=[]),
        "run.host: must be an object, not a list",
    ),
    "number for text": (
        lambda d: d["run"]["toolchain"].update(cc=12),
        "run.toolchain.cc: must be a string, not a number",
    ),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_a_wrong_file_is_refused_with_its_place(name: str) -> None:
    edit, sentence = WRONG[name]
    body = json.loads(json.dumps(synthetic().as_json()))
    edit(body)
    with pytest.raises(KseriesError) as caught:
        results_from_json(body, "here")
    assert sentence in caught.value.what
    assert caught.value.code is Exit.USAGE
    assert caught.value.details["field"] in sentence


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"schema": 2}', "results of schema 2, this harness reads 1"),
        ("[]", "results of schema None"),
        ('{"schema": 1, "run": {', "not JSON"),
        (b"\xff\xfe", "not JSON"),
    ],
)
def test_a_file_that_is_no_result(tmp_path: Path, content: str | bytes, sentence: str) -> None:
    path = tmp_path / "results.json"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(KseriesError, match=sentence):
        load_results(path)


def test_save_writes_nothing_that_load_would_refuse(tmp_path: Path) -> None:
    bad = synthetic()
    object.__setattr__(bad.benchmarks[0], "value", float("inf"))
    with pytest.raises(KseriesError, match=r"benchmarks\[0\].value: must be finite"):
        bad.save(tmp_path / "results.json")
    assert not list(tmp_path.iterdir())
