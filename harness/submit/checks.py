"""What is looked at before mails are made; `--final` insists on it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass

from harness.check.resume import state_of_series
from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.core.proc import run
from harness.core.ui import Ui
from harness.lint.run import lint
from harness.source.gitrepo import IDENTITY
from harness.submit.branch import Person

# The station of `kseries ci --full` that builds and boots every prefix.
_EACH = "each"


@dataclass(frozen=True)
class Check:
    """One thing: its name, whether it is as it must be, and what was found."""

    name: str
    ok: bool
    said: str


def preflight(paths: Paths, ui: Ui, topic: str) -> list[Check]:
    """Return what speaks for and against mailing the topic."""
    done = lint(paths, ui)
    mine = [f for f in done.findings if f.where.startswith(f"patches/{topic}/")]
    said = f"{len(mine)} findings in patches/{topic} (`kseries lint`)"
    if done.skipped:
        said += f"; not checked: {done.skipped[0]}"
    return [Check("lint", not mine and not done.skipped, said), _each(paths)]


def _each(paths: Paths) -> Check:
    file = paths.repo / "docs/results/ci-full.json"
    rows = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
    state = state_of_series(paths)
    for row in rows:
        if row["name"] == _EACH and row["state_of"] == state and not row["tally"]["failed"]:
            return Check("each prefix builds and boots", True, f"shown at {row['commit']}")
    hint = "not shown for these patches: `kseries ci --full --only each`"
    return Check("each prefix builds and boots", False, hint)


def check_final(checks: Sequence[Check], *, base: str, signer: Person | None) -> None:
    """Raise unless everything holds that mails to a list need."""
    missing = []
    if signer is None:
        missing.append("no Signed-off-by of who mails them (--signoff)")
    if not base:
        missing.append("no base that others have (--linux GIT --base TAG)")
    if missing:
        raise KseriesError(
            Exit.USAGE,
            f"these cannot be final: {'; '.join(missing)}",
            hint="`kseries prep --help`; without --final they are drafts",
        )
    bad = [check for check in checks if not check.ok]
    if bad:
        raise KseriesError(
            Exit.LINT,
            f"these cannot be final: {'; '.join(f'{c.name}: {c.said}' for c in bad)}",
            hint="without --final they are drafts",
        )


def submitter() -> Person:
    """Return who git says runs this; USAGE unless that is a person with an address."""
    found = {}
    for key in ("user.name", "user.email"):
        done = run(["git", "config", "--get", key], check=False, env=dict(os.environ))
        found[key] = done.stdout.strip()
    person = Person(found["user.name"], found["user.email"])
    domain = person.email.partition("@")[2]
    if not person.name or not domain or domain == "localhost" or person.line == IDENTITY:
        raise KseriesError(
            Exit.USAGE,
            "git does not know who you are, so nobody can sign off",
            where=person.line,
            hint="git config --global user.name and user.email: the ones that you mail with",
        )
    return person
