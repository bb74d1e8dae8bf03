"""The developer's worktree: the series as commits on a branch, to edit with plain git.

Each clone has its own repository, which borrows the store's objects:
refs/kseries/base is the pinned kernel, refs/kseries/top the series as
patches/ has it, the branch `series` is the developer's.  Nothing here
overwrites work that patches/ does not have.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.core.disk import need_space
from harness.core.errors import Exit, KseriesError
from harness.core.lock import locked
from harness.core.paths import Paths
from harness.core.record import write_atomic
from harness.core.ui import Ui
from harness.series.notes import REF, write_note
from harness.series.patchfile import encode, parse_patch
from harness.series.series import Series
from harness.series.tree import Applied
from harness.source.gitrepo import IDENTITY, git
from harness.source.store import Source

BRANCH = "series"
BASE = "refs/kseries/base"
TOP = "refs/kseries/top"
# Bytes of a checkout for each byte of the tarball: 1.7 GB for 157 MB.
_CHECKOUT_RATIO = 11


@dataclass(frozen=True)
class State:
    """What the worktree was made from: sha256 of each patch file, and the files left out."""

    base: str
    files: Mapping[str, str]
    pending: tuple[str, ...] = ()


def state_of(source: Source, series: Series, applied: Applied) -> State:
    """Return the state of a worktree that holds `applied` of the series."""
    files = {file: hashlib.sha256(encode(text)).hexdigest() for file, text in series.texts()}
    done = {patch.file for patch in applied.patches}
    return State(source.base_commit, files, tuple(name for name in files if name not in done))


def load_state(worktree: Path) -> State | None:
    """Return the state that was stored with the worktree, None without a worktree."""
    try:
        data = json.loads((worktree / ".git" / "kseries.json").read_text())
        return State(data["base"], data["files"], tuple(data["pending"]))
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        return None


def ensure_worktree(paths: Paths, source: Source, series: Series, applied: Applied, ui: Ui) -> Path:
    """Return the worktree, made or moved to `applied` if that loses nothing.

    With patches/ unchanged since the last time it is returned as it is, with
    whatever the developer did in it.  Otherwise edits that patches/ does not
    have raise KseriesError(USAGE) with the ways out.
    """
    worktree = paths.worktree
    with locked(worktree.parent / ".lock", on_wait=ui.line):
        wanted = state_of(source, series, applied)
        if not is_made(worktree):
            make_repository(worktree, source, ui)
        elif load_state(worktree) == wanted and top_commit(worktree) == applied.top_commit:
            return worktree
        else:
            refuse_to_lose(worktree)
        move(worktree, source, applied, ui)
        remember(worktree, source, series, applied)
        return worktree


def is_made(worktree: Path) -> bool:
    """Whether a worktree was once handed out; a first checkout that was cut off was not."""
    return (worktree / ".git").is_dir() and bool(top_commit(worktree))


def top_commit(worktree: Path) -> str:
    """Return refs/kseries/top, "" if it is not there."""
    return git("rev-parse", "-q", "--verify", TOP, repo=worktree, check=False).stdout.strip()


def head_commit(worktree: Path) -> str:
    """Return the commit that is checked out."""
    return git("rev-parse", "-q", "--verify", "HEAD", repo=worktree, check=False).stdout.strip()


@dataclass(frozen=True)
class BranchCommit:
    """A commit of the branch: id, subject, the text of its note ("" for none)."""

    id: str
    subject: str
    note: str


def commits_above_base(worktree: Path, tip: str = "HEAD") -> list[BranchCommit]:
    """Return the commits from kseries/base to tip, oldest first, with their notes."""
    fields = "--format=%H%x00%s%x00%N%x01"
    words = ("log", "--reverse", "--topo-order", f"--notes={REF}", fields, f"{BASE}..{tip}")
    found = []
    for entry in git(*words, repo=worktree).stdout.split("\x01"):
        commit, _, rest = entry.strip("\n").partition("\0")
        subject, _, note = rest.partition("\0")
        if commit:
            found.append(BranchCommit(commit, subject, note))
    return found


def edited_files(worktree: Path) -> list[str]:
    """Return tracked files with uncommitted changes."""
    done = git("status", "--porcelain", "-z", "--untracked-files=no", repo=worktree)
    return [entry[3:] for entry in done.stdout.split("\0") if entry]


def busy_with(worktree: Path) -> str:
    """Return the git operation that is under way ("rebase", "am"), or ""."""
    folder = worktree / ".git"
    if (folder / "rebase-merge").exists():
        return "rebase"
    if (folder / "rebase-apply").exists():
        return "am" if (folder / "rebase-apply" / "applying").exists() else "rebase"
    return "cherry-pick" if (folder / "CHERRY_PICK_HEAD").exists() else ""


def refuse_to_lose(worktree: Path) -> None:
    """Raise KseriesError(USAGE) if moving the worktree would lose a developer's work."""
    operation = busy_with(worktree)
    if operation:
        what = f"patches/ changed while a git {operation} is under way in the worktree"
        hint = f"finish it: `git {operation} --continue`, or drop it: `git {operation} --abort`"
    elif head_commit(worktree) != top_commit(worktree):
        what = "patches/ changed, and the worktree has commits that patches/ does not have"
        hint = (
            "keep them: `git branch mine && git reset --hard kseries/top` there, then "
            "`kseries tree` and `git cherry-pick` them; or, if patches/ is what is out of date, "
            "`git checkout patches` here and `kseries refresh`"
        )
    elif files := edited_files(worktree):
        what = f"patches/ changed, and the worktree has uncommitted edits ({', '.join(files[:3])})"
        hint = "`git stash` there, `kseries tree` again, then `git stash pop`"
    else:
        return
    raise KseriesError(Exit.USAGE, what, where=str(worktree), hint=hint)


def move(worktree: Path, source: Source, applied: Applied, ui: Ui) -> None:
    """Check `applied` out on the branch; git itself refuses to overwrite stray files."""
    borrow(worktree, source)
    with ui.step(f"check out Linux {source.pin.version} + {len(applied.patches)} patches"):
        git("checkout", "-q", "-B", BRANCH, applied.top_commit, repo=worktree, code=Exit.USAGE)


def remember(worktree: Path, source: Source, series: Series, applied: Applied) -> None:
    """Set the refs, notes and state that belong to `applied`."""
    entries = {entry.file: entry for entry in series.entries}
    commands = [f"update {BASE} {source.base_commit}", f"update {TOP} {applied.top_commit}"]
    git("update-ref", "--stdin", repo=worktree, stdin="\n".join(commands) + "\n")
    there = {commit.id: commit.note for commit in commits_above_base(worktree, applied.top_commit)}
    for patch in applied.patches:
        note = write_note(entries[patch.file], parse_patch(series.text(patch.file)).notes)
        if there.get(patch.commit) != note:
            words = ("add", "-f", "-F", "-", patch.commit)
            git("notes", f"--ref={REF}", *words, repo=worktree, stdin=note)
    state = state_of(source, series, applied)
    body = {"base": state.base, "files": dict(state.files), "pending": list(state.pending)}
    write_atomic(worktree / ".git" / "kseries.json", json.dumps(body, indent=1) + "\n")


def make_repository(worktree: Path, source: Source, ui: Ui) -> None:
    """Make the repository without a checkout; it appears whole or not at all."""
    size = max((artefact.size for artefact in source.pin.artefacts), default=0)
    need = size * _CHECKOUT_RATIO
    ui.line(f"the worktree will take {need / 1e9:.1f} GB: {worktree}")
    need_space(worktree, need, "the kernel worktree")
    partial = worktree.with_name(f".{worktree.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    git("init", "-q", "-b", BRANCH, "--template=", ".", repo=partial)
    exclude = partial / ".git" / "info"
    exclude.mkdir(exist_ok=True)
    (exclude / "exclude").write_text("/tools/testing/selftests/agent/\n")
    name, _, mail = IDENTITY.rstrip(">").partition(" <")
    for key, value in {
        "user.name": name,
        "user.email": mail,
        # A rebase or an amend keeps file name, section and notes of a patch.
        "notes.rewriteRef": REF,
        "notes.rewriteMode": "concatenate",
        "core.autocrlf": "false",
        # A developer's own signing key must not stand in the way of a rebase.
        "commit.gpgSign": "false",
        "format.signOff": "false",
        "gc.auto": "0",
        "advice.detachedHead": "false",
    }.items():
        git("config", key, value, repo=partial)
    shutil.rmtree(worktree, ignore_errors=True)
    partial.rename(worktree)


def borrow(worktree: Path, source: Source) -> None:
    """Let the worktree see the store's objects, beside those of an earlier pin."""
    info = worktree / ".git" / "objects" / "info"
    info.mkdir(parents=True, exist_ok=True)
    alternates = info / "alternates"
    lines = alternates.read_text().splitlines() if alternates.exists() else []
    line = str((source.git / "objects").resolve())
    if line not in lines:
        write_atomic(alternates, "".join(f"{item}\n" for item in [*lines, line]))
