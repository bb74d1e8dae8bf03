"""Synthetic results: made-up runs that look like real ones, for tests alone.

No figure here was measured.  `python -m harness.tests.synthetic_results`
rewrites the stored files in data/results/, which the tests compare with what
this module makes.
"""

from __future__ import annotations

import dataclasses
import math
import random
from pathlib import Path

from harness.guest.topology import Node, Topology
from harness.results.model import (
    Benchmark,
    Calibration,
    Results,
    RunInfo,
    Skip,
    SplatRecord,
    Status,
    TestResult,
)

DATA = Path(__file__).parent / "data" / "results"
NOTE = "synthetic: not measured"

WARN = """\
------------[ cut here ]------------
WARNING: CPU: 3 PID: 412 at kernel/cgroup/freezer.c:211 cgroup_do_freeze+0x1a4/0x1c0
Modules linked in:
CPU: 3 UID: 0 PID: 412 Comm: test_freezer Not tainted 6.18.15 #1 PREEMPT
RIP: 0010:cgroup_do_freeze+0x1a4/0x1c0
Call Trace:
 <TASK>
 cgroup_freeze+0x8b/0x110
 cgroup_freeze_write+0x61/0xa0
 kernfs_fop_write_iter+0x12f/0x1d0
 vfs_write+0x2a8/0x440
 </TASK>
---[ end trace 0000000000000000 ]---"""


def run_info(run_id: str = "20260131-142501-3f9c") -> RunInfo:
    """Return where the made-up results come from."""
    return RunInfo(
        id=run_id,
        started="2026-01-31T14:25:01Z",
        seconds=1483.2,
        command="./kseries demo",
        accel="tcg",
        qemu="10.0.2",
        cpu="Haswell-v4",
        line="vng --run bzImage --force-9p --cpus 8,sockets=4,cores=2 --memory 2G "
        "--numa 512M,cpus=0-1 --numa 512M,cpus=2-3 --numa 512M,cpus=4-5 --numa 512M,cpus=6-7 "
        "--qemu-opts='-machine q35 -cpu Haswell-v4 -accel tcg,thread=multi' -- ./job.sh",
        topology=Topology((Node(2, 512),) * 4).as_json(),
        pin="6.18.15",
        base_tree="fee8e7b4208eb74080e6382a69236b61799e36a2",
        patched_tree="4b825dc642cb6eb9a060e54bf8d69288fbee4904",
        base_commit="83c831e5d1f4a4e3cd4f4d8b1f9b6a3a2f1c0d9e",
        patches=(
            {
                "file": "memcg/end-high-sleep-on-freeze.patch",
                "subject": "memcg: end the memory.high penalty sleep when a freeze is pending",
            },
            {
                "file": "uprobes/emulate-sub-rsp.patch",
                "subject": "x86/uprobes: emulate sub $imm, %rsp",
            },
        ),
        config="prod 5f0c9a1be7d2",
        toolchain={"cc": "gcc 12.2.0-14", "ld": "GNU ld 2.40", "pahole": "1.24"},
        host={
            "cpu": "2 x made-up CPU",
            "memory": "24 GiB",
            "kernel": "6.12.0",
            "os": "Debian GNU/Linux 12 (bookworm)",
            "python": "3.11.2",
        },
        commands=(
            "git checkout 0123456789ab",
            "./kseries test --repeat 1",
            "./kseries bench freeze uprobe munmap --runs 3 --seed 7",
        ),
        stages={"source": 26.0, "build": 604.0, "tests": 301.5, "benchmarks": 420.0},
    )


def _test(suite: str, name: str, arm: str, status: Status, **more: object) -> TestResult:
    attempt = int(str(more.pop("attempt", 1)))
    seconds = round(0.2 + (len(name) * 7 + len(suite)) % 23 / 10, 2)
    return dataclasses.replace(
        TestResult(suite, name, arm, attempt, status, seconds=seconds),
        **more,  # type: ignore[arg-type]
    )


def tests() -> tuple[TestResult, ...]:
    """Return own and upstream cases: a regression, a flaky one, and the usual rest."""
    P, F, S = Status.PASS, Status.FAIL, Status.SKIP  # noqa: N806
    made = []
    own = "agent/cgroup_freeze"
    for name in ("freeze_in_penalty", "freeze_leaves_tree", "kill_in_penalty"):
        made.append(_test(own, name, "base", F, expected="fail", reason="froze after 1.41 s"))
        made.append(_test(own, name, "patched", P))
    made.append(_test(own, "penalty_remains", "base", P, expected="pass"))
    made.append(_test(own, "penalty_remains", "patched", P))
    own = "agent/uprobe_sub_rsp"
    for name in ("imm8", "imm32", "task32", "wrong_encoding", "flags"):
        made.append(_test(own, name, "base", F, expected="fail", reason="single-stepped"))
        made.append(_test(own, name, "patched", P))
    suites = {
        "upstream/cgroup:test_core": 12,
        "upstream/cgroup:test_freezer": 9,
        "upstream/cgroup:test_kill": 4,
        "upstream/cgroup:test_memcontrol": 11,
        "upstream/seccomp:seccomp_bpf": 98,
    }
    for suite, count in suites.items():
        for index in range(count):
            name = f"test_{suite.rsplit('_', 1)[-1]}_{index:02d}"
            for arm in ("base", "base", "patched"):
                attempt = 2 if made and made[-1].name == name and arm == "base" else 1
                made.append(_test(suite, name, arm, P, attempt=attempt))
    for arm in ("base", "patched"):
        made.append(
            _test(
                "upstream/cgroup:test_memcontrol",
                "test_memcg_swap_max",
                arm,
                S,
                expected="as-base",
                reason="swap is not enabled",
            )
        )
        made.append(
            _test(
                "upstream/cgroup:test_memcontrol",
                "test_memcg_oom_group_score_events",
                arm,
                F,
                expected="as-base",
                reason="fails on both kernels alike",
            )
        )
        made.append(
            _test("upstream/x86:test_shadow_stack", "uprobe", arm, Status.XFAIL, expected="as-base")
        )
    bad = "upstream/cgroup:test_freezer"
    for attempt in (1, 2, 3):
        made.append(_test(bad, "test_cgfreezer_stopped", "base", P, attempt=attempt))
        made.append(
            _test(
                bad,
                "test_cgfreezer_stopped",
                "patched",
                F,
                attempt=attempt,
                verdict="regression",
                reason="passes on the base 3 of 3, fails patched 3 of 3",
            )
        )
        for arm, luck in (("base", (P, F, P)), ("patched", (F, P, P))):
            made.append(
                _test(
                    bad,
                    "test_cgfreezer_ptrace <&> [retry]",
                    arm,
                    luck[attempt - 1],
                    attempt=attempt,
                    verdict="flaky",
                    reason="fails now and then on both kernels",
                )
            )
    hang = "upstream/ftrace:dynevent/add_remove_uprobe.tc"
    made.append(_test(hang, "main", "base", P))
    made.append(
        _test(
            hang,
            "main",
            "patched",
            Status.TIMEOUT,
            verdict="failed",
            reason="no end within 45 s; killed",
        )
    )
    return tuple(made)


def _boots(seed: int, boots: int, count: int, middle: float, spread: float) -> list[list[float]]:
    """Return lognormal samples, boots x count."""
    rng = random.Random(seed)
    return [
        [float(f"{middle * math.exp(rng.gauss(0, spread)):.5g}") for _ in range(count)]
        for _ in range(boots)
    ]


def _quantile(samples: list[float], share: float) -> float:
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _rows(base: Benchmark, boots: list[list[float]], shares: dict[str, float]) -> list[Benchmark]:
    """Return a row per statistic of these samples, with the range over boots as interval."""
    flat = [value for boot in boots for value in boot]
    rows = []
    for statistic, share in shares.items():
        each = [_quantile(boot, share) for boot in boots]
        rows.append(
            dataclasses.replace(
                base,
                statistic=statistic,
                value=_quantile(flat, share),
                low=min(each),
                high=max(each),
                n=len(flat),
                samples=tuple(tuple(boot) for boot in boots) if statistic == "p50" else (),
                note=NOTE,
            )
        )
    return rows


def _blank(feature: str, name: str, lane: str, metric: str, unit: str) -> Benchmark:
    return Benchmark(feature, name, lane, "", metric, unit, "lower", "p50", 0.0, 0.0, 0.0, 0, ())


def benchmarks(uprobe_cost: float = 4210) -> tuple[Benchmark, ...]:
    """Return 600 samples with rivals in L1, counts in L2, a sweep in L3."""
    made: list[Benchmark] = []
    blank = _blank("freeze", "time to frozen", "L1", "latency", "ms")
    arms = [("base", "base", 1180.0, 0.42), ("patched", "patched", 3.1, 0.35)]
    arms += [("SIGSTOP", "rival", 1240.0, 0.4), ("cgroup v1 freezer", "rival", 1150.0, 0.45)]
    for seed, (arm, role, middle, spread) in enumerate(arms):
        rows = _rows(
            dataclasses.replace(blank, arm=arm, role=role),
            _boots(seed, 3, 200, middle, spread),
            {"p50": 0.5, "p99": 0.99},
        )
        if role == "patched":
            rows[1] = dataclasses.replace(
                rows[1], target="under 50 ms at P99", target_met=True, limit=50.0
            )
        made += rows
    blank = _blank("uprobe", "cost of a hit", "L1", "instructions", "instructions")
    costs = [("base", "base", 9120), ("patched", "patched", uprobe_cost)]
    costs += [("push (emulated)", "rival", 3990), ("nop5", "rival", 1240)]
    for seed, (arm, role, cost) in enumerate(costs):
        rows = _rows(
            dataclasses.replace(blank, arm=arm, role=role),
            _boots(seed + 20, 3, 40, cost, 0.0004),
            {"p50": 0.5},
        )
        if role == "patched":
            rows[0] = dataclasses.replace(
                rows[0],
                target="within 3 % of the emulated push class",
                target_met=uprobe_cost <= 3990 * 1.03,
                limit=3990 * 1.03,
            )
        made += rows
    for busy in (1, 2, 4, 8):
        ipis = _blank("munmap", "shootdown", "L2", "IPIs per munmap", "IPIs")
        ipis = dataclasses.replace(ipis, x=float(busy), x_label="busy CPUs")
        time = _blank("munmap", "shootdown", "L3", "time per munmap", "us")
        time = dataclasses.replace(time, x=float(busy), x_label="busy CPUs")
        ideas = [("base", "base", 1.0), ("patched", "patched", 1.0), ("batched", "rival", 0.6)]
        for seed, (arm, role, factor) in enumerate(ideas):
            count = float(busy - 1) if role != "rival" else round((busy - 1) * factor, 2)
            made.append(
                dataclasses.replace(
                    ipis,
                    arm=arm,
                    role=role,
                    statistic="mean",
                    value=count,
                    low=count,
                    high=count,
                    n=3,
                    samples=((count,), (count,), (count,)),
                    note=NOTE,
                )
            )
            middle = (40 + 85.0 * (busy - 1)) * factor
            made += _rows(
                dataclasses.replace(time, arm=arm, role=role),
                _boots(40 + busy * 3 + seed, 3, 30, middle, 0.05),
                {"p50": 0.5},
            )
    return tuple(made)


def synthetic() -> Results:
    """Return the run that shows everything, and fails."""
    return Results(
        run=run_info(),
        tests=tests(),
        benchmarks=benchmarks(),
        calibrations=(
            Calibration(
                "L1",
                0.001,
                {"loop_1": 1000000.0, "loop_2": 1000041.0},
                "10.0.2",
                "a loop of known length in two boots agrees to 0.004 %",
            ),
            Calibration(
                "L3",
                0.07,
                {"share_min": 0.89, "share_max": 1.22, "munmap_1": 0.66, "munmap_2": 0.70},
                "10.0.2",
                "shares of 8 spinners within 0.89 and 1.22; munmap in two boots 0.66 and 0.70 ms",
            ),
        ),
        splats=(
            SplatRecord(
                "tests-patched-1",
                "patched",
                "warn",
                "WARNING: kernel/cgroup/freezer.c:211 at cgroup_do_freeze+0x1a4/0x1c0",
                WARN,
            ),
            SplatRecord(
                "tests-base-1",
                "base",
                "oom-kill",
                "Memory cgroup out of memory: Killed process 512 (test_memcontrol)",
                "Memory cgroup out of memory: Killed process 512 (test_memcontrol)\n<script>",
                "test_memcontrol provokes it; until 2026-12-31",
            ),
        ),
        skips=(
            Skip("lane HW", "this host has one NUMA node"),
            Skip("upstream/mm: hmm, page_frag, vmalloc", "need modules; the config has none"),
        ),
    )


def passing() -> Results:
    """Return a run in which nothing fails, on a topology with every oddity."""
    full = synthetic()
    quiet = tuple(
        dataclasses.replace(test, status=Status.PASS, verdict="ok", reason="")
        if test.verdict in {"regression", "failed"}
        else test
        for test in full.tests
    )
    odd = Topology(
        (Node(4, 1024), Node(4, 512), Node(0, 2048), Node(4, 0)),
        ((10, 16, 24, 24), (16, 10, 24, 24), (24, 24, 10, 16), (24, 24, 16, 10)),
    )
    run = dataclasses.replace(run_info("20260201-080000-00aa"), topology=odd.as_json())
    return dataclasses.replace(
        full, run=run, tests=quiet, benchmarks=benchmarks(4050), splats=full.splats[1:]
    )


def small() -> Results:
    """Return one case of every outcome, for whole-file comparisons."""
    made = (
        _test("agent/a", "works", "base", Status.FAIL, expected="fail", reason="not yet"),
        _test("agent/a", "works", "patched", Status.PASS),
        _test(
            "agent/a",
            "tests nothing",
            "base",
            Status.PASS,
            expected="fail",
            verdict="unexpected-pass",
        ),
        _test("agent/a", "tests nothing", "patched", Status.PASS),
        _test("upstream/b:c", "breaks # here", "base", Status.PASS),
        _test("upstream/b:c", "breaks # here", "patched", Status.FAIL, verdict="regression"),
        _test("upstream/b:c", "panics", "base", Status.PASS),
        _test(
            "upstream/b:c",
            "panics",
            "patched",
            Status.CRASH,
            verdict="regression",
            reason="\x1b[31mKernel panic\x1b[0m\x00 <oops> & more",
        ),
        _test("upstream/b:c", "lost", "base", Status.PASS),
        _test("upstream/b:c", "lost", "patched", Status.MISSING, verdict="failed"),
        _test("upstream/b:c", "lucky", "base", Status.FAIL, verdict="flaky"),
        _test("upstream/b:c", "lucky", "base", Status.PASS, attempt=2, verdict="flaky"),
        _test("upstream/b:c", "lucky", "patched", Status.PASS, verdict="flaky"),
        _test("upstream/b:c", "never", "base", Status.SKIP, reason="no swap"),
        _test("upstream/b:c", "never", "patched", Status.SKIP, reason="no swap"),
        _test("upstream/b:c", "known", "base", Status.XFAIL, reason="see its comment"),
        _test("upstream/b:c", "known", "patched", Status.XFAIL, reason="see its comment"),
        _test("upstream/b:c", "old", "base", Status.FAIL, expected="as-base"),
        _test("upstream/b:c", "old", "patched", Status.FAIL, expected="as-base"),
    )
    full = synthetic()
    targets = tuple(row for row in full.benchmarks if row.target)
    return dataclasses.replace(full, tests=made, benchmarks=targets)


STORED = {"synthetic-failing.json": synthetic, "synthetic-passing.json": passing}

if __name__ == "__main__":
    for name, make in STORED.items():
        make().save(DATA / name)
