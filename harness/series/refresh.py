"""From the worktree's commits back to patches/: only files that changed are written.

Before anything is written, the new files are applied again, and each must
give the very commit that it came from.  With no new commits in the worktree,
or no worktree at all, the files of patches/ are brought into canonical form.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.core.errors import Exit, KseriesError
from harness.core.lock import locked
from harness.core.paths import Paths
from harness.core.record import write_atomic
from harness.core.ui import Ui
from harness.series import worktree as wt
from harness.series.export import check_survives, export_commit, read_commit
from harness.series.notes import Placed, place, read_note
from harness.series.overlay import origins_after, own_files, save_origins
from harness.series.patchfile import encode, parse_patch
from harness.series.series import Entry, Series, load_series, series_text
from harness.series.tree import Applied, apply_series, apply_texts
from harness.source.gitrepo import git
from harness.source.store import Source


@dataclass(frozen=True)
class Refreshed:
    """What refresh did: the series applied anew, files by what happened, words for a person."""

    applied: Applied
    changed: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    said: tuple[str, ...]


def refresh(paths: Paths, source: Source, series: Series, ui: Ui) -> Refreshed:
    """Write the worktree's commits back into patches/ and make their ids canonical."""
    worktree = paths.worktree
    if not wt.is_made(worktree):
        return _canonicalise(paths, source, series, ui)
    with locked(worktree.parent / ".lock", on_wait=ui.line):
        operation = wt.busy_with(worktree)
        if operation:
            raise KseriesError(
                Exit.USAGE,
                f"a git {operation} is under way in the worktree",
                where=str(worktree),
                hint=f"finish it: `git {operation} --continue`, or drop it with --abort",
            )
        if wt.head_commit(worktree) != wt.top_commit(worktree):
            return _from_worktree(paths, source, series, ui)
    done = _canonicalise(paths, source, series, ui)
    return _follow(paths, source, done, ui)


def canonical_texts(
    source: Source, texts: Sequence[tuple[str, str]], applied: Applied
) -> list[tuple[str, str]]:
    """Return (file, canonical text) of patches that were applied from texts."""
    return [
        (file, export_commit(source, patch.commit, parse_patch(text).notes))
        for (file, text), patch in zip(texts, applied.patches, strict=True)
    ]


def _canonicalise(paths: Paths, source: Source, series: Series, ui: Ui) -> Refreshed:
    texts = series.texts()
    before = apply_series(paths, source, series, ui)
    fresh = canonical_texts(source, texts, before)
    applied = apply_texts(paths, source, fresh, ui)
    for old, new in zip(before.patches, applied.patches, strict=True):
        check_survives(source, old.commit, new.commit)
    own = _own(paths, source, series, fresh, applied, ui=ui)
    changed, added, removed = write_series(series, series.entries, fresh, own)
    return Refreshed(applied, changed, added, removed, ())


def _follow(paths: Paths, source: Source, done: Refreshed, ui: Ui) -> Refreshed:
    """Let a worktree without new commits follow what patches/ now says."""
    worktree = paths.worktree
    series = load_series(paths)
    head = read_commit(source, wt.head_commit(worktree), worktree / ".git" / "objects")
    if head.tree == done.applied.top_tree:
        with locked(worktree.parent / ".lock", on_wait=ui.line):
            settle(worktree, source, series, done.applied)
    elif wt.edited_files(worktree):
        said = "the worktree has uncommitted edits and stays on the series as it was before"
        return Refreshed(done.applied, done.changed, done.added, done.removed, (*done.said, said))
    else:
        wt.ensure_worktree(paths, source, series, done.applied, ui)
    return done


def _from_worktree(paths: Paths, source: Source, series: Series, ui: Ui) -> Refreshed:
    worktree = paths.worktree
    objects = worktree / ".git" / "objects"
    state = wt.load_state(worktree)
    if state is None or state.base != source.base_commit:
        raise KseriesError(
            Exit.USAGE,
            f"the worktree was made from another pin than {paths.pin_file.name} names now",
            where=str(worktree),
            hint=f"`git checkout {paths.pin_file.name}`, refresh, and change the pin again",
        )
    branch = _branch(worktree)
    commits = [commit.id for commit in branch]
    pending = [
        (entry, patch.subject, patch.notes)
        for entry in series.entries
        if entry.file in state.pending
        for patch in [parse_patch(series.text(entry.file))]
    ]
    placed = place([(commit.subject, read_note(commit.note)) for commit in branch], pending)
    with ui.step("export patches", len(commits)) as step:
        texts = []
        for index, (commit, spot) in enumerate(zip(commits, placed, strict=True)):
            step.update(index, spot.file)
            texts.append((spot.file, export_commit(source, commit, spot.notes, objects)))
    _refuse_foreign_edits(series, state, dict(texts), worktree)
    applied = apply_texts(paths, source, texts, ui)
    for commit, patch in zip(commits, applied.patches, strict=True):
        check_survives(source, commit, patch.commit, objects)
    entries = _entries(series, placed, [entry for entry, _, _ in pending])
    own = _own(paths, source, series, texts, applied, ui=ui)
    changed, added, removed = write_series(series, entries, texts, own)
    settle(worktree, source, load_series(paths), applied)
    said = [text for spot in placed for text in spot.said]
    said += [f"no longer in the series: {file}" for file in removed]
    left = wt.edited_files(worktree)
    if left:
        said.append(f"not committed, hence not in patches/: {', '.join(left[:5])}")
    return Refreshed(applied, changed, added, removed, tuple(said))


def _branch(worktree: Path) -> list[wt.BranchCommit]:
    """Return the branch's commits above the base; raises if they are no straight line."""
    above = git("merge-base", "--is-ancestor", wt.BASE, "HEAD", repo=worktree, check=False)
    merges = git("rev-list", "--merges", f"{wt.BASE}..HEAD", repo=worktree, check=False).stdout
    if not above.ok or merges.strip():
        raise KseriesError(
            Exit.USAGE,
            "HEAD is not a straight line of commits on top of kseries/base",
            where=str(worktree),
            hint="`git rebase kseries/base` makes it one; `git reset --hard kseries/top` "
            "goes back to the series as it is in patches/",
        )
    return wt.commits_above_base(worktree)


def _refuse_foreign_edits(
    series: Series, state: wt.State, fresh: dict[str, str], worktree: Path
) -> None:
    """Raise if patches/ was edited since the worktree was made from it.

    A file that already is what is about to be written is no such edit: a
    refresh that was cut off can be repeated.
    """
    now = {file: hashlib.sha256(encode(text)).hexdigest() for file, text in series.texts()}
    foreign = [
        file
        for file in {**now, **state.files}
        if now.get(file) != state.files.get(file)
        and not (file in now and series.text(file) == fresh.get(file))
        and not (file not in now and file not in fresh)
    ]
    if foreign:
        raise KseriesError(
            Exit.USAGE,
            "patches/ was changed after the worktree was made from it, and the worktree has "
            f"commits of its own: {', '.join(sorted(foreign)[:3])}",
            where=f"patches/{min(foreign)}",
            hint=f"keep one: `git stash -- patches` here and refresh again; or in {worktree} "
            "`git branch mine && git reset --hard kseries/top`, then `kseries tree` and "
            "`git cherry-pick` your commits",
        )


def _entries(
    series: Series, placed: Sequence[Placed], pending: Sequence[Entry]
) -> tuple[Entry, ...]:
    comments = {entry.file: entry.comments for entry in series.entries}
    done = {spot.file for spot in placed}
    made = [Entry(spot.file, spot.section, comments.get(spot.file, ())) for spot in placed]
    return (*made, *(entry for entry in pending if entry.file not in done))


def _own(
    paths: Paths,
    source: Source,
    series: Series,
    texts: Sequence[tuple[str, str]],
    applied: Applied,
    *,
    ui: Ui,
) -> frozenset[str]:
    """Return the files that the series keeps itself: all, unless it shares another's."""
    if series.shared is None:
        return frozenset(file for file, _ in texts)
    return own_files(paths, source, series.shared, texts, applied, ui=ui)


def write_series(
    series: Series,
    entries: Sequence[Entry],
    texts: Sequence[tuple[str, str]],
    own: Collection[str],
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Write what differs; return the files changed, added and removed.

    own: the files to keep in series.folder; the others are those it shares.
    """
    changed: list[str] = []
    added: list[str] = []
    before = set(series.files)
    for file, text in texts:
        path = series.folder / file
        data = encode(text) if file in own else None
        if data == (path.read_bytes() if path.is_file() else None):
            continue
        (changed if file in before else added).append(file)
        if data is None:
            path.unlink()
        else:
            write_atomic(path, data)
    if series.shared is not None:
        there = {file for file in own if (series.folder / file).is_file()}
        save_origins(series.folder, origins_after(series, sorted(there)))
    listing = series_text(replace(series, entries=tuple(entries)))
    path = series.folder / "series"
    if listing != (path.read_text(encoding="utf-8") if path.exists() else ""):
        write_atomic(path, listing)
    kept = {entry.file for entry in entries}
    removed = [file for file in series.files if file not in kept]
    for file in removed:
        (series.folder / file).unlink(missing_ok=True)
    return tuple(changed), tuple(added), tuple(removed)


def settle(worktree: Path, source: Source, series: Series, applied: Applied) -> None:
    """Move HEAD to the canonical commits; their tree is HEAD's, so no file is touched."""
    git("reset", "-q", "--soft", applied.top_commit, repo=worktree)
    wt.remember(worktree, source, series, applied)
