"""kseries refresh: the worktree's commits, back as files in patches/."""

from __future__ import annotations

import argparse

from harness.core.context import Context, Outcome
from harness.series.refresh import refresh
from harness.series.series import load_series
from harness.source.pin import load_pin
from harness.source.store import ensure_source

DESCRIPTION = """\
Write the commits of the worktree back into patches/: only files that changed,
and `series` when order, sections or names did.  A commit keeps the file that
it came from through rebases; a new one gets a file named after its subject,
in the topic of the patch before it; of a squash the first file stays.
What is written below a line of three dashes in a commit message becomes the
patch's notes for reviewers.

Every new file is applied again before it is written and must give the same
commit.  Afterwards kseries/top and the branch hold the canonical commits.
Without new commits, or without a worktree, the files in patches/ are brought
into canonical form, which is how a hand-written patch is taken in."""
EXAMPLE = """\
  cd $(kseries tree -q) && git commit --fixup=HEAD~3 -a
  git rebase -i --autosquash kseries/base && kseries refresh"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options: it has none."""


def run(args: argparse.Namespace, context: Context) -> Outcome:
    """Refresh patches/."""
    paths = context.paths
    source = ensure_source(paths, load_pin(paths.pin_file), context.ui)
    done = refresh(paths, source, load_series(paths), context.ui)
    series = load_series(paths)
    lines = list(done.said)
    for word, files in (
        ("changed", done.changed),
        ("added", done.added),
        ("removed", done.removed),
    ):
        lines += [f"{word:8} patches/{series.name(file)}" for file in files]
    touched = len(done.changed) + len(done.added) + len(done.removed)
    lines.append(
        f"{len(done.applied.patches)} patches, {touched} files written or removed, "
        f"tree {done.applied.top_tree[:12]}"
    )
    return Outcome(
        data={
            "changed": list(done.changed),
            "added": list(done.added),
            "removed": list(done.removed),
            "said": list(done.said),
            "top_commit": done.applied.top_commit,
            "top_tree": done.applied.top_tree,
            "patches": [vars(patch) for patch in done.applied.patches],
        },
        text="\n".join(lines),
    )
