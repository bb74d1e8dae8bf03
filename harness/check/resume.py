"""What stations found, kept between runs for one state of the repository."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.check.station import StationResult, Tally
from harness.core.paths import Paths
from harness.core.record import hash_json, write_atomic
from harness.source.gitrepo import git

# Text for people, and what summaries are written to: no result depends on it.
_PROSE = (":(exclude)docs", ":(exclude)README.md")


def state_of_repository(paths: Paths) -> str:
    """Return a hash of all files under version control, edits included.

    Without git's metadata (a plain copy) the hash is over the files' contents.
    """
    from harness.core.record import hash_files

    listed = git("ls-files", "-z", "--", ".", *_PROSE, repo=paths.repo, check=False)
    if not listed.ok:
        return hash_files(paths.repo / "harness")
    names = [n for n in listed.stdout.split("\0") if n and (paths.repo / n).is_file()]
    return hash_json([hash_files(paths.repo, names), len(names)])


@dataclass
class Ledger:
    """The kept results of one state: a JSON file, rewritten after each station."""

    folder: Path
    kept: dict[str, StationResult]

    @classmethod
    def open(cls, paths: Paths, *, full: bool, fresh: bool) -> Ledger:
        """Return the ledger of this state; only --full resumes, others start empty."""
        folder = paths.out / "ci" / state_of_repository(paths)
        folder.mkdir(parents=True, exist_ok=True)
        ledger = cls(folder, {})
        if full and not fresh and ledger.file.exists():
            for row in json.loads(ledger.file.read_text(encoding="utf-8")):
                tally = Tally(**row.pop("tally"))
                ledger.kept[row["name"]] = StationResult(tally=tally, **row)
        return ledger

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
        """Store one more result at once: an interruption loses nothing."""
        self.kept[result.name] = result
        write_atomic(self.file, json.dumps([asdict(r) for r in self.kept.values()], indent=1))

    def results(self, fresh: Sequence[StationResult]) -> list[StationResult]:
        """Return kept and fresh results, the kept ones first."""
        names = {result.name for result in fresh}
        return [r for r in self.finished.values() if r.name not in names] + list(fresh)
