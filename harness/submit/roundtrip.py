"""Mails applied as a maintainer applies them: with git am, b4 am and b4 shazam."""

from __future__ import annotations

import email
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.source.gitrepo import git
from harness.source.pin import Pin
from harness.source.store import Source
from harness.submit.branch import Person, b4, configure, make_repository
from harness.submit.mails import read_mails

_READER = Person("A Maintainer", "maintainer@example.org")
_WAYS = ("git am", "b4 am", "b4 shazam")


def apply_mails(
    folders: Sequence[Path], scratch: Path, objects: Sequence[Path], base: str, pin: Pin
) -> Mapping[str, list[str]]:
    """Return, for each way, the trees after each folder of mails, applied in order.

    scratch: a folder for the clean clones of `base`, removed at the end;
    objects: where its objects are.  Nothing is fetched.  A way that does not
    apply raises KseriesError.
    """
    found = {}
    for way in _WAYS:
        clone = scratch / way.replace(" ", "-")
        source = make_repository(clone, objects, base, pin)
        configure(source, _READER)
        trees = []
        for number, folder in enumerate(folders):
            mbox, message_id = _mailbox(folder, scratch / f"{number}.mbox")
            _apply(way, source, folder, mbox, message_id)
            trees.append(git("rev-parse", "HEAD^{tree}", repo=clone).stdout.strip())
        found[way] = trees
        shutil.rmtree(clone)
    return found


def _apply(way: str, source: Source, folder: Path, mbox: Path, message_id: str) -> None:
    if way == "git am":
        patches = [mail.path for mail in read_mails(folder) if not mail.cover]
        git("am", "-q", *patches, repo=source.git)
    elif way == "b4 am":
        out = mbox.with_suffix(".b4")
        b4(source, "--offline-mode", "am", "-m", mbox, "-o", out, message_id)
        (series,) = out.glob("*.mbx")
        git("am", "-q", series, repo=source.git)
        shutil.rmtree(out)
    else:
        b4(source, "--offline-mode", "shazam", "-m", mbox, message_id)


def _mailbox(folder: Path, dest: Path) -> tuple[Path, str]:
    """Write all mails of a folder as one mbox, as an archive serves them; return it and an id."""
    mails = read_mails(folder)
    dest.parent.mkdir(parents=True, exist_ok=True)
    start = b"From mboxrd@z Thu Jan  1 00:00:00 1970\n"
    dest.write_bytes(b"".join(start + mail.path.read_bytes() + b"\n" for mail in mails))
    first = email.message_from_bytes(mails[0].path.read_bytes())
    return dest, str(first["Message-Id"]).strip("<>")
