"""The two kernels of every comparison: the pinned base, and the series on it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from harness.build.fragments import find_set
from harness.build.kconfig import request_hash
from harness.build.kernel import Kernel, build_kernel, check_warnings
from harness.build.makelog import new_warnings
from harness.build.selftests import area_configs
from harness.build.toolchain import detect_toolchain
from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.core.record import Record, load_record, save_record
from harness.core.ui import Ui
from harness.series.series import read_series
from harness.series.tree import Applied, apply_series
from harness.source.gitrepo import git
from harness.source.pin import load_pin
from harness.source.store import Source, ensure_source

Touched = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Arms:
    """The verified source, the applied series, and the kernels that were asked for.

    base, patched: None where not asked for; both are the same build while the
    series is empty.
    """

    source: Source
    applied: Applied
    touched: Touched
    base: Kernel | None
    patched: Kernel | None


def prepare(paths: Paths, ui: Ui, source: str | None = None) -> tuple[Source, Applied]:
    """Return the verified source and the series applied to it."""
    verified = ensure_source(paths, load_pin(paths.repo / "pin.toml"), ui, source)
    return verified, apply_series(paths, verified, read_series(paths.repo / "patches"), ui)


def touched_paths(store: Path, applied: Applied) -> Touched:
    """Return (patch file, paths it touches) of each patch in series order."""
    before = applied.base_tree
    found = []
    for patch in applied.patches:
        names = git("diff-tree", "-r", "--name-only", "-z", before, patch.tree, repo=store).stdout
        found.append((patch.file, tuple(name for name in names.split("\0") if name)))
        before = patch.tree
    return tuple(found)


def build_arms(
    paths: Paths,
    ui: Ui,
    *,
    config_set: str = "prod",
    base: bool = True,
    patched: bool = True,
    source: str | None = None,
    jobs: int | None = None,
) -> Arms:
    """Build the base and the patched kernel of this repository.

    source: where to take the pinned kernel from (see ensure_source).  A
    warning that only the patched kernel has is an error that names the patch.
    """
    verified, applied = prepare(paths, ui, source)
    builder = _Builder(paths, ui, verified, config_set, jobs)
    touched = touched_paths(verified.git, applied)
    first = builder.kernel(applied.base_tree) if base else None
    second = builder.kernel(applied.top_tree, touched) if patched else None
    if first is not None and second is not None:
        check_warnings(first, second, touched)
    return Arms(verified, applied, touched, first, second)


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
) -> tuple[Prefix, ...]:
    """Build every prefix of the series; return the new warnings of each patch.

    A patch with which the series does not build ends in exit 4.  What a
    prefix warned of is recorded; its 4 GiB of objects are not kept, those of
    the base and the whole series aside.
    """
    verified, applied = prepare(paths, ui, source)
    builder = _Builder(paths, ui, verified, config_set, jobs)
    kept = {applied.base_tree, applied.top_tree}
    before = builder.warnings(applied.base_tree, "the base", (), keep=True)
    prefixes = []
    for patch, touched in zip(applied.patches, touched_paths(verified.git, applied), strict=True):
        after = builder.warnings(patch.tree, patch.file, (touched,), keep=patch.tree in kept)
        prefixes.append(Prefix(patch.file, patch.tree, new_warnings(before, after)))
        before = after
    return tuple(prefixes)


@dataclass(frozen=True)
class _Builder:
    """Builds trees of one source in one configuration."""

    paths: Paths
    ui: Ui
    source: Source
    config_set: str
    jobs: int | None

    @property
    def extra(self) -> tuple[Path, ...]:
        """The config files of all own areas: one kernel serves every test."""
        return area_configs(self.paths.repo / "selftests")

    @property
    def kconfig(self) -> Path:
        return self.paths.repo / "kconfig"

    def kernel(self, tree: str, touched: Touched = ()) -> Kernel:
        return build_kernel(
            self.paths,
            self.source.git,
            tree,
            config_set=self.config_set,
            extra_config=self.extra,
            kconfig_dir=self.kconfig,
            ui=self.ui,
            jobs=self.jobs,
            touched=touched,
        )

    def warnings(self, tree: str, name: str, touched: Touched, *, keep: bool) -> tuple[str, ...]:
        """Return what the build of a tree warns of, from its record if there is one."""
        chosen = find_set(self.kconfig, self.config_set)
        inputs = {
            "tree": tree,
            "config": request_hash(chosen, root=self.paths.repo, extra=self.extra),
            "compiler": detect_toolchain().id,
        }
        record = load_record(self.paths.records, "warnings", inputs)
        if record is not None:
            return tuple(record.outputs["warnings"])
        try:
            kernel = self.kernel(tree, touched)
        except KseriesError as error:
            if error.code is Exit.BUILD:
                error.what = f"{error.what}\n    the series builds up to here without {name}"
                error.details["patches"] = [name]
            raise
        save_record(
            self.paths.records, Record("warnings", inputs, {"warnings": list(kernel.warnings)})
        )
        if not keep and not kernel.reused:
            shutil.rmtree(self.paths.builds / kernel.key, ignore_errors=True)
        return kernel.warnings
