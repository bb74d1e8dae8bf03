"""From pin.toml to built kernels: what every verb that needs a kernel calls."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.build.arms import build_arms
from harness.build.kernel import Kernel
from harness.core.context import Context
from harness.series.tree import Applied
from harness.source.pin import Pin
from harness.source.store import Source

ARMS = ("base", "patched")


@dataclass(frozen=True)
class Prepared:
    """What the stages made.  A kernel is None where it was not asked for."""

    pin: Pin
    source: Source
    applied: Applied
    set_name: str
    base: Kernel | None
    patched: Kernel | None
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def kernels(self) -> dict[str, Kernel]:
        """The built kernels by arm, base first."""
        pairs = (("base", self.base), ("patched", self.patched))
        return {arm: kernel for arm, kernel in pairs if kernel is not None}


def prepare(
    context: Context,
    *,
    set_name: str = "prod",
    want: Sequence[str] = ARMS,
    source: str | None = None,
) -> Prepared:
    """Fetch, verify, apply, and build the kernels of the arms in `want`.

    source: where to take the pinned kernel from, None for the usual places.
    A stage whose inputs have not changed is read from its record.
    """
    start = time.monotonic()
    arms = build_arms(
        context.paths,
        context.ui,
        config_set=set_name,
        base="base" in want,
        patched="patched" in want,
        source=source,
    )
    seconds = {"source, series and kernels": round(time.monotonic() - start, 2)}
    return Prepared(
        arms.source.pin, arms.source, arms.applied, set_name, arms.base, arms.patched, seconds
    )
