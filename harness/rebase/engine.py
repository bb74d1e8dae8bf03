"""The rebase itself: begin, go on, stop for a person, take their answer, give up.

It works in a repository of its own (paths.rebasing), with the commits of the
series on the old kernel as what is picked.  patches/ and docs/ are written
when all is done, by harness.rebase.finish.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.core.ui import Ui
from harness.rebase.carry import Before
from harness.rebase.diffs import also_removed, moved_lines, parse_diff
from harness.rebase.inspect import (
    Kernels,
    find_moved,
    find_namesakes,
    inspect,
    open_history,
    patch_ids,
    patch_of,
    upstream_ids,
)
from harness.rebase.model import How, PatchReport, Status, judge
from harness.rebase.pick import (
    applied_tree,
    cherry_pick,
    head_of,
    is_there,
    put_back,
    tree_of,
    unmerged,
)
from harness.rebase.state import (
    PICKING,
    STOPPED,
    Patch,
    State,
    load_state,
    save_state,
)
from harness.series import worktree as wt
from harness.series.overlay import blob_id
from harness.series.patchfile import parse_patch
from harness.series.series import Series
from harness.series.tree import Applied
from harness.source.gitrepo import git
from harness.source.store import Source

# The clock of the report's times.
now = time.time
_ELSEWHERE = "a hunk fits in two places: merged into the one that moved, not where apply puts it"
# Lines that are named: who loses more has resolved a conflict in one file as a whole.
_LOST = 12
OLD_BASE = "refs/kseries/old-base"
OLD_TOP = "refs/kseries/old-top"


@dataclass
class Rebase:
    """A rebase under way.

    paths: of the new pin; source: the new kernel; before: the series of an
    earlier rebase onto it, if there is one.
    """

    paths: Paths
    source: Source
    state: State
    ui: Ui
    before: Before | None = None

    @property
    def worktree(self) -> Path:
        """Where a person resolves conflicts."""
        return self.paths.rebasing

    def run(self) -> PatchReport | None:
        """Carry patch after patch; return the one that needs a person, None at the end."""
        state = self.state
        if state.phase == STOPPED:
            return state.pending
        # Whatever is there since the last whole commit was cut off.
        put_back(self.worktree, state.head)
        kernels = self._kernels()
        ids = self._upstream(kernels)
        with self.ui.step(f"rebase onto Linux {state.new[0]}", len(state.patches)) as step:
            while state.next < len(state.patches):
                patch = state.patches[state.next]
                step.update(state.next, patch.entry.file)
                state.since = now()
                report = self._carry(patch, kernels, ids)
                if report.how == How.BY_HAND:
                    state.phase, state.pending = STOPPED, report
                    save_state(self.worktree, state)
                    step.note = f"{report.file} needs a person"
                    return report
                self._record(report)
            step.note = f"{len(state.patches)} patches"
        return None

    def resolved(self, why: str) -> None:
        """Take what the person made of the patch that it stopped at."""
        pending = self._pending()
        tree = self.worktree
        head = head_of(tree)
        if head == self.state.head:
            self._commit_resolution(pending)
            head = head_of(tree)
        above = git("merge-base", "--is-ancestor", self.state.head, head, repo=tree, check=False)
        left = wt.edited_files(tree)
        if not above.ok or left or wt.busy_with(tree):
            what = (
                f"there are edits that are in no commit: {', '.join(left[:3])}"
                if left
                else "HEAD does not follow on the patches that were carried so far"
            )
            raise KseriesError(
                Exit.USAGE,
                what,
                where=str(tree),
                hint="commit what belongs to the patch, or `kseries rebase --skip`, or --abort",
            )
        self._record(replace(pending, why=why, commit=head))

    def skip(self, why: str) -> None:
        """Leave the patch out that it stopped at."""
        pending = self._pending()
        put_back(self.worktree, self.state.head)
        self._record(replace(pending, how=How.SKIPPED, why=why or "left out by hand"))

    def abort(self) -> None:
        """Remove all that the rebase has made."""
        shutil.rmtree(self.worktree)

    def _pending(self) -> PatchReport:
        if self.state.phase != STOPPED or self.state.pending is None:
            raise KseriesError(
                Exit.USAGE,
                "the rebase has not stopped at a patch, it was cut off",
                where=str(self.worktree),
                hint="`kseries rebase --continue` goes on; --abort gives it up",
            )
        return self.state.pending

    def _commit_resolution(self, pending: PatchReport) -> None:
        tree = self.worktree
        files = unmerged(tree)
        loose = git("diff", "--name-only", "-z", repo=tree).stdout.split("\0")
        hint = "resolve it, `git add` it, then `kseries rebase --continue`"
        if files or any(loose):
            name = (files or loose)[0]
            what = "still has a conflict" if files else "has changes that are not staged"
            raise KseriesError(Exit.APPLY, f"{name} {what}", where=str(tree / name), hint=hint)
        marks = git("diff", "--cached", "--check", repo=tree, check=False).stdout
        marked = [line for line in marks.splitlines() if line.endswith("leftover conflict marker")]
        if marked:
            name, line = marked[0].split(":")[:2]
            raise KseriesError(
                Exit.APPLY,
                f"{name} has a conflict marker in line {line}",
                where=f"{tree / name}:{line}",
                hint=hint,
            )
        if git("diff-index", "--quiet", "--cached", "HEAD", repo=tree, check=False).ok:
            raise KseriesError(
                Exit.APPLY,
                f"nothing of {pending.file} is staged",
                where=str(tree),
                hint=f"{hint}; if the patch is not needed any more, `kseries rebase --skip`",
            )
        commit = self.state.patches[self.state.next].commit
        words = ("commit", "-q", "--no-verify", "--cleanup=verbatim", "-C", commit)
        git(*words, repo=tree)

    def _record(self, report: PatchReport) -> None:
        state = self.state
        patch = state.patches[state.next]
        tree = self.worktree
        if report.commit:
            old = patch_of(tree, f"{patch.commit}^", patch.commit)
            new = patch_of(tree, state.head, report.commit)
            added, removed = moved_lines(old, new)
            lost = tuple(
                f"takes a line of the new kernel out of {path}: `{' '.join(line.split())}`"
                for path, line in also_removed(old, new)
                if line.strip()
            )
            report = replace(
                report, added=added, removed=removed, remarks=(*report.remarks, *lost[:_LOST])
            )
            for text in lost[:_LOST] if report.how == How.BY_HAND else ():
                self.ui.warn(f"{report.file} {text}")
            state.head = report.commit
        # What was adapted before took its time then.
        seconds = report.seconds or round(now() - state.since, 1)
        state.reports.append(replace(report, seconds=seconds))
        state.phase, state.pending = PICKING, None
        save_state(tree, state)

    def _kernels(self) -> Kernels:
        old, new = self.state.old, self.state.new
        history = (
            open_history(Path(self.state.history), old[1], new[1]) if self.state.history else None
        )
        return Kernels(old[2], new[2], self.state.moved, history)

    def _upstream(self, kernels: Kernels) -> dict[str, tuple[str, str]]:
        if kernels.history is None:
            return {}
        base = self.state.old[3]
        paths = {
            diff.path for diff in parse_diff(patch_of(self.worktree, base, self.state.old_top))
        }
        with self.ui.step(f"patch ids of {kernels.history.range}"):
            return upstream_ids(kernels.history, sorted(paths))

    def _carry(
        self, patch: Patch, kernels: Kernels, ids: dict[str, tuple[str, str]]
    ) -> PatchReport:
        """Bring one patch onto HEAD, or leave its conflict in the worktree (How.BY_HAND)."""
        tree, head = self.worktree, self.state.head
        parent = f"{patch.commit}^"
        own = patch_ids(tree, patch_of(tree, parent, patch.commit))
        report = PatchReport(
            patch.entry.file,
            patch.subject,
            Status.CLEAN,
            How.LEFT_OUT,
            inspect(tree, kernels, parent, patch.commit, head),
            commits=tuple(ids[key] for key in own if key in ids),
        )
        report = replace(report, remarks=self._hints(report))
        there = is_there(tree, patch.commit)
        plain = applied_tree(tree, patch.commit, head)
        if there and not plain:
            return replace(report, status=Status.UPSTREAM)
        picked = cherry_pick(tree, patch.commit)
        if picked.tree == tree_of(tree, head):
            put_back(tree, head)
            return replace(report, status=Status.UPSTREAM if there else Status.EMPTY)
        status = judge(report.files) if picked.tree else Status.CONFLICT
        if status in {Status.CLEAN, Status.OFFSET} and plain != picked.tree:
            status = Status.FUZZY
            report = replace(report, remarks=(*report.remarks, _ELSEWHERE))
        report = replace(report, status=status, conflicts=picked.conflicts)
        return self._decide(patch, report, picked.tree)

    def _hints(self, report: PatchReport) -> tuple[str, ...]:
        """Return where what is gone may be."""
        return tuple(
            f"`{item.path}` may be what is `{'` or `'.join(names)}` now"
            for item in report.files
            if item.fate == "deleted" and (names := self.state.namesakes.get(item.path))
        )

    def _decide(self, patch: Patch, report: PatchReport, merged: str) -> PatchReport:
        """Choose between what git merged and what an earlier rebase made of the patch."""
        tree, head = self.worktree, self.state.head
        if self.before is not None:
            file = patch.entry.file
            if reason := self.before.was_skipped(patch):
                put_back(tree, head)
                return replace(report, how=How.SKIPPED, why=reason)
            adapted = self.before.carry(self.source, tree, patch, head)
            if adapted and tree_of(tree, adapted) != merged:
                put_back(tree, adapted)
                origin = self.before.origin(file)
                return replace(
                    report,
                    how=How.AS_BEFORE,
                    why=origin.why,
                    seconds=origin.seconds,
                    commit=adapted,
                )
            if not adapted and self.before.adapted(file):
                remark = f"its form in {self.before.name} could not be carried over"
                report = replace(report, remarks=(*report.remarks, remark))
        if not merged:
            return replace(report, how=How.BY_HAND)
        return replace(report, how=How.MERGED, commit=head_of(tree))


def begin(
    paths: Paths,
    old: Source,
    new: Source,
    series: Series,
    applied: Applied,
    *,
    ui: Ui,
    history: str = "",
) -> State:
    """Make the worktree of a rebase and its state; paths: of the new pin."""
    folder = paths.rebasing
    shutil.rmtree(folder, ignore_errors=True)
    patches = tuple(
        Patch(
            entry,
            blob_id(series.text(entry.file)),
            made.commit,
            made.subject,
            parse_patch(series.text(entry.file)).notes,
        )
        for entry, made in zip(series.entries, applied.patches, strict=True)
    )
    state = State(
        (old.pin.version, old.pin.tag, old.tree, old.base_commit),
        (new.pin.version, new.pin.tag, new.tree, new.base_commit),
        patches,
        series.preamble,
        series.trailing,
        new.base_commit,
        str(Path(history).expanduser().resolve()) if history else "",
    )
    if history:
        open_history(Path(state.history), old.pin.tag, new.pin.tag)
    wt.make_repository(folder, new, ui)
    wt.borrow(folder, old)
    wt.borrow(folder, new)
    touched = {diff.path for diff in parse_diff(patch_of(folder, old.base_commit, state.old_top))}
    state.moved = find_moved(folder, old.tree, new.tree, sorted(touched))
    gone = [path for path, now in state.moved.items() if not now]
    state.namesakes = find_namesakes(folder, old.tree, new.tree, gone)
    refs = (
        (wt.BASE, new.base_commit),
        (OLD_BASE, old.base_commit),
        (OLD_TOP, state.old_top),
        (f"refs/heads/{wt.BRANCH}", new.base_commit),
    )
    lines = "".join(f"update {name} {commit}\n" for name, commit in refs)
    git("update-ref", "--stdin", repo=folder, stdin=lines)
    save_state(folder, state)
    with ui.step(f"check out Linux {new.pin.version}"):
        git("reset", "-q", "--hard", new.base_commit, repo=folder)
    return state


def under_way(paths: Paths) -> Sequence[Path]:
    """Return the worktrees of this clone in which a rebase is under way."""
    folders = sorted(paths.rebasing.parent.glob("rebase-*"))
    return [folder for folder in folders if load_state(folder) is not None]
