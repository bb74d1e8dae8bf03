"""The end of a rebase: its commits become the series on the new pin, and its report a page."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import KseriesError
from harness.core.record import write_atomic
from harness.rebase.engine import Rebase
from harness.rebase.model import How, Report
from harness.rebase.page import page_text
from harness.series import worktree as wt
from harness.series.export import check_survives, export_commit
from harness.series.notes import Note, Placed, place
from harness.series.overlay import Origin, Origins, own_files, save_origins
from harness.series.refresh import settle, write_series
from harness.series.series import Entry, Series, load_series
from harness.series.tree import Applied, apply_texts
from harness.source.gitrepo import git

_RANGE_DIFF = ("-c", "core.abbrev=12", "range-diff", "--no-color", "--no-notes")
# Patches that were adapted much are still the same ones.
_FACTOR = "--creation-factor=90"


@dataclass(frozen=True)
class Finished:
    """What a rebase left: the report, its page, the worktree, words for a person."""

    report: Report
    page: Path
    worktree: Path
    said: tuple[str, ...]


def finish(rebase: Rebase) -> Finished:
    """Write patches/on/<pin>/ and docs/rebase/<pin>.md, and hand the worktree out.

    Until everything has been applied again and compared nothing is written;
    a failure leaves the rebase under way, to be continued.
    """
    paths, source, state, ui = rebase.paths, rebase.source, rebase.state, rebase.ui
    folder = rebase.worktree
    objects = folder / ".git" / "objects"
    branch = wt.commits_above_base(folder, state.head)
    placed = place([(commit.subject, note) for commit, note in _notes(rebase, branch)])
    texts = [
        (spot.file, export_commit(source, commit.id, spot.notes, objects))
        for commit, spot in zip(branch, placed, strict=True)
    ]
    applied = apply_texts(paths, source, texts, ui)
    for commit, made in zip(branch, applied.patches, strict=True):
        check_survives(source, commit.id, made.commit, objects)
    own = own_files(paths, source, paths.patches, texts, applied, ui=ui)
    report = _report(rebase, applied, sorted(own))
    _write(rebase, placed, texts, own)
    assert paths.pin is not None, "a rebase goes to another pin"
    page = paths.repo / "docs" / "rebase" / f"{paths.pin.stem}.md"
    write_atomic(page, page_text(report))
    said = [text for spot in placed for text in spot.said]
    worktree, words = _hand_out(rebase, load_series(paths), applied)
    return Finished(report, page, worktree, (*said, *words))


def _notes(rebase: Rebase, branch: Sequence[wt.BranchCommit]) -> list[tuple[wt.BranchCommit, Note]]:
    """Return each commit with its note: the first of a patch's commits carries the file on."""
    state = rebase.state
    kept = [
        (patch, report)
        for patch, report in zip(state.patches, state.reports, strict=True)
        if report.commit
    ]
    rows = []
    begins = True
    for commit in branch:
        patch, report = kept[0]
        entry = patch.entry
        rows.append((commit, Note(entry.file, entry.section, patch.notes) if begins else Note()))
        begins = commit.id == report.commit
        if begins:
            kept.pop(0)
    return rows


def _write(
    rebase: Rebase,
    placed: Sequence[Placed],
    texts: Sequence[tuple[str, str]],
    own: frozenset[str],
) -> None:
    paths, state = rebase.paths, rebase.state
    assert paths.overlay is not None
    comments = {patch.entry.file: patch.entry.comments for patch in state.patches}
    entries = [Entry(spot.file, spot.section, comments.get(spot.file, ())) for spot in placed]
    before = rebase.before.series.entries if rebase.before else ()
    series = Series(paths.overlay, before, state.preamble, state.trailing, paths.patches)
    write_series(series, entries, texts, own)
    rows = list(zip(state.patches, state.reports, strict=True))
    # A form that nobody had to touch takes no time the next time either.
    origins = {
        p.entry.file: Origin(p.blob, r.why, 0.0 if r.how == How.MERGED else r.seconds)
        for p, r in rows
        if p.entry.file in own
    }
    left_out = {
        p.entry.file: Origin(p.blob, r.why if r.how == How.SKIPPED else "")
        for p, r in rows
        if not r.commit
    }
    save_origins(paths.overlay, Origins(origins, left_out))


def _report(rebase: Rebase, applied: Applied, own: Sequence[str]) -> Report:
    state = rebase.state
    ranges = (f"{state.old[3]}..{state.old_top}", f"{state.new[3]}..{applied.top_commit}")
    done = git(*_RANGE_DIFF, _FACTOR, *ranges, repo=rebase.worktree)
    return Report(
        (state.old[0], state.old[2]),
        (state.new[0], state.new[2]),
        tuple(state.reports),
        done.stdout,
        bool(state.history),
        applied.top_tree,
        tuple(own),
    )


def _hand_out(rebase: Rebase, series: Series, applied: Applied) -> tuple[Path, tuple[str, ...]]:
    """Make the rebase's worktree that of the new pin, or bring the existing one there."""
    paths, source, folder = rebase.paths, rebase.source, rebase.worktree
    if not wt.is_made(paths.worktree):
        settle(folder, source, series, applied)
        (folder / ".git" / "kseries-rebase.json").unlink()
        shutil.rmtree(paths.worktree, ignore_errors=True)
        folder.rename(paths.worktree)
        return paths.worktree, ()
    words: tuple[str, ...] = ()
    try:
        wt.ensure_worktree(paths, source, series, applied, rebase.ui)
    except KseriesError as error:
        words = (f"{paths.worktree} stays as it is: {error.what}",)
    shutil.rmtree(folder)
    return paths.worktree, words
