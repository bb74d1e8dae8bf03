"""Rules about the files that patches touch: licence, maintainer, places left out."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass

from harness.lint.ground import Ground
from harness.series.series import Finding

_SPDX = re.compile(r"SPDX-License-Identifier:\s*([^*\n]+?)\s*(?:\*/.*|-->)?$")
# What the kernel wants a licence in; other new files may have one.
_LICENSED = (
    ".c", ".h", ".S", ".py", ".sh", ".pl", ".rs", ".rst", ".lds", ".dts", ".yaml", ".tbl",
    ".gitignore", "Makefile", "Kconfig",
)  # fmt: skip
_OPERATORS = {"AND", "OR", "WITH", "(", ")"}


def excluded_paths(ground: Ground) -> list[Finding]:
    """Return a finding for each touched path that the pin leaves out."""
    pin = ground.source.pin
    return [
        Finding(
            f"patches/{laid.file}:{item.lines[0][0]}",
            f"{item.path} is a path that the pin leaves out, which no tarball of Debian has",
            "the same mail must apply to every source of this kernel: leave it alone",
            "excluded",
        )
        for laid in ground.patches
        for item in laid.files
        if pin.excluding(item.path)
    ]


def spdx(ground: Ground) -> list[Finding]:
    """Return a finding for each new file without a licence that the kernel knows."""
    licences = {
        path.name for path in (ground.base / "LICENSES").rglob("*") if path.is_file()
    }  # fmt: skip
    findings = []
    for laid in ground.patches:
        for item in laid.files:
            if not item.new or not item.path.endswith(_LICENSED):
                continue
            head = [text for _, text in item.added][:2]
            why = spdx_problem(head, licences)
            if why:
                findings.append(
                    Finding(
                        f"patches/{laid.file}:{item.lines[0][0]}",
                        f"{item.path} {why}",
                        "Documentation/process/license-rules.rst: in its first line, or the "
                        "second below #!",
                        "spdx",
                    )
                )
    return findings


def spdx_problem(head: Iterable[str], licences: Iterable[str]) -> str:
    """Return what is wrong with the licence in a file's first lines, "" if nothing."""
    hits = [hit for line in head if (hit := _SPDX.search(line))]
    if not hits:
        return "has no SPDX-License-Identifier"
    words = re.findall(r"[()]|[^\s()]+", hits[0][1])
    known = set(licences)
    for word in words:
        name = re.sub(r"(-only|-or-later|\+)$", "", word)
        if word not in _OPERATORS and word not in known and name not in known:
            return f"names the licence {word!r}, which LICENSES/ does not have"
    return ""


def maintainers(ground: Ground) -> list[Finding]:
    """Return a finding for each new file that no entry of MAINTAINERS covers by then."""
    findings = []
    text = ground.text_at(ground.applied.base_tree, "MAINTAINERS")
    for laid in ground.patches:
        if any(item.path == "MAINTAINERS" for item in laid.files):
            text = ground.text_at(laid.commit.tree, "MAINTAINERS")
        for item in laid.files:
            if item.new and not sections_of(text, item.path):
                findings.append(
                    Finding(
                        f"patches/{laid.file}:{item.lines[0][0]}",
                        f"no entry of MAINTAINERS covers the new file {item.path}",
                        "add an F: line to an entry in the same patch",
                        "maintainers",
                    )
                )
    return findings


def sections_of(maintainers_text: str, path: str) -> list[str]:
    """Return the entries of MAINTAINERS that cover a path, THE REST aside."""
    found = []
    for section in _parse(maintainers_text):
        spared = any(pattern.match(path) for pattern in section.spares)
        if not spared and any(pattern.match(path) for pattern in section.covers):
            found.append(section.name)
    return found


@dataclass(frozen=True)
class _Pattern:
    """An F: or X: line as get_maintainer.pl reads it: a prefix, of so many slashes."""

    words: re.Pattern[str]
    slashes: int | None  # None: whatever is below the folder

    def match(self, path: str) -> bool:
        return bool(self.words.match(path)) and self.slashes in (None, path.count("/"))


@dataclass(frozen=True)
class _Section:
    name: str
    covers: tuple[_Pattern, ...]
    spares: tuple[_Pattern, ...]


@functools.lru_cache(maxsize=4)
def _parse(text: str) -> list[_Section]:
    _, _, body = text.partition("Maintainers List\n")
    sections = []
    for block in re.split(r"\n\s*\n", body or text):
        lines = block.strip("\n").split("\n")
        fields = [(line[0], line[2:].strip()) for line in lines if line[1:2] == ":"]
        names = [line for line in lines if line[1:2] != ":" and line.strip()]
        if not fields or not names or names[0].strip() == "THE REST":
            continue
        covers = [p for key, value in fields if key == "F" for p in _patterns(value)]
        covers += [_Pattern(re.compile(f".*(?:{v})"), None) for k, v in fields if k == "N"]
        spares = [p for key, value in fields if key == "X" for p in _patterns(value)]
        sections.append(_Section(names[0].strip(), tuple(covers), tuple(spares)))
    return sections


@functools.cache
def _patterns(line: str) -> tuple[_Pattern, ...]:
    words = line.replace(".", r"\.").replace("*", ".*").replace("?", ".").replace("+", r"\+")
    if line.endswith("/"):
        return (_Pattern(re.compile(words), None),)
    # A folder may be written without its slash.
    folder = _Pattern(re.compile(f"{words}/"), None)
    return (_Pattern(re.compile(words), line.count("/")), folder)
