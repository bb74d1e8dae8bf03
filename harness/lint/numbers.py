"""patches/numbers.toml: the numbers and names that the series shares with everybody.

Whatever the base, nobody else may have taken one.  Each [[number]] says its
name, its value, how it is compared, and where takers would be found:

    flag       one bit of a mask: no other value there may contain it
    value      one of a list: no other name there may have it
    at-least   a capacity: the value there may not be lower
    absent     a name or a prefix: the base may not define it
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.core.errors import Exit, KseriesError
from harness.lint.ground import Ground, matching
from harness.series.series import Finding

FILE = "numbers.toml"
_BIT = {"BIT", "BIT_ULL", "_BITUL", "_BITULL"}
HOW = ("flag", "value", "at-least", "absent")


@dataclass(frozen=True)
class Look:
    """One place: file globs, and a pattern with the groups `name` and `value`."""

    files: tuple[str, ...]
    pattern: re.Pattern[str]
    shift: bool = False  # the value is the number of a bit
    but: Mapping[str, str] | None = None  # name of a known taker: why it does not matter


@dataclass(frozen=True)
class Number:
    """One entry; aliases: what else the series calls it; row: where it stands."""

    name: str
    value: int
    how: str
    why: str
    looks: tuple[Look, ...]
    row: int
    aliases: tuple[str, ...] = ()


def load_numbers(folder: Path) -> list[Number]:
    """Return the entries of folder/numbers.toml, none without the file."""
    path = folder / FILE
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    rows = [n for n, line in enumerate(text.split("\n"), 1) if line.strip() == "[[number]]"]
    try:
        entries = tomllib.loads(text)["number"]
        return [_number(entry, row) for entry, row in zip(entries, rows, strict=True)]
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError, re.error) as error:
        raise KseriesError(
            Exit.LINT,
            f"the table of shared numbers cannot be used: {error}",
            where=str(path),
            hint="harness/lint/numbers.py says what an entry holds",
        ) from None


def globs_of(numbers: Sequence[Number]) -> tuple[str, ...]:
    """Return the globs of all files that the numbers are looked up in."""
    return tuple(sorted({glob for n in numbers for look in n.looks for glob in look.files}))


def numbers_free(ground: Ground, numbers: Sequence[Number]) -> list[Finding]:
    """Return a finding for each number that somebody else has, or that the series changed."""
    findings = []
    for number in numbers:
        names = ground.base_names if number.how == "absent" else ground.top_names
        seen = 0
        for look in number.looks:
            files = matching(names, look.files)
            seen += len(files)
            texts = {f: (ground.base / f).read_text("utf-8", "replace") for f in files
                     if number.how == "absent"} or {f: ground.read(f) for f in files}  # fmt: skip
            for what in clashes(number, look, texts):
                findings.append(_finding(ground, number, what))
        if not seen:
            where = f"patches/{FILE}:{number.row}"
            what = f"{number.name} is looked up in files that this kernel does not have"
            findings.append(Finding(where, what, "find where they went", "numbers"))
    return findings


def clashes(number: Number, look: Look, texts: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each place at which the number is not what it must be. Pure."""
    own = {number.name, *number.aliases}
    found = [
        (file, hit["name"], hit.groupdict().get("value") or "")
        for file, text in texts.items()
        for hit in look.pattern.finditer(text)
    ]
    if number.how == "absent":
        for file, name, _ in found:
            if name not in (look.but or {}):
                yield f"{file} of the base has {name}"
        return
    for file in texts:
        here = {name: value for f, name, value in found if f == file}
        for name, words in here.items():
            value = evaluate(words, here)
            if value is None or name in (look.but or {}):
                continue
            if look.shift:
                value = 1 << value
            if number.how == "at-least":
                # Where an #else makes it 0 nothing of it is compiled.
                best = max(evaluate(v, here) or 0 for f, n, v in found if n == name)
                if name in own and best < number.value:
                    yield f"{file} has {name} {best}, {number.value} are needed"
            elif name in own and value != number.value:
                yield f"{file} has {name} as {value:#x}, the table says {number.value:#x}"
            elif name not in own and _taken(number, value):
                yield f"{file} has {name} as {value:#x}, which is {number.name}'s"


def _taken(number: Number, value: int) -> bool:
    return value == number.value if number.how == "value" else bool(value & number.value)


def evaluate(words: str, names: Mapping[str, str], depth: int = 0) -> int | None:
    """Return the value of a C constant expression, None where it is none that is known."""
    text = re.sub(r"/\*.*?(\*/|$)|//.*", "", words, flags=re.S).strip().rstrip(",")
    text = re.sub(r"\b(0[xX][0-9a-fA-F]+|\d+)[uUlL]+\b", r"\1", text)
    text = re.sub(r"\b0(\d+)\b", r"0o\1", text)
    try:
        return _value(ast.parse(text, mode="eval").body, names, depth)
    except (SyntaxError, ValueError, OverflowError):
        return None


def _value(node: ast.expr, names: Mapping[str, str], depth: int) -> int | None:
    match node:
        case ast.Constant(value=int(number)):
            return number
        case ast.Name(id=name) if name in names and depth < 8:
            return evaluate(names[name], names, depth + 1)
        case ast.Call(func=ast.Name(id=name), args=[inner]) if name in _BIT:
            return _combine(ast.LShift(), 1, _value(inner, names, depth))
        case ast.BinOp(left=left, op=op, right=right):
            return _combine(op, _value(left, names, depth), _value(right, names, depth))
    return None


def _combine(op: ast.operator, left: int | None, right: int | None) -> int | None:
    if left is None or right is None:
        return None
    match op:
        case ast.LShift() if 0 <= right < 128:
            return left << right
        case ast.BitOr():
            return left | right
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
    return None


def _finding(ground: Ground, number: Number, what: str) -> Finding:
    where = f"patches/{FILE}:{number.row}"
    for laid in ground.patches:
        for item in laid.files:
            rows = [row for row, text in item.added if re.search(rf"\b{number.name}\b", text)]
            if rows and where.startswith(f"patches/{FILE}"):
                where = f"patches/{laid.file}:{rows[0]}"
    hint = f"the series needs {number.name} ({number.why}): give it another, in patches/{FILE} too"
    return Finding(where, what, hint, "numbers")


def _number(entry: Mapping[str, Any], row: int) -> Number:
    known = {"name", "value", "how", "why", "look", "aliases"}
    if strange := sorted(set(entry) - known):
        raise ValueError(f"the entry at line {row} has {', '.join(strange)}")
    if entry["how"] not in HOW:
        raise ValueError(f"{entry['name']}: `how` is one of {', '.join(HOW)}")
    looks = tuple(
        Look(
            tuple(look["files"]),
            re.compile(look["pattern"], re.M),
            bool(look.get("shift", False)),
            look.get("but"),
        )
        for look in entry["look"]
    )
    for look in looks:
        needed = {"name"} if entry["how"] == "absent" else {"name", "value"}
        if missing := needed - set(look.pattern.groupindex):
            raise ValueError(f"{entry['name']}: a pattern lacks the group {', '.join(missing)}")
    return Number(
        entry["name"],
        int(entry.get("value", 0)),
        entry["how"],
        entry["why"],
        looks,
        row,
        tuple(entry.get("aliases", ())),
    )
