"""The verbs tree, refresh and lint, from their arguments to what they answer."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli import lint, refresh, tree
from harness.core.context import Context, Outcome
from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.source.pin import Pin
from harness.tests.tinykernel import (
    env_without_git,
    lay_out,
    pack,
    paths_in,
    pin_for,
    quiet,
    sh,
)


def pin_toml(pin: Pin) -> str:
    return (
        f'version = "{pin.version}"\ntag = "{pin.tag}"\ntree = "{pin.tree}"\n'
        f"excluded = {list(pin.excluded)}\n"
    )


@pytest.fixture
def context(tmp_path: Path) -> Context:
    paths = paths_in(tmp_path)
    root = lay_out(tmp_path / "kernel")
    (paths.repo / "pin.toml").write_text(pin_toml(pin_for(root)))
    (paths.repo / "kconfig").mkdir()
    pack(root, tmp_path / "linux.tar.xz")
    return Context(paths, quiet())


def call(module: object, context: Context, *words: str) -> Outcome:
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)  # type: ignore[attr-defined]
    outcome = module.run(parser.parse_args(words), context)  # type: ignore[attr-defined]
    assert isinstance(outcome, Outcome)
    json.dumps(outcome.data)
    return outcome


def tarball(context: Context) -> str:
    return str(context.paths.repo.parent / "linux.tar.xz")


def test_edit_and_refresh(context: Context) -> None:
    assert "not in the cache" in call(lint, context).data["skipped"][0]
    made = call(tree, context, "-q", "--source", tarball(context))
    worktree = Path(made.text)
    assert worktree == context.paths.worktree
    assert made.data["patches"] == []
    file = worktree / "mm/mmap.c"
    file.write_text(file.read_text().replace("mmap_9;", "mmap_nine;"))
    assert call(tree, context, "-q").data["edited"] == ["mm/mmap.c"]
    sh("git", "commit", "-q", "-am", "mm: Spell nine\n\nBecause.", cwd=worktree)
    assert "`kseries refresh`" in call(tree, context).text
    done = call(refresh, context)
    assert done.data["added"] == ["mm/mm-spell-nine.patch"]
    assert "added    patches/mm/mm-spell-nine.patch" in done.text
    again = call(tree, context)
    assert "1 of 1 patches applied" in again.text
    assert again.data["top_tree"] == done.data["top_tree"]
    assert not again.data["commits_not_in_patches"]
    # The tiny kernel has no checkpatch, and nobody has stated what shows the patch.
    checked = call(lint, context)
    assert checked.data["skipped"] == [
        "checkpatch --strict: this kernel has no scripts/checkpatch.pl"
    ]
    assert checked.code == Exit.LINT
    assert {finding["rule"] for finding in checked.data["findings"]} == {"ledger"}


def test_base(context: Context) -> None:
    call(tree, context, "-q", "--source", tarball(context))
    (context.paths.worktree / "init/new").write_text("x\n")
    sh("git", "add", "-A", cwd=context.paths.worktree)
    sh("git", "commit", "-q", "-m", "init: Add new\n\nBody.", cwd=context.paths.worktree)
    call(refresh, context)
    base = call(tree, context, "--base")
    assert "0 of 1 patches applied" in base.text
    assert not (context.paths.worktree / "init/new").exists()
    assert call(refresh, context).data["removed"] == []
    assert call(tree, context).data["patches"][0]["subject"] == "init: Add new"
    assert (context.paths.worktree / "init/new").exists()


def test_lint_finds(context: Context) -> None:
    (context.paths.repo / "kconfig/x.config").write_text("CONFIG_A=y\n")
    (context.paths.repo / "patches/t").mkdir()
    (context.paths.repo / "patches/t/a.patch").write_text("hello\n")
    outcome = call(lint, context)
    assert outcome.code == Exit.LINT
    assert [finding["where"] for finding in outcome.data["findings"]] == [
        "patches/t/a.patch",
        "kconfig/x.config:1",
    ]
    assert "  next: write the reason" in outcome.text


def test_conflict_and_pin_exit_codes(context: Context, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.tar"
    shutil.copytree(tmp_path / "kernel", tmp_path / "other", symlinks=True)
    (tmp_path / "other/Makefile").write_text("VERSION = 5\nPATCHLEVEL = 4\n")
    with pytest.raises(KseriesError) as caught:
        call(tree, context, "--source", str(pack(tmp_path / "other", wrong)))
    assert caught.value.code == Exit.PIN
    call(tree, context, "--source", tarball(context))
    (context.paths.repo / "patches/t").mkdir()
    (context.paths.repo / "patches/series").write_text("t/a.patch\n")
    (context.paths.repo / "patches/t/a.patch").write_text(
        "From: A <a@b>\nDate: Sat, 1 Jan 2000 00:00:00 +0000\nSubject: mm: X\n\n"
        "diff --git a/mm/mmap.c b/mm/mmap.c\n--- a/mm/mmap.c\n+++ b/mm/mmap.c\n"
        "@@ -1 +1 @@\n-nothing like it\n+x\n"
    )
    with pytest.raises(KseriesError) as caught:
        call(tree, context)
    assert caught.value.code == Exit.APPLY
    assert caught.value.as_json()["patch"] == "t/a.patch"


def test_as_typed(context: Context, tmp_path: Path) -> None:
    """`cd $(kseries tree -q) && git rebase -i kseries/base`, in a shell."""
    repo = Paths.discover().repo
    home = context.paths.repo
    shutil.copytree(repo / "harness", home / "harness", ignore=shutil.ignore_patterns("tests"))
    (tmp_path / "kseries").write_text(
        f'#!/bin/sh\nPYTHONPATH={home} exec {sys.executable} -m harness "$@"\n'
    )
    (tmp_path / "kseries").chmod(0o755)
    env = {
        **env_without_git(),
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(tmp_path / "xdg"),
        "HOME": str(tmp_path),
    }

    def shell(line: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["bash", "-c", line], env=env, cwd=tmp_path, capture_output=True, check=False
        )

    first = shell(f"kseries tree -q --source {tarball(context)}")
    worktree = Path(first.stdout.decode().rstrip("\n"))
    assert first.returncode == 0, first.stderr
    assert worktree.is_dir()
    assert first.stdout.count(b"\n") == 1
    file = worktree / "mm/mmap.c"
    file.write_text(file.read_text().replace("mmap_9;", "mmap_nine;"))
    done = shell(
        'cd $(kseries tree -q) && git commit -qam "mm: Spell nine" -m Why. && kseries refresh'
        " && GIT_SEQUENCE_EDITOR='cat' git rebase -i kseries/base"
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert b"mm: Spell nine" in done.stdout
    assert (home / "patches/mm/mm-spell-nine.patch").is_file()
    # The second time nothing is said but the answer.
    second = shell("kseries tree -q")
    assert (second.stdout.decode(), second.stderr.decode()) == (f"{worktree}\n", "")
    body = json.loads(shell("kseries tree --json").stdout)
    assert body["exit"] == 0
    assert body["worktree"] == str(worktree)
