"""Stored runs: out/<run-id>/, the `latest` link, and how a run is named.

A run id is its start in UTC and four random digits (20260131-142501-3f9c), so
that ids sort by time and two runs started in one second do not meet.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.results.model import Results, load_results

RESULTS = "results.json"
LATEST = "latest"
_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
_ATTEMPTS = 100


@dataclass(frozen=True)
class Run:
    """One folder below out/; complete means that its results were written."""

    id: str
    path: Path
    complete: bool


def new_run_id(now: datetime | None = None) -> str:
    """Return a fresh run id for now (UTC)."""
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    return f"{moment:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def new_run(paths: Paths, now: datetime | None = None) -> Path:
    """Make the folder of a new run and return it; its name is the run id."""
    paths.out.mkdir(parents=True, exist_ok=True)
    for _ in range(_ATTEMPTS):
        folder = paths.out / new_run_id(now)
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            return folder
    raise KseriesError(
        Exit.HOST,
        "no free run id was found",
        where=str(paths.out),
        hint="`./kseries clean` removes old runs",
    )


def set_latest(paths: Paths, run: Path) -> None:
    """Let out/latest name this run; a reader sees the old link or the new one."""
    temporary = paths.out / f".{LATEST}.{secrets.token_hex(4)}"
    # Relative, so that out/ can be moved or copied with its links alive.
    temporary.symlink_to(os.path.relpath(run, paths.out))
    try:
        temporary.replace(paths.out / LATEST)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise KseriesError(
            Exit.USAGE,
            f"out/{LATEST} cannot be replaced: {error.strerror}",
            where=str(paths.out / LATEST),
            hint="it must be a symbolic link: move what is there out of the way",
        ) from None


def list_runs(paths: Paths) -> list[Run]:
    """Return the stored runs, oldest first."""
    if not paths.out.is_dir():
        return []
    folders = [p for p in paths.out.iterdir() if _ID.fullmatch(p.name) and p.is_dir()]
    return [Run(p.name, p, (p / RESULTS).is_file()) for p in sorted(folders)]


def find_run(paths: Paths, name: str) -> Path:
    """Return the folder of the run that name means.

    name: `latest`, a run id, a unique prefix of one, a run's folder, or its
    results.json.  The folder holds results.json, or this raises.
    """
    folder = _folder(paths, name)
    if not (folder / RESULTS).is_file():
        raise KseriesError(
            Exit.USAGE,
            f"the run {folder.name} has no results: it was interrupted, or failed before a guest",
            where=str(folder),
            hint=_known(paths),
        )
    return folder


def _folder(paths: Paths, name: str) -> Path:
    if name == LATEST:
        link = paths.out / LATEST
        if link.is_dir():
            return link.resolve()
        raise KseriesError(
            Exit.USAGE, "there is no latest run", where=str(link), hint=_known(paths)
        )
    matches = [run for run in list_runs(paths) if run.id.startswith(name)] if name else []
    exact = [run for run in matches if run.id == name]
    if len(exact or matches) == 1:
        return (exact or matches)[0].path
    if matches:
        ids = ", ".join(run.id for run in matches[-5:])
        raise KseriesError(
            Exit.USAGE,
            f"{name!r} is the start of {len(matches)} run ids",
            where=str(paths.out),
            hint=f"give more digits; the newest are {ids}",
        )
    path = Path(name)
    if name and path.name == RESULTS and path.is_file():
        return path.parent.resolve()
    if name and path.is_dir():
        return path.resolve()
    raise KseriesError(
        Exit.USAGE, f"no stored run is named {name!r}", where=str(paths.out), hint=_known(paths)
    )


def _known(paths: Paths) -> str:
    runs = [run.id for run in list_runs(paths) if run.complete]
    if not runs:
        return "no run is stored yet: `./kseries test` or `./kseries bench` makes one"
    return f"runs with results, newest first: {', '.join(reversed(runs[-5:]))}"


def load_run(paths: Paths, name: str) -> tuple[Path, Results]:
    """Return the folder and the results of the run that name means."""
    folder = find_run(paths, name)
    return folder, load_results(folder / RESULTS)
