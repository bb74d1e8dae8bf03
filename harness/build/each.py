"""Every prefix of the series: whether it builds, boots, and what its patch warns of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.build.arms import Builder, prepare, touched_paths
from harness.build.kernel import Kernel
from harness.build.makelog import new_warnings
from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.core.ui import Ui
from harness.series.tree import AppliedPatch


@dataclass(frozen=True)
class Prefix:
    """The series up to and with one patch: the warnings that this patch adds."""

    patch: str
    tree: str
    fresh: tuple[str, ...]


def build_each(
    paths: Paths,
    ui: Ui,
    *,
    config_set: str = "prod",
    source: str | None = None,
    jobs: int | None = None,
    visit: Callable[[AppliedPatch, Kernel], None] | None = None,
) -> tuple[Prefix, ...]:
    """Build every prefix of the series; return the new warnings of each patch.

    visit: called with each prefix's kernel, which the next one replaces: one
    tree moves through the series, so that make compiles what a patch changes.
    A patch with which the series does not build ends in exit 4.
    """
    verified, applied = prepare(paths, ui, source)
    builder = Builder(paths, ui, verified, config_set, jobs)
    known = list(builder.base(applied).warnings)
    prefixes = []
    with builder.workshop() as kernel_of:
        touched = touched_paths(verified.git, applied)
        for patch, own in zip(applied.patches, touched, strict=True):
            try:
                kernel = kernel_of(patch.tree, (own,))
            except KseriesError as error:
                if error.code is Exit.BUILD:
                    error.what += f"\n    the series builds up to here without {patch.file}"
                    error.details["patches"] = [patch.file]
                raise
            # make says what it compiles: the files that this patch changes.
            fresh = new_warnings(known, kernel.warnings)
            known += fresh
            prefixes.append(Prefix(patch.file, patch.tree, fresh))
            if visit is not None:
                visit(patch, kernel)
    return tuple(prefixes)
