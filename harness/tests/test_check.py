from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.build.kernel import Kernel
from harness.check import mutants as mutants_module
from harness.check.choose import chosen
from harness.check.mutants import judge
from harness.check.resume import Ledger, commit_of, state_of_repository, state_of_series
from harness.check.slow import slow_stations
from harness.check.station import Station, StationResult, Tally
from harness.check.stations import Bench, count_junit
from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.kselftest.plan import Selection
from harness.pipeline.prepare import Prepared
from harness.results.model import Status, TestResult
from harness.series.mutants import Mutant, load_mutants, mutated_tree


def nothing(tally: Tally) -> None:
    tally.good()


STATIONS = [
    Station("source", "", (), 1, nothing),
    Station("kernels", "", (), 1, nothing, after=("source",)),
    Station("selftests", "", (), 1, nothing, after=("kernels",)),
    Station("form", "", (), 1, nothing),
]


def test_what_a_chosen_station_builds_on_comes_along_in_order() -> None:
    assert [s.name for s in chosen(STATIONS, "selftests")] == ["source", "kernels", "selftests"]
    assert len(chosen(STATIONS, None)) == 4
    assert [s.name for s in chosen(STATIONS, "fo*,sou?ce")] == ["source", "form"]


@pytest.mark.parametrize("only", ["nope", ",", "form,nope", "form,no*"])
def test_an_unknown_station_is_a_usage_error(only: str) -> None:
    with pytest.raises(KseriesError) as caught:
        chosen(STATIONS, only)
    assert caught.value.code == Exit.USAGE


@pytest.fixture
def repo(tmp_path: Path) -> Paths:
    root = tmp_path / "repo"
    (root / "docs").mkdir(parents=True)
    (root / "a.py").write_text("a")
    (root / "docs/guide.md").write_text("words")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    subprocess.run(["git", "add", "-A"], cwd=root, check=True)
    return Paths(root, tmp_path / "cache", tmp_path / "out")


LEDGER = [
    Station("form", "", (), 1, nothing),
    Station("kasan", "", (), 1, nothing, of_series=True),
]


def test_a_ledger_goes_on_where_it_stopped_and_runs_failures_again(repo: Paths) -> None:
    ledger = Ledger.open(repo, LEDGER, full=True, fresh=False)
    ledger.keep(StationResult("form", "done", Tally(passed=2), 1.0))
    ledger.keep(StationResult("kasan", "done", Tally(failed=1, problems=["x"]), 1.0))
    again = Ledger.open(repo, LEDGER, full=True, fresh=False)
    assert list(again.finished) == ["form"]
    assert again.finished["form"].tally.passed == 2
    assert not Ledger.open(repo, LEDGER, full=True, fresh=True).finished
    assert not Ledger.open(repo, LEDGER, full=False, fresh=False).finished


def test_an_edit_of_code_forgets_and_an_edit_of_prose_does_not(repo: Paths) -> None:
    before = state_of_repository(repo)
    (repo.repo / "docs/guide.md").write_text("other words")
    assert state_of_repository(repo) == before
    (repo.repo / "a.py").write_text("b")
    assert state_of_repository(repo) != before


def test_what_shows_the_series_outlives_an_edit_of_the_harness(repo: Paths) -> None:
    ledger = Ledger.open(repo, LEDGER, full=True, fresh=False)
    ledger.keep(StationResult("form", "done", Tally(passed=2), 1.0))
    ledger.keep(StationResult("kasan", "done", Tally(passed=3), 1.0))
    (repo.repo / "a.py").write_text("b")
    ledger = Ledger.open(repo, LEDGER, full=True, fresh=False)
    assert list(ledger.finished) == ["kasan"]
    (repo.repo / "patches").mkdir()
    (repo.repo / "patches/series").write_text("one.patch\n")
    subprocess.run(["git", "add", "-A"], cwd=repo.repo, check=True)
    assert not Ledger.open(repo, LEDGER, full=True, fresh=False).finished


def test_two_runs_add_to_one_ledger(repo: Paths) -> None:
    one = Ledger.open(repo, LEDGER, full=True, fresh=False)
    two = Ledger.open(repo, LEDGER, full=True, fresh=False)
    one.keep(StationResult("form", "done", Tally(passed=2), 1.0))
    two.keep(StationResult("kasan", "done", Tally(passed=3), 1.0))
    assert set(Ledger.open(repo, LEDGER, full=True, fresh=False).finished) == {"form", "kasan"}


def test_a_clone_goes_on_from_the_committed_ledger(repo: Paths, tmp_path: Path) -> None:
    ledger = Ledger.open(repo, LEDGER, full=True, fresh=False)
    ledger.keep(StationResult("kasan", "done", Tally(passed=3), 1.0))
    (repo.repo / "docs/results").mkdir()
    ledger.write_beside(repo.repo / "docs/results/ci-full.md")
    clone = Paths(repo.repo, tmp_path / "cache", tmp_path / "elsewhere")
    kept = Ledger.open(clone, LEDGER, full=True, fresh=False).finished
    assert kept["kasan"].tally.passed == 3
    assert "cores" in kept["kasan"].host


def test_a_kept_result_names_its_commit_and_edits_beside_it(repo: Paths) -> None:
    assert commit_of(repo) == ""  # nothing committed yet
    words = ["-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "first"]
    subprocess.run(["git", *words], cwd=repo.repo, check=True)
    clean = commit_of(repo)
    assert len(clean) == 12
    (repo.repo / "docs/guide.md").write_text("other words")
    assert commit_of(repo) == clean
    (repo.repo / "a.py").write_text("b")
    assert commit_of(repo) == clean + "+"
    ledger = Ledger.open(repo, LEDGER, full=True, fresh=False)
    ledger.keep(StationResult("form", "done", Tally(passed=2), 1.0))
    assert [r.commit for r in ledger.results(LEDGER)] == [clean + "+"]


def test_no_junit_or_no_case_is_a_failure(tmp_path: Path) -> None:
    tally = Tally()
    count_junit(tmp_path / "missing.xml", "boom", tally)
    assert tally.failed == 1
    empty = tmp_path / "empty.xml"
    empty.write_text("<testsuites><testsuite/></testsuites>")
    tally = Tally()
    count_junit(empty, "", tally)
    assert tally.problems == ["no unit test ran"]


def test_junit_cases_are_counted_by_outcome(tmp_path: Path) -> None:
    xml = tmp_path / "unit.xml"
    xml.write_text(
        "<testsuites><testsuite>"
        '<testcase classname="t" name="a"/>'
        '<testcase classname="t" name="b"><failure>assert 1 == 2</failure></testcase>'
        '<testcase classname="t" name="c"><skipped/></testcase>'
        "</testsuite></testsuites>"
    )
    tally = Tally()
    count_junit(xml, "", tally)
    assert (tally.passed, tally.failed, tally.skipped) == (1, 1, 1)
    assert tally.problems == ["t::b: assert 1 == 2"]


DIFF = """\
--- a/file
+++ b/file
@@ -1 +1 @@
-old
+new
"""


def test_mutants_name_their_cases(tmp_path: Path) -> None:
    folder = tmp_path / "area" / "mutants"
    folder.mkdir(parents=True)
    (folder / "x.patch").write_text("Breaks it.\n\nFails: one, two\n\n" + DIFF)
    (mutant,) = load_mutants(tmp_path)
    assert mutant.name == "area/x"
    assert mutant.fails == ("one", "two")
    (folder / "y.patch").write_text("Names no case.\n\n" + DIFF)
    with pytest.raises(KseriesError) as caught:
        load_mutants(tmp_path)
    assert "y.patch" in caught.value.where


def test_the_repositorys_mutants_are_whole() -> None:
    assert load_mutants(Paths.discover().repo / "selftests")


def test_a_mutant_is_caught_only_by_a_case_it_names() -> None:
    mutant = Mutant("area", Path("x.patch"), ("one",))
    row = TestResult("agent/area", "one", "patched", 1, Status.PASS)
    other = TestResult("agent/area", "two", "patched", 1, Status.FAIL)
    assert "did not fail" in judge(mutant, [row, other])
    assert judge(mutant, [TestResult("agent/area", "one", "patched", 1, Status.FAIL)]) == ""


def test_each_area_with_mutants_has_its_station(repo: Paths) -> None:
    for area in ("one", "two"):
        folder = repo.repo / "selftests" / area / "mutants"
        folder.mkdir(parents=True)
        (folder / f"{area}.patch").write_text("Fails: x\n" + DIFF)
    names = {s.name for s in slow_stations(Bench(cast(Any, SimpleNamespace(paths=repo)), 1))}
    assert {name for name in names if name.startswith("controls")} == {
        "controls-one",
        "controls-two",
    }
    assert [m.name for m in load_mutants(repo.repo / "selftests", "two")] == ["two/two"]


def test_a_mutant_may_name_the_programs_that_run() -> None:
    mutant = Mutant("area", Path("x.patch"), ("p:one", "p:two", "q:one"))
    assert mutant.patterns == ("area:p", "area:q")
    assert Mutant("area", Path("x.patch"), ("p:one", "two")).patterns == ("area",)
    right = TestResult("agent/area:q", "one", "patched", 1, Status.FAIL)
    wrong = TestResult("agent/area:q", "two", "patched", 1, Status.FAIL)
    assert judge(mutant, [wrong, right]) == ""
    assert "did not fail" in judge(mutant, [wrong])


def test_tools_are_tested_from_the_mutants_own_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Prepared] = []

    def plan_tests(run: object, prepared: Prepared, selection: Selection) -> None:
        seen.append(prepared)
        assert selection.patterns == ("area",)
        raise StopIteration

    monkeypatch.setattr(mutants_module, "start_run", lambda context: None)
    monkeypatch.setattr(mutants_module, "plan_tests", plan_tests)
    base, patched, broken = (cast(Kernel, name) for name in ("base", "patched", "broken"))
    some = cast(Any, None)
    prepared = Prepared(some, some, some, "prod", base, patched)
    bench = Bench(cast(Any, None), 1, prepared=prepared)
    with pytest.raises(StopIteration):
        mutants_module._results(bench, Mutant("area", Path("x.patch"), ("one",)), broken)
    assert [(p.base, p.patched) for p in seen] == [(base, broken)]


def test_a_series_on_another_pin_has_a_state_of_its_own(repo: Paths) -> None:
    def write(name: str, text: str) -> None:
        path = repo.repo / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        subprocess.run(["git", "add", name], cwd=repo.repo, check=True)

    write("pin.toml", "one")
    write("pins/9.toml", "two")
    write("patches/series", "")
    other = dataclasses.replace(repo, pin=repo.repo / "pins/9.toml")
    before = state_of_series(repo)
    write("patches/on/9/series", "")
    assert state_of_series(repo) == before
    first = state_of_series(other)
    assert first != before
    write("patches/on/9/series", "# changed\n")
    assert state_of_series(repo) == before
    assert state_of_series(other) != first
    write("patches/series", "# changed\n")
    assert state_of_series(repo) != before


def test_a_mutant_that_does_not_apply_is_an_error(repo: Paths, tmp_path: Path) -> None:
    root = repo.repo
    (root / "file").write_text("old\n")
    subprocess.run(["git", "add", "file"], cwd=root, check=True)
    tree = subprocess.run(
        ["git", "write-tree"], cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()
    patch = tmp_path / "m.patch"
    patch.write_text("Fails: one\n" + DIFF)
    assert mutated_tree(root, tree, Mutant("a", patch, ("one",))) != tree
    patch.write_text("Fails: one\n" + DIFF.replace("old", "other"))
    with pytest.raises(KseriesError) as caught:
        mutated_tree(root, tree, Mutant("a", patch, ("one",)))
    assert caught.value.code == Exit.APPLY
