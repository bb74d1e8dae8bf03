"""Reading a TOML table key by key, with errors that name file, key and choices."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from harness.core.errors import Exit, KseriesError

_MISSING = object()


class Table:
    """One table of a TOML file; done() refuses the keys that nobody read."""

    def __init__(self, data: Mapping[str, object], file: str, place: str = "") -> None:
        self._data = dict(data)
        self._file = file
        self._place = place
        self._read: list[str] = []

    def error(self, key: str, what: str, allowed: Sequence[str] = ()) -> KseriesError:
        """Return the error for key; allowed: what may stand there."""
        return KseriesError(
            Exit.USAGE,
            f"{self._place}{key}: {what}",
            where=self._file,
            hint=f"allowed: {', '.join(allowed)}"
            if allowed
            else "the docstring of harness/measure/plan.py is a commented example",
        )

    def _take(self, key: str, default: object = _MISSING) -> object:
        self._read.append(key)
        value = self._data.get(key, default)
        if value is _MISSING:
            raise self.error(key, "is missing")
        return value

    def text(self, key: str, *, default: str | None = None) -> str:
        """Return a string; an empty one is refused unless it is the default."""
        value = self._take(key, _MISSING if default is None else default)
        if not isinstance(value, str):
            raise self.error(key, f"a string is wanted, not {value!r}")
        if not value.strip() and value != default:
            raise self.error(key, "must not be empty")
        return value

    def word(self, key: str, pattern: re.Pattern[str]) -> str:
        """Return a string that fits the pattern whole."""
        value = self.text(key)
        if not pattern.fullmatch(value):
            raise self.error(key, f"{value!r} does not fit {pattern.pattern}")
        return value

    def texts(self, key: str, *, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """Return a list of strings."""
        value = self._take(key, _MISSING if default is None else list(default))
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(key, f"a list of strings is wanted, not {value!r}")
        return tuple(value)

    def choice(self, key: str, allowed: Sequence[str], *, default: str | None = None) -> str:
        """Return one of the allowed strings."""
        value = self.text(key, default=default)
        if value not in allowed:
            raise self.error(key, f"{value!r} is not known", allowed)
        return value

    def choices(
        self, key: str, allowed: Sequence[str], *, default: tuple[str, ...] | None = None
    ) -> tuple[str, ...]:
        """Return a list of allowed strings, not empty, none twice."""
        values = self.texts(key, default=default)
        if not values:
            raise self.error(key, "must name at least one", allowed)
        for value in values:
            if value not in allowed:
                raise self.error(key, f"{value!r} is not known", allowed)
        self.unique(key, values)
        return values

    def number(self, key: str, *, minimum: int, default: int | None = None) -> int:
        """Return a whole number of at least minimum."""
        value = self._take(key, _MISSING if default is None else default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(key, f"a whole number is wanted, not {value!r}")
        if value < minimum:
            raise self.error(key, f"{value} is under {minimum}")
        return value

    def numbers(self, key: str) -> tuple[float, ...]:
        """Return a list of numbers, not empty."""
        value = self._take(key)
        if not isinstance(value, list) or not value:
            raise self.error(key, f"a list of numbers is wanted, not {value!r}")
        numbers: list[float] = []
        for item in value:
            if isinstance(item, bool) or not isinstance(item, int | float):
                raise self.error(key, f"a list of numbers is wanted, not {value!r}")
            numbers.append(float(item))
        return tuple(numbers)

    def text_or_texts(self, key: str) -> tuple[str, ...]:
        """Return a list of strings that may be written as one, or be missing."""
        if isinstance(self._data.get(key), list):
            return self.texts(key)
        return (self.text(key),) if key in self._data else self.texts(key, default=())

    def is_table(self, key: str) -> bool:
        """Whether a table stands at key, and nothing else."""
        return isinstance(self._data.get(key), dict)

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Return true or false."""
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise self.error(key, f"true or false is wanted, not {value!r}")
        return value

    def mapping(self, key: str) -> Mapping[str, str]:
        """Return a table of strings, empty by default."""
        value = self._take(key, {})
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            raise self.error(key, f"a table of strings is wanted, not {value!r}")
        return dict(value)

    def table(self, key: str) -> Table | None:
        """Return the table at key, or None."""
        value = self._take(key, None)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.error(key, f"a table is wanted, not {value!r}")
        return Table(value, self._file, f"{self._place}{key}.")

    def tables(self, key: str, *, required: bool = False) -> list[Table]:
        """Return the tables of an array at key."""
        value = self._take(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.error(key, "an array of tables is wanted")
        if required and not value:
            raise self.error(key, "at least one is wanted")
        return [
            Table(item, self._file, f"{self._place}{key} {item.get('name', index + 1)}: ")
            for index, item in enumerate(value)
        ]

    def unique(self, key: str, values: Sequence[str]) -> None:
        """Refuse a value that stands twice."""
        seen: set[str] = set()
        for value in values:
            if value in seen:
                raise self.error(key, f"{value!r} stands twice")
            seen.add(value)

    def done(self) -> None:
        """Refuse keys that were not read: a typo must not be ignored."""
        for key in self._data:
            if key not in self._read:
                raise self.error(key, "is not a key of this table", sorted(self._read))
