"""kseries rebase: carry the series to another kernel."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.context import Context, Outcome
from harness.core.errors import Exit, KseriesError
from harness.core.lock import locked
from harness.core.paths import Paths

if TYPE_CHECKING:
    from harness.rebase.engine import Rebase

DESCRIPTION = """\
Carry the series from the kernel of pin.toml to that of another pin, patch by
patch, in a worktree of its own.  What git can merge is merged; a patch that
the new kernel has, or that has become empty, is left out.  At a conflict it
stops, with the worktree as `git cherry-pick` leaves it, and exit status 3:
resolve, `git add`, --continue.  --skip leaves the patch out, --abort removes
all it made.  A run that was cut off goes on where it was.

At the end, and not before, the series on the new kernel is written into
patches/on/PIN/ (its series file, and the patches that differ; the others are
shared), and a report on every patch into docs/rebase/PIN.md.  The old pin and
series stay.  Every verb takes --pin PIN afterwards.  Repeated, it keeps what
was adapted by hand the last time, and merges what changed in patches/ since.

With --history, a git repository that has both releases, the report names the
upstream commits behind each conflict, and patches that went upstream."""
EXAMPLE = """\
  kseries rebase --onto pins/7.2.8.toml
  kseries rebase --continue --why "ext.c was split: the kfunc goes to ext/ext.c"
  kseries build --pin pins/7.2.8.toml"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("--onto", type=Path, metavar="FILE", help="the pin of the new kernel")
    action = parser.add_mutually_exclusive_group()
    action.add_argument(
        "--continue", dest="go_on", action="store_true", help="go on with what is resolved"
    )
    action.add_argument("--skip", action="store_true", help="leave out the patch it stopped at")
    action.add_argument("--abort", action="store_true", help="give up, and remove what was made")
    parser.add_argument(
        "--why", default="", metavar="TEXT", help="for the report: what was decided, and why"
    )
    parser.add_argument("--history", default="", metavar="GIT", help="a clone with both releases")
    parser.add_argument(
        "--source", metavar="FILE|DIR|GIT", help="where to take the new kernel from"
    )


def run(args: argparse.Namespace, context: Context) -> Outcome:
    """Begin or go on, up to the end or the next conflict."""
    from harness.rebase.state import load_state

    paths = _target(args, context.paths)
    with locked(paths.rebasing.with_name(f".{paths.rebasing.name}.lock"), on_wait=context.ui.line):
        stopped = load_state(paths.rebasing) is not None
        if not stopped and (args.go_on or args.skip or args.abort):
            raise KseriesError(
                Exit.USAGE,
                "no rebase is under way",
                where=str(paths.rebasing),
                hint=f"begin one: `kseries rebase --onto {paths.pin_file}`",
            )
        return _go(args, context, paths, begun=stopped)


def _go(args: argparse.Namespace, context: Context, paths: Paths, *, begun: bool) -> Outcome:
    from harness.rebase.carry import Before
    from harness.rebase.engine import Rebase, begin
    from harness.rebase.page import stop_text
    from harness.rebase.state import load_state
    from harness.series.series import load_series
    from harness.series.tree import apply_series
    from harness.series.worktree import is_made, refuse_to_lose
    from harness.source.pin import load_pin
    from harness.source.store import ensure_source

    new = ensure_source(paths, load_pin(paths.pin_file), context.ui, args.source)
    if not begun:
        if is_made(paths.worktree):
            refuse_to_lose(paths.worktree)
        old = ensure_source(context.paths, load_pin(context.paths.pin_file), context.ui)
        series = load_series(context.paths)
        applied = apply_series(context.paths, old, series, context.ui)
        begin(paths, old, new, series, applied, ui=context.ui, history=args.history)
    state = load_state(paths.rebasing)
    assert state is not None
    before = None
    if paths.overlay is not None and (paths.overlay / "series").is_file():
        before = Before(load_series(paths), paths.repo)
    rebase = Rebase(paths, new, state, context.ui, before)
    if args.abort:
        rebase.abort()
        return Outcome(data={"aborted": True}, text=f"gave up: {paths.rebasing} is removed")
    if begun and state.pending and not (args.go_on or args.skip):
        _refuse_to_begin(rebase.worktree, state.pending.file)
    if args.skip:
        rebase.skip(args.why)
    elif args.go_on and state.pending:
        rebase.resolved(args.why)
    waiting = rebase.run()
    if waiting is None:
        return _finished(rebase)
    where = str(rebase.worktree)
    data = {
        "worktree": where,
        "stopped": waiting.as_json(),
        "done": [report.as_json() for report in state.reports],
        "left": [patch.entry.file for patch in state.patches[state.next + 1 :]],
    }
    text = stop_text(waiting, state.next + 1, len(state.patches), where)
    return Outcome(Exit.APPLY, data, text)


def _finished(rebase: Rebase) -> Outcome:
    from harness.rebase.finish import finish
    from harness.rebase.page import left_out, summary

    done = finish(rebase)
    lines = [
        f"{summary(done.report)}",
        *left_out(done.report),
        *done.said,
        f"series:   {rebase.paths.overlay}, {len(done.report.own)} patches of its own",
        f"report:   {done.page}",
        f"worktree: {done.worktree}",
    ]
    data = {
        "report": done.report.as_json(),
        "page": str(done.page),
        "worktree": str(done.worktree),
        "said": list(done.said),
    }
    return Outcome(data=data, text="\n".join(lines))


def _target(args: argparse.Namespace, paths: Paths) -> Paths:
    """Return the paths of the new pin: --onto, or the one rebase that is under way."""
    from harness.rebase.engine import under_way

    if args.onto is None:
        there = [folder.name.removeprefix("rebase-") for folder in under_way(paths)]
        if len(there) == 1:
            return replace(paths, pin=paths.repo / "pins" / f"{there[0]}.toml")
        what = f"several are under way ({', '.join(there)})" if there else "none is under way"
        raise KseriesError(
            Exit.USAGE,
            f"which rebase? {what}",
            hint="name the new kernel: `kseries rebase --onto pins/VERSION.toml`",
        )
    onto = args.onto.resolve()
    if onto == paths.pin_file.resolve() or onto == (paths.repo / "pin.toml").resolve():
        raise KseriesError(
            Exit.USAGE,
            "the series is carried to another pin than its own, and never to pin.toml",
            where=str(args.onto),
            hint="`kseries tree --pin-of TARBALL > pins/VERSION.toml` makes one to go to",
        )
    return replace(paths, pin=onto)


def _refuse_to_begin(worktree: Path, file: str) -> None:
    raise KseriesError(
        Exit.USAGE,
        f"a rebase onto this kernel is under way, it waits at {file}",
        where=str(worktree),
        hint="resolve it and `kseries rebase --continue`, or --skip, or --abort",
    )
