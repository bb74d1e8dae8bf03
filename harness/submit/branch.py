"""A repository that b4 finds as its own: a cover commit, and the patches above it.

It borrows the objects of the store and checks out what get_maintainer.pl needs,
no more.  b4 is driven as a command, with a home of its own: nothing is read
from, or left in, the user's.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import Exit, KseriesError
from harness.core.proc import Completed, run
from harness.series.export import read_commit, split_message
from harness.series.patchfile import decode, parse_patch
from harness.series.tree import AppliedPatch
from harness.source.gitrepo import clean_env, git
from harness.source.pin import Pin
from harness.source.store import Source

_MARKER = "--- b4-submit-tracking ---"
# get_maintainer.pl tells by these that it is in a kernel.
_CHECKED_OUT = (
    "/*", "!/*/", "/scripts/", "/Documentation/index.rst", "/arch/Kconfig", "/include/Kbuild",
    "/include/linux/kconfig.h", "/drivers/Kconfig", "/fs/Kconfig", "/init/Kconfig", "/ipc/Makefile",
    "/kernel/Makefile", "/lib/Kconfig",
)  # fmt: skip


@dataclass(frozen=True)
class Person:
    """Who mails."""

    name: str
    email: str

    @property
    def line(self) -> str:
        """`Name <mail>`."""
        return f"{self.name} <{self.email}>"


@dataclass(frozen=True)
class Letter:
    """What b4 is told about one part.

    cover: title, blank line, text; template: b4's cover template; prefixes:
    beside PATCH; prerequisites: b4's lines; version; change_id.
    """

    cover: str
    template: str
    version: int
    change_id: str
    prefixes: tuple[str, ...]
    prerequisites: tuple[str, ...]


def make_repository(folder: Path, objects: Sequence[Path], base: str, pin: Pin) -> Source:
    """Make the repository anew, with the base checked out as far as needed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    git("init", "-q", "-b", "base", "--template=", ".", repo=folder)
    info = folder / ".git" / "objects" / "info"
    info.mkdir(exist_ok=True)
    (info / "alternates").write_text("".join(f"{path.resolve()}\n" for path in objects))
    (folder / ".git" / "info").mkdir(exist_ok=True)
    (folder / ".git" / "info" / "sparse-checkout").write_text(
        "".join(f"{line}\n" for line in _CHECKED_OUT)
    )
    for key in ("core.sparseCheckout", "core.logAllRefUpdates"):
        git("config", key, "true", repo=folder)
    git("checkout", "-q", "-B", "base", base, repo=folder)
    tree = git("rev-parse", f"{base}^{{tree}}", repo=folder).stdout.strip()
    return Source(folder, base, tree, pin)


def make_branch(
    source: Source,
    name: str,
    parent: str,
    patches: Sequence[tuple[AppliedPatch, str]],
    *,
    letter: Letter,
    signer: Person | None,
) -> None:
    """Make branch b4/<name> on parent, checked out; patches: (commit, patch file's text).

    signer: who is the author of the mails and signs them off, None for drafts
    of the series as it is.
    """
    tracking = {
        "series": {
            "revision": letter.version,
            "change-id": letter.change_id,
            "prefixes": list(letter.prefixes),
            "presubject": "",
            "prerequisites": list(letter.prerequisites),
        }
    }
    comment = "# This section is used internally by b4 prep for tracking purposes.\n"
    message = f"{letter.cover}\n\n{_MARKER}\n{comment}{json.dumps(tracking, indent=2)}\n"
    top = _commit(source, parent, parent, message.encode(), _sender(source))
    top = _as_mailed(source, top, patches, signer)
    branch = f"b4/{name}"
    git("checkout", "-q", "-B", branch, top, repo=source.git)
    template = source.git / ".git" / f"cover-{name}"
    template.write_text(letter.template, encoding="utf-8")
    git("config", f"branch.{branch}.b4-prep-cover-strategy", "commit", repo=source.git)
    git("config", "b4.prep-cover-template", str(template), repo=source.git)


def configure(source: Source, sender: Person) -> None:
    """Tell git and b4 in the repository who mails; nothing is sent through the server named."""
    for key, value in {
        "user.name": sender.name,
        "user.email": sender.email,
        "b4.prep-cover-strategy": "commit",
        "b4.send-no-patatt-sign": "yes",
        # Without one b4 takes the kernel's web endpoint, and wants to sign.
        "sendemail.smtpserver": "localhost",
    }.items():
        git("config", key, value, repo=source.git)


def tag_previous(
    source: Source,
    parent: str,
    patches: Sequence[tuple[AppliedPatch, str]],
    *,
    letter: Letter,
    signer: Person | None,
) -> None:
    """Tag the version before, on parent, as b4 tags what it has sent: for ${range_diff}.

    Its commits are made like those of make_branch(), so that a range-diff
    shows what a person has changed, and nothing else.
    """
    top = _as_mailed(source, parent, patches, signer)
    name = f"sent/{letter.change_id}-v{letter.version - 1}"
    message = f"{letter.cover}\n\nbase-commit: {parent}\nchange-id: {letter.change_id}\n"
    git("tag", "-f", "-a", "-F", "-", name, top, repo=source.git, stdin=message)


def b4(source: Source, *words: str | Path) -> Completed:
    """Run b4 in the repository, without the user's settings."""
    home = source.git / ".git" / "b4-home"
    home.mkdir(exist_ok=True)
    env = clean_env(
        {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_DATA_HOME": str(home),
         "XDG_CACHE_HOME": str(home)}
    )  # fmt: skip
    # Identity and date are the repository's and now's: b4 looks for a cover that
    # its user has committed within a year.
    for key in [key for key in env if key.startswith(("GIT_AUTHOR_", "GIT_COMMITTER_"))]:
        del env[key]
    argv = [sys.executable, "-m", "b4.command", *words]
    done = run(argv, cwd=source.git, env=env, check=False)
    said = done.stdout + done.stderr
    if not done.ok or "CRITICAL" in said:
        raise KseriesError(
            Exit.SKIP_BISECT,
            f"b4 {words[0]} failed: {said.strip()[-600:]}",
            where=f"cd {source.git} && {done.line}",
            hint="run the line by hand",
        )
    return done


def _as_mailed(
    source: Source,
    parent: str,
    patches: Sequence[tuple[AppliedPatch, str]],
    signer: Person | None,
) -> str:
    """Commit the patches on parent as they are mailed; return the last one."""
    top = parent
    for patch, text in patches:
        content = read_commit(source, patch.commit)
        body, _ = split_message(content.message)
        author, _, rest = content.author.partition(" <")
        who = signer or Person(author, rest.partition("> ")[0])
        if signer:
            body = _signed(source, body, signer)
        if notes := parse_patch(text).notes:
            body = body.rstrip(b"\n") + f"\n---\n{notes}\n".encode()
        top = _commit(source, patch.commit, top, body, who)
    return top


def _commit(source: Source, content: str, parent: str, message: bytes, author: Person) -> str:
    """Commit content's tree now, as who mails, by the author of the patch."""
    sender = _sender(source)
    env = {
        "GIT_AUTHOR_NAME": author.name,
        "GIT_AUTHOR_EMAIL": author.email,
        "GIT_COMMITTER_NAME": sender.name,
        "GIT_COMMITTER_EMAIL": sender.email,
    }
    for key in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):
        env[key] = f"@{int(time.time())} +0000"
    words = ("commit-tree", f"{content}^{{tree}}", "-p", parent)
    return git(*words, repo=source.git, stdin=message, env=env).stdout.strip()


def _sender(source: Source) -> Person:
    keys = ("user.name", "user.email")
    name, mail = (git("config", key, repo=source.git).stdout.strip() for key in keys)
    return Person(name, mail)


def _signed(source: Source, message: bytes, signer: Person) -> bytes:
    words = ("interpret-trailers", "--trailer", f"Signed-off-by: {signer.line}")
    return git(*words, repo=source.git, stdin=decode(message)).stdout.encode()
