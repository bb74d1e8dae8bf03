"""patches/series: which patches there are, in which order, in which sections.

One `<topic>/<slug>.patch` a line, in the order of application; file names
hold no numbers, the order lives here.  Lines that start with # are comments,
so quilt reads the same file (QUILT_PATCHES=patches).  A comment of the form

    # --- memcg: freeze ---

is a banner: the entries below it belong to that section.  Comments between a
banner or an entry and the next entry belong to that next entry and move with
it.  Comments at the top, with a blank line below, belong to the file.
Canonical form: the top comments, then a blank line before each banner, no
other blank lines.  An empty or missing file is an empty series.

patches/on/<pin>/series is the series as rebased onto pins/<pin>.toml, of the
same form.  It lists the whole series; a file that is not below
patches/on/<pin>/ is the one of patches/, which serves both kernels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.core.record import hash_json
from harness.series.patchfile import read_text

_BANNER = re.compile(r"# --- (\S.*?) ---")
_SYMBOL = re.compile(r"^\+(?:menu)?config[ \t]+(\w+)$", re.MULTILINE)
_OTHER = re.compile(r"on/[^/]+/")
_FILE = re.compile(r"[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9._-]*\.patch")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: where (a file, perhaps with :line), what, what to do.

    rule: the name by which patches/exceptions.toml can excuse it.
    """

    where: str
    what: str
    hint: str
    rule: str = "form"


@dataclass(frozen=True)
class Entry:
    """One patch: its file below patches/, its section ("" for none), comments above it."""

    file: str
    section: str = ""
    comments: tuple[str, ...] = ()

    @property
    def topic(self) -> str:
        """The folder below patches/."""
        return self.file.partition("/")[0]


@dataclass(frozen=True)
class Series:
    """The series in order; folder is patches/, or patches/on/<pin>/.

    shared: patches/ of a series on another pin, which lends it files; None
    for patches/ itself.
    """

    folder: Path
    entries: tuple[Entry, ...] = ()
    preamble: tuple[str, ...] = ()
    trailing: tuple[str, ...] = ()
    shared: Path | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The patches' files in order."""
        return tuple(entry.file for entry in self.entries)

    def text(self, file: str) -> str:
        """Return a patch's text (see patchfile.decode)."""
        return read_text(self.path(file))

    def path(self, file: str) -> Path:
        """Return where a patch lies."""
        own = self.folder / file
        return own if self.shared is None or own.is_file() else self.shared / file

    def name(self, file: str) -> str:
        """Return a patch's path below patches/."""
        return str(self.path(file).relative_to(self.shared or self.folder))

    def texts(self) -> list[tuple[str, str]]:
        """Return (file, text) of each patch in order."""
        return [(file, self.text(file)) for file in self.files]

    def symbols(self) -> frozenset[str]:
        """Return the Kconfig symbols that the patches define."""
        return frozenset(name for _, text in self.texts() for name in _SYMBOL.findall(text))

    def key(self) -> str:
        """Return a hash over the patches in order, for records of other stages."""
        return hash_json([[file, text] for file, text in self.texts()])


def parse_series(
    text: str, folder: Path, shared: Path | None = None
) -> tuple[Series, list[Finding]]:
    """Read a series file's text; findings name lines that are no entries."""
    listing = listing_name(folder, shared)
    entries: list[Entry] = []
    findings: list[Finding] = []
    preamble: tuple[str, ...] = ()
    comments: list[str] = []
    section = ""
    seen_banner = False
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        where = f"{listing}:{number}"
        if not line:
            if comments and not entries and not seen_banner:
                preamble += tuple(comments)
                comments = []
        elif banner := _BANNER.fullmatch(line):
            if not entries and not seen_banner:
                preamble += tuple(comments)
                comments = []
            section = banner[1]
            seen_banner = True
        elif line.startswith("#"):
            comments.append(line)
        elif not _FILE.fullmatch(line):
            findings.append(
                Finding(
                    where,
                    f"{line!r} is not of the form topic/slug.patch",
                    "lower-case letters, digits and dashes, one file a line, no options",
                )
            )
        elif line in {entry.file for entry in entries}:
            findings.append(Finding(where, f"{line} is listed twice", "remove one of the lines"))
        else:
            entries.append(Entry(line, section, tuple(comments)))
            comments = []
    if not entries and not seen_banner:
        preamble += tuple(comments)
        comments = []
    return Series(folder, tuple(entries), preamble, tuple(comments), shared), findings


def listing_name(folder: Path, shared: Path | None) -> str:
    """Return what to call the series file of a folder."""
    return f"patches/{folder.relative_to(shared)}/series" if shared else "patches/series"


def series_text(series: Series) -> str:
    """Return the canonical text of a series file."""
    blocks = ["\n".join(series.preamble)] if series.preamble else []
    section = ""
    block: list[str] = []
    for entry in series.entries:
        if entry.section != section:
            if block:
                blocks.append("\n".join(block))
            section = entry.section
            block = [f"# --- {section} ---"] if section else []
        block += [*entry.comments, entry.file]
    block += series.trailing
    if block:
        blocks.append("\n".join(block))
    return "\n\n".join(blocks) + "\n" if blocks else ""


def scan_series(folder: Path, shared: Path | None = None) -> tuple[Series, list[Finding]]:
    """Read folder/series and compare it with the folder's content (see Series.shared)."""
    file = folder / "series"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    series, findings = parse_series(text, folder, shared)
    listing = listing_name(folder, shared)
    lines = [line.strip() for line in text.split("\n")]
    for name in series.files:
        if not series.path(name).is_file():
            findings.append(
                Finding(
                    f"{listing}:{lines.index(name) + 1}",
                    f"{name} is listed but not there",
                    "add the file, or remove the line",
                )
            )
    for name in unlisted(folder, series.files):
        findings.append(
            Finding(
                f"{listing.removesuffix('series')}{name}",
                f"this patch is in no line of {listing}",
                "add a line for it where it belongs, or remove the file",
            )
        )
    return series, findings


def unlisted(folder: Path, files: Iterable[str]) -> list[str]:
    """Return the *.patch files below folder that are not in files.

    Series on other pins (on/<pin>/) are none of its business.
    """
    there = {str(path.relative_to(folder)) for path in folder.rglob("*.patch")}
    return sorted(name for name in there - set(files) if not _OTHER.match(name))


def overlays(folder: Path) -> list[Path]:
    """Return the folders in patches/ that hold the series on other pins."""
    return sorted(path.parent for path in folder.glob("on/*/series"))


def load_series(paths: Paths) -> Series:
    """Return the series that goes with this invocation's pin."""
    if paths.overlay is None:
        return read_series(paths.patches)
    if not (paths.overlay / "series").is_file():
        raise KseriesError(
            Exit.USAGE,
            f"there is no series on {paths.overlay.name} yet",
            where=str(paths.overlay / "series"),
            hint=f"make it: `kseries rebase --onto {paths.pin_file}`",
        )
    return read_series(paths.overlay, paths.patches)


def read_series(folder: Path, shared: Path | None = None) -> Series:
    """Return the series, or raise KseriesError(LINT) when it contradicts its folder."""
    series, findings = scan_series(folder, shared)
    if findings:
        first = findings[0]
        more = f" (and {len(findings) - 1} more: `kseries lint`)" if findings[1:] else ""
        raise KseriesError(
            Exit.LINT,
            f"the series is not in order: {first.what}{more}",
            where=first.where,
            hint=first.hint,
        )
    return series
