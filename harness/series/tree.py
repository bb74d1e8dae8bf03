"""Apply the series: from the verified base to a commit for every patch.

Works on the store with an index of its own, so it needs no worktree and
disturbs nobody's.  What it makes is what `git am --keep-non-patch` makes with
a fixed committer: the ids of commits are equal on every machine.  A record
per patch, keyed by its parent and its content, makes the next time quick.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.core.record import Record, load_record, save_record
from harness.core.ui import Ui
from harness.series.patchfile import encode
from harness.series.series import Series
from harness.source.gitrepo import git
from harness.source.store import Source

STAGE = "apply"


@dataclass(frozen=True)
class AppliedPatch:
    """One patch as a commit: its file below patches/, subject, commit and tree id."""

    file: str
    subject: str
    commit: str
    tree: str


@dataclass(frozen=True)
class Applied:
    """The series as commits on the base; top is the last one (the base if empty)."""

    base_tree: str
    base_commit: str
    top_tree: str
    top_commit: str
    patches: tuple[AppliedPatch, ...]


def apply_series(paths: Paths, source: Source, series: Series, ui: Ui) -> Applied:
    """Apply every patch of the series in order.

    Raises KseriesError(APPLY) for the first that does not apply; its details
    hold `patch`, `applied` (the files before it) and, where git says so,
    `file`, `line` and `hunk`.
    """
    try:
        return apply_texts(paths, source, series.texts(), ui)
    except KseriesError as error:
        file = error.details.get("patch", "")
        if series.shared is not None and file in series.files:
            error.where = error.where.replace(f"patches/{file}", f"patches/{series.name(file)}")
            error.hint = "the patch in patches/ has changed since: `kseries rebase` again, or put "
            error.hint += f"a form of it for this kernel into {series.folder / file}"
        raise


def apply_texts(paths: Paths, source: Source, texts: Sequence[tuple[str, str]], ui: Ui) -> Applied:
    """Apply (file, text) pairs in order; see apply_series."""
    done = _recorded(paths, source, texts)
    rest = texts[len(done) :]
    if rest:
        with (
            ui.step("apply patches", len(texts)) as step,
            tempfile.TemporaryDirectory(prefix="kseries-apply-") as folder,
        ):
            work = Work(source.git, Path(folder), done[-1].tree if done else source.tree)
            for file, text in rest:
                step.update(len(done), file)
                parent = done[-1].commit if done else source.base_commit
                try:
                    patch = work.apply(file, text, parent)
                except KseriesError as error:
                    error.details["applied"] = [item.file for item in done]
                    raise
                done.append(patch)
                save_record(
                    paths.records,
                    Record(
                        STAGE,
                        _inputs(parent, text),
                        {"commit": patch.commit, "tree": patch.tree, "subject": patch.subject},
                    ),
                )
            step.note = f"{len(rest)} of {len(texts)} applied anew"
    top = done[-1] if done else None
    return Applied(
        base_tree=source.tree,
        base_commit=source.base_commit,
        top_tree=top.tree if top else source.tree,
        top_commit=top.commit if top else source.base_commit,
        patches=tuple(done),
    )


def _inputs(parent: str, text: str) -> dict[str, str]:
    return {"parent": parent, "patch": hashlib.sha256(encode(text)).hexdigest()}


def _recorded(paths: Paths, source: Source, texts: Sequence[tuple[str, str]]) -> list[AppliedPatch]:
    """Return the longest start of the series that earlier runs have made."""
    done: list[AppliedPatch] = []
    for file, text in texts:
        parent = done[-1].commit if done else source.base_commit
        record = load_record(paths.records, STAGE, _inputs(parent, text))
        if record is None:
            break
        out = record.outputs
        done.append(AppliedPatch(file, out["subject"], out["commit"], out["tree"]))
    if done:
        # The store may have been cleaned since: a record is not the object.
        names = "".join(f"{patch.commit}^{{tree}}\n" for patch in done)
        answer = git("cat-file", "--batch-check", repo=source.git, stdin=names).stdout
        for index, line in enumerate(answer.splitlines()):
            if line.split()[:2] != [done[index].tree, "tree"]:
                return done[:index]
    return done


class Work:
    """An index in a scratch folder, on which patches are applied one by one.

    store: the repository that has the tree and gets the new objects.
    """

    def __init__(self, store: Path, folder: Path, tree: str) -> None:
        self.store = store
        self.folder = folder
        self.env = {"GIT_INDEX_FILE": str(folder / "index")}
        git("read-tree", tree, repo=store, env=self.env)

    def apply(self, file: str, text: str, parent: str) -> AppliedPatch:
        """Apply one patch file's text and commit it on parent; raises KseriesError(APPLY)."""
        message, diff = self.folder / "message", self.folder / "diff"
        data = encode(text)
        mail = git(
            "mailinfo",
            "-b",
            "--encoding=UTF-8",
            message,
            diff,
            repo=self.store,
            stdin=data,
            check=False,
        )
        info = dict(re.findall(r"^(Author|Email|Subject|Date): (.*)$", mail.stdout, re.M))
        for key in ("Author", "Email", "Subject", "Date"):
            if not info.get(key):
                name = "From" if key in {"Author", "Email"} else key
                raise _refused(file, f"its {name}: header is missing or empty")
        if not diff.stat().st_size:
            raise _refused(file, "it holds no diff")
        applied = git(
            "apply",
            "--cached",
            "--whitespace=nowarn",
            diff,
            repo=self.store,
            env=self.env,
            check=False,
        )
        if not applied.ok:
            raise explain_conflict(file, text, applied.stderr)
        tree = git("write-tree", repo=self.store, env=self.env).stdout.strip()
        author = {
            "GIT_AUTHOR_NAME": info["Author"],
            "GIT_AUTHOR_EMAIL": info["Email"],
            "GIT_AUTHOR_DATE": info["Date"],
        }
        body = message.read_bytes()
        made = git(
            "commit-tree",
            tree,
            "-p",
            parent,
            repo=self.store,
            env=author,
            check=False,
            stdin=strip_space(info["Subject"].encode() + b"\n\n" + body),
        )
        if not made.ok:
            raise _refused(file, f"git makes no commit of it ({made.stderr.strip()})")
        return AppliedPatch(file, info["Subject"], made.stdout.strip(), tree)


def strip_space(message: bytes) -> bytes:
    """Clean a commit message as git does: no blank lines at its ends or two in a row."""
    lines: list[bytes] = []
    for raw in message.split(b"\n"):
        line = raw.rstrip()
        if line or (lines and lines[-1]):
            lines.append(line)
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + b"\n" for line in lines)


def explain_conflict(file: str, text: str, errors: str) -> KseriesError:
    """Return the error for a patch that does not apply, from git's words about it."""
    details: dict[str, Any] = {"patch": file, "git": errors.strip()}
    where = f"patches/{file}"
    reason = errors.strip().splitlines()[0].removeprefix("error: ") if errors.strip() else ""
    match = re.search(r"^error: patch failed: (.+):(\d+)$", errors, re.M)
    if match:
        name, line = match[1], int(match[2])
        hunk, row = _find_hunk(text, name, line)
        reason = f"hunk {hunk} of {name}, at its line {line}, finds other text there"
        details.update(file=name, line=line, hunk=hunk)
        if row:
            where += f":{row}"
    elif missing := re.search(r"^error: (.+): (does not|already) exists? in index$", errors, re.M):
        details.update(file=missing[1])
        state = "exists already" if missing[2] == "already" else "does not exist"
        reason = f"{missing[1]} {state}"
    return KseriesError(
        Exit.APPLY,
        f"{file} does not apply: {reason}",
        where=where,
        # Without index lines git am has no blobs to merge three ways with.
        hint="`kseries tree --base` checks out the base alone; there `git am --keep-non-patch` "
        "the patches before it, then `git am --reject --keep-non-patch` this one, put in what "
        "the *.rej files hold, `git add -u`, `git am --continue`, `kseries refresh`",
        details=details,
    )


def _find_hunk(text: str, name: str, line: int) -> tuple[int, int]:
    """Return the hunk's number in the file's part of the diff, and its row in the patch."""
    inside = False
    hunk = 0
    for row, content in enumerate(text.split("\n"), 1):
        if content.startswith("diff --git "):
            inside = content.endswith(f" b/{name}")
            hunk = 0
        elif inside and (found := re.match(r"@@ -(\d+)", content)):
            hunk += 1
            if int(found[1]) == line:
                return hunk, row
    return hunk, 0


def _refused(file: str, why: str) -> KseriesError:
    return KseriesError(
        Exit.APPLY,
        f"{file} cannot be applied: {why}",
        where=f"patches/{file}",
        hint="write it as `git format-patch` does: From:, Date:, Subject:, body, ---, diff",
        details={"patch": file},
    )
