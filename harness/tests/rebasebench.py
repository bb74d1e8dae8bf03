"""Two tiny kernels, a series on the first, and its rebase onto the second."""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from harness.cli import lint, rebase, refresh, tree
from harness.core.context import Context, Outcome
from harness.core.errors import Exit
from harness.core.paths import Paths
from harness.rebase import engine
from harness.source.pin import pin_text
from harness.source.store import ensure_source
from harness.tests.tinykernel import (
    Author,
    lay_out,
    paths_in,
    pin_for,
    quiet,
    sh,
    write_series,
)

DATA = Path(__file__).with_name("data") / "rebase"
MAPS = "mm/mmap.c"
ONE, TWO, THREE = "mm/one.patch", "mm/two.patch", "kernel/three.patch"
NEW = "6.2.3"
Edit = Callable[[Path], None]


def swap(name: str, *pairs: tuple[str, str]) -> Edit:
    """Return an edit of a file: old text, new text, each once."""

    def edit(root: Path) -> None:
        path = root / name
        text = path.read_text()
        for old, new in pairs:
            assert text.count(old) == 1, (old, text.count(old))
            text = text.replace(old, new)
        path.write_text(text)

    return edit


def same(stored: Path, text: str) -> None:
    """Compare with a stored file; KSERIES_STORE=1 stores it, for a person to read."""
    if os.environ.get("KSERIES_STORE"):
        stored.write_text(text)
    assert text == (stored.read_text() if stored.exists() else "")


def form_of(outcome: Outcome) -> list[Any]:
    """Return lint's findings in the form; nobody licenses or shows made-up patches."""
    return [finding for finding in outcome.data["findings"] if finding["rule"] == "form"]


class Bench:
    """A repository with a series on one kernel, and the pin of another kernel."""

    def __init__(
        self, folder: Path, upstream: tuple[Edit, ...], common: tuple[Edit, ...] = ()
    ) -> None:
        self.folder = folder
        self.paths = paths_in(folder)
        self.context = Context(self.paths, quiet())
        old = lay_out(folder / "kernel")
        for edit in common:
            edit(old)
        (self.paths.repo / "pin.toml").write_text(pin_text(pin_for(old), []))
        self.source = ensure_source(self.paths, pin_for(old), quiet(), str(old))
        self.new = folder / "new-kernel"
        shutil.copytree(old, self.new, symlinks=True)
        swap("Makefile", ("PATCHLEVEL = 1", "PATCHLEVEL = 2"), ("SUBLEVEL = 2", "SUBLEVEL = 3"))(
            self.new
        )
        for edit in upstream:
            edit(self.new)
        pin = replace(pin_for(self.new), version=NEW, tag=f"v{NEW}")
        self.pin = self.paths.repo / "pins" / f"{NEW}.toml"
        self.pin.parent.mkdir()
        self.pin.write_text(pin_text(pin, []))
        self.author = Author(self.source, folder / "work")
        self.texts: dict[str, str] = {}

    def patch(self, file: str, subject: str, *edits: Edit, notes: str = "") -> None:
        """Add a patch that makes these edits."""
        for edit in edits:
            edit(self.author.root)
        commit = self.author.commit(f"{subject}\n\nBody of {file}.\n")
        self.texts[file] = self.author.export(commit, notes)
        write_series(self.paths, self.texts)

    def call(self, *words: str, module: Any = rebase, pin: Path | None = None) -> Outcome:
        parser = argparse.ArgumentParser()
        module.add_arguments(parser)
        paths = replace(self.paths, pin=pin)
        outcome = module.run(parser.parse_args(words), Context(paths, quiet()))
        assert isinstance(outcome, Outcome)
        json.dumps(outcome.data)
        return outcome

    def onto(self, *words: str) -> Outcome:
        """Begin the rebase; the new kernel comes from its folder."""
        return self.call("--onto", str(self.pin), "--source", str(self.new), *words)

    @property
    def rebased(self) -> Paths:
        return replace(self.paths, pin=self.pin)

    @property
    def tree(self) -> Path:
        """The worktree that a stopped rebase leaves."""
        return self.rebased.rebasing

    def git(self, *words: str) -> str:
        return sh("git", *words, cwd=self.tree)

    def resolve(self, name: str, text: str, new: str) -> None:
        """Take the series' side of the conflict in a file, and one more edit."""
        path = self.tree / name
        assert "<<<<<<<" in path.read_text()
        self.git("checkout", "-q", "--theirs", name)
        assert text in path.read_text()
        path.write_text(path.read_text().replace(text, new))
        self.git("add", name)

    def golden(self, case: str) -> None:
        """Compare the page, and the report that --json gives, with the stored ones."""
        page = (self.paths.repo / f"docs/rebase/{NEW}.md").read_text()
        same(DATA / f"{case}.md", page)

    def finished(self, outcome: Outcome, case: str) -> dict[str, Any]:
        """Check what every finished rebase has in common, and its report."""
        assert outcome.code == Exit.OK
        self.golden(case)
        text = json.dumps(outcome.data["report"], indent=1) + "\n"
        same(DATA / f"{case}.json", text)
        assert not self.tree.exists()
        self.consistent()
        report: dict[str, Any] = json.loads(text)
        return report

    def consistent(self) -> None:
        """The new series applies, is canonical, and the old one is as it was."""
        listed = self.call(module=tree, pin=self.pin)
        worktree = Path(listed.data["worktree"])
        assert sh("git", "status", "--porcelain", cwd=worktree) == ""
        assert not listed.data["commits_not_in_patches"]
        (self.paths.repo / "kconfig").mkdir(exist_ok=True)
        checked = self.call(module=lint, pin=self.pin)
        assert form_of(checked) == []
        # A made-up kernel has no checkpatch.pl; everything else is looked at.
        assert [t for t in checked.data["skipped"] if not t.startswith("checkpatch")] == []
        assert form_of(self.call(module=lint)) == []
        for file, text in self.texts.items():
            assert (self.paths.patches / file).read_text() == text
        assert self.call(module=refresh, pin=self.pin).data["changed"] == []

    def content(self) -> Mapping[str, str]:
        """Return the new kernel's files with the rebased series on it."""
        worktree = self.rebased.worktree
        names = sh("git", "ls-files", cwd=worktree).splitlines()
        return {n: (worktree / n).read_text() for n in names if n.endswith(".c") and "lat" not in n}


def change(*numbers: int, name: str = "mmap", to: str = "ours") -> Edit:
    """Return an edit of lines of a file of the tiny kernel."""
    path = {"mmap": MAPS, "fork": "kernel/fork.c", "memcontrol": "mm/memcontrol.c"}[name]
    return swap(path, *((f"= {name}_{n};", f"= {to}_{n};") for n in numbers))


def insert(number: int, *new: str) -> Edit:
    line = f"\tvalue[{number}] = mmap_{number};\n"
    return swap(MAPS, (line, line + "".join(f"\t{text}\n" for text in new)))


def slow_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock on which everything takes its time: 7 seconds a look."""
    ticks = count(0, 7)
    monkeypatch.setattr(engine, "now", lambda: float(next(ticks)))
