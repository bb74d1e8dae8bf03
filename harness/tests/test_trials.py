from __future__ import annotations

from pathlib import Path

import pytest

from harness.check import trials
from harness.check.trials import Trial, copied_repository, judge, load_trials
from harness.cli import VERBS
from harness.core.errors import KseriesError
from harness.core.paths import Paths


def test_every_trial_names_a_verb_and_an_exit_status() -> None:
    found = load_trials()
    assert len(found) >= 9
    for trial in found:
        assert trial.command[0] in VERBS
        assert trial.exit != 0
        assert trial.says


def trial(**fields: object) -> Trial:
    base: dict[str, object] = {
        "name": "t",
        "folder": Path("t"),
        "why": "",
        "command": ("tree",),
        "exit": 3,
        "says": ("second.patch",),
        "lane": "fast",
        "estimate": 1.0,
    }
    return Trial(**{**base, **fields})  # type: ignore[arg-type]


def test_a_trial_fails_when_the_command_succeeds() -> None:
    assert "exit 0, not 3" in judge(trial(), 0, "all well with second.patch")


def test_a_trial_fails_when_the_patch_is_not_named() -> None:
    assert "does not say second.patch" in judge(trial(), 3, "a patch does not apply")
    assert judge(trial(), 3, "Second.patch does not apply") == ""


def test_a_wrong_trial_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x/trial.toml").write_text('why = ""\n')
    with pytest.raises(KseriesError):
        load_trials(tmp_path)


def test_the_copy_has_the_overlay_and_only_the_listed_patches(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    (repo / "patches/a").mkdir(parents=True)
    (repo / "patches/a/old.patch").write_text("old")
    (repo / "patches/series").write_text("a/old.patch\n")
    (repo / "out").mkdir()
    overlay = tmp_path / "overlay"
    (overlay / "patches/b").mkdir(parents=True)
    (overlay / "patches/b/new.patch").write_text("new")
    (overlay / "patches/series").write_text("# --- b ---\nb/new.patch\n")
    (overlay / "trial.toml").write_text("")
    with copied_repository(Paths(repo, tmp_path, tmp_path), overlay) as copy:
        assert (copy / "patches/b/new.patch").read_text() == "new"
        assert not (copy / "patches/a/old.patch").exists()
        assert not (copy / "trial.toml").exists()
        assert not (copy / "out").exists()
    assert (repo / "patches/a/old.patch").exists()


def test_the_folder_is_the_packages_own() -> None:
    assert (trials.FOLDER / "README.md").exists()
