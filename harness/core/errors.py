"""Exit codes, and the one exception that carries them to the command line."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Any


class Exit(IntEnum):
    """What the exit status of a verb means (docs/guide.md lists them)."""

    OK = 0
    TEST = 1  # a test failed, or a plan fell short
    USAGE = 2
    APPLY = 3  # a patch does not apply
    BUILD = 4  # the build failed, or has a new warning
    DIED = 5  # the guest died or panicked
    HANG = 6  # timeout or hang
    SPLAT = 7  # the kernel complained although tests passed
    HOST = 8  # the host lacks a requirement
    PIN = 9  # the source does not match the pin
    CONFIG = 10  # a requested symbol did not take
    LINT = 11
    SKIP_BISECT = 125  # the harness itself failed: `git bisect run` skips
    INTERRUPTED = 130


# Worst first: a dead guest explains a failed test, not the other way round.
_SEVERITY = (Exit.DIED, Exit.HANG, Exit.SPLAT)


def worst(codes: Iterable[int]) -> Exit:
    """Return the code that a run with several outcomes ends with.

    5, 6, 7 come first; then the first code that names a stage (4, 9, ...),
    because such a stage explains the tests that failed after it; then 1.
    """
    seen = [Exit(code) for code in codes if code]
    for code in _SEVERITY:
        if code in seen:
            return code
    stages = [code for code in seen if code != Exit.TEST]
    return (stages or seen or [Exit.OK])[0]


class KseriesError(Exception):
    """A failure that a person can act on.

    what: one sentence that names the failure; where: the file, patch, symbol
    or command it is about; hint: what to do next; details: extra fields of
    the verb's --json answer (plain JSON types).
    """

    def __init__(
        self,
        code: Exit,
        what: str,
        *,
        where: str = "",
        hint: str = "",
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.where = where
        self.hint = hint
        self.details = details or {}

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  at:   {self.where}")
        if self.hint:
            lines.append(f"  next: {self.hint}")
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """Return the error as the `error` object of a verb's JSON answer."""
        return {
            "exit": int(self.code),
            "what": self.what,
            "where": self.where,
            "hint": self.hint,
            **self.details,
        }
