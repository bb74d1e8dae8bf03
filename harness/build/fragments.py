"""Config fragments and the sets that name them: who asks for which symbol, and why.

A fragment holds one symbol a line, with the reason above it.  A set
(kconfig/sets.toml) is a list of fragments; later ones win.  Nothing here
knows Kconfig: whether a request took is harness.build.kconfig's question.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.core.errors import Exit, KseriesError
from harness.core.record import hash_json

_SET = re.compile(r"CONFIG_(\w+)=(.*)")
_UNSET = re.compile(r"# CONFIG_(\w+) is not set")
_BANNER = re.compile(r"#\s*-{2,}\s*(.*?)\s*-*$")


@dataclass(frozen=True)
class Request:
    """One line of a fragment: a symbol and the value it must end with.

    symbol: without CONFIG_; value: "y", "n", "m", a number or a quoted
    string; origin: the fragment as a person would name it; line: 1-based;
    reason: the comment above it, or the section it stands in; strict: a
    miss is an error (our own fragments), not a remark (upstream's tests).
    """

    symbol: str
    value: str
    origin: str
    line: int
    reason: str = ""
    strict: bool = True

    @property
    def place(self) -> str:
        """The line, as file:line."""
        return f"{self.origin}:{self.line}"

    def __str__(self) -> str:
        return f"CONFIG_{self.symbol}={self.value}"


@dataclass(frozen=True)
class ConfigSet:
    """A named kernel configuration: its fragments in order, the weakest first.

    upstream: kselftest targets of the kernel tree whose `config` is merged
    below the fragments, as wishes.
    """

    name: str
    description: str
    fragments: tuple[Path, ...]
    upstream: tuple[str, ...] = ()


@dataclass(frozen=True)
class Override:
    """A request that another one, stronger, contradicts."""

    weaker: Request
    stronger: Request


@dataclass(frozen=True)
class Plan:
    """What a configuration is made from.

    requests: the winning request of each symbol, in order of first mention;
    overrides: what lost; config_hash: over symbols and values alone, so that
    an edited comment rebuilds nothing.
    """

    requests: Mapping[str, Request]
    overrides: tuple[Override, ...]

    @property
    def config_hash(self) -> str:
        """A hash over what is asked for, and how firmly."""
        return hash_json([[r.symbol, r.value, r.strict] for r in self.requests.values()])

    @property
    def text(self) -> str:
        """The merged fragment, ready for `make olddefconfig`."""
        lines = []
        for request in self.requests.values():
            if request.value == "n":
                lines.append(f"# CONFIG_{request.symbol} is not set")
            else:
                lines.append(str(request))
        return "\n".join(lines) + "\n"


def parse_fragment(text: str, origin: str, *, strict: bool = True) -> tuple[Request, ...]:
    """Return the requests of a fragment's text.

    origin: how messages name it.  A comment is the reason of every line below
    it up to the next blank line or comment; a line without one takes the
    title of its section (`# --- title ---`).
    """
    requests: dict[str, Request] = {}
    comment: list[str] = []
    section = ""
    fresh = False  # whether `comment` may still grow
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        symbol = value = ""
        if found := _SET.fullmatch(line):
            symbol, value = found[1], found[2].strip()
        elif found := _UNSET.fullmatch(line):
            symbol, value = found[1], "n"
        elif not line:
            comment, fresh = [], False
            continue
        elif line.startswith("#"):
            if banner := _BANNER.fullmatch(line):
                section, comment, fresh = banner[1], [], False
                continue
            comment = [*comment, line] if fresh else [line]
            fresh = True
            continue
        if not symbol or not value:
            raise KseriesError(
                Exit.CONFIG,
                f"this line of a config fragment has no meaning: {line!r}",
                where=f"{origin}:{number}",
                hint="write CONFIG_NAME=value or `# CONFIG_NAME is not set`",
            )
        fresh = False
        reason = " ".join(part.lstrip("#").strip() for part in comment) or section
        request = Request(symbol, value, origin, number, reason, strict)
        earlier = requests.get(symbol)
        if earlier is not None and earlier.value != value:
            raise KseriesError(
                Exit.CONFIG,
                f"the fragment asks for {earlier} and for {request}",
                where=f"{earlier.place} and {request.place}",
                hint="keep one of the two lines",
            )
        requests.setdefault(symbol, request)
    return tuple(requests.values())


def read_fragment(
    path: Path, *, root: Path | None = None, strict: bool = True
) -> tuple[Request, ...]:
    """Return the requests of a fragment; root shortens its name in messages."""
    origin = str(path)
    if root is not None and path.is_relative_to(root):
        origin = str(path.relative_to(root))
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise KseriesError(
            Exit.CONFIG,
            f"the config fragment {path.name} does not exist",
            where=origin,
            hint="write it, or take its name out of kconfig/sets.toml",
        ) from error
    return parse_fragment(text, origin, strict=strict)


def load_sets(kconfig_dir: Path) -> dict[str, ConfigSet]:
    """Return the sets that kconfig_dir/sets.toml names, `extends` resolved."""
    path = kconfig_dir / "sets.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise KseriesError(
            Exit.CONFIG, "the list of config sets is missing", where=str(path), hint="restore it"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise KseriesError(
            Exit.CONFIG, f"sets.toml is not valid TOML: {error}", where=str(path), hint="fix it"
        ) from error
    return {name: _resolve(name, table, kconfig_dir, ()) for name in table}


def find_set(kconfig_dir: Path, name: str) -> ConfigSet:
    """Return the set of this name; an unknown one is an error that lists them."""
    sets = load_sets(kconfig_dir)
    if name not in sets:
        raise KseriesError(
            Exit.CONFIG,
            f"there is no config set {name!r}",
            where=str(kconfig_dir / "sets.toml"),
            hint=f"choose one of: {', '.join(sets)}",
        )
    return sets[name]


def _resolve(
    name: str, table: Mapping[str, Any], folder: Path, below: tuple[str, ...]
) -> ConfigSet:
    where = f"{folder / 'sets.toml'} [{name}]"
    body = table.get(name)
    if not isinstance(body, dict) or name in below:
        raise KseriesError(
            Exit.CONFIG,
            f"the set {name!r} is extended but not defined, or extends itself",
            where=where,
            hint="each `extends` names another set of the file",
        )
    unknown = set(body) - {"description", "extends", "fragments", "upstream"}
    if unknown or not body.get("description") or not body.get("fragments"):
        problem = f"unknown keys {sorted(unknown)}" if unknown else "no description or fragments"
        raise KseriesError(
            Exit.CONFIG,
            f"the set {name!r} has {problem}",
            where=where,
            hint="a set has description, fragments, and if need be extends and upstream",
        )
    fragments = tuple(folder / entry for entry in body["fragments"])
    upstream = tuple(body.get("upstream", ()))
    if "extends" in body:
        parent = _resolve(body["extends"], table, folder, (*below, name))
        fragments = (*parent.fragments, *fragments)
        upstream = tuple(dict.fromkeys((*parent.upstream, *upstream)))
    return ConfigSet(name, body["description"], fragments, upstream)


def merge(layers: Iterable[Sequence[Request]], extra: Iterable[Request] = ()) -> Plan:
    """Merge layers of requests, later ones winning; extra may only add.

    extra: what own selftests need.  One that contradicts a fragment is an
    error: either the test or the set is wrong, and no order of lines can
    satisfy both.
    """
    winners: dict[str, Request] = {}
    overrides: list[Override] = []
    for layer in layers:
        for request in layer:
            earlier = winners.get(request.symbol)
            if earlier is not None and earlier.value != request.value:
                overrides.append(Override(earlier, request))
            winners[request.symbol] = request
    for request in extra:
        earlier = winners.get(request.symbol)
        if earlier is None or not earlier.strict:
            if earlier is not None and earlier.value != request.value:
                overrides.append(Override(earlier, request))
            winners[request.symbol] = request
        elif earlier.value != request.value:
            raise KseriesError(
                Exit.CONFIG,
                f"{request} contradicts {earlier}",
                where=f"{request.place} and {earlier.place}",
                hint="change the selftest's config or the fragment",
            )
    return _without_modules(Plan(winners, tuple(overrides)))


def _without_modules(plan: Plan) -> Plan:
    """Drop wishes for =m where modules are off.

    olddefconfig would turn them into =y, and a test module that is built in
    runs while the kernel boots.
    """
    modules = plan.requests.get("MODULES")
    if modules is None or modules.value != "n":
        return plan
    dropped = [r for r in plan.requests.values() if r.value == "m" and not r.strict]
    kept = {name: r for name, r in plan.requests.items() if r not in dropped}
    return Plan(kept, (*plan.overrides, *(Override(r, modules) for r in dropped)))
