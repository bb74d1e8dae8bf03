"""Kernels that nobody compiles: a table says what the build of each tree warns of."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.build import arms, each
from harness.build.kernel import Kernel
from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths


@dataclass(frozen=True)
class Patch:
    """A patch as it was applied."""

    file: str
    tree: str


def kernel(paths: Paths, tree: str, warnings: tuple[str, ...]) -> Kernel:
    """Return the kernel of a tree; its folder is named k-<tree>."""
    folder = paths.builds / f"k-{tree}"
    (folder / "src").mkdir(parents=True, exist_ok=True)
    return Kernel(
        key=folder.name,
        tree=tree,
        src=folder / "src",
        build=folder / "build",
        image=folder / "bzImage",
        vmlinux=folder / "vmlinux",
        config=folder / ".config",
        config_set="prod",
        config_hash="c",
        release="6.18.15",
        warnings=warnings,
        untaken=(),
        seconds=1.0,
        reused=False,
        toolchain={},
    )


def play_builds(
    monkeypatch: pytest.MonkeyPatch,
    paths: Paths,
    warnings: Mapping[str, tuple[str, ...]],
    patches: Mapping[Patch, tuple[str, ...]],
) -> list[str]:
    """Let kernels be played; return the list to which each build adds its tree.

    warnings: by tree, the base's tree is "base"; one that is missing does not
    build; patches: in order, with the paths they touch.
    """
    built: list[str] = []

    def build(paths: Paths, _store: Path, tree: str, **_: object) -> Kernel:
        if tree not in warnings:
            raise KseriesError(Exit.BUILD, "it does not build", details={"patches": []})
        built.append(tree)
        return kernel(paths, tree, warnings[tree])

    @contextlib.contextmanager
    def workshop(paths: Paths, store: Path, **_: object) -> Iterator[Any]:
        yield lambda tree, touched=(): build(paths, store, tree)

    source = SimpleNamespace(git=paths.git, pin=SimpleNamespace(version="6.18.15"))
    order = tuple(patches)
    applied = SimpleNamespace(base_tree="base", top_tree=order[-1].tree, patches=order)
    touched = tuple((patch.file, names) for patch, names in patches.items())
    for module in (arms, each):
        monkeypatch.setattr(module, "prepare", lambda *_: (source, applied))
        monkeypatch.setattr(module, "touched_paths", lambda *_: touched)
    monkeypatch.setattr(arms, "build_kernel", build)
    monkeypatch.setattr(arms, "workshop", workshop)
    monkeypatch.setattr(arms, "detect_toolchain", lambda: SimpleNamespace(id="gcc 12"))
    return built
