"""kseries clean: free disk without losing what cannot be made again."""

from __future__ import annotations

import argparse
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from harness.core.context import Context, Outcome
from harness.core.errors import Exit, KseriesError
from harness.core.record import hash_json

DESCRIPTION = """\
Remove old kernels, selftest builds and results. Everything it removes can be
made again; worktrees, the source that they borrow their objects from, and
results that a name in docs/ points to are never touched. Without --all the
newest build of each kind stays: of each kernel configuration, and of each
topic's programs."""
EXAMPLE = """\
  kseries clean --older-than 7d    builds and results not used for a week
  kseries clean --keep 20G         oldest builds first, until the cache fits
  kseries clean --all              the whole cache but the worktrees
  kseries clean --all --dry-run    only say what would go"""

UNITS = {"h": 3600, "d": 86400, "w": 7 * 86400}
SIZES = {"M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True)
class Item:
    """One folder that can go: what it is, its bytes, seconds since its last use.

    newest: whether no other build of its kind is younger.
    """

    path: Path
    kind: str
    size: int
    age: float
    newest: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("--older-than", metavar="AGE", help="not used for AGE (12h, 7d, 2w)")
    parser.add_argument("--keep", metavar="SIZE", help="remove oldest until the rest fits (20G)")
    parser.add_argument("--all", action="store_true", help="the whole cache but the worktrees")
    parser.add_argument("--dry-run", action="store_true", help="only say what would go")


def run(args: argparse.Namespace, context: Context) -> Outcome:
    """Remove what the options name."""
    if not (args.older_than or args.keep or args.all):
        raise KseriesError(
            Exit.USAGE,
            "nothing to do: neither --older-than, --keep nor --all was given",
            hint="`kseries clean --older-than 7d --dry-run` shows what a week would free",
        )
    items = collect(context)
    going = choose(
        items,
        older=parse_unit(args.older_than, UNITS, "an age like 7d") if args.older_than else None,
        keep=parse_unit(args.keep, SIZES, "a size like 20G") if args.keep else None,
        everything=args.all,
    )
    for item in going:
        context.ui.line(f"{'would remove' if args.dry_run else 'removing'} {item.kind} {item.path}")
        if not args.dry_run:
            remove(item.path)
    freed = sum(item.size for item in going)
    return Outcome(
        Exit.OK,
        {"removed": [str(item.path) for item in going], "bytes": freed, "dry_run": args.dry_run},
        f"{len(going)} folders, {freed / 1e9:.1f} GB " + ("to free" if args.dry_run else "freed"),
    )


def parse_unit(text: str, units: dict[str, int], form: str) -> float:
    """Return the seconds or bytes that text names."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([a-zA-Z])", text)
    if not match or match[2] not in units:
        raise KseriesError(Exit.USAGE, f"{text!r} is not {form}", hint=f"units: {', '.join(units)}")
    return float(match[1]) * units[match[2]]


def choose(
    items: list[Item], *, older: float | None, keep: float | None, everything: bool
) -> list[Item]:
    """Return the items that go, oldest first."""
    oldest = sorted(items, key=lambda item: -item.age)
    if everything:
        return oldest
    oldest = [item for item in oldest if not item.newest]
    going = [item for item in oldest if older is not None and item.age > older]
    if keep is not None:
        left = sum(item.size for item in items) - sum(item.size for item in going)
        for item in oldest:
            if left <= keep:
                break
            if item not in going:
                going.append(item)
                left -= item.size
    return going


def collect(context: Context) -> list[Item]:
    """Return what could go: builds, selftests, downloads, results."""
    paths = context.paths
    kept = " ".join(p.read_text(errors="replace") for p in (paths.repo / "docs").rglob("*.md"))
    places = [(paths.builds, "build"), (paths.cache / "selftests", "selftests"),
              (paths.cache / "programs", "benchmark programs"), (paths.git, "source"),
              (paths.cache / "checkers", "checkers"), (paths.cache / "prep", "mail branches"),
              (paths.downloads, "download"), (paths.out, "results")]  # fmt: skip
    borrowed = lent_objects(paths.cache / "trees")
    items = []
    seen: set[str] = set()
    now = time.time()
    for place, kind in places:
        found = [p for p in place.iterdir() if not p.is_symlink()] if place.is_dir() else []
        for path in sorted(found, key=lambda p: -p.stat().st_mtime):
            if (kind == "results" and path.name in kept) or path.resolve() in borrowed:
                continue
            what = build_kind(path) if kind == "build" else None
            newest = what is not None and what not in seen
            if what is not None:
                seen.add(what)
            items.append(Item(path, kind, disk_size(path), now - path.stat().st_mtime, newest))
    return items


def lent_objects(trees: Path) -> set[Path]:
    """Return the repositories without whose objects a worktree below trees is broken."""
    lent = set()
    for alternates in trees.glob("*/*/.git/objects/info/alternates"):
        for line in alternates.read_text().splitlines():
            lent.add(Path(line).resolve().parent)
    return lent


def build_kind(path: Path) -> str:
    """Return what a build is one of: a kernel's configuration, or a topic's programs."""
    config = path / "build" / ".config"
    if config.is_file():
        lines = (line for line in config.read_text().splitlines() if line.startswith("CONFIG_"))
        return "kernel " + hash_json(sorted(lines))
    return path.name.rpartition("-")[0]


def disk_size(path: Path) -> int:
    """Return the bytes of a file or of all files below a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(f.lstat().st_size for f in path.rglob("*") if f.is_file() and not f.is_symlink())


def remove(path: Path) -> None:
    """Remove a file or folder; a half-removed build must not look like a whole one."""
    if path.is_dir():
        gone = path.with_name(f".{path.name}.removing")
        path.rename(gone)
        shutil.rmtree(gone)
    else:
        path.unlink()
