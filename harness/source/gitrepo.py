"""Git with a clean configuration: no user's or system's setting changes a result."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from harness.core.errors import Exit
from harness.core.proc import Completed, run

IDENTITY = "Agent Kernel Series <agent-kernel@localhost>"
# Base and committer dates are fixed so that commit ids agree everywhere.
EPOCH = "2000-01-01T00:00:00+0000"
# The start of every git command line.  Attributes of the user would change
# hunk headers; a cache owned by another user is read all the same.
GIT = (
    "git",
    "-c",
    "core.fsync=none",
    "-c",
    "core.attributesFile=/dev/null",
    "-c",
    "safe.directory=*",
)


def clean_env(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment in which git reads no configuration but the repository's."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    name, _, email = IDENTITY.rstrip(">").partition(" <")
    env.update(
        GIT_CONFIG_GLOBAL="/dev/null",
        GIT_CONFIG_NOSYSTEM="1",
        GIT_CONFIG_SYSTEM="/dev/null",
        GIT_ATTR_NOSYSTEM="1",
        GIT_AUTHOR_NAME=name,
        GIT_AUTHOR_EMAIL=email,
        GIT_AUTHOR_DATE=EPOCH,
        GIT_COMMITTER_NAME=name,
        GIT_COMMITTER_EMAIL=email,
        GIT_COMMITTER_DATE=EPOCH,
        GIT_TERMINAL_PROMPT="0",
        GIT_OPTIONAL_LOCKS="0",
        LC_ALL="C.UTF-8",
        TZ="UTC",
    )
    env.update(extra or {})
    return env


def git(
    *args: str | Path,
    repo: Path,
    stdin: str | bytes | Path | None = None,
    check: bool = True,
    env: Mapping[str, str] | None = None,
    code: Exit = Exit.SKIP_BISECT,
) -> Completed:
    """Run git in repo (a worktree or a bare repository) with the clean configuration."""
    return run(
        [*GIT, "-C", repo, *args],
        stdin=stdin,
        check=check,
        env=clean_env(env),
        code=code,
    )


def checkout_tree(store: Path, tree: str, dest: Path, names: Iterable[str] | None = None) -> None:
    """Lay a tree of the bare repository out as plain files below dest (no .git).

    names: only these files of it; dest must not exist; it appears whole or not at all.
    """
    partial = dest.with_name(f".{dest.name}.partial-{os.getpid()}")
    index = dest.with_name(f".{dest.name}.index-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        env = {"GIT_INDEX_FILE": str(index)}
        git("read-tree", tree, repo=store, env=env)
        git(
            f"--git-dir={store.resolve()}",
            f"--work-tree={partial.resolve()}",
            "checkout-index",
            "--quiet",
            *(["--all"] if names is None else ["-z", "--stdin"]),
            repo=store,
            env=env,
            stdin=None if names is None else "".join(f"{n}\0" for n in sorted(set(names))),
        )
        partial.rename(dest)
    finally:
        index.unlink(missing_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
