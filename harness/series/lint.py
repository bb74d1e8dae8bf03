"""Check the form of patches/ and kconfig/; says nothing about what a patch does.

With the kernel's store in the cache each patch is also compared with its
canonical export.  Every finding names a file, a line where there is one, and
what to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from harness.core.paths import Paths
from harness.core.ui import Ui
from harness.series.patchfile import (
    PatchFile,
    PatchSyntaxError,
    parse_patch,
    strip_index,
    strip_places,
)
from harness.series.refresh import canonical_texts
from harness.series.series import Finding, Series, listing_name, scan_series, series_text
from harness.series.tree import apply_texts
from harness.source.gitrepo import IDENTITY
from harness.source.store import Source

ZERO_LINE = "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\n"
# Whether the order starts with a capital is each subsystem's own custom.
_SUBJECT = re.compile(r"(\[[A-Z]+\] )?([\w./,+*-]+( [\w./,+*-]+)*: )+\w.*[^.\s]")
_SUBJECT_LENGTH = 75
_NOT_IMPERATIVE = re.compile(
    r"(add|fix|remov|chang|mak|us|mov|allow|implement|introduc|updat)(e?s|ed|ing)", re.I
)
_SYMBOL = re.compile(r"(CONFIG_\w+)=(\S+|\".*\")|# (CONFIG_\w+) is not set")
_REFRESH = "`kseries refresh` writes it in canonical form"


def lint_patches(folder: Path, shared: Path | None = None) -> tuple[Series, list[Finding]]:
    """Check patches/ (or the series in folder, see Series.shared) without a kernel."""
    series, findings = scan_series(folder, shared)
    file = folder / "series"
    if not findings and file.is_file() and file.read_text() != series_text(series):
        name = listing_name(folder, shared)
        findings.append(Finding(name, "it is not in canonical form (blank lines)", _REFRESH))
    for name in series.files:
        if series.path(name).is_file():
            findings += lint_patch(series.name(name), series.text(name))
    return series, findings


def lint_patch(name: str, text: str) -> list[Finding]:
    """Check one patch's form."""
    try:
        patch = parse_patch(text)
    except PatchSyntaxError as error:
        return [
            Finding(
                f"patches/{name}:{error.line}",
                f"it cannot be read: {error.what}",
                "write it as `git format-patch` does",
            )
        ]
    found = [*_head(patch, text), *_subject(patch, text), *_body(patch, text), *_diff(patch, text)]
    return [Finding(f"patches/{name}:{line}", what, hint) for line, what, hint in found]


def lint_canonical(paths: Paths, source: Source, series: Series, ui: Ui) -> list[Finding]:
    """Compare each patch with its canonical export; raises APPLY if one does not apply."""
    texts = series.texts()
    applied = apply_texts(paths, source, texts, ui)
    findings = []
    fresh = canonical_texts(source, texts, applied)
    for (name, text), (_, wanted) in zip(texts, fresh, strict=True):
        # A file that two kernels share has the line numbers of the other one.
        shared = series.path(name) != series.folder / name
        if strip_places(text) != strip_places(wanted) if shared else text != wanted:
            pairs = zip(text.split("\n"), wanted.split("\n"), strict=False)
            line = next((n for n, (a, b) in enumerate(pairs, 1) if a != b), 1)
            findings.append(
                Finding(
                    f"patches/{series.name(name)}:{line}", "it is not in canonical form", _REFRESH
                )
            )
    return findings


def lint_fragments(folder: Path) -> list[Finding]:
    """Check every kconfig/*.config."""
    return [
        finding
        for path in sorted(folder.glob("*.config"))
        for finding in lint_fragment(f"{folder.name}/{path.name}", path.read_text(encoding="utf-8"))
    ]


def lint_fragment(name: str, text: str) -> list[Finding]:
    """Check one fragment: one symbol a line, each once, a comment above its paragraph."""
    findings: list[Finding] = []
    reason = False
    seen: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        where = f"{name}:{number}"
        symbol = _SYMBOL.fullmatch(line)
        if not line.strip():
            reason = False
        elif symbol:
            key = symbol[1] or symbol[3]
            if key in seen:
                what = f"{key} is set again (first in line {seen[key]})"
                findings.append(Finding(where, what, "keep one of the two lines"))
            seen.setdefault(key, number)
            if not reason:
                hint = "write the reason in a comment line above it"
                findings.append(Finding(where, f"nothing says why {key} is here", hint))
        elif line.startswith("#"):
            reason = True
        else:
            hint = "one `CONFIG_X=value` or `# CONFIG_X is not set` a line"
            findings.append(Finding(where, f"this is no symbol and no comment: {line!r}", hint))
    return findings


_Found = Iterator[tuple[int, str, str]]


def _head(patch: PatchFile, text: str) -> _Found:
    if patch.from_line != ZERO_LINE:
        yield 1, "the first line is not format-patch's with a zero commit", _REFRESH
    if patch.author != IDENTITY:
        hint = f"the series has one identity: From: {IDENTITY}"
        yield _line(text, "From: "), f"its author is {patch.author or 'missing'}", hint
    if not patch.header("Date"):
        yield 1, "it has no Date: header", "add one: commit ids depend on it"
    if not patch.header("Subject").startswith("[PATCH] "):
        yield _line(text, "Subject:"), "its subject does not start with [PATCH]", _REFRESH


def _subject(patch: PatchFile, text: str) -> _Found:
    line = _line(text, "Subject:")
    subject = patch.subject
    if not _SUBJECT.fullmatch(subject):
        yield (
            line,
            f"the subject {subject!r} is not of the form `subsystem: Do this`",
            "subsystem, colon, what to do; no full stop at the end",
        )
        return
    if _NOT_IMPERATIVE.fullmatch(subject.rpartition(": ")[2].split()[0]):
        yield line, "the subject is not an order", "`Add`, not `Adds` or `Adding`"
    if len(subject) > _SUBJECT_LENGTH:
        hint = f"{_SUBJECT_LENGTH} characters at most, so that lists and logs show it whole"
        yield line, f"the subject has {len(subject)} characters", hint


def _body(patch: PatchFile, text: str) -> _Found:
    if not patch.body.strip():
        yield _line(text, "Subject:"), "it has no body", "say why the change is made"
    for number, line in enumerate(text[: len(text) - len(patch.diff)].split("\n"), 1):
        if re.match(r"signed-off-by\s*:", line, re.I):
            yield number, "it carries a Signed-off-by", "remove it: who mails the patch adds theirs"


def _diff(patch: PatchFile, text: str) -> _Found:
    above = text[: len(text) - len(patch.diff)].count("\n")
    if patch.separator != "---\n":
        yield above, "no line of three dashes ends the body", _REFRESH
    if not patch.diffstat:
        yield above, "it has no diffstat", _REFRESH
    if strip_index(patch.diff) != patch.diff:
        lines = patch.diff.split("\n")
        at = next(n for n, line in enumerate(lines, 1) if line.startswith("index "))
        yield above + at, "it has index lines, which differ between machines", _REFRESH


def _line(text: str, start: str) -> int:
    """Return the number of the first line that starts so, 1 without one."""
    lines = enumerate(text.split("\n"), 1)
    return next((number for number, line in lines if line.startswith(start)), 1)
