"""Pick one commit onto the new kernel: what git can do alone.

All of it happens in the worktree of the rebase, with plain git: a person who
is asked to resolve a conflict meets an ordinary cherry-pick.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import Exit, KseriesError
from harness.source.gitrepo import git

# A whole diff, into a file (--output), for not every kernel file is UTF-8.
_WHOLE = ("-p", "--binary", "--full-index", "--no-renames")


@dataclass(frozen=True)
class Picked:
    """What a cherry-pick came to: the new tree ("" on a conflict), and git's words."""

    tree: str
    conflicts: tuple[str, ...] = ()


def is_there(worktree: Path, commit: str) -> bool:
    """Whether a commit's diff could be taken back from HEAD: what it makes is there."""
    with tempfile.TemporaryDirectory(prefix="kseries-fits-") as folder:
        diff = Path(folder) / "diff"
        git("diff-tree", *_WHOLE, f"--output={diff}", f"{commit}^", commit, repo=worktree)
        return git("apply", "--cached", "--check", "-R", diff, repo=worktree, check=False).ok


def applied_tree(worktree: Path, commit: str, head: str) -> str:
    """Return the tree that a commit's diff makes of head by plain apply, "" if it does not fit."""
    with tempfile.TemporaryDirectory(prefix="kseries-fits-") as folder:
        diff = Path(folder) / "diff"
        git("diff-tree", *_WHOLE, f"--output={diff}", f"{commit}^", commit, repo=worktree)
        env = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git("read-tree", head, repo=worktree, env=env)
        words = ("apply", "--cached", "--whitespace=nowarn", diff)
        if not git(*words, repo=worktree, env=env, check=False).ok:
            return ""
        return git("write-tree", repo=worktree, env=env).stdout.strip()


def tree_of(worktree: Path, commit: str) -> str:
    """Return a commit's tree id."""
    return git("rev-parse", f"{commit}^{{tree}}", repo=worktree).stdout.strip()


def head_of(worktree: Path) -> str:
    """Return the commit that is checked out."""
    return git("rev-parse", "HEAD", repo=worktree).stdout.strip()


def cherry_pick(worktree: Path, commit: str) -> Picked:
    """Pick a commit onto HEAD; a conflict, or an empty result, is left in the worktree."""
    done = git(
        "-c", "merge.conflictStyle=zdiff3", "-c", "merge.renameLimit=20000", "-c",
        "advice.mergeConflict=false", "cherry-pick", commit, repo=worktree, check=False,
    )  # fmt: skip
    if done.ok:
        return Picked(tree_of(worktree, "HEAD"))
    if unmerged(worktree):
        said = f"{done.stdout}\n{done.stderr}"
        return Picked("", tuple(re.findall(r"^CONFLICT (.*)$", said, re.M)))
    if git("diff-index", "--quiet", "--cached", "HEAD", repo=worktree, check=False).ok:
        return Picked(tree_of(worktree, "HEAD"))
    raise KseriesError(
        # Neither merged nor conflicting: git itself could not work.
        Exit.SKIP_BISECT,
        "git cannot pick a commit",
        where=done.line,
        hint=f"its last lines were: {done.stderr.strip()[-500:]}",
    )


def unmerged(worktree: Path) -> list[str]:
    """Return the files that still have a conflict."""
    done = git("diff", "--name-only", "-z", "--diff-filter=U", repo=worktree)
    return list(dict.fromkeys(filter(None, done.stdout.split("\0"))))


def put_back(worktree: Path, head: str) -> None:
    """Bring the worktree to a commit, whatever is in it: nobody's work, or given up."""
    for name in ("index.lock", "HEAD.lock"):
        (worktree / ".git" / name).unlink(missing_ok=True)
    git("cherry-pick", "--quit", repo=worktree, check=False)
    git("reset", "-q", "--hard", head, repo=worktree)
