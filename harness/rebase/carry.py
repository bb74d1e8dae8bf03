"""Keep what an earlier rebase made of a patch, with what changed in patches/ since.

Three forms meet: the patch as it was in patches/ then (old), what was made of
it for this kernel (ours), and the patch as it is in patches/ now (new).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.core.errors import KseriesError
from harness.rebase.diffs import parse_diff
from harness.rebase.inspect import patch_of
from harness.rebase.state import Patch
from harness.series.export import Commit, read_commit, recommit
from harness.series.overlay import Origin, blob_id, load_origins
from harness.series.patchfile import encode, parse_patch, read_text
from harness.series.series import Series
from harness.series.tree import AppliedPatch, Work, strip_space
from harness.source.gitrepo import git
from harness.source.store import Source

_Part = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Before:
    """The series of an earlier rebase onto this kernel, with what its patches were made from.

    repo: the repository of the series, whose history has earlier forms.
    """

    series: Series
    repo: Path

    @property
    def name(self) -> str:
        """What to call the series in a report."""
        return f"patches/on/{self.series.folder.name}"

    def was_skipped(self, patch: Patch) -> str:
        """Return why a person left this very form of the patch out, "" if nobody did."""
        origin = load_origins(self.series.folder).left_out.get(patch.entry.file)
        return origin.why if origin and origin.blob == patch.blob else ""

    def adapted(self, file: str) -> bool:
        """Whether the earlier series has a form of its own of this patch."""
        return file in self.series.files and file in load_origins(self.series.folder).own

    def origin(self, file: str) -> Origin:
        """Return what is known of a patch that was adapted: the reason, and the time it took."""
        return load_origins(self.series.folder).own.get(file) or Origin("")

    def carry(self, source: Source, worktree: Path, patch: Patch, head: str) -> str | None:
        """Return a commit on head that keeps the earlier form, None if a person must decide.

        source: the new kernel; worktree: as a cherry-pick of the patch onto
        head has left it, with or without conflicts.
        """
        file = patch.entry.file
        if not self.adapted(file):
            return None
        origin, text = self.origin(file), self.series.text(file)
        with tempfile.TemporaryDirectory(prefix="kseries-carry-") as name:
            carrier = _Carrier(source, worktree, Path(name), patch.commit, head)
            ours = carrier.apply(file, text, head)
            if ours and origin.blob == patch.blob:
                return ours.commit
            earlier = self._earlier(file, origin.blob)
            if earlier is None:
                return None
            parent = git("rev-parse", f"{patch.commit}^", repo=worktree).stdout.strip()
            old = carrier.apply(file, earlier, parent) if ours else None
            made = carrier.merge(old.commit, ours.commit) if old and ours else None
            return made or carrier.by_file(earlier, text)

    def _earlier(self, file: str, blob: str) -> str | None:
        """Return the form of patches/ with this id: today's, or one of its history."""
        path = (self.series.shared or self.series.folder) / file
        if path.is_file() and blob_id(read_text(path)) == blob:
            return read_text(path)
        found = git("cat-file", "blob", blob, repo=self.repo, check=False)
        return found.stdout if found.ok else None


@dataclass(frozen=True)
class _Carrier:
    """Makes the commit of one patch; new: its commit on the old kernel."""

    source: Source
    worktree: Path
    folder: Path
    new: str
    head: str

    def apply(self, file: str, text: str, parent: str) -> AppliedPatch | None:
        """Apply a form to a commit, None where it does not fit."""
        try:
            return Work(self.worktree, self.folder, parent).apply(file, text, parent)
        except KseriesError:
            return None

    def merge(self, old: str, ours: str) -> str | None:
        """Merge ours and new, which began as old; None where they contradict each other."""
        tips = [
            self._commit(replace(self._read(side), parents=(old,))) for side in (ours, self.new)
        ]
        done = git("merge-tree", "--write-tree", *tips, repo=self.worktree, check=False)
        if not done.ok:
            return None
        message = _message(*(self._read(each).message for each in (old, ours, self.new)))
        return self._made(done.stdout.split("\n", 1)[0], message)

    def by_file(self, old: str, ours: str) -> str | None:
        """Put the patch together file by file; old, ours: texts of patch files.

        A file that was not adapted is as git has just merged it; one that has
        not changed in patches/ since is as it was adapted.  None where a file
        is neither, or has not merged.
        """
        parts = [_parts(old), _parts(ours)]
        parts.append(_parts(patch_of(self.worktree, f"{self.new}^", self.new)))
        index = {"GIT_INDEX_FILE": str(self.folder / "by-file")}
        git("read-tree", self.head, repo=self.worktree, env=index)
        for path in sorted({path for part in parts for path in part}):
            then, mine, now = (part.get(path) for part in parts)
            if mine == then:
                if not self._take(path, index):
                    return None
            elif now != then or (mine is not None and not self._patch(ours, path, index)):
                return None
        tree = git("write-tree", repo=self.worktree, env=index).stdout.strip()
        message = _message(_words(old), _words(ours), self._read(self.new).message)
        return self._made(tree, message)

    def _take(self, path: str, index: Mapping[str, str]) -> bool:
        """Take a file from the worktree's index, unless it is in conflict there."""
        entry = git("ls-files", "-s", "-z", "--", path, repo=self.worktree).stdout
        rows = [row for row in entry.split("\0") if row]
        if any(row.split("\t")[0].split()[2] != "0" for row in rows):
            return False
        words = ("-z", "--index-info") if rows else ("--force-remove", "--", path)
        git("update-index", *words, repo=self.worktree, env=index, stdin=entry)
        return True

    def _patch(self, text: str, path: str, index: Mapping[str, str]) -> bool:
        """Apply one file's part of a patch to the index."""
        diff = self.folder / "part"
        diff.write_bytes(encode(text))
        words = ("apply", "--cached", "--whitespace=nowarn", f"--include={path}", diff)
        return git(*words, repo=self.worktree, env=index, check=False).ok

    def _read(self, commit: str) -> Commit:
        return read_commit(self.source, commit, self.worktree / ".git" / "objects")

    def _commit(self, content: Commit) -> str:
        return recommit(self.source, content, self.worktree / ".git" / "objects")

    def _made(self, tree: str, message: bytes) -> str:
        new = self._read(self.new)
        return self._commit(replace(new, tree=tree, parents=(self.head,), message=message))


def _message(old: bytes, ours: bytes, new: bytes) -> bytes:
    """Return ours where it was reworded for this kernel; else that of patches/ is the newer."""
    return new if ours == old else ours


def _words(text: str) -> bytes:
    """Return the commit message that a patch file holds."""
    patch = parse_patch(text)
    return strip_space(encode(f"{patch.subject}\n\n{patch.body}"))


def _parts(text: str) -> dict[str, _Part]:
    """Return each file's hunks in a diff, wherever they are."""
    # As git prints file names and bytes that are not UTF-8 elsewhere.
    text = encode(text).decode(errors="replace")
    return {diff.path: tuple(hunk.lines for hunk in diff.hunks) for diff in parse_diff(text)}
