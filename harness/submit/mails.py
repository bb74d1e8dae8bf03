"""Mails that b4 wrote: read back, and applied to a clean base."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.core.ui import Ui
from harness.series.patchfile import decode
from harness.series.tree import apply_texts
from harness.source.store import Source


@dataclass(frozen=True)
class Mail:
    """One mail: its file, subject, recipients, whether it is a cover letter, its body."""

    path: Path
    subject: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    cover: bool
    text: str


def read_mails(folder: Path) -> tuple[Mail, ...]:
    """Return the mails of a folder in the order in which they would be sent."""
    return tuple(_read(path) for path in sorted(folder.glob("*.eml")))


def check_mails(
    paths: Paths, base: Source, mails: Sequence[Mail], trees: Sequence[str], ui: Ui
) -> None:
    """Raise unless the mails, applied one by one to the base, give these trees."""
    patches = [mail for mail in mails if not mail.cover]
    texts = [(mail.path.name, decode(mail.path.read_bytes())) for mail in patches]
    applied = apply_texts(paths, base, texts, ui)
    found = [patch.tree for patch in applied.patches]
    if found != list(trees):
        pairs = zip(found, trees, strict=False)
        at = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(found), len(trees)))
        raise KseriesError(
            Exit.APPLY,
            f"the mails do not give the quilt's tree, from patch {at + 1} on "
            f"({len(found)} mails with patches, {len(trees)} patches)",
            where=str(patches[min(at, len(patches) - 1)].path) if patches else "",
            hint="a patch that no mail can carry: binary, or lines that are no text?",
        )


def _read(path: Path) -> Mail:
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    body = message.get_body()
    content = body.get_payload(decode=True) if body else b""
    text = decode(content if isinstance(content, bytes) else b"")
    subject = re.sub(r"\s+", " ", str(message["Subject"]))
    return Mail(
        path,
        subject,
        _addresses(message, "To"),
        _addresses(message, "Cc"),
        bool(re.match(r"\[[^]]*\b0+/\d+\]", subject)),
        text,
    )


def _addresses(message: email.message.EmailMessage, header: str) -> tuple[str, ...]:
    value = message[header]
    return tuple(str(address) for address in value.addresses) if value else ()
