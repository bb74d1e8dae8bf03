"""Targets of a plan: `patched.p99 < 50 ms`, `patched.sub <= 1.03 * patched.push`.

    target     = comparison { "and" comparison }
    comparison = sum ( "<" | "<=" | ">" | ">=" | "==" ) sum
    sum        = product { ( "+" | "-" ) product }
    product    = atom { ( "*" | "/" ) atom }
    atom       = NUMBER [ UNIT ] | "margin" | figure | "(" sum ")"
    figure     = ARM "." STATISTIC [ "[" X "]" ]            of the target's own metric
               | ARM "." METRIC [ "." STATISTIC ] [ "[" X "]" ]

ARM is base, patched or a rival's name (a minus between figures needs spaces,
as names have dashes).  METRIC without a statistic is a metric that has one.
[X] picks a position of the sweep; without it a target of a swept case must
hold at every x.  `margin` is the calibrated margin of the lane (a share, 0
in L2, whose counts are exact): the plan says in which direction it is
granted, as in `patched.p50 <= (1 + margin) * base.p50`.  Times of
different units are converted; a number that is compared with a time needs
its unit, and other units must be equal.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.core.errors import Exit, KseriesError
from harness.measure.stats import STATISTICS

TIME_UNITS = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}

_TOKEN = re.compile(
    r"\s*(?:"
    r"(?P<number>\d+(?:\.\d+)?(?:e-?\d+)?)"
    r"|(?P<figure>[a-z][\w-]*(?:\.[a-z]\w*){1,2}(?:\[-?\d+(?:\.\d+)?\])?)"
    r"|(?P<word>[A-Za-z%][\w/%]*)"
    r"|(?P<op><=|>=|==|[-+*/()<>])"
    r")"
)
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}


@dataclass(frozen=True)
class Figure:
    """A figure that a target names; statistic and x may be left to the context."""

    arm: str
    metric: str  # empty: the metric that the target belongs to
    statistic: str  # empty: the metric's only one
    x: float | None
    text: str


@dataclass(frozen=True)
class _Number:
    value: float
    unit: str


@dataclass(frozen=True)
class _Margin:
    pass


@dataclass(frozen=True)
class _Binary:
    op: str
    left: _Node
    right: _Node


_Node = Figure | _Number | _Margin | _Binary


@dataclass(frozen=True)
class _Quantity:
    """A value with its dimension: times are held in ns, "" fits all but time."""

    value: float
    unit: str


@dataclass(frozen=True)
class Target:
    """A parsed target.  text: as written."""

    text: str
    comparisons: tuple[tuple[str, _Node, _Node], ...]

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The figures it names, in order; the first one carries the verdict."""
        found: list[Figure] = []
        for _, left, right in self.comparisons:
            found += [*_figures(left), *_figures(right)]
        return tuple(found)

    def check(
        self,
        metric: str,
        arms: set[str],
        statistics: Mapping[str, Sequence[str]],
        units: Mapping[str, str],
        positions: Sequence[float],
    ) -> None:
        """Refuse a target that names what its case does not have."""
        for figure in self.figures:
            if figure.arm not in arms:
                raise _refuse(f"{figure.text}: no arm {figure.arm!r}", sorted(arms))
            name, statistic = resolve(figure, metric, statistics)
            if statistic not in statistics[name]:
                raise _refuse(f"{figure.text}: {name} has no {statistic}", statistics[name])
            if figure.x is not None and figure.x not in positions:
                raise _refuse(
                    f"{figure.text}: not a value of x", [f"{value:g}" for value in positions]
                )

        def unit_of(figure: Figure) -> _Quantity:
            return _quantity(1.0, units[resolve(figure, metric, statistics)[0]])

        # A dry run with ones finds units that do not fit.
        for op, left, right in self.comparisons:
            _compare(op, _value(left, unit_of, 0.0), _value(right, unit_of, 0.0))

    def met(self, lookup: Callable[[Figure], tuple[float, str]], margin: float) -> bool:
        """Return whether all comparisons hold; lookup gives value and unit."""

        def quantity(figure: Figure) -> _Quantity:
            return _quantity(*lookup(figure))

        return all(
            _compare(op, _value(left, quantity, margin), _value(right, quantity, margin))
            for op, left, right in self.comparisons
        )


def resolve(figure: Figure, own: str, statistics: Mapping[str, Sequence[str]]) -> tuple[str, str]:
    """Return the metric and the statistic that figure means in own's target."""
    name = figure.metric or own
    if name not in statistics:
        raise _refuse(f"{figure.text}: no metric {name!r}", [*statistics, *STATISTICS])
    if figure.statistic:
        return name, figure.statistic
    if len(statistics[name]) != 1:
        raise _refuse(f"{figure.text}: say which statistic of {name}", statistics[name])
    return name, statistics[name][0]


def parse_target(text: str) -> Target:
    """Return the parsed target; a mistake is an error that shows where."""
    parser = _Parser(text)
    comparisons = [parser.comparison()]
    while parser.accept("word", "and"):
        comparisons.append(parser.comparison())
    parser.end()
    target = Target(text, tuple(comparisons))
    if not target.figures:
        raise _refuse(f"{text!r} names no figure", ["arm.statistic, for instance patched.p99"])
    return target


class _Parser:
    """Recursive descent over the tokens of one target."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._at = 0

    def peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "the end")

    def accept(self, kind: str, *values: str) -> str | None:
        found, value = self.peek()
        if found != kind or (values and value not in values):
            return None
        self._at += 1
        return value

    def end(self) -> None:
        if self.peek()[0] != "end":
            raise self._wrong("and, or the end")

    def comparison(self) -> tuple[str, _Node, _Node]:
        left = self.sum()
        op = self.accept("op", *_COMPARE)
        if op is None:
            raise self._wrong("one of " + " ".join(_COMPARE))
        return op, left, self.sum()

    def sum(self) -> _Node:
        node = self.product()
        while op := self.accept("op", "+", "-"):
            node = _Binary(op, node, self.product())
        return node

    def product(self) -> _Node:
        node = self.atom()
        while op := self.accept("op", "*", "/"):
            node = _Binary(op, node, self.atom())
        return node

    def atom(self) -> _Node:
        if self.accept("op", "("):
            node = self.sum()
            if not self.accept("op", ")"):
                raise self._wrong(")")
            return node
        if number := self.accept("number"):
            kind, word = self.peek()
            unit = ""
            if kind == "word" and word not in {"and", "margin"}:
                self._at += 1
                unit = word
            return _Number(float(number), unit)
        if self.accept("word", "margin"):
            return _Margin()
        if figure := self.accept("figure"):
            return _figure(figure)
        raise self._wrong("a number, a figure such as patched.p99, or (")

    def _wrong(self, wanted: str) -> KseriesError:
        return _refuse(f"{self._text!r}: {self.peek()[1]!r} where {wanted} is wanted", [])


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    stripped = text.rstrip()
    while at < len(stripped):
        match = _TOKEN.match(stripped, at)
        if not match or match.lastgroup is None:
            raise _refuse(f"{text!r}: {stripped[at:].strip()!r} is not understood", [])
        yield match.lastgroup, match[match.lastgroup]
        at = match.end()


def _figure(text: str) -> Figure:
    body, _, index = text.rstrip("]").partition("[")
    arm, *names = body.split(".")
    x = float(index) if index else None
    if len(names) == 2:
        return Figure(arm, names[0], names[1], x, text)
    if names[0] in STATISTICS:
        return Figure(arm, "", names[0], x, text)
    return Figure(arm, names[0], "", x, text)


def _figures(node: _Node) -> Iterator[Figure]:
    if isinstance(node, Figure):
        yield node
    elif isinstance(node, _Binary):
        yield from _figures(node.left)
        yield from _figures(node.right)


def _quantity(value: float, unit: str) -> _Quantity:
    if unit in TIME_UNITS:
        return _Quantity(value * TIME_UNITS[unit], "ns")
    return _Quantity(value, unit)


def _value(node: _Node, figure: Callable[[Figure], _Quantity], margin: float) -> _Quantity:
    if isinstance(node, Figure):
        return figure(node)
    if isinstance(node, _Number):
        return _quantity(node.value, node.unit)
    if isinstance(node, _Margin):
        return _Quantity(margin, "")
    left = _value(node.left, figure, margin)
    right = _value(node.right, figure, margin)
    if node.op == "*":
        if left.unit and right.unit:
            raise _refuse(f"{left.unit} times {right.unit} has no meaning here", [])
        return _Quantity(left.value * right.value, left.unit or right.unit)
    if node.op == "/":
        if right.unit and right.unit != left.unit:
            raise _refuse(f"{left.unit or 'a number'} divided by {right.unit}", [])
        ratio = left.value / right.value if right.value else float("nan")
        return _Quantity(ratio, "" if right.unit else left.unit)
    unit = _common(left, right)
    return _Quantity(left.value + right.value if node.op == "+" else left.value - right.value, unit)


def _common(left: _Quantity, right: _Quantity) -> str:
    if left.unit == right.unit:
        return left.unit
    if "ns" in {left.unit, right.unit}:
        raise _refuse(
            "a time stands beside "
            + (f"{left.unit if right.unit == 'ns' else right.unit}" or "a number without unit"),
            ["ns", "us", "ms", "s"],
        )
    if left.unit and right.unit:
        raise _refuse(f"{left.unit} stands beside {right.unit}", ["equal units"])
    return left.unit or right.unit


def _compare(op: str, left: _Quantity, right: _Quantity) -> bool:
    _common(left, right)
    return _COMPARE[op](left.value, right.value)


def _refuse(what: str, allowed: Sequence[str]) -> KseriesError:
    hint = f"allowed: {', '.join(allowed)}" if allowed else "harness/measure/target.py: the grammar"
    return KseriesError(Exit.USAGE, what, hint=hint)
