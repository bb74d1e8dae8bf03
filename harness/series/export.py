"""Write a commit as a patch file, in one frozen form.

The options below are part of the repository's format: changing one rewrites
every file in patches/.  The export always runs in the store, whose attributes
are the pinned kernel's own, so that hunk headers are equal on every machine.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from harness.core.errors import Exit, KseriesError
from harness.series.patchfile import PatchSyntaxError, decode, parse_patch, write_patch
from harness.series.tree import strip_space
from harness.source.gitrepo import git
from harness.source.store import Source

FORMAT_PATCH = (
    "-c",
    "core.abbrev=12",
    "-c",
    "diff.context=3",
    "format-patch",
    "--zero-commit",
    "--no-signature",
    "--no-numbered",
    "--subject-prefix=PATCH",
    "--no-renames",
    "--no-encode-email-headers",
    "--no-base",
    "--patience",
    "--stat=72",
    "--no-ext-diff",
    "--no-textconv",
)


@dataclass(frozen=True)
class Commit:
    """A commit's own content: tree, parents, author (name, mail, date), message."""

    tree: str
    parents: tuple[str, ...]
    author: str
    message: bytes

    @property
    def subject(self) -> str:
        """The message's first line."""
        return decode(self.message).partition("\n")[0]


def borrowing(objects: Path | None) -> dict[str, str]:
    """Return the environment in which the store also sees another repository's objects."""
    return {"GIT_ALTERNATE_OBJECT_DIRECTORIES": str(objects)} if objects else {}


def read_commit(source: Source, commit: str, objects: Path | None = None) -> Commit:
    """Return a commit's content; objects: a further object folder to find it in."""
    raw = git("cat-file", "commit", commit, repo=source.git, env=borrowing(objects)).stdout
    head, _, message = raw.partition("\n\n")
    trees = re.findall(r"^tree (\w+)$", head, re.M)
    authors = re.findall(r"^author (.*)$", head, re.M)
    parents = tuple(re.findall(r"^parent (\w+)$", head, re.M))
    return Commit(trees[0], parents, authors[0], strip_space(message.encode()))


def split_message(message: bytes) -> tuple[bytes, str]:
    """Cut a message at a line of three dashes: what is below are notes for reviewers."""
    lines = message.split(b"\n")
    if b"---" not in lines:
        return message, ""
    at = lines.index(b"---")
    return strip_space(b"\n".join(lines[:at])), decode(b"\n".join(lines[at + 1 :])).strip("\n")


def export_commit(source: Source, commit: str, notes: str, objects: Path | None = None) -> str:
    """Return the canonical patch file of a commit, with notes below ---.

    objects: the object folder of the worktree that the commit was made in.
    Notes that the developer wrote into the message below --- are appended.
    """
    content = read_commit(source, commit, objects)
    message, added = split_message(content.message)
    if added and added not in notes:
        notes = f"{notes}\n\n{added}" if notes else added
    if message != content.message:
        commit = recommit(source, replace(content, message=message), objects)
    with tempfile.TemporaryDirectory(prefix="kseries-export-") as folder:
        git(
            *FORMAT_PATCH, "-q", "-o", folder, "-1", commit, repo=source.git, env=borrowing(objects)
        )
        # Of a merge or an empty commit git writes no file, or an empty one.
        text = "".join(decode(path.read_bytes()) for path in Path(folder).iterdir())
    if not text:
        raise _unfit(content, "it is a merge, or changes nothing", "`git rebase -i` and drop it")
    try:
        return write_patch(parse_patch(text).without_index().with_notes(notes))
    except PatchSyntaxError as error:
        raise _unfit(content, error.what, "reword its message") from None


def check_survives(source: Source, before: str, after: str, objects: Path | None = None) -> None:
    """Raise unless commit `after`, made from the exported file, is `before` again.

    Tree, author and message must be equal (notes aside); parents and
    committer are the harness's business.
    """
    old = read_commit(source, before, objects)
    new = read_commit(source, after, objects)
    for name, left, right in (
        ("tree", old.tree, new.tree),
        ("author", old.author, new.author),
        ("message", split_message(old.message)[0], new.message),
    ):
        if left != right:
            raise _unfit(
                old,
                f"its {name} does not survive a mail: {left!r} became {right!r}",
                "subject on one line, then a blank line; no line of the message may "
                "look like a mail header or a diff",
            )


def recommit(source: Source, content: Commit, objects: Path | None = None) -> str:
    """Make a commit of this content in the store, and return its id."""
    name, mail, date = re.fullmatch(r"(.*) <(.*)> (\d+ [+-]\d{4})", content.author).groups()  # type: ignore[union-attr]
    parents = [word for parent in content.parents for word in ("-p", parent)]
    made = git(
        "commit-tree",
        content.tree,
        *parents,
        repo=source.git,
        stdin=content.message,
        env={
            **borrowing(objects),
            "GIT_AUTHOR_NAME": name,
            "GIT_AUTHOR_EMAIL": mail,
            "GIT_AUTHOR_DATE": f"@{date}",
        },
    )
    return made.stdout.strip()


def _unfit(commit: Commit, why: str, hint: str) -> KseriesError:
    return KseriesError(
        Exit.LINT,
        f"the commit {commit.subject!r} cannot be a patch file: {why}",
        where=commit.subject,
        hint=hint,
    )
