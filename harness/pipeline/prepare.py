"""From pin.toml to built kernels."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.build.kernel import Kernel, build_kernel, check_warnings
from harness.build.selftests import area_configs
from harness.core.context import Context
from harness.series.series import Series, read_series
from harness.series.tree import Applied, apply_series
from harness.source.pin import Pin, load_pin
from harness.source.store import Source, ensure_source

ARMS = ("base", "patched")


@dataclass(frozen=True)
class Prepared:
    """What the stages made.  A kernel is None where it was not asked for."""

    pin: Pin
    source: Source
    series: Series
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

    def kernel(self, arm: str) -> Kernel:
        """Return the kernel of an arm that was asked for."""
        return self.kernels[arm]


def prepare_tree(
    context: Context, *, source: str | None = None
) -> tuple[Pin, Source, Series, Applied]:
    """Fetch, verify and import the pinned kernel, and apply the series on it."""
    pin = load_pin(context.paths.repo / "pin.toml")
    store = ensure_source(context.paths, pin, context.ui, source)
    series = read_series(context.paths.repo / "patches")
    return pin, store, series, apply_series(context.paths, store, series, context.ui)


def prepare(
    context: Context,
    *,
    set_name: str = "prod",
    want: Sequence[str] = ARMS,
    source: str | None = None,
    allow_warnings: bool = False,
) -> Prepared:
    """Build the kernels of the arms in `want` (nothing is built for an empty one).

    A warning that the patched kernel has and the base has not is an error
    (Exit.BUILD) that names the patch, unless allow_warnings.
    """
    start = time.monotonic()
    pin, store, series, applied = prepare_tree(context, source=source)
    seconds = {"tree": time.monotonic() - start}
    built: dict[str, Kernel] = {}
    touched = [(patch.file, patch.touched) for patch in applied.patches]
    # One kernel serves every lane, so it has what each own area asks for.
    extra = area_configs(context.paths.repo / "selftests")
    for arm in (arm for arm in ARMS if arm in want):
        tree = applied.base_tree if arm == "base" else applied.top_tree
        start = time.monotonic()
        built[arm] = build_kernel(
            context.paths,
            store.git,
            tree,
            config_set=set_name,
            extra_config=extra,
            kconfig_dir=context.paths.repo / "kconfig",
            ui=context.ui,
            touched=touched if arm == "patched" else (),
        )
        seconds[f"build {arm}"] = time.monotonic() - start
    if not allow_warnings and len(built) == len(ARMS):
        check_warnings(built["base"], built["patched"], touched)
    return Prepared(
        pin, store, series, applied, set_name, built.get("base"), built.get("patched"), seconds
    )
