"""Trials: things that go wrong on purpose (harness/trials/README.md).

Each is laid over a copy of the repository, where `./kseries` must fail as the
trial says.  The copy shares the cache and the environment, not the results.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.core.proc import run

FOLDER = Path(__file__).parents[1] / "trials"
# What a copy does not need: results, environments, history.
LEFT_OUT = (".git", ".venv", "out", "__pycache__", ".mypy_cache", ".ruff_cache", ".hypothesis")


@dataclass(frozen=True)
class Trial:
    """One trial.toml, with its folder."""

    name: str
    folder: Path
    why: str
    command: tuple[str, ...]
    exit: int
    says: tuple[str, ...]
    lane: str
    estimate: float


@dataclass(frozen=True)
class TrialResult:
    """What came of a trial: the problem is empty when it went wrong as it must."""

    trial: Trial
    problem: str
    output: str


def load_trials(folder: Path = FOLDER) -> tuple[Trial, ...]:
    """Return all trials by name; a wrong trial.toml is an error."""
    found = []
    for path in sorted(folder.glob("*/trial.toml")):
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        try:
            trial = Trial(
                name=path.parent.name,
                folder=path.parent,
                why=data["why"],
                command=tuple(data["command"]),
                exit=data["exit"],
                says=tuple(data["says"]),
                lane=data["lane"],
                estimate=float(data["estimate"]),
            )
        except KeyError as error:
            raise KseriesError(
                Exit.LINT, f"a trial lacks {error}", where=str(path), hint="see trials/README.md"
            ) from None
        if trial.lane not in {"fast", "full"}:
            raise KseriesError(
                Exit.LINT, f"lane {trial.lane!r} is neither fast nor full", where=str(path)
            )
        found.append(trial)
    return tuple(found)


@contextmanager
def copied_repository(paths: Paths, overlay: Path | None = None) -> Iterator[Path]:
    """Yield a copy of the repository, with the files of overlay laid over it."""
    with tempfile.TemporaryDirectory(prefix="kseries-copy-") as name:
        copy = Path(name) / "series"
        shutil.copytree(
            paths.repo, copy, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT, "trials")
        )
        if overlay is not None:
            shutil.copytree(
                overlay, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns("trial.toml")
            )
            if (overlay / "patches/series").exists():
                keep_listed(copy / "patches")
                # Those of our series would all be findings.
                for mutants in copy.glob("selftests/*/mutants"):
                    shutil.rmtree(mutants)
        yield copy


def keep_listed(patches: Path) -> None:
    """Remove the patch files that the overlay's series does not list."""
    shutil.rmtree(patches / "on", ignore_errors=True)  # series on other kernels are of ours
    lines = (patches / "series").read_text(encoding="utf-8").splitlines()
    listed = {line.strip() for line in lines if line.strip() and not line.startswith("#")}
    for path in sorted(patches.rglob("*.patch")):
        if str(path.relative_to(patches)) not in listed:
            path.unlink()


def run_in_copy(copy: Path, words: list[str], out: Path, timeout: float) -> tuple[int, str]:
    """Run ./kseries there; return its exit status and all it printed."""
    env = dict(os.environ)
    env.update(KSERIES_OUT=str(out), NO_COLOR="1", PYTHONPATH=str(copy))
    done = run(
        [sys.executable, "-m", "harness", *words],
        cwd=copy,
        env=env,
        timeout=timeout,
        check=False,
        on_line=lambda line: None,
    )
    return done.status, done.stdout


def judge(trial: Trial, status: int, output: str) -> str:
    """Return what is wrong with a trial's outcome, empty when all is as it must be."""
    missing = [text for text in trial.says if text.lower() not in output.lower()]
    if status != trial.exit:
        tail = "\n      ".join(output.strip().splitlines()[-12:])
        return f"{trial.name}: exit {status}, not {trial.exit}; it said\n      {tail}"
    if missing:
        return f"{trial.name}: exit {status} as it must, but it does not say {', '.join(missing)}"
    return ""


def run_trial(trial: Trial, paths: Paths) -> TrialResult:
    """Run one trial in its own copy and judge it."""
    with copied_repository(paths, trial.folder) as copy:
        out = copy.parent / "out"
        status, output = run_in_copy(copy, list(trial.command), out, max(120.0, trial.estimate * 6))
    return TrialResult(trial, judge(trial, status, output), output)
