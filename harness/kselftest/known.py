"""Known flaky cases: each has an owner and a last day."""

from __future__ import annotations

import datetime
import fnmatch
import tomllib
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import Exit, KseriesError

KNOWN_FILE = Path(__file__).with_name("known_flaky.toml")


@dataclass(frozen=True)
class KnownFlaky:
    """A case that is known to pass and fail on an unchanged kernel.

    suite, name: globs; expires: last day the entry holds.
    """

    suite: str
    name: str
    reason: str
    owner: str
    expires: datetime.date

    def covers(self, suite: str, name: str) -> bool:
        """Whether the entry means this case."""
        return fnmatch.fnmatchcase(suite, self.suite) and fnmatch.fnmatchcase(name, self.name)


def parse_known(text: str, today: datetime.date, where: str = "") -> tuple[KnownFlaky, ...]:
    """Return the entries of known_flaky.toml; a bad or expired one is an error."""
    hint = "each [[flaky]] needs suite, name, reason, owner and expires = YYYY-MM-DD"
    entries = []
    try:
        for item in tomllib.loads(text).get("flaky", ()):
            entries.append(KnownFlaky(**item))
    except (tomllib.TOMLDecodeError, TypeError) as error:
        raise KseriesError(
            Exit.LINT, f"a bad list of flaky cases: {error}", where=where, hint=hint
        ) from None
    for entry in entries:
        what = f"the flaky case {entry.suite} {entry.name}"
        if not isinstance(entry.expires, datetime.date) or not (entry.owner and entry.reason):
            raise KseriesError(
                Exit.LINT, f"{what} lacks an owner, a reason or a date", where=where, hint=hint
            )
        if entry.expires < today:
            raise KseriesError(
                Exit.LINT,
                f"{what} expired on {entry.expires}",
                where=where,
                hint=f"{entry.owner}: remove it, or look again and give it a new date",
            )
    return tuple(entries)


def load_known(path: Path = KNOWN_FILE, *, today: datetime.date) -> tuple[KnownFlaky, ...]:
    """Read a list of flaky cases (by default the harness's own)."""
    return parse_known(path.read_text(encoding="utf-8"), today, str(path))
