from __future__ import annotations

import argparse
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.build import arms, each
from harness.build.kernel import Kernel
from harness.cli import build as build_verb
from harness.cli import config as config_verb
from harness.core.context import Context
from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.core.ui import Ui
from harness.source.gitrepo import git
from harness.tests.played_kernels import Patch, kernel, play_builds

OLD = "mm/a.c:1: warning: old"
NEW = "mm/b.c:2: warning: new"


@pytest.fixture
def context(tmp_path: Path) -> Context:
    (tmp_path / "kconfig").mkdir()
    (tmp_path / "kconfig/sets.toml").write_text(
        '[prod]\ndescription = "what is measured"\nfragments = ["base.config"]\n'
    )
    (tmp_path / "kconfig/base.config").write_text("CONFIG_A=y\n")
    paths = Paths(tmp_path, tmp_path / "cache", tmp_path / "out")
    return Context(paths, Ui(stream=io.StringIO()))


@pytest.fixture
def series(context: Context, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[str, ...]]:
    """Two patches; the returned table says what each tree's build warns of."""
    warnings: dict[str, tuple[str, ...]] = {"base": (OLD,), "t1": (OLD,), "t2": (OLD, NEW)}
    patches = {Patch("x/one.patch", "t1"): ("mm/a.c",), Patch("x/two.patch", "t2"): ("mm/b.c",)}
    play_builds(monkeypatch, context.paths, warnings, patches)
    return warnings


def test_each_patch_knows_the_paths_it_touches(tmp_path: Path) -> None:
    git("init", "-q", ".", repo=tmp_path)
    trees = []
    for name in ("a.c", "b.c"):
        (tmp_path / name).write_text(name)
        git("add", "-A", repo=tmp_path)
        trees.append(git("write-tree", repo=tmp_path).stdout.strip())
    empty = git("mktree", repo=tmp_path, stdin="").stdout.strip()
    applied: Any = SimpleNamespace(
        base_tree=empty, patches=(Patch("1.patch", trees[0]), Patch("2.patch", trees[1]))
    )
    assert arms.touched_paths(tmp_path, applied) == (
        ("1.patch", ("a.c",)),
        ("2.patch", ("b.c",)),
    )


def test_the_base_may_be_without_symbols_of_the_series(
    context: Context, series: dict[str, tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, frozenset[str]] = {}

    def build(paths: Paths, _store: Path, tree: str, *, later: Any, **_: object) -> Kernel:
        asked[tree] = frozenset(later)
        return kernel(paths, tree, (OLD,))

    folder = context.paths.repo / "patches/x"
    folder.mkdir(parents=True)
    (folder / "one.patch").write_text("+config BURST\n+\tbool\n")
    (folder.parent / "series").write_text("x/one.patch\n")
    monkeypatch.setattr(arms, "build_kernel", build)
    arms.build_arms(context.paths, context.ui)
    assert asked == {"base": frozenset({"BURST"}), "t2": frozenset()}


def test_a_new_warning_ends_in_four(context: Context, series: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(KseriesError) as caught:
        arms.build_arms(context.paths, context.ui)
    assert caught.value.code is Exit.BUILD
    assert caught.value.where == "x/two.patch"
    series["t2"] = (OLD,)
    made = arms.build_arms(context.paths, context.ui)
    assert made.base
    assert made.patched
    assert made.base.tree == "base"
    assert made.patched.tree == "t2"
    assert arms.build_arms(context.paths, context.ui, base=False).base is None


def test_every_prefix_is_built_and_shown(
    context: Context, series: dict[str, tuple[str, ...]]
) -> None:
    seen: list[tuple[int, str, str]] = []
    found = each.build_each(
        context.paths,
        context.ui,
        visit=lambda stop: seen.append((stop.number, stop.patch.file, stop.kernel().tree)),
    )
    assert [(p.patch, p.fresh) for p in found] == [("x/one.patch", ()), ("x/two.patch", (NEW,))]
    assert seen == [(1, "x/one.patch", "t1"), (2, "x/two.patch", "t2")]


def test_what_a_prefix_has_shown_is_kept(
    context: Context, series: dict[str, tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Kernel] = []
    del series["t2"]
    with pytest.raises(KseriesError):
        each.build_each(context.paths, context.ui)
    # The next run builds what is left, and says the same of all.
    series.update({"t1": ("another: warning: said by a second build",), "t2": (OLD, NEW)})
    found = each.build_each(context.paths, context.ui)
    assert [p.fresh for p in found] == [(), (NEW,)]
    series.clear()
    series["base"] = (OLD,)
    assert each.build_each(context.paths, context.ui) == found
    with pytest.raises(KseriesError, match="does not build"):
        each.build_each(context.paths, context.ui, visit=lambda stop: seen.append(stop.kernel()))
    # Another compiler has shown nothing yet.
    monkeypatch.setattr(arms, "detect_toolchain", lambda: SimpleNamespace(id="gcc 14"))
    with pytest.raises(KseriesError, match="does not build"):
        each.build_each(context.paths, context.ui)


def test_a_prefix_only_says_what_is_compiled_for_it(
    context: Context, series: dict[str, tuple[str, ...]]
) -> None:
    # make is silent about files that have not changed, and says NEW once more later.
    series.update({"t1": (NEW,), "t2": (OLD, NEW)})
    found = each.build_each(context.paths, context.ui)
    assert [p.fresh for p in found] == [(NEW,), ()]


def test_a_prefix_that_breaks_names_its_patch(
    context: Context, series: dict[str, tuple[str, ...]]
) -> None:
    del series["t2"]
    with pytest.raises(KseriesError) as caught:
        each.build_each(context.paths, context.ui)
    assert caught.value.details["patches"] == ["x/two.patch"]
    assert "without x/two.patch" in str(caught.value)


def _args(module: Any, *words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return parser.parse_args(words)


def test_the_verb_build_prints_images(context: Context, series: dict[str, tuple[str, ...]]) -> None:
    series["t2"] = (OLD,)
    outcome = build_verb.run(_args(build_verb), context)
    assert outcome.code == Exit.OK
    assert [line.split()[0] for line in outcome.text.splitlines()] == ["base", "patched"]
    assert outcome.data["kernels"]["patched"]["image"].endswith("k-t2/bzImage")
    only = build_verb.run(_args(build_verb, "--base"), context)
    assert set(only.data["kernels"]) == {"base"}


def test_the_verb_build_each_fails_on_a_new_warning(
    context: Context, series: dict[str, tuple[str, ...]]
) -> None:
    outcome = build_verb.run(_args(build_verb, "--each"), context)
    assert outcome.code == Exit.BUILD
    assert "x/two.patch: builds, 1 new warnings" in outcome.text
    assert NEW in outcome.text


def test_the_verb_config_lists_sets_and_refuses_unknown_ones(context: Context) -> None:
    outcome = config_verb.run(_args(config_verb, "--list"), context)
    assert "what is measured" in outcome.text
    with pytest.raises(KseriesError, match="no config set 'debug'"):
        config_verb.run(_args(config_verb, "--set", "debug"), context)
