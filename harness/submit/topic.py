"""patches/<topic>/mail/topic.toml: what a person writes about a series that is mailed.

title = "memcg: freeze throttled tasks at once"
why = "..."               # paragraphs of the cover letter
what = "..."
measured = "..."
prefix = ["RFC"]          # optional, beside PATCH
after = ["sched-agent"]   # optional: topics that it builds on
to = ["a list <x@y>"]     # optional, beside what get_maintainer.pl says
[[selftest]]              # areas of selftests/ that become patches at the end
area = "cgroup_freeze"
maintainers = "CONTROL GROUP (CGROUP)"   # the entry that gets their F: line
body = "..."
[changes]                 # what is new in each version, for reviewers
2 = ["Explain the second case"]
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.core.errors import Exit, KseriesError

FILE = "topic.toml"
_KNOWN = {"title", "why", "what", "measured", "prefix", "after", "to", "selftest", "changes"}


@dataclass(frozen=True)
class SelftestText:
    """One area that becomes a patch: its entry of MAINTAINERS, and the patch's message."""

    area: str
    maintainers: str
    body: str


@dataclass(frozen=True)
class Topic:
    """One topic.toml."""

    name: str
    title: str
    why: str
    what: str
    measured: str
    prefix: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    to: tuple[str, ...] = ()
    selftests: tuple[SelftestText, ...] = ()
    changes: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


def mail_folder(repo: Path, name: str) -> Path:
    """Return where what a topic's mails are made of is kept."""
    return repo / "patches" / name / "mail"


def load_topic(repo: Path, name: str) -> Topic:
    """Return what patches/<name>/mail/topic.toml says; USAGE when it is missing or wrong."""
    path = mail_folder(repo, name) / FILE
    try:
        return parse_topic(name, path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise KseriesError(
            Exit.USAGE,
            f"nobody has written the cover letter of {name}",
            where=str(path),
            hint="title, why, what, measured: see harness/submit/topic.py, or another topic's",
        ) from None
    except (tomllib.TOMLDecodeError, ValueError, KeyError) as error:
        said = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise KseriesError(
            Exit.USAGE,
            f"the cover letter cannot be used: {said}",
            where=str(path),
            hint="harness/submit/topic.py says what it holds",
        ) from None


def parse_topic(name: str, text: str) -> Topic:
    """Return the topic that the TOML text describes; ValueError or KeyError if it is none."""
    data = tomllib.loads(text)
    if strange := sorted(set(data) - _KNOWN):
        raise ValueError(f"unknown keys {', '.join(strange)}")
    for key in ("title", "why", "what", "measured"):
        if not isinstance(data[key], str) or not data[key].strip():
            raise ValueError(f"`{key}` is empty, or no text")
    return Topic(
        name,
        data["title"].strip(),
        data["why"].strip(),
        data["what"].strip(),
        data["measured"].strip(),
        _texts(data, "prefix"),
        _texts(data, "after"),
        _texts(data, "to"),
        tuple(
            SelftestText(item["area"], item["maintainers"], item["body"].strip())
            for item in data.get("selftest", [])
        ),
        {int(number): tuple(lines) for number, lines in data.get("changes", {}).items()},
    )


def _texts(data: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = data.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"`{key}` is no list of texts")
    return tuple(value)
