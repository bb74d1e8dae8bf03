"""Every prefix of the series: whether it builds, and what its patch warns of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from harness.build.arms import Builder, prepare, touched_paths
from harness.build.kernel import Kernel
from harness.build.makelog import new_warnings
from harness.build.workshop import KernelOf
from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.core.record import Record, load_record, save_record
from harness.core.ui import Ui
from harness.series.tree import Applied, AppliedPatch
from harness.source.store import Source

_STAGE = "each"


@dataclass(frozen=True)
class Prefix:
    """The series up to and with one patch: the warnings that this patch adds."""

    patch: str
    tree: str
    fresh: tuple[str, ...]


@dataclass
class Visit:
    """One prefix for those who do more with it than build it.

    inputs: what its kernel is made from, by hash (Builder.inputs); base: the
    kernel without the series.  kernel() makes the prefix's kernel, which is
    there until the next one is made.
    """

    patch: AppliedPatch
    number: int  # of its last patch, from 1
    source: Source
    applied: Applied
    base: Kernel
    inputs: Mapping[str, str]
    _make: Callable[[], Kernel]
    _made: Kernel | None = field(default=None, repr=False)

    def kernel(self) -> Kernel:
        """Return the prefix's kernel; the first call makes it."""
        if self._made is None:
            self._made = self._make()
        return self._made


def build_each(
    paths: Paths,
    ui: Ui,
    *,
    config_set: str = "prod",
    source: str | None = None,
    jobs: int | None = None,
    visit: Callable[[Visit], None] | None = None,
) -> tuple[Prefix, ...]:
    """Build every prefix of the series; return the new warnings of each patch.

    What a prefix has shown is kept by its tree, configuration and compiler, so
    an interrupted run goes on where it stopped, and none is built twice.
    visit: called with each prefix in order; it is built again if it then asks
    for the kernel.  One tree moves through the series, so that make compiles
    what a patch changes.  A patch with which the series does not build ends in
    exit 4.
    """
    verified, applied = prepare(paths, ui, source)
    builder = Builder(paths, ui, verified, config_set, jobs)
    base = builder.base(applied)
    known = list(base.warnings)
    before = applied.base_tree
    prefixes = []
    with builder.workshop() as kernel_of:
        touched = touched_paths(verified.git, applied)
        for number, (patch, own) in enumerate(zip(applied.patches, touched, strict=True), 1):
            make = partial(_kernel, kernel_of, patch, own[1])
            inputs = builder.inputs(patch.tree)
            stop = Visit(patch, number, verified, applied, base, inputs, make)
            # make says what it compiles: the files that this patch changes.
            fresh = new_warnings(known, _warnings(paths, ui, stop, before))
            known += fresh
            before = patch.tree
            prefixes.append(Prefix(patch.file, patch.tree, fresh))
            if visit is not None:
                visit(stop)
    return tuple(prefixes)


def _warnings(paths: Paths, ui: Ui, stop: Visit, before: str) -> tuple[str, ...]:
    """Return what make says of the files of a prefix's last patch, by its record if it has one.

    before: the tree without that patch.
    """
    inputs = {**stop.inputs, "before": before}
    record = load_record(paths.records, _STAGE, inputs)
    if record is None:
        record = Record(_STAGE, inputs, {"warnings": list(stop.kernel().warnings)})
        save_record(paths.records, record)
    else:
        ui.line(f"{stop.patch.file}: is known to build")
    return tuple(record.outputs["warnings"])


def _kernel(kernel_of: KernelOf, patch: AppliedPatch, names: Sequence[str]) -> Kernel:
    """Return a prefix's kernel; a break names the patch."""
    try:
        return kernel_of(patch.tree, ((patch.file, names),))
    except KseriesError as error:
        if error.code is Exit.BUILD:
            error.what += f"\n    the series builds up to here without {patch.file}"
            error.details["patches"] = [patch.file]
        raise
