"""A kernel that moves from tree to tree: for those that are booted once and thrown away.

A mutant differs from the series by one line, so make has one file to compile.
Its source is laid out once, and only files that differ are written anew; the
kernels that figures and verdicts come from never share a folder this way.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from harness.build.fragments import find_set
from harness.build.kconfig import request_hash
from harness.build.kernel import Kernel, KernelJob
from harness.build.toolchain import default_jobs, detect_toolchain
from harness.core.lock import locked
from harness.core.paths import Paths
from harness.core.proc import run
from harness.core.record import hash_json, record_key
from harness.core.ui import Ui
from harness.source.gitrepo import GIT, clean_env

Touched = Sequence[tuple[str, Sequence[str]]]  # (patch file, paths) in series order


class KernelOf(Protocol):
    """From a tree id, and the patches that a break may be due to, to a kernel."""

    def __call__(self, tree: str, touched: Touched = ()) -> Kernel:
        """Return the kernel; the one before is gone then."""


@contextlib.contextmanager
def workshop(
    paths: Paths,
    store_git: Path,
    *,
    config_set: str = "prod",
    extra_config: Sequence[Path] = (),
    kconfig_dir: Path,
    ui: Ui,
    jobs: int | None = None,
    later: Collection[str] = (),
) -> Iterator[KernelOf]:
    """Yield a function from a tree id to its kernel; the next call replaces it.

    store_git: bare repository that has the trees; extra_config: `config`
    files of own selftests; jobs: compilers at once (None: the CPUs); later:
    symbols that a tree may be without.  A kernel knows the warnings of what
    was compiled for it, which are all of the files of `touched`.  One process
    at a time works here.
    """
    toolchain = detect_toolchain()
    config_hash = request_hash(
        find_set(kconfig_dir, config_set), root=paths.repo, extra=extra_config
    )
    key = record_key("workshop", {"config": config_hash, "compiler": toolchain.id})
    folder = paths.builds / f"workshop-{key}"

    def kernel(tree: str, touched: Touched = ()) -> Kernel:
        number = jobs or default_jobs()
        job = KernelJob(paths, folder, tree, config_set, toolchain, ui, number, later)
        stamp = folder / "tree"
        names = [name for _, own in touched for name in own]
        wanted = hash_json([tree, names])
        other = not stamp.exists() or stamp.read_text() != wanted
        if other:
            job.log.unlink(missing_ok=True)  # the warnings of another tree
        move_source(store_git, tree, job.src, folder / "index")
        if other:
            # The tree before may have had the same files: make must compile, and
            # warn of, them all the same.
            renew(job.src, names)
        stamp.write_text(wanted)
        return job.make(store_git, kconfig_dir, extra_config, config_hash, touched)

    with locked(paths.cache / "locks" / f"{folder.name}.lock", on_wait=ui.line):
        yield kernel


def renew(src: Path, names: Sequence[str]) -> None:
    """Make files below src look edited, for make; names: some may not be there."""
    for name in names:
        path = src / name
        if path.is_file() and not path.is_symlink():
            os.utime(path)


def move_source(store: Path, tree: str, src: Path, index: Path) -> None:
    """Make src hold the tree, writing only files that differ; src may be missing.

    An interruption costs nothing: what does not look as the index says is
    written again next time.
    """
    src.mkdir(parents=True, exist_ok=True)
    words = [*GIT, f"--git-dir={store.resolve()}", f"--work-tree={src.resolve()}"]
    env = clean_env({"GIT_INDEX_FILE": str(index.resolve())})
    index.with_name(f"{index.name}.lock").unlink(missing_ok=True)
    run([*words, "update-index", "-q", "--refresh"], cwd=src, env=env, check=False)
    run([*words, "read-tree", "--reset", "-u", tree], cwd=src, env=env)
