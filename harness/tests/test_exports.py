from __future__ import annotations

import copy
import subprocess
from pathlib import Path

import pytest

from harness.core.errors import Exit, KseriesError
from harness.exports.kcidb import kcidb_report, patchset_hash, path_of
from harness.exports.lava import REPORT, lava_job, own_collections, qemu_options
from harness.results.model import Results, Status, TestResult
from harness.tests.synthetic_results import synthetic

kcidb_schema = pytest.importorskip("kcidb_io.schema")
yaml = pytest.importorskip("yaml")


def test_a_report_that_kcidb_takes() -> None:
    results = synthetic()
    report = kcidb_report(results, "mylab", [b"one", b"two"])
    latest = kcidb_schema.LATEST
    assert latest.is_valid(report)
    assert [item["id"] for item in report["builds"]] == [
        f"mylab:{results.run.id}-base",
        f"mylab:{results.run.id}-patched",
    ]
    tests = [item for item in report["tests"] if "-test-" in item["id"]]
    assert len(tests) == len(results.tests)
    for item, test in zip(tests, results.tests, strict=True):
        assert item["build_id"].endswith(f"-{test.arm}")
        assert item["misc"]["status"] == test.status
    assert {item["status"] for item in tests} >= {"PASS", "FAIL", "SKIP"}
    figures = [item for item in report["tests"] if "-figure-" in item["id"]]
    assert [item["number"]["value"] for item in figures] == [b.value for b in results.benchmarks]
    assert results.run.base_commit not in str(report)


def test_what_no_patch_is_known_of() -> None:
    report = kcidb_report(synthetic(), "mylab")
    base, patched = report["checkouts"]
    assert base["patchset_hash"] == ""
    assert "patchset_hash" not in patched
    # sha256 of "sha256(one)\nsha256(two)\n", by sha256sum.
    lines = b"".join(
        subprocess.run(["sha256sum"], input=data, capture_output=True, check=True).stdout[:64]
        + b"\n"
        for data in (b"one", b"two")
    )
    whole = subprocess.run(["sha256sum"], input=lines, capture_output=True, check=True).stdout
    assert patchset_hash([b"one", b"two"]) == whole[:64].decode()


def test_a_report_that_does_not_fit_is_refused() -> None:
    report = kcidb_report(synthetic(), "mylab")
    broken = copy.deepcopy(report)
    broken["tests"][0]["path"] = "a b"
    assert not kcidb_schema.LATEST.is_valid(broken)
    with pytest.raises(KseriesError) as caught:
        kcidb_report(synthetic(), "My Lab")
    assert caught.value.code == Exit.USAGE


def test_paths() -> None:
    assert (
        path_of("kselftest", "agent/a:b", "core.it works!") == "kselftest.agent.a.b.core.it_works"
    )
    assert path_of("x", "%") == "x._"


def own_run() -> Results:
    """Return results of two own areas and one of upstream's on 4x2."""
    from dataclasses import replace

    results = synthetic()
    tests = tuple(
        TestResult(suite, "case", "patched", 1, Status.PASS)
        for suite in ("agent/one:test_a", "agent/two", "agent/one:test_b", "upstream/cgroup:c")
    )
    nodes = [{"cpus": 2, "memory": 512} for _ in range(4)]
    run = replace(results.run, topology={"nodes": nodes, "distances": []})
    return replace(results, run=run, tests=tests)


def test_a_job_boots_the_topology_and_runs_own_tests_alone() -> None:
    job = lava_job(own_run(), "https://x.example/a/", "https://x.example/root.img.xz")
    assert yaml.safe_load(yaml.safe_dump(job)) == job
    deploy, boot, test = (next(iter(action.values())) for action in job["actions"])
    assert deploy["images"]["kernel"]["url"] == "https://x.example/a/bzImage"
    assert deploy["images"]["rootfs"]["compression"] == "xz"
    assert boot["method"] == "qemu"
    steps = test["definitions"][0]["repository"]["run"]["steps"]
    assert "-c agent/one; ./run_kselftest.sh -c agent/two)" in steps[2]
    assert "cgroup" not in "".join(steps)
    assert job["context"]["memory"] == 2048
    assert "8,sockets=4,cores=2,threads=1" in job["context"]["extra_options"]


def test_nothing_of_ours_is_no_job() -> None:
    from dataclasses import replace

    with pytest.raises(KseriesError, match="no selftests of ours"):
        lava_job(replace(own_run(), tests=()), "u", "r")
    assert own_collections(own_run()) == ["agent/one", "agent/two"]


def test_nodes_without_cpus_or_memory() -> None:
    nodes = [{"cpus": 4, "memory": 0}, {"cpus": 0, "memory": 512}]
    assert qemu_options(nodes) == [
        "-smp", "4,sockets=1,cores=4,threads=1", "-numa", "node,nodeid=0,cpus=0-3",
        "-object", "memory-backend-ram,id=mem1,size=512M", "-numa", "node,nodeid=1,memdev=mem1",
    ]  # fmt: skip


def test_what_the_lab_is_told_of_each_program(tmp_path: Path) -> None:
    tap = tmp_path / "tap"
    tap.write_text(
        "TAP version 13\n1..3\n# ok 1 inner\nok 1 selftests: agent/one: test_a\n"
        "not ok 2 selftests: agent/one: test_b # exit=1\n"
        "ok 3 selftests: agent/one: test_c # SKIP\n"
    )
    (tmp_path / "lava-test-case").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "lava-test-case").chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", REPORT.replace("/tmp/selftests.tap", str(tap))],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "agent_one_test_a --result pass",
        "agent_one_test_b --result fail",
        "agent_one_test_c --result skip",
    ]
