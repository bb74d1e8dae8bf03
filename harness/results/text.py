"""Figures as text: numbers, intervals, ratios; and output of guests made printable."""

from __future__ import annotations

import math
import re

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
# What XML 1.0 cannot hold, escaped or not; consoles are full of it.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def clean(text: str) -> str:
    """Return text without escape sequences, and with control characters shown as U+FFFD."""
    plain = _ANSI.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _UNPRINTABLE.sub("\ufffd", plain)


def one_line(text: str) -> str:
    """Return clean text folded into one line."""
    return " ".join(clean(text).split())


def number(value: float) -> str:
    """Return value with four significant digits, or all of them if it is whole."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    size = math.floor(math.log10(abs(value)))
    if size < -4 or size >= 15:
        return f"{value:.3e}"
    text = f"{value:,.{max(0, 3 - size)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def interval(value: float, low: float, high: float) -> str:
    """Return `value [low, high]`."""
    return f"{number(value)} [{number(low)}, {number(high)}]"


def overlap(a: tuple[float, float], b: tuple[float, float]) -> bool:
    """Whether two intervals share a point."""
    return a[0] <= b[1] and b[0] <= a[1]


def relation(value: float, base: float) -> str:
    """Return value against base in words: `47x lower`, `3.1 % higher`, `the same`."""
    if value == base:
        return "the same"
    word = "lower" if value < base else "higher"
    if value <= 0 or base <= 0:
        return f"{number(abs(value - base))} {word}"
    ratio = max(value / base, base / value)
    if ratio >= 2:
        return f"{ratio:,.1f}x {word}" if ratio < 10 else f"{ratio:,.0f}x {word}"
    percent = abs(value / base - 1) * 100
    return f"{percent:.2g} % {word}" if percent < 10 else f"{percent:.0f} % {word}"


def duration(seconds: float) -> str:
    """Return seconds as `48 s`, `3 min 05 s` or `2 h 10 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def plural(count: int, one: str, many: str = "") -> str:
    """Return `1 case`, `2 cases`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
