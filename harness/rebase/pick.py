"""Carry one commit onto the new kernel: what git can do alone, and what was done before.

All of it happens in the worktree of the rebase, with plain git: a person who
is asked to resolve a conflict meets an ordinary cherry-pick.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from harness.core.errors import Exit, KseriesError
from harness.rebase.state import Patch
from harness.series.export import read_commit, recommit
from harness.series.overlay import Origin, load_origins
from harness.series.series import Series
from harness.series.tree import Work
from harness.source.gitrepo import git
from harness.source.store import Source

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


@dataclass(frozen=True)
class Before:
    """The series of an earlier rebase onto this kernel, with what its patches were made from.

    repo: the repository of the series, whose history has earlier forms.
    """

    series: Series
    repo: Path

    def was_skipped(self, patch: Patch) -> str:
        """Return why a person left this very form of the patch out, "" if nobody did."""
        origin = load_origins(self.series.folder).left_out.get(patch.entry.file)
        return origin.why if origin and origin.blob == patch.blob else ""

    def adapted(self, file: str) -> bool:
        """Whether the earlier series has a form of its own of this patch."""
        return file in load_origins(self.series.folder).own

    def origin(self, file: str) -> Origin:
        """Return what is known of a patch that was adapted: the reason, and the time it took."""
        return load_origins(self.series.folder).own.get(file) or Origin("")

    def carry(self, source: Source, worktree: Path, patch: Patch, head: str) -> str | None:
        """Return a commit on head that does what the earlier form did, None if it cannot be.

        source: the new kernel.  What changed in patches/ since is merged in:
        the base of that merge is the form of patches/ that the earlier one
        was made from.
        """
        file = patch.entry.file
        origin = load_origins(self.series.folder).own.get(file)
        if file not in self.series.files or origin is None:
            return None
        text = self.series.text(file)
        with tempfile.TemporaryDirectory(prefix="kseries-carry-") as folder:
            place = Path(folder)
            try:
                ours = Work(worktree, place, head).apply(file, text, head)
                if origin.blob == patch.blob:
                    return ours.commit
                found = git("cat-file", "blob", origin.blob, repo=self.repo)
                parent = git("rev-parse", f"{patch.commit}^", repo=worktree).stdout.strip()
                first = Work(worktree, place, parent).apply(file, found.stdout, parent)
            except KseriesError:
                return None
        return _merge(source, worktree, first.commit, (ours.commit, patch.commit), head)


def _merge(
    source: Source, worktree: Path, first: str, sides: tuple[str, str], head: str
) -> str | None:
    """Merge two forms (ours, theirs) of a patch that began as `first`.

    Returns a commit on head, None where they contradict each other.
    """
    objects = worktree / ".git" / "objects"
    old, mine, new = (read_commit(source, each, objects) for each in (first, *sides))
    tips = [recommit(source, replace(form, parents=(first,)), objects) for form in (mine, new)]
    merged = git("merge-tree", "--write-tree", *tips, repo=worktree, check=False)
    if not merged.ok:
        return None
    tree = merged.stdout.split("\n", 1)[0]
    # A message that was reworded for this kernel stays; else that of patches/ is the newer.
    message = new.message if mine.message == old.message else mine.message
    return recommit(source, replace(new, tree=tree, parents=(head,), message=message), objects)
