from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from harness.core.errors import Exit, KseriesError
from harness.series.refresh import Refreshed, refresh
from harness.series.series import read_series
from harness.series.tree import Applied, apply_series, apply_texts
from harness.series.worktree import ensure_worktree
from harness.source.store import Source, ensure_source
from harness.tests.tinykernel import Author, paths_in, quiet, sh, source_in, write_series

ONE, TWO, THREE = "a-topic/one.patch", "a-topic/two.patch", "b-topic/three.patch"
LISTING = (
    f"# A series.\n\n# --- a: first ---\n# stays with one\n{ONE}\n{TWO}\n\n# --- b ---\n{THREE}\n"
)


class Bench:
    """A repository with three patches and its worktree."""

    def __init__(self, folder: Path, source: Source | None = None) -> None:
        if source is not None:  # a copy of a made one
            self.paths = paths_in(folder)
            self.source = replace(source, git=self.paths.git / source.git.name)
            self.patches = self.paths.repo / "patches"
            return
        self.paths, self.source = source_in(folder)
        author = Author(self.source, folder / "work")
        texts = {}
        for file, name, notes in ((ONE, b"9", "v2: note"), (TWO, b"30", ""), (THREE, b"50", "")):
            author.edit("mm/mmap.c", b"mmap_%s;" % name, b"changed_%s;" % name)
            commit = author.commit(f"mm: Change {name.decode()}\n\nBody of {file}.\n")
            texts[file] = author.export(commit, notes)
        write_series(self.paths, texts, LISTING)
        self.patches = self.paths.repo / "patches"

    @property
    def tree(self) -> Path:
        return self.paths.worktree

    def applied(self) -> Applied:
        return apply_series(self.paths, self.source, read_series(self.patches), quiet())

    def ensure(self, applied: Applied | None = None) -> Path:
        series = read_series(self.patches)
        return ensure_worktree(self.paths, self.source, series, applied or self.applied(), quiet())

    def refresh(self) -> Refreshed:
        return refresh(self.paths, self.source, read_series(self.patches), quiet())

    def git(self, *words: str, **env: str) -> str:
        return sh("git", *words, cwd=self.tree, **env)  # type: ignore[arg-type]

    def edit(self, old: str, new: str) -> None:
        path = self.tree / "mm/mmap.c"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def content(self) -> dict[str, str]:
        files = [path for path in self.patches.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.patches)): path.read_text() for path in files}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Bench]:
    folder = tmp_path_factory.mktemp("made")
    bench = Bench(folder)
    bench.applied()
    return folder, bench


@pytest.fixture
def bench(made: tuple[Path, Bench], tmp_path: Path) -> Bench:
    """Copy the repository and its cache, which is quicker than making them."""
    folder, bench = made
    for name in ("repo", "cache", "kernel"):
        shutil.copytree(folder / name, tmp_path / name, symlinks=True)
    return Bench(tmp_path, bench.source)


def subjects(bench: Bench) -> list[str]:
    return bench.git("log", "--reverse", "--format=%s", "kseries/base..HEAD").splitlines()


def test_what_the_worktree_offers(bench: Bench) -> None:
    applied = bench.applied()
    assert bench.ensure() == bench.tree
    assert bench.git("rev-parse", "kseries/base").strip() == bench.source.base_commit
    assert bench.git("rev-parse", "kseries/top", "HEAD").split() == [applied.top_commit] * 2
    assert bench.git("symbolic-ref", "--short", "HEAD").strip() == "series"
    assert bench.git("config", "user.email").strip() == "agent-kernel@localhost"
    assert bench.git("status", "--porcelain") == ""
    assert subjects(bench) == ["mm: Change 9", "mm: Change 30", "mm: Change 50"]
    note = bench.git("notes", "--ref=kseries", "show", applied.patches[0].commit)
    assert note == f"File: {ONE}\nSection: a: first\nNote: v2: note\n"
    # Selftests are laid over the worktree, and are nobody's edit.
    (bench.tree / "tools/testing/selftests/agent/x").mkdir(parents=True)
    (bench.tree / "tools/testing/selftests/agent/x/Makefile").write_text("")
    assert bench.git("status", "--porcelain") == ""


def test_nothing_to_refresh(bench: Bench) -> None:
    before = bench.content()
    bench.ensure()
    done = bench.refresh()
    assert (done.changed, done.added, done.removed, done.said) == ((), (), (), ())
    assert bench.content() == before


def test_rebase_with_a_fixup(bench: Bench) -> None:
    before = bench.content()
    bench.ensure()
    bench.edit("changed_9;", "fixed_9;")
    bench.git("commit", "-q", "-a", "--fixup", "HEAD~2")
    bench.git("rebase", "-q", "-i", "--autosquash", "kseries/base", GIT_SEQUENCE_EDITOR="true")
    done = bench.refresh()
    assert done.changed == (ONE,)
    after = bench.content()
    assert {file for file in after if after[file] != before[file]} == {ONE}
    assert "+\tvalue[9] = fixed_9;" in after[ONE]
    assert "---\nv2: note\n\n mm/mmap.c | 2 +-" in after[ONE]
    # The worktree now holds the commits that everybody gets from these files.
    applied = bench.applied()
    assert done.applied == applied
    assert bench.git("rev-parse", "kseries/top", "HEAD").split() == [applied.top_commit] * 2
    assert bench.git("status", "--porcelain") == ""
    assert bench.refresh().changed == ()


def test_amend_keeps_the_file(bench: Bench) -> None:
    bench.ensure()
    bench.git("commit", "-q", "--amend", "-m", "mm: Change fifty\n\nReworded.")
    done = bench.refresh()
    assert (done.changed, done.added, done.removed) == ((THREE,), (), ())
    assert "Subject: [PATCH] mm: Change fifty\n\nReworded.\n---\n" in bench.content()[THREE]


def test_reorder_moves_banners_and_comments(bench: Bench) -> None:
    bench.ensure()
    bench.git("rebase", "-q", "-i", "kseries/base", GIT_SEQUENCE_EDITOR="sed -i '1{h;d};2G'")
    assert subjects(bench) == ["mm: Change 30", "mm: Change 9", "mm: Change 50"]
    done = bench.refresh()
    assert (done.added, done.removed) == ((), ())
    assert bench.content()["series"] == LISTING.replace(
        f"# stays with one\n{ONE}\n{TWO}\n", f"{TWO}\n# stays with one\n{ONE}\n"
    )


def test_squash_first_file_wins_and_is_said(bench: Bench) -> None:
    bench.ensure()
    bench.git("rebase", "-q", "-i", "kseries/base", GIT_SEQUENCE_EDITOR="sed -i 2s/pick/fixup/")
    done = bench.refresh()
    assert (done.changed, done.removed) == ((ONE,), (TWO,))
    assert f"squashed into {ONE}: {TWO}" in done.said
    assert not (bench.patches / TWO).exists()
    assert TWO not in bench.content()["series"]
    assert "v2: note" in bench.content()[ONE]


def test_drop_and_new_commit(bench: Bench) -> None:
    bench.ensure()
    bench.git("reset", "-q", "--hard", "HEAD~1")
    (bench.tree / "mm/new.c").write_text("int new;\n")
    bench.git("add", "mm/new.c")
    bench.git("commit", "-q", "-m", "[RFC] mm: Add a file\n\nWhy.\n\n---\nnot for the log")
    done = bench.refresh()
    assert done.removed == (THREE,)
    assert done.added == ("a-topic/mm-add-a-file.patch",)
    assert any("mm-add-a-file.patch" in text for text in done.said)
    text = bench.content()["a-topic/mm-add-a-file.patch"]
    assert "Subject: [PATCH] [RFC] mm: Add a file\n\nWhy.\n---\nnot for the log\n\n" in text
    assert "From: Agent Kernel Series <agent-kernel@localhost>\n" in text
    assert "not for the log" not in bench.git("log", "-1", "--format=%B")
    assert not list(bench.patches.rglob("three.patch"))


def test_the_first_patch_of_an_empty_series(bench: Bench) -> None:
    shutil.rmtree(bench.patches)
    bench.ensure()
    assert bench.git("rev-parse", "HEAD").strip() == bench.source.base_commit
    bench.edit("mmap_3;", "mmap_three;")
    bench.git("commit", "-q", "-am", "mm: Spell three\n\nBody.")
    assert bench.refresh().added == ("mm/mm-spell-three.patch",)
    assert bench.content()["series"] == "# --- mm ---\nmm/mm-spell-three.patch\n"


def test_uncommitted_edits_stay_and_are_said(bench: Bench) -> None:
    bench.ensure()
    bench.git("commit", "-q", "--amend", "-m", "mm: Change fifty\n\nReworded.")
    bench.edit("mmap_3;", "half done")
    done = bench.refresh()
    assert "not committed, hence not in patches/: mm/mmap.c" in done.said
    assert "half done" in (bench.tree / "mm/mmap.c").read_text()
    assert "half done" not in "".join(bench.content().values())
    # Neither does `kseries tree` touch them.
    bench.ensure()
    assert "half done" in (bench.tree / "mm/mmap.c").read_text()


def change_patches(bench: Bench) -> None:
    (bench.patches / THREE).unlink()
    listing = LISTING.replace(f"\n# --- b ---\n{THREE}\n", "")
    (bench.patches / "series").write_text(listing)


def lost(bench: Bench) -> KseriesError:
    with pytest.raises(KseriesError) as caught:
        bench.ensure()
    assert caught.value.code == Exit.USAGE
    assert caught.value.hint
    return caught.value


def test_a_clean_worktree_follows_patches(bench: Bench) -> None:
    bench.ensure()
    change_patches(bench)
    bench.ensure()
    assert subjects(bench) == ["mm: Change 9", "mm: Change 30"]
    assert bench.git("status", "--porcelain") == ""


def test_uncommitted_edits_are_not_overwritten(bench: Bench) -> None:
    bench.ensure()
    bench.edit("mmap_3;", "precious")
    change_patches(bench)
    assert "uncommitted edits (mm/mmap.c)" in lost(bench).what
    assert "precious" in (bench.tree / "mm/mmap.c").read_text()


def test_commits_are_not_overwritten(bench: Bench) -> None:
    bench.ensure()
    bench.edit("mmap_3;", "precious")
    bench.git("commit", "-q", "-am", "mm: Precious")
    head = bench.git("rev-parse", "HEAD")
    change_patches(bench)
    assert "commits that patches/ does not have" in lost(bench).what
    with pytest.raises(KseriesError, match="patches/ was changed after") as caught:
        bench.refresh()
    assert caught.value.where == f"patches/{THREE}"
    assert bench.git("rev-parse", "HEAD") == head
    # The way out that the hint names.
    bench.git("branch", "mine")
    bench.git("reset", "-q", "--hard", "kseries/top")
    bench.ensure()
    bench.git("cherry-pick", "mine")
    assert bench.refresh().added == ("a-topic/mm-precious.patch",)


def test_untracked_files_are_not_overwritten(bench: Bench) -> None:
    series = read_series(bench.patches)
    ensure_worktree(
        bench.paths, bench.source, series, apply_texts(bench.paths, bench.source, [], quiet()),
        quiet(),
    )  # fmt: skip
    (bench.tree / "mm/new.c").write_text("precious\n")
    author = Author(bench.source, bench.paths.repo.parent / "other")
    (author.root / "mm/new.c").write_text("theirs\n")
    text = author.export(author.commit("mm: New file\n\nBody.\n"))
    write_series(bench.paths, {"a-topic/new.patch": text}, "a-topic/new.patch\n")
    for file in (ONE, TWO, THREE):
        (bench.patches / file).unlink()
    with pytest.raises(KseriesError, match="git"):
        bench.ensure()
    assert (bench.tree / "mm/new.c").read_text() == "precious\n"


def test_a_rebase_under_way(bench: Bench) -> None:
    bench.ensure()
    bench.git("rebase", "-q", "-i", "kseries/base", GIT_SEQUENCE_EDITOR="sed -i 1s/pick/edit/")
    with pytest.raises(KseriesError, match="rebase is under way"):
        bench.refresh()
    assert bench.ensure() == bench.tree  # patches/ did not change
    change_patches(bench)
    assert "rebase" in lost(bench).what


def test_merges_and_a_lost_base(bench: Bench) -> None:
    bench.ensure()
    bench.git("checkout", "-q", "--orphan", "elsewhere")
    bench.git("commit", "-q", "-m", "something else")
    with pytest.raises(KseriesError, match="straight line"):
        bench.refresh()


def test_a_message_that_no_mail_can_carry(bench: Bench) -> None:
    bench.ensure()
    bench.git("commit", "-q", "--amend", "-m", "mm: Show a diff\n\ndiff --git a/x b/x\nno")
    before = bench.content()
    with pytest.raises(KseriesError) as caught:
        bench.refresh()
    assert caught.value.code in {Exit.LINT, Exit.APPLY}
    assert bench.content() == before
    bench.git("commit", "-q", "--amend", "-m", "mm: Two\nlines of subject\n\nBody.")
    with pytest.raises(KseriesError, match="does not survive a mail") as caught:
        bench.refresh()
    assert caught.value.code == Exit.LINT
    assert bench.content() == before


def test_an_empty_commit(bench: Bench) -> None:
    bench.ensure()
    bench.git("commit", "-q", "--allow-empty", "-m", "mm: Nothing")
    with pytest.raises(KseriesError, match="changes nothing"):
        bench.refresh()


def test_hand_written_patches_are_taken_in_without_a_worktree(bench: Bench) -> None:
    before = bench.content()
    applied = bench.applied()
    plain = sh(
        "git", "format-patch", "--stdout", "-1", applied.patches[1].commit, cwd=bench.source.git
    )
    assert plain != before[TWO]
    (bench.patches / TWO).write_text(plain)
    (bench.patches / "series").write_text(LISTING.replace("\n\n", "\n\n\n"))
    done = bench.refresh()
    assert done.changed == (TWO,)
    assert bench.content() == before
    assert not bench.tree.exists()
    # With a clean worktree the same, and the worktree stays clean.
    bench.ensure()
    (bench.patches / TWO).write_text(plain.replace("Body of", "A better body of"))
    assert bench.refresh().changed == (TWO,)
    assert "A better body of" in bench.git("log", "-1", "--format=%b", "HEAD~1")
    assert bench.git("status", "--porcelain") == ""


def test_resolving_a_conflict_from_the_base(bench: Bench) -> None:
    """The way that a conflict's hint names: base, git am, refresh."""
    broken = bench.content()[ONE].replace("mmap_9;", "mmap_other;")
    (bench.patches / ONE).write_text(broken)
    with pytest.raises(KseriesError) as caught:
        bench.applied()
    assert caught.value.code == Exit.APPLY
    assert "kseries tree --base" in caught.value.hint
    bench.ensure(apply_texts(bench.paths, bench.source, [], quiet()))
    assert subjects(bench) == []
    am = ["git", "am", "-q", "--reject", "--keep-non-patch", str(bench.patches / ONE)]
    done_am = subprocess.run(am, cwd=bench.tree, capture_output=True, check=False)
    assert done_am.returncode != 0
    assert "+\tvalue[9] = changed_9;" in (bench.tree / "mm/mmap.c.rej").read_text()
    bench.edit("mmap_9;", "resolved_9;")
    bench.git("add", "-u")
    bench.git("am", "-q", "--continue")
    done = bench.refresh()
    assert done.changed == (ONE,)
    assert done.removed == done.added == ()
    assert bench.content()["series"] == LISTING
    assert "---\nv2: note\n\n" in bench.content()[ONE]
    # The others still wait in patches/, and apply now.
    assert len(bench.applied().patches) == 3
    bench.ensure()
    assert len(subjects(bench)) == 3


def test_a_lost_store_is_no_lost_worktree(bench: Bench) -> None:
    bench.ensure()
    bench.git("commit", "-q", "--amend", "-m", "mm: Change fifty\n\nReworded.")
    shutil.rmtree(bench.source.git)
    kernel = bench.paths.repo.parent / "kernel"
    assert ensure_source(bench.paths, bench.source.pin, quiet(), str(kernel)) == bench.source
    bench.applied()
    assert bench.refresh().changed == (THREE,)


def test_a_first_checkout_that_was_cut_off(bench: Bench) -> None:
    bench.tree.mkdir(parents=True)
    sh("git", "init", "-q", cwd=bench.tree)
    (bench.tree / "Makefile").write_text("half a file")
    bench.ensure()
    assert bench.git("status", "--porcelain") == ""
