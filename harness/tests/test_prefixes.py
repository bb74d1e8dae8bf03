"""build --each --boot with kernels and guests that are played."""

from __future__ import annotations

import argparse
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.build import selftests as own_tests
from harness.build.each import build_each
from harness.check import slow
from harness.check.prefixes import PrefixBoot, PrefixTests, whole_from
from harness.check.station import Tally
from harness.check.stations import Bench
from harness.cli import build as build_verb
from harness.core.context import Context
from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.core.ui import Ui
from harness.guest import session
from harness.guest.job import Fate, Machine
from harness.kselftest.campaign import TOPOLOGY_4X2
from harness.lint.ledger import Cell, Row
from harness.pipeline import evidence
from harness.pipeline.run import start_run
from harness.tests.played_kernels import Patch, play_builds
from harness.tests.test_campaign import BANNER, WARN, Guest, Plays

PATCHES = {
    Patch("x/one.patch", "t1"): ("mm/a.c",),
    Patch("x/two.patch", "t2"): ("mm/b.c",),
    Patch("y/three.patch", "t3"): ("tools/c.c",),
}
PATCH = """\
Subject: [PATCH] x: Do it

So.
---
diff --git a/mm/a.c b/mm/a.c
--- a/mm/a.c
+++ b/mm/a.c
@@ -1 +1 @@
-a
+b
"""
LEDGER = """\
[topic.x]
selftest = ["alpha:test_alpha"]
[patch."x/one.patch"]
selftest = ["alpha:test_alpha:first"]
[topic.y]
selftest = ["tool:test_tool"]
"""
PLANS = {
    "alpha": '[program.test_alpha]\nbase = "skip"\nreason = "it is not there"\n',
    "stray": '[program.test_stray]\nbase = "pass"\n',
    "tool": 'tree = "patched"\n[program.test_tool]\nbase = "pass"\n',
}
GOOD = Plays("1..2\nok 1 a\nok 2 b\n")
TESTS = {area: f"agent.{area}:test_{area}" for area in PLANS}


class World:
    """A repository of three patches and three areas; what it builds and boots is played."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, text in {
            "kconfig/sets.toml": '[prod]\ndescription = "d"\nfragments = ["base.config"]\n',
            "kconfig/base.config": "CONFIG_A=y\n",
            "patches/series": "".join(f"{patch.file}\n" for patch in PATCHES),
            "patches/ledger.toml": LEDGER,
            **{f"patches/{patch.file}": PATCH for patch in PATCHES},
            **{f"selftests/{area}/plan.toml": text for area, text in PLANS.items()},
            **{f"selftests/{area}/Makefile": "" for area in PLANS},
        }.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        self.paths = Paths(root, root / "cache", root / "out")
        self.context = Context(self.paths, Ui(stream=io.StringIO()))
        self.warnings: dict[str, tuple[str, ...]] = dict.fromkeys(("base", "t1", "t2", "t3"), ())
        self.built = play_builds(monkeypatch, self.paths, self.warnings, PATCHES)
        self.plays: dict[str, Mapping[str, Plays]] = {}  # by tree, what is not as it should be
        self.guest = Guest(self._script)
        self.made: list[tuple[str, list[str], str, list[str]]] = []
        monkeypatch.setattr(evidence, "build_selftests", self._selftests)
        monkeypatch.setattr(session, "run_job", self.guest)

    def _script(self, machine: Machine, boot: int) -> Mapping[str, Plays]:
        assert machine.topology == TOPOLOGY_4X2
        fine = {"kernel:boots": Plays(), **dict.fromkeys(TESTS.values(), GOOD)}
        return {**fine, **self.plays.get(machine.kernel.parent.name.removeprefix("k-"), {})}

    def _selftests(self, paths: Paths, kernel: Any, **asked: Any) -> own_tests.Install:
        areas = [*asked["areas"], *asked["patched_areas"]]
        row = (kernel.tree, asked["areas"], asked["patched"].tree, asked["patched_areas"])
        self.made.append(row)
        programs = [
            own_tests.TestProgram(f"agent/{a}", f"test_{a}", paths.builds / a, 45.0) for a in areas
        ]
        return own_tests.Install(paths.builds / "tests", tuple(programs), (), 0.0)

    def boot(self) -> list[PrefixBoot]:
        """Do it once, as the verb does."""
        tests = PrefixTests(self.context, lambda: start_run(self.context))
        build_each(self.paths, self.context.ui, visit=tests)
        return tests.boots

    def boots(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return (tree, names of commands) of each boot since the last call."""
        found = [(name.removeprefix("k-"), commands) for name, commands in self.guest.boots]
        self.guest.boots.clear()
        return found


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_an_area_exists_from_the_last_patch_that_it_shows() -> None:
    def row(number: int, *names: str) -> Row:
        return Row(f"t/{number}.patch", "s", {"selftest": Cell(names, "" if names else "text")})

    rows = [row(1, "a:p:c"), row(2, "b:p", "a:q"), row(3), row(4, "ab:p")]
    found = whole_from(rows, ["a", "b", "ab", "nobody's"])
    assert found == {"a": 2, "b": 2, "ab": 4, "nobody's": 4}


def test_each_prefix_runs_the_areas_that_are_whole_in_it(world: World) -> None:
    found = world.boot()
    assert world.boots() == [
        ("t1", ("kernel:boots",)),
        ("t2", ("kernel:boots", TESTS["alpha"])),
        ("t3", ("kernel:boots", *TESTS.values())),
    ]
    # Tests are the base's files, but for those of what the series adds to tools/.
    assert world.made == [
        ("base", ["alpha"], "t2", []),
        ("base", ["alpha", "stray"], "t3", ["tool"]),
    ]
    assert [(b.patch, b.areas, b.passed, b.code, b.kept) for b in found] == [
        ("x/one.patch", (), 0, Exit.OK, False),
        ("x/two.patch", ("alpha",), 2, Exit.OK, False),
        ("y/three.patch", ("alpha", "stray", "tool"), 6, Exit.OK, False),
    ]


def test_an_interrupted_run_goes_on_where_it_stopped(world: World) -> None:
    def interrupt(machine: Machine, boot: int) -> Mapping[str, Plays]:
        if machine.kernel.parent.name == "k-t2":
            raise KeyboardInterrupt
        return script(machine, boot)

    script, world.guest.script = world.guest.script, interrupt
    with pytest.raises(KeyboardInterrupt):
        world.boot()
    world.boots()
    world.built.clear()
    world.guest.script = script
    assert [b.kept for b in world.boot()] == [True, False, False]
    assert [tree for tree, _ in world.boots()] == ["t2", "t3"]
    assert world.built == ["base", "t2", "t3"]
    world.built.clear()
    kept = world.boot()
    assert [(b.passed, b.kept) for b in kept] == [(0, True), (2, True), (6, True)]
    assert (world.boots(), world.built) == ([], ["base"])


def test_what_a_result_depends_on(world: World) -> None:
    def again() -> list[str]:
        world.boots()
        world.boot()
        return [tree for tree, _ in world.boots()]

    world.boot()
    assert again() == []
    mutant = world.paths.repo / "selftests/alpha/mutants/new.patch"
    mutant.parent.mkdir()
    mutant.write_text("Fails: a\n")
    assert again() == []
    (world.paths.repo / "selftests/alpha/test_alpha.c").write_text("int more;\n")
    assert again() == ["t2", "t3"]
    (world.paths.repo / "selftests/tool/test_tool.c").write_text("int more;\n")
    assert again() == ["t3"]
    ledger = world.paths.repo / "patches/ledger.toml"
    ledger.write_text(LEDGER.replace("alpha:test_alpha:first", "stray:test_stray"))
    assert again() == ["t1", "t2"]
    (world.paths.repo / "kconfig/base.config").write_text("CONFIG_A=n\n")
    assert again() == ["t1", "t2", "t3"]


PANIC = Plays("", None, fate=Fate.DIED)
HANG = Plays("1..2\nok 1 a\n", None, fate=Fate.HUNG)


@pytest.mark.parametrize(
    ("broken", "code", "says"),
    [
        (("t1", "kernel:boots", PANIC), Exit.DIED, "Kernel panic"),
        (("t2", TESTS["alpha"], PANIC), Exit.DIED, "died under agent.alpha:test_alpha"),
        (("t2", TESTS["alpha"], HANG), Exit.HANG, "hung under agent.alpha:test_alpha"),
        (("t2", TESTS["alpha"], Plays(GOOD.log, console=WARN)), Exit.SPLAT, "WARNING"),
        (("t3", TESTS["tool"], Plays("1..2\nok 1 a\nnot ok 2 b\n", 1)), Exit.TEST, "tool b"),
        # Where its feature is, a test may not skip as it does on the base.
        (("t2", TESTS["alpha"], Plays("1..0 # SKIP no\n", 4)), Exit.TEST, "skipped where it must"),
    ],
)
def test_a_prefix_that_fails_is_named_with_its_console(
    world: World, broken: tuple[str, str, Plays], code: Exit, says: str
) -> None:
    tree, command, play = broken
    world.plays[tree] = {command: play}
    outcome = build_verb.run(_args("--each", "--boot"), world.context)
    assert outcome.code == code
    (row,) = [row for row in outcome.data["prefixes"] if row["boot"]["exit"]]
    patch = next(patch.file for patch in PATCHES if patch.tree == tree)
    assert (row["patch"], row["tree"]) == (patch, tree)
    assert row["boot"]["exit"] == code
    assert any(says in problem for problem in row["boot"]["problems"]), row["boot"]["problems"]
    console = Path(row["boot"]["console"])
    assert console.read_text().startswith(BANNER)
    assert patch.removesuffix(".patch").replace("/", "-") in str(console)
    lines = outcome.text.splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith(f"{patch}: builds"))
    assert f"exit {int(code)}" in lines[first]
    assert f"    console: {console}" in lines[first:]
    # The others have run, and are known; what failed runs again.
    world.boots()
    del world.plays[tree]
    assert build_verb.run(_args("--each", "--boot"), world.context).code == Exit.OK
    assert [name for name, _ in world.boots()] == [tree]


def _args(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    build_verb.add_arguments(parser)
    return parser.parse_args(words)


def test_the_worst_prefix_gives_the_exit_status(world: World) -> None:
    world.plays["t2"] = {TESTS["alpha"]: Plays("1..1\nnot ok 1 a\n", 1)}
    world.warnings["t3"] = ("mm/b.c:2: warning: new",)
    outcome = build_verb.run(_args("--each", "--boot"), world.context)
    assert outcome.code == Exit.BUILD
    (world.paths.repo / "selftests/tool/test_tool.c").write_text("int more;\n")
    world.plays["t3"] = {"kernel:boots": PANIC}
    outcome = build_verb.run(_args("--each", "--boot"), world.context)
    assert outcome.code == Exit.DIED
    assert [row["boot"]["exit"] for row in outcome.data["prefixes"]] == [0, 1, 5]
    assert [row["boot"]["kept"] for row in outcome.data["prefixes"]] == [True, False, False]


def test_a_build_break_tells_what_the_prefixes_before_it_showed(world: World) -> None:
    del world.warnings["t3"]
    with pytest.raises(KseriesError) as caught:
        build_verb.run(_args("--each", "--boot"), world.context)
    assert caught.value.code is Exit.BUILD
    told = caught.value.as_json()
    assert told["patches"] == ["y/three.patch"]
    assert [(row["patch"], row["exit"]) for row in told["boots"]] == [
        ("x/one.patch", 0),
        ("x/two.patch", 0),
    ]
    (world.paths.repo / "selftests/alpha/test_alpha.c").write_text("int more;\n")
    world.plays["t2"] = {TESTS["alpha"]: PANIC}
    with pytest.raises(KseriesError, match=r"before that, x/two\.patch: exit 5") as caught:
        build_verb.run(_args("--each", "--boot"), world.context)
    assert caught.value.code is Exit.DIED
    assert "does not build" in str(caught.value)


def test_selftests_that_do_not_build_name_the_prefix(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> own_tests.Install:
        raise KseriesError(Exit.BUILD, "the selftests of agent/alpha do not build")

    monkeypatch.setattr(evidence, "build_selftests", broken)
    with pytest.raises(KseriesError, match=r"on the series up to x/two\.patch") as caught:
        world.boot()
    assert caught.value.details["patches"] == ["x/two.patch"]


def test_boot_alone_is_a_usage_error(world: World) -> None:
    with pytest.raises(KseriesError, match="--boot belongs to --each") as caught:
        build_verb.run(_args("--boot"), world.context)
    assert caught.value.code is Exit.USAGE


def test_the_station_counts_cases_and_names_what_failed(world: World) -> None:
    world.plays["t2"] = {TESTS["alpha"]: Plays("1..2\nok 1 a\nnot ok 2 b\n", 1)}
    bench = Bench(world.context, 1)
    (station,) = [s for s in slow.slow_stations(bench) if s.name == "each-boot"]
    assert station.of_series
    tally = Tally()
    station.work(tally)
    # Boots of t1 and t3, the good case of t2, and all six of t3.
    assert (tally.passed, tally.failed, tally.code) == (9, 1, Exit.TEST)
    (problem,) = tally.problems
    assert problem.startswith("x/two.patch: agent/alpha:test_alpha b: failed")
    assert "02-x-two/boots/patched-1/console.log" in problem
