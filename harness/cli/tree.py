"""kseries tree: the pinned kernel with the series applied, as a git worktree."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.core.context import Context, Outcome
from harness.series.series import Series, load_series
from harness.series.tree import apply_series, apply_texts
from harness.series.worktree import edited_files, ensure_worktree, head_commit, top_commit
from harness.source.pin import load_pin
from harness.source.store import ensure_source

DESCRIPTION = """\
Fetch and verify the pinned kernel, apply the series, check it out as a git
worktree, and print where.  The branch `series` is yours to edit with plain
git; kseries/base is the pinned kernel, kseries/top what patches/ has.
Edits that are not in patches/ are never overwritten: `kseries refresh` first.

With --base the worktree holds the base alone; patches that you then apply by
hand (`git am --reject --keep-non-patch`) are found again by their subject,
and `kseries refresh` leaves the others as they are.

--source takes a tarball, an unpacked kernel or a git repository with the
release's tag, where the network has none.  Whatever it is, its tree id must
be the pin's (exit 9).

--pin-of prints the pin of a release's tarball: its tree id without the paths
that this pin excludes, its digests, and what its kernel needs of the host."""
EXAMPLE = """\
  cd $(kseries tree -q) && git rebase -i kseries/base
  kseries tree --source ~/Downloads/linux-6.18.15.tar.xz
  kseries tree --pin-of ~/Downloads/linux_7.2.8.orig.tar.xz > pins/7.2.8.toml
  kseries tree --pin pins/7.2.8.toml      the series that was rebased onto it"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("-q", "--quiet", action="store_true", help="print the path alone")
    parser.add_argument(
        "--source", metavar="X", help="take the kernel from a tarball, a folder or a git repository"
    )
    parser.add_argument("--base", action="store_true", help="leave the series out")
    parser.add_argument(
        "--pin-of", metavar="TARBALL", help="compute the pin of a tarball, and print it"
    )


def run(args: argparse.Namespace, context: Context) -> Outcome:
    """Make or find the worktree."""
    paths = context.paths
    if args.pin_of:
        return _pin_of(Path(args.pin_of).expanduser(), context)
    pin = load_pin(paths.pin_file)
    # Of a kernel that the series was not carried to yet there is the base.
    fresh = args.base and paths.overlay is not None and not paths.overlay.is_dir()
    series = Series(paths.patches) if fresh else load_series(paths)
    source = ensure_source(paths, pin, context.ui, args.source)
    if args.base:
        applied = apply_texts(paths, source, [], context.ui)
    else:
        applied = apply_series(paths, source, series, context.ui)
    worktree = ensure_worktree(paths, source, series, applied, context.ui)
    edited = edited_files(worktree)
    ahead = head_commit(worktree) != top_commit(worktree)
    data = {
        "worktree": str(worktree),
        "pin": source.pin.version,
        "base_commit": applied.base_commit,
        "base_tree": applied.base_tree,
        "top_commit": applied.top_commit,
        "top_tree": applied.top_tree,
        "patches": [vars(patch) for patch in applied.patches],
        "edited": edited,
        "commits_not_in_patches": ahead,
    }
    if args.quiet:
        return Outcome(data=data, text=str(worktree))
    lines = [
        str(worktree),
        f"  Linux {source.pin.version}, {len(applied.patches)} of {len(series.entries)} "
        f"patches applied, tree {applied.top_tree[:12]}",
    ]
    lines += [f"  {patch.commit[:12]} {patch.subject}" for patch in applied.patches]
    if edited or ahead:
        lines.append("  it has work that patches/ does not have: commit, then `kseries refresh`")
    return Outcome(data=data, text="\n".join(lines))


def _pin_of(archive: Path, context: Context) -> Outcome:
    from harness.source.measure import measure_pin

    found = measure_pin(context.paths, archive, load_pin(context.paths.pin_file), context.ui)
    pin = found.pin
    data = {
        "version": pin.version,
        "tree": pin.tree,
        "excluded": list(pin.excluded),
        "held": list(found.held),
        "needs": dict(pin.needs),
        "artefact": vars(pin.artefacts[0]),
        "toml": found.text,
    }
    return Outcome(data=data, text=found.text.rstrip("\n"))
