"""Messages that lie about their patch, and lines that do not belong in them. Mostly pure.

A wrong alarm teaches people to look away, so these rules ask little: a path
or function that a message names must exist somewhere, what a subject names
must be touched, and so must the place that its prefix is called after.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import PurePosixPath

from harness.core.record import Record, hash_json, load_record, save_record
from harness.lint.ground import Ground, Laid
from harness.series.series import Finding
from harness.source.gitrepo import git

_SUFFIXES = "c|h|S|rst|py|rs|lds|sh|tbl"
_PATH = re.compile(rf"(?<![\w/.<:-])((?:[\w.+-]+/)*[\w+-]+\.(?:{_SUFFIXES}))(?![\w/-])")
_CALL = re.compile(r"(?<![\w.>-])([A-Za-z_]\w*)\(\)")
_TRAILER = re.compile(r"[A-Z][\w-]*-by: |(?:Fixes|Link|Closes|Upstream|Cc|Reported|Message-Id): ")
_ASSISTED = re.compile(r"Assisted-by: [^\s:][^:\n]*:\S+(?: \S+)*")
_CHANGES = re.compile(r"\s*(?:v\d+\b.*:|changes? (?:since|in|from) v?\d|changelog\b)", re.I)


def messages(ground: Ground) -> list[Finding]:
    """Return what the messages of the series say that is not so."""
    tops = {name.partition("/")[0] for name in ground.base_names if "/" in name}
    known = ground.base_names | ground.top_names
    ends = {PurePosixPath(name).name for name in known}
    found: list[tuple[Laid, int, str, str, str]] = []
    unknown: dict[str, list[tuple[Laid, int]]] = {}
    for laid in ground.patches:
        touched = [item.path for item in laid.files]
        row = laid.row("Subject:")
        for what, hint in subject_lies(laid.patch.subject, touched, _changed(laid), tops):
            found.append((laid, row, what, hint, "message"))
        for row, name in named_paths(laid.text, laid.patch.body):
            if not _is_there(name, known, ends):
                what = f"the message names {name}, which neither the base nor the series has"
                found.append((laid, row, what, "name a file that is there", "message"))
        for row, what, hint, rule in strange_lines(laid.text, laid.patch.body):
            found.append((laid, row, what, hint, rule))
        words = set(re.findall(r"\w+", laid.patch.diff))
        for row, name in named_functions(laid.text, laid.patch.body):
            if name not in words:
                unknown.setdefault(name, []).append((laid, row))
    for name in sorted(set(unknown) - _known_words(ground, unknown)):
        for laid, row in unknown[name]:
            what = f"the message names {name}(), which neither the base nor the series has"
            hint = "name a function that is there, or state an exception for one of user space"
            found.append((laid, row, what, hint, "message"))
    return [
        Finding(f"patches/{laid.file}:{row}", what, hint, rule)
        for laid, row, what, hint, rule in found
    ]


def subject_lies(
    subject: str, touched: Collection[str], changed: str, tops: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Yield (what, hint) for each thing of the subject that the diff does not touch.

    changed: the diff's changed lines; tops: the kernel's top-level folders.
    """
    *prefixes, summary = re.sub(r"^(\[[^]]*\]\s*)+", "", subject).split(": ")
    for prefix in re.split(r",\s*|: ", ": ".join(prefixes)):
        # `x86`, `memcg` or `docs` are customs; a path, or a folder of that very
        # name, is a statement about files.
        last = prefix.rpartition("/")[2]
        if ("/" in prefix or prefix in tops) and last and not _is_touched(last, touched):
            yield (
                f"the subject says {prefix}:, but the patch touches nothing of that name",
                f"it touches {', '.join(sorted(touched)[:3])}",
            )
    for name in _PATH.findall(summary):
        if not any(path == name or path.endswith(f"/{name}") for path in touched):
            yield f"the subject names {name}, which the patch does not touch", "name what it does"
    words = set(re.findall(r"\w+", changed))
    for name in _CALL.findall(summary):
        if name not in words:
            yield f"the subject names {name}(), which the patch does not change", "name what it is"


def named_paths(text: str, body: str) -> Iterator[tuple[int, str]]:
    """Yield (row of the patch file, path) for each path in the prose of a message."""
    for row, line in _prose(text, body):
        for name in _PATH.findall(re.sub(r"\S+://\S+", "", line)):
            yield row, name


def named_functions(text: str, body: str) -> Iterator[tuple[int, str]]:
    """Yield (row of the patch file, name) for each name() in the prose of a message."""
    for row, line in _prose(text, body):
        for name in _CALL.findall(line):
            yield row, name


def strange_lines(text: str, body: str) -> Iterator[tuple[int, str, str, str]]:
    """Yield (row, what, hint, rule) for lines of a message that do not belong there."""
    lines = body.rstrip("\n").split("\n")
    last = max((n for n, line in enumerate(lines) if not line.strip()), default=-1)
    for number, (row, line) in enumerate(_rows(text, body)):
        if re.match(r"assisted-by\s*:", line, re.I):
            if not _ASSISTED.fullmatch(line):
                yield (
                    row,
                    f"this is no tag of the form that the kernel asks for: {line!r}",
                    "Assisted-by: NAME:VERSION TOOL TOOL",
                    "assisted-by",
                )
            elif number < last:
                yield (
                    row,
                    "Assisted-by stands above the last paragraph, where git sees no trailer",
                    "move it to the other trailers",
                    "assisted-by",
                )
        elif _CHANGES.match(line):
            yield (
                row,
                f"the log of a version is in the message, where it stays for ever: {line!r}",
                "notes for reviewers go below ---",
                "notes",
            )


def _prose(text: str, body: str) -> Iterator[tuple[int, str]]:
    return ((row, line) for row, line in _rows(text, body) if not _TRAILER.match(line))


def _rows(text: str, body: str) -> Iterator[tuple[int, str]]:
    """Yield (row of the patch file, line) of its message."""
    start = text[: text.index("\n\n") + 2].count("\n") + 1
    return enumerate(body.rstrip("\n").split("\n"), start)


def _changed(laid: Laid) -> str:
    return "\n".join(line for item in laid.files for line in item.changed)


def _is_touched(name: str, touched: Collection[str]) -> bool:
    """Whether a path has a folder of that name, or a file whose name begins so."""
    for path in touched:
        *folders, file = path.split("/")
        stem = file.partition(".")[0]
        if name in folders or name in (file, stem) or re.match(rf"{re.escape(name)}[-_.]", file):
            return True
        if re.search(rf"[-_]{re.escape(name)}$", stem):
            return True
    return False


def _is_there(name: str, known: Collection[str], ends: Collection[str]) -> bool:
    if name in known:
        return True
    last = name.rpartition("/")[2]
    if last not in ends:
        return False
    return "/" not in name or any(path.endswith(f"/{name}") for path in known)


def _known_words(ground: Ground, names: Collection[str]) -> set[str]:
    """Return those of the names that occur in the series' kernel as words."""
    if not names:
        return set()
    wanted = sorted(names)
    inputs = {"tree": ground.applied.top_tree, "names": hash_json(wanted)}
    record = load_record(ground.paths.records, "known-words", inputs)
    if record is None:
        patterns = [word for name in wanted for word in ("-e", name)]
        done = git(
            "grep", "-h", "-o", "-w", "-F", *patterns, ground.applied.top_tree,
            "--", "*.c", "*.h", "*.S", "*.rst", "*.sh", "*.py",
            repo=ground.source.git, check=False,
        )  # fmt: skip
        record = Record("known-words", inputs, {"known": sorted(set(done.stdout.split()))})
        save_record(ground.paths.records, record)
    return set(record.outputs["known"])
