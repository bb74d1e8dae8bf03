"""The two kernels of every comparison: the pinned base, and the series on it."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from harness.build.fragments import find_set
from harness.build.kconfig import request_hash
from harness.build.kernel import Kernel, build_inputs, build_kernel, check_warnings
from harness.build.selftests import area_configs
from harness.build.toolchain import detect_toolchain
from harness.build.workshop import KernelOf, Touched, workshop
from harness.core.paths import Paths
from harness.core.ui import Ui
from harness.series.series import load_series
from harness.series.tree import Applied, apply_series
from harness.source.gitrepo import git
from harness.source.pin import load_pin
from harness.source.store import Source, ensure_source


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
    series = load_series(paths)
    verified = ensure_source(paths, load_pin(paths.pin_file), ui, source)
    return verified, apply_series(paths, verified, series, ui)


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
    builder = Builder(paths, ui, verified, config_set, jobs)
    touched = touched_paths(verified.git, applied)
    first = builder.base(applied) if base else None
    second = builder.kernel(applied.top_tree, touched) if patched else None
    if first is not None and second is not None:
        check_warnings(first, second, touched)
    return Arms(verified, applied, touched, first, second)


@dataclass(frozen=True)
class Builder:
    """Builds trees of one source in one configuration.

    jobs: compilers at once, None for the CPUs.
    """

    paths: Paths
    ui: Ui
    source: Source
    config_set: str = "prod"
    jobs: int | None = None

    @property
    def extra(self) -> tuple[Path, ...]:
        """The config files of all own areas: one kernel serves every test."""
        return area_configs(self.paths.repo / "selftests")

    @property
    def kconfig(self) -> Path:
        """The folder of config sets."""
        return self.paths.repo / "kconfig"

    def inputs(self, tree: str) -> dict[str, str]:
        """Return what the kernel of a tree is made from, by hash; nothing is built."""
        chosen = find_set(self.kconfig, self.config_set)
        config = request_hash(chosen, root=self.paths.repo, extra=self.extra)
        return build_inputs(tree, config, detect_toolchain())

    def base(self, applied: Applied) -> Kernel:
        """Return the kernel without the series, of which a fragment may ask symbols."""
        return self.kernel(applied.base_tree, later=self._later())

    def _later(self) -> frozenset[str]:
        return load_series(self.paths).symbols()

    def workshop(self) -> AbstractContextManager[KernelOf]:
        """Return the place where kernels of other trees are made for one boot each."""
        return workshop(
            self.paths,
            self.source.git,
            config_set=self.config_set,
            extra_config=self.extra,
            kconfig_dir=self.kconfig,
            ui=self.ui,
            jobs=self.jobs,
            later=self._later(),
        )

    def kernel(self, tree: str, touched: Touched = (), later: Collection[str] = ()) -> Kernel:
        """Return the kernel of a tree; see build_kernel."""
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
            later=later,
        )
