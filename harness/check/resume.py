"""What stations found, kept between runs: by the repository, or by the series alone."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.check.station import Station, StationResult, Tally
from harness.core.lock import locked
from harness.core.paths import Paths
from harness.core.record import hash_files, hash_json, write_atomic
from harness.pipeline.run import host_facts
from harness.series.series import overlays
from harness.source.gitrepo import git

# Text for people, and what summaries are written to: no result depends on it.
_PROSE = (":(exclude)docs", ":(exclude)README.md", ":(exclude,glob)patches/*/mail/v*/*.mbox",
          ":(exclude,glob)patches/*/mail/state.json")  # fmt: skip
# What is under test.  The harness is the instrument.
_COMMITTED = Path("docs/results/ci-full.json")
_SERIES = ("patches", "kconfig", "selftests", "benchmarks", "pin.toml",
           ":(exclude,glob)patches/*.toml", ":(exclude,glob)patches/*/mail/**")  # fmt: skip


def state_of(paths: Paths, *pathspecs: str) -> str:
    """Return a hash of the files under version control that match, edits included.

    Without git's metadata (a plain copy) the hash is over harness/ alone.
    """
    listed = git("ls-files", "-z", "--", *pathspecs, repo=paths.repo, check=False)
    if not listed.ok:
        return hash_files(paths.repo / "harness")
    names = [n for n in listed.stdout.split("\0") if n and (paths.repo / n).is_file()]
    return hash_json([hash_files(paths.repo, names), len(names)])


def state_of_repository(paths: Paths) -> str:
    """Return the state that everything but prose makes up."""
    return state_of(paths, ".", *_PROSE)


def state_of_series(paths: Paths) -> str:
    """Return the state that what is under test makes up: this pin's series, not others'."""
    overlay = paths.overlay or paths.patches
    others = [f":(exclude,top){folder.relative_to(paths.repo)}"
              for folder in overlays(paths.patches) if folder != overlay]  # fmt: skip
    return state_of(paths, *_SERIES, str(paths.pin_file.relative_to(paths.repo)), *others)


def commit_of(paths: Paths) -> str:
    """Return the short commit id, with a + where files differ from it; empty without git."""
    head = git("rev-parse", "--short=12", "HEAD", repo=paths.repo, check=False)
    if not head.ok:
        return ""
    edits = git("status", "--porcelain", "-uno", "--", ".", *_PROSE, repo=paths.repo, check=False)
    return head.stdout.strip() + ("+" if edits.stdout.strip() else "")


@dataclass
class Ledger:
    """The kept results: a JSON file, rewritten after each station."""

    folder: Path
    kept: dict[str, StationResult]
    states: dict[str, str]
    commit: str
    host: str

    @classmethod
    def open(cls, paths: Paths, stations: Sequence[Station], *, full: bool, fresh: bool) -> Ledger:
        """Return the ledger; only --full resumes, others start empty.

        It goes on from this clone's own file, and from the one that is under
        version control.  What was shown for another state is forgotten,
        station by station.
        """
        everything, series = state_of_repository(paths), state_of_series(paths)
        states = {s.name: series if s.of_series else everything for s in stations}
        folder = paths.out / "ci"
        folder.mkdir(parents=True, exist_ok=True)
        ledger = cls(folder, {}, states, commit_of(paths), host_line(host_facts()))
        if full and not fresh:
            committed = ledger.stored(paths.repo / _COMMITTED)
            ledger.kept = {**committed, **ledger.stored(ledger.file)}
        return ledger

    def stored(self, file: Path) -> dict[str, StationResult]:
        """Return what a file holds and is still true."""
        if not file.exists():
            return {}
        found = {}
        for row in json.loads(file.read_text(encoding="utf-8")):
            result = StationResult(tally=Tally(**row.pop("tally")), **row)
            if self.states.get(result.name) == result.state_of:
                found[result.name] = result
        return found

    @property
    def file(self) -> Path:
        """Where results are kept."""
        return self.folder / "stations.json"

    @property
    def summary(self) -> Path:
        """Where the summary is written."""
        return self.folder / "summary.md"

    @property
    def finished(self) -> dict[str, StationResult]:
        """Stations that passed: those that failed run again."""
        return {name: result for name, result in self.kept.items() if result.ok}

    def keep(self, result: StationResult) -> None:
        """Store one more result at once: an interruption loses nothing.

        Two runs of different stations may add to one file.
        """
        state = self.states[result.name]
        kept = dataclasses.replace(result, state_of=state, commit=self.commit, host=self.host)
        self.kept[result.name] = kept
        with locked(self.file.with_suffix(".lock")):
            rows = {**self.stored(self.file), result.name: kept}
            write_atomic(self.file, _text(rows.values()))

    def write_beside(self, summary: Path) -> None:
        """Write the ledger beside a summary: clones resume from the one in docs/results/."""
        write_atomic(summary.with_suffix(".json"), _text(self.kept.values()))

    def gather(self, files: Sequence[Path], whole: Sequence[Station]) -> None:
        """Take over what several machines have found; the worst result of a station counts.

        A station of `whole` that none of them ended is kept as a failure.
        """
        for file in files:
            for name, result in self.stored(file).items():
                known = self.kept.get(name)
                if known is None or (known.ok and not result.ok):
                    self.kept[name] = result
        for station in whole:
            if station.name not in self.kept:
                tally = Tally()
                tally.bad(f"{station.name}: no machine has a result of it")
                self.kept[station.name] = StationResult(
                    station.name, "skipped", tally, 0.0, "no machine has a result of it"
                )
        write_atomic(self.file, _text(self.kept.values()))

    def results(self, stations: Sequence[Station]) -> list[StationResult]:
        """Return what is known of the stations, in their order."""
        return [self.kept[s.name] for s in stations if s.name in self.kept]


def host_line(facts: Mapping[str, str]) -> str:
    """Return a host as a summary names it."""
    return f"{facts['system']}, {facts['cpu']}, {facts['cores']} cores, {facts['memory']}"


def _text(results: Iterable[StationResult]) -> str:
    return json.dumps([asdict(result) for result in results], indent=1) + "\n"
