"""The verb bench from its arguments to stored results, without a guest or a compiler."""

import functools
import json
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import harness.pipeline
from harness.cli import bench, build_parser
from harness.core.context import Context
from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.core.ui import Ui
from harness.measure import campaign
from harness.measure.runner import run_plans
from harness.results.model import load_results
from harness.tests.measure_plans import KERNELS, FakeGuest, log

PLAN = """
feature = "speed"
title = "Speed"
patches = ["mm/one.patch"]
[[case]]
name = "one"
title = "One"
lanes = ["L2"]
command = "{bin}/one"
samples = 6
boots = 1
[[case.metric]]
name = "latency"
unit = "ms"
better = "lower"
statistics = ["p50"]
target = "patched.p50 < base.p50"
"""


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    """A repository with one plan, whose kernels are built and whose guests are not real."""
    (tmp_path / "benchmarks/speed").mkdir(parents=True)
    (tmp_path / "benchmarks/speed/plan.toml").write_text(textwrap.dedent(PLAN))
    paths = Paths(tmp_path, tmp_path / "cache", tmp_path / "out")

    def prepare(context: Context, *, want: tuple[str, ...]) -> Any:
        patch = SimpleNamespace(file="mm/one.patch", subject="mm: One")
        applied = SimpleNamespace(
            base_tree="a" * 40, top_tree="b" * 40, base_commit="c" * 40, patches=(patch,)
        )
        config = tmp_path / "config"
        config.write_text("CONFIG_X=y\n")
        kernels = {
            arm: SimpleNamespace(
                image=KERNELS[arm].image, config=config, config_hash="1", toolchain={}
            )
            for arm in want
        }
        return SimpleNamespace(
            pin=SimpleNamespace(version="6.18.15"),
            applied=applied,
            set_name="prod",
            kernels=kernels,
            seconds={},
        )

    def say(kernel: str, name: str) -> tuple[str, int]:
        return log(*([10.0 if kernel == "patched" else 100.0] * 6)), 0

    monkeypatch.setattr(harness.pipeline, "prepare", prepare)
    monkeypatch.setattr(
        campaign,
        "run_plans",
        functools.partial(run_plans, guest=FakeGuest(say), lane_problem=lambda *_: ""),
    )
    monkeypatch.setattr(
        campaign, "build_benchmark", lambda paths, folder, kernel, ui: Path("/bin") / folder.name
    )
    return Context(paths, Ui(quiet=True))


def arguments(*words: str) -> Any:
    return build_parser("bench").parse_args(["bench", *words])


def test_bench_stores_what_it_prints(context: Context, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = bench.run(arguments("speed", "--runs", "2", "--lane", "L2"), context)
    assert outcome.code == Exit.OK
    results = load_results(context.paths.out / "latest" / "results.json")
    assert [(b.arm, b.value, b.target_met) for b in results.benchmarks] == [
        ("base", 100.0, None),
        ("patched", 10.0, True),
    ]
    assert results.run.topology["nodes"][0] == {"cpus": 2, "memory": 512}
    assert results.run.commands == ("./kseries bench speed --seed 1 --lane L2 --runs 2",)
    assert len(results.tests) == 3
    assert set(results.run.stages) == {"build benchmarks", "benchmarks"}
    printed = capsys.readouterr().out
    assert "patched.p50 < base.p50 met" in printed
    assert "2 figures, 0 targets missed" in outcome.text
    assert outcome.data["run"] == results.run.id
    json.dumps(outcome.data)


def test_bad_arguments(context: Context) -> None:
    with pytest.raises(KseriesError, match="at least one boot"):
        bench.run(arguments("--runs", "0"), context)
    with pytest.raises(KseriesError, match="no benchmark topic 'slow'"):
        bench.run(arguments("slow"), context)
    with pytest.raises(KseriesError, match="no case of these plans") as caught:
        bench.run(arguments("speed", "--lane", "L1"), context)
    assert caught.value.code is Exit.USAGE
    assert not context.paths.out.exists()
    with pytest.raises(SystemExit):
        arguments("--lane", "L9")


def test_a_patch_that_is_not_in_the_series(context: Context) -> None:
    plan = context.paths.repo / "benchmarks/speed/plan.toml"
    plan.write_text(plan.read_text().replace("mm/one.patch", "mm/two.patch"))
    with pytest.raises(KseriesError, match=r"mm/two\.patch, which is not in the series"):
        bench.run(arguments("speed"), context)
