"""The report of a rebase as a page of Markdown.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from harness.rebase.model import (
    BaseChange,
    FileReport,
    How,
    HunkReport,
    PatchReport,
    Report,
    Status,
)
from harness.rebase.place import Fit

# Lines of a change of the base that are shown: the rest is in the trees.
_SHOWN = 14
_FIT = {
    Fit.CLEAN: "as it is",
    Fit.OFFSET: "with an offset",
    Fit.FUZZY: "with fuzz",
    Fit.APPLIED: "there already",
    Fit.NOWHERE: "nowhere",
}
_STATUS = {
    Status.CLEAN: "every hunk where it says",
    Status.OFFSET: "every hunk with all its lines, some of them elsewhere",
    Status.FUZZY: "merged three ways: other text around some hunk, or another file name",
    Status.CONFLICT: "git could not decide",
    Status.UPSTREAM: "the new kernel has it",
    Status.EMPTY: "nothing of it is left to do",
}


def summary(report: Report) -> str:
    """Return one line: how many patches met the new kernel how."""
    counts = Counter(patch.status for patch in report.patches)
    return ", ".join(f"{counts[status]} {status}" for status in Status if counts[status])


def page_text(report: Report) -> str:
    """Return the page."""
    kept = sum(1 for patch in report.patches if patch.commit)
    out = [
        f"# The series on Linux {report.new[0]}",
        "",
        f"Carried from Linux {report.old[0]} (tree `{report.old[1][:12]}`) to {report.new[0]} "
        f"(tree `{report.new[1][:12]}`) by `kseries rebase`, which wrote this page: "
        f"{kept} of {len(report.patches)} patches, {len(report.own)} of them in a form of their "
        f"own. Tree with all of them: `{report.top_tree[:12]}`.",
        "",
        f"**{summary(report)}.**",
        "",
        *_table(report.patches),
        "",
        *_legend(report.patches),
    ]
    for patch in report.patches:
        out += _patch(patch, report)
    if report.range_diff:
        out += ["", "## Range-diff", "", *_block("", report.range_diff.rstrip("\n").split("\n"))]
    return "\n".join(out) + "\n"


def _table(patches: Sequence[PatchReport]) -> list[str]:
    rows = [
        "| patch | met | now | hunks | lines changed | time | why |",
        "|---|---|---|---|---|---|---|",
    ]
    for patch in patches:
        fits = Counter(hunk.fit for item in patch.files for hunk in item.hunks)
        hunks = ", ".join(f"{fits[fit]} {_FIT[fit]}" for fit in Fit if fits[fit])
        moved = f"+{patch.added} -{patch.removed}" if patch.commit else ""
        cells = (
            f"`{patch.file}`",
            str(patch.status),
            str(patch.how),
            hunks,
            moved,
            _time(patch.seconds),
            _cell(patch.why),
        )
        rows.append("| " + " | ".join(cells) + " |")
    return rows


def _legend(patches: Sequence[PatchReport]) -> list[str]:
    seen = {patch.status for patch in patches}
    lines = [f"- {status}: {_STATUS[status]}" for status in Status if status in seen]
    lines.append(
        "- lines changed: lines with + or - that only the new, or only the old form has; "
        "time: from the begin of a patch to its commit, with the person's"
    )
    return lines


def _patch(patch: PatchReport, report: Report) -> list[str]:
    """Describe a patch of which there is more to say than a row of the table does."""
    lines = [f"- git: {text}" for text in patch.conflicts]
    lines += [f"- {text}" for text in patch.remarks]
    lines += [
        f"- the same patch upstream: {commit} ({subject})" for commit, subject in patch.commits
    ]
    for item in patch.files:
        lines += _file(item, report)
    if not lines:
        return []
    lines = lines[:-1] if not lines[-1] else lines
    return [
        "",
        f"## {patch.file}",
        "",
        f"{patch.subject}: {patch.status}, {patch.how}.",
        "",
        *lines,
    ]


def _file(item: FileReport, report: Report) -> list[str]:
    lines = []
    if item.fate == "renamed":
        lines.append(f"- `{item.path}` is `{item.now}` now")
    elif item.fate == "deleted":
        lines.append(f"- `{item.path}` is gone")
    for hunk in item.hunks:
        if hunk.fit not in {Fit.CLEAN, Fit.OFFSET} and item.fate != "deleted":
            lines += _hunk(item, hunk, report)
    return lines


def _hunk(item: FileReport, hunk: HunkReport, report: Report) -> list[str]:
    where = f"line {hunk.line}" + (f", `{hunk.function}`" if hunk.function else "")
    what = {
        Fit.FUZZY: f"fits at line {hunk.at} without {hunk.fuzz} of its lines of context",
        Fit.APPLIED: f"what it makes is at line {hunk.at} already",
        Fit.NOWHERE: "its lines are not there" if not item.made else "another file has this name",
    }[hunk.fit]
    lines = [f"- `{item.path}`, {where}: {what}"]
    if hunk.changes:
        lines[-1] += f". Linux {report.new[0]} changed these lines:"
    for change in hunk.changes:
        lines += _change(change, history=report.history)
    return lines


def _change(change: BaseChange, *, history: bool) -> list[str]:
    shown = list(change.text[:_SHOWN])
    if len(change.text) > _SHOWN:
        shown.append(f"... {len(change.text) - _SHOWN} lines more")
    lines = ["", *(f"  {line}" for line in _block("diff", [f"@@ {change.line} @@", *shown])), ""]
    lines += [f"  - {commit} {subject}" for commit, subject in change.commits]
    if history and not change.commits:
        lines.append("  - no commit of the history given made this change")
    return lines


def _block(language: str, lines: Iterable[str]) -> list[str]:
    """Return a code block; its fence is longer than any in the text."""
    body = list(lines)
    fence = "```"
    while any(line.lstrip(" +-").startswith(fence) for line in body):
        fence += "`"
    return [fence + language, *body, fence]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def stop_text(patch: PatchReport, number: int, total: int, worktree: str) -> str:
    """Return what to say to the person whom a rebase waits for."""
    lines = [
        f"{patch.file} ({number} of {total}) needs you: {patch.subject}",
        f"  in:   {worktree}",
    ]
    lines += [f"  git:  {text}" for text in patch.conflicts]
    lines += [f"  {text}" for text in patch.remarks]
    for item in patch.files:
        if item.fate:
            now = f"renamed to {item.now}" if item.now else "deleted"
            lines.append(f"  file: {item.path} was {now} in the new kernel")
        for hunk in item.hunks:
            if hunk.fit in {Fit.NOWHERE, Fit.FUZZY} and item.now:
                where = hunk.function or f"line {hunk.line}"
                lines.append(f"  hunk: {item.path}, {where}: {_FIT[hunk.fit]}")
    lines += [
        "  next: resolve it there and `git add`, then `kseries rebase --continue --why TEXT`;",
        "        --skip leaves the patch out, --abort gives the rebase up",
    ]
    return "\n".join(lines)


def left_out(report: Report) -> list[str]:
    """Return a line for each patch that is not in the new series."""
    return [
        f"not carried: {patch.file} ({patch.status}, {patch.how})"
        for patch in report.patches
        if patch.how in {How.LEFT_OUT, How.SKIPPED}
    ]
