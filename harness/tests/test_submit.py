"""Mails that prep writes give the quilt's trees again, version after version."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.series.series import read_series
from harness.series.tree import apply_series
from harness.source.pin import Pin
from harness.source.store import Source, ensure_source
from harness.submit.branch import Person
from harness.submit.checks import Check, check_final, submitter
from harness.submit.parts import Part, plan_parts, subsystem
from harness.submit.prep import Prepared, Request, prep
from harness.submit.roundtrip import apply_mails
from harness.submit.selftest import with_file, with_target
from harness.submit.topic import parse_topic
from harness.tests.tinykernel import (
    FILES,
    Author,
    lay_out,
    lines,
    paths_in,
    pin_for,
    quiet,
    sh,
    write_series,
)

ANSWERS = """#!/bin/sh
cat > /dev/null
case "$*" in
*--nol*) echo 'A Maintainer <maintainer@example.org>';;
*) echo 'a-list@example.org';;
esac
"""
EXTRA: Mapping[str, bytes] = {
    **FILES,
    "scripts/get_maintainer.pl": ANSWERS.encode(),
    "MAINTAINERS": b"Maintainers List\n\nMEMORY\nF:\tmm/\n\nTHE REST\nF:\t*\n",
    "tools/testing/selftests/Makefile": b"TARGETS += acct\nTARGETS += zram\n\nall:\n",
}
TOPIC = """\
title = "mm: Spell numbers"
why = "Digits are hard to read."
what = "Each patch spells one."
to = ["A Reader <reader@example.org>"]
measured = "Read aloud; $HOME and ${cover} stay as they are."
[[selftest]]
area = "spelling"
maintainers = "MEMORY"
body = "Read them."
[changes]
2 = ["Spell the third one in full, for $5"]
3 = ["Nothing, but again"]
"""
ME = Person("A Person", "person@example.org")


class Desk:
    """A repository with a topic of four patches, on a tiny kernel."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths: Paths = paths_in(folder)
        self.root = lay_out(folder / "kernel", EXTRA)
        (self.root / "scripts/get_maintainer.pl").chmod(0o755)
        self.pin: Pin = pin_for(self.root)
        self.source: Source = ensure_source(self.paths, self.pin, quiet(), str(self.root))
        repo = self.paths.repo
        excluded = ", ".join(f'"{name}"' for name in self.pin.excluded)
        (repo / "pin.toml").write_text(
            f'version = "{self.pin.version}"\ntag = "{self.pin.tag}"\n'
            f'tree = "{self.pin.tree}"\nexcluded = [{excluded}]\n'
        )
        area = repo / "selftests/spelling"
        (area / "mutants").mkdir(parents=True)
        for name in ("Makefile", "plan.toml", "mutants/a.patch", "test.sh"):
            (area / name).write_text(f"# {name}\n")
        (area / "test.sh").chmod(0o755)
        (repo / "patches/t/mail").mkdir(parents=True)
        (repo / "patches/t/mail/topic.toml").write_text(TOPIC)
        self.spell("three")

    def spell(self, third: str, count: int = 4) -> None:
        """Write the series: one patch a number, the third one in these words."""
        author = Author(self.source, self.folder / f"work-{third}")
        texts = {}
        words = ["zero", "one", "two", third, "four", *(f"n{n}" for n in range(5, 40))]
        for number in range(1, count + 1):
            author.edit("mm/mmap.c", f"mmap_{number};".encode(), f"mmap_{words[number]};".encode())
            where = "mm/mmap" if number < 10 else "kernel/mmap"
            message = f"{where}: Spell {number}\n\nBecause it reads better.\n"
            notes = "v2: for reviewers" if number == 2 else ""
            texts[f"t/spell-{number}.patch"] = author.export(author.commit(message), notes)
        write_series(self.paths, texts)

    def prep(self, version: int, name: str = "", **more: object) -> list[Prepared]:
        """Prepare a version into out/<name>."""
        out = self.folder / (name or f"v{version}")
        return prep(self.paths, quiet(), Request("t", version, out, **more))  # type: ignore[arg-type]

    def quilt(self) -> str:
        """Return the tree of the quilt."""
        series = read_series(self.paths.repo / "patches")
        return apply_series(self.paths, self.source, series, quiet()).top_tree

    def clean(self, name: str) -> Author:
        """Return a clone of the base with nothing on top."""
        return Author(self.source, self.folder / name)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def trees(author: Author) -> tuple[str, str]:
    """Return the trees of HEAD and of the commit below it."""
    top, below = sh("git", "rev-parse", "HEAD^{tree}", "HEAD~1^{tree}", cwd=author.root).split()
    return top, below


def check_round_trip(desk: Desk, made: Prepared) -> None:
    """Apply the mails with git am, b4 am and b4 shazam; each must give the quilt's tree."""
    objects = [desk.source.git / "objects"]
    base = desk.source.base_commit
    found = apply_mails([made.folder], desk.folder / "clones", objects, base, desk.pin)
    assert dict(found) == {way: [made.tree] for way in ("git am", "b4 am", "b4 shazam")}
    author = desk.clean(f"{made.folder.name}-am")
    patches = sorted(made.folder.glob("000[1-9]*.eml"))
    sh("git", "am", "-q", *patches, cwd=author.root)
    assert trees(author) == (made.tree, desk.quilt())


def test_round_trip_of_v1_and_of_v2_after_an_edit(desk: Desk) -> None:
    (first,) = desk.prep(1)
    assert [m.subject for m in first.mails][:2] == [
        "[PATCH DRAFT 0/5] mm: Spell numbers",
        "[PATCH DRAFT 1/5] mm/mmap: Spell 1",
    ]
    assert set(first.mails[0].to) == {
        "A Maintainer <maintainer@example.org>",
        "A Reader <reader@example.org>",
    }
    assert first.mails[0].cc == ("a-list@example.org",)
    cover = first.mails[0].text
    assert "THIS IS A DRAFT" in cover
    assert "$HOME and ${cover} stay" in cover
    assert f"change-id: {first.change_id}" in cover
    assert "base-commit:" not in "".join(mail.text for mail in first.mails)
    assert "prerequisite" not in cover
    assert "\n---\nv2: for reviewers\n" in first.mails[2].text
    assert "mutants" not in first.mails[5].text
    check_round_trip(desk, first)

    desk.spell("III")
    (second,) = desk.prep(2)
    assert second.change_id == first.change_id
    assert second.tree != first.tree
    cover = second.mails[0].text
    assert second.mails[0].subject == "[PATCH DRAFT v2 0/5] mm: Spell numbers"
    assert "Changes in v2:\n- Spell the third one in full, for $5\n" in cover
    assert "Range-diff versus v1:" in cover
    assert second.mails[0].to == first.mails[0].to
    assert not re.search("^(To|Cc):", cover, re.M)
    assert re.search(r"^3:  \w+ ! 3:  \w+ mm/mmap: Spell 3$", cover, re.M), cover
    assert re.search(r"^2:  \w+ = 2:  \w+ mm/mmap: Spell 2$", cover, re.M), cover
    assert "mmap_III;" in cover
    check_round_trip(desk, second)


def test_versions_follow_one_another(desk: Desk) -> None:
    with pytest.raises(KseriesError, match="v2 does not follow"):
        desk.prep(2)
    desk.prep(1)
    desk.prep(1)
    with pytest.raises(KseriesError, match="v3 does not follow"):
        desk.prep(3)
    topic = desk.paths.repo / "patches/t/mail/topic.toml"
    topic.write_text(TOPIC.replace("2 =", "4 ="))
    with pytest.raises(KseriesError, match="what is new in v2"):
        desk.prep(2)
    assert not (desk.folder / "v2").exists()


def test_a_folder_that_holds_something_else_is_left_alone(desk: Desk) -> None:
    (desk.folder / "v1").mkdir()
    (desk.folder / "v1/mine").write_text("mine")
    with pytest.raises(KseriesError, match="holds something else"):
        desk.prep(1)
    assert (desk.folder / "v1/mine").read_text() == "mine"
    assert not (desk.paths.repo / "patches/t/mail/state.json").exists()


@pytest.fixture
def linux(desk: Desk) -> Path:
    """The release as others have it: a git repository with its tag, excluded files and all."""
    repo = desk.folder / "linux"
    sh("git", "init", "-q", repo, cwd=desk.folder)
    place = f"--work-tree={desk.root}"
    for words in (["add", "-A", "-f", "."], ["commit", "-q", "-m", "The release"]):
        sh("git", f"--git-dir={repo / '.git'}", place, *words, cwd=desk.root)
    sh("git", "tag", desk.pin.tag, cwd=repo)
    return repo


def test_final_mails_stand_on_the_real_tag_and_are_signed(desk: Desk, linux: Path) -> None:
    tag = sh("git", "rev-parse", desk.pin.tag, cwd=linux).strip()
    (made,) = desk.prep(1, base=desk.pin.tag, linux=linux, signer=ME, final=True)
    assert made.mails[0].subject == "[PATCH 0/5] mm: Spell numbers"
    whole = "".join(path.read_text() for path in made.folder.glob("*.eml"))
    assert f"base-commit: {tag}" in made.mails[0].text
    assert desk.source.base_commit not in whole
    assert "DRAFT" not in whole
    assert "agent-kernel@localhost" not in whole
    for mail in made.mails[1:]:
        assert f"Signed-off-by: {ME.line}" in mail.text
    author = desk.folder / "am"
    sh("git", "clone", "-q", "-s", linux, author, cwd=desk.folder)
    patches = sorted(made.folder.glob("000[1-9]*.eml"))
    sh("git", "am", "-q", *patches, cwd=author)
    assert sh("git", "rev-parse", "HEAD^{tree}", cwd=author).strip() == made.tree
    assert sh("git", "log", "-1", "--format=%an <%ae>", cwd=author).strip() == ME.line

    desk.spell("III")
    with pytest.raises(KseriesError, match="v1 was final"):
        desk.prep(1)
    (again,) = desk.prep(2)
    assert "Range-diff versus v1:" in again.mails[0].text


def test_a_base_that_is_not_the_pinned_kernel(desk: Desk, linux: Path) -> None:
    sh("git", "commit", "-q", "--allow-empty", "-m", "same tree", cwd=linux)
    desk.prep(1, base="HEAD", linux=linux)
    (linux / "mm/other.c").parent.mkdir(exist_ok=True)
    (linux / "mm/other.c").write_bytes(lines("other"))
    sh("git", "add", "mm/other.c", cwd=linux)
    sh("git", "commit", "-q", "-m", "other tree", cwd=linux)
    with pytest.raises(KseriesError) as caught:
        desk.prep(1, base="HEAD", linux=linux)
    assert caught.value.code == Exit.PIN
    with pytest.raises(KseriesError, match="nobody else has it"):
        desk.prep(1, base=desk.source.base_commit, linux=desk.source.git)
    with pytest.raises(KseriesError) as caught:
        desk.prep(1, base="v9.9", linux=linux)
    assert caught.value.code == Exit.USAGE


def test_a_long_series_is_mailed_in_parts(desk: Desk) -> None:
    desk.spell("three", count=17)
    parts = desk.prep(1)
    assert [p.part for p in parts] == [
        Part("mm", 0, 9),
        Part("kernel", 9, 17),
        Part("selftests", 17, 18),
    ]
    assert len({p.change_id for p in parts}) == 3
    assert [p.folder.name for p in parts] == ["1-mm", "2-kernel", "3-selftests"]
    names = [len(re.findall("prerequisite-patch-id:", p.mails[0].text)) for p in parts]
    assert names == [0, 9, 17]
    author = desk.clean("am")
    for made in parts:
        patches = [m for m in sorted(made.folder.glob("*.eml")) if "0000-" not in m.name]
        sh("git", "am", "-q", *patches, cwd=author.root)
        assert trees(author)[0] == made.tree


def test_what_final_insists_on() -> None:
    good = [Check("lint", True, "0 findings")]
    check_final(good, base="v6.1", signer=ME)
    with pytest.raises(KseriesError, match="no Signed-off-by"):
        check_final(good, base="v6.1", signer=None)
    with pytest.raises(KseriesError, match="no base that others have"):
        check_final(good, base="", signer=ME)
    with pytest.raises(KseriesError, match="lint: 2 findings") as caught:
        check_final([Check("lint", False, "2 findings")], base="v6.1", signer=ME)
    assert caught.value.code == Exit.LINT


@pytest.mark.parametrize(
    ("name", "mail"),
    [("", ""), ("A", ""), ("A", "a@localhost"), ("Agent Kernel Series", "agent-kernel@localhost")],
)
def test_nobody_signs_off(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, mail: str
) -> None:
    config = tmp_path / "config"
    config.write_text(f"[user]\n\tname = {name}\n\temail = {mail}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KseriesError, match="who you are"):
        submitter()
    config.write_text("[user]\n\tname = A Person\n\temail = person@example.org\n")
    assert submitter() == ME


def test_parts() -> None:
    few = [f"mm: Do {n}" for n in range(15)]
    assert plan_parts(few) == [Part("", 0, 15)]
    many = ["sched/fair: A"] * 11 + ["sched_ext: B", "Documentation: C", "tools/sched_ext: D"]
    many += ["selftests/agent: E", "selftests/agent: F"]
    assert plan_parts(many) == [
        Part("sched", 0, 11), Part("sched_ext", 11, 14), Part("selftests", 14, 16),
    ]  # fmt: skip
    assert plan_parts(["mm: X"] * 31) == [
        Part("mm-1", 0, 15), Part("mm-2", 15, 30), Part("mm-3", 30, 31),
    ]  # fmt: skip
    assert subsystem("[RFC] x86/uprobes: Do") == "x86"
    assert subsystem("Documentation: Do") == ""


def test_lists_that_a_selftest_joins() -> None:
    makefile = "# x\nTARGETS += acct\nTARGETS += zram\n\nall:\n"
    assert with_target(makefile, "agent/a").split("\n")[2] == "TARGETS += agent/a"
    assert with_target(with_target(makefile, "agent/a"), "agent/a").count("agent/a") == 1
    assert with_target(makefile, "aaa").split("\n")[1] == "TARGETS += aaa"
    text = "MEMORY\nM:\tx\nF:\tmm/\nF:\ttools/z\n\nTHE REST\nF:\t*\n"
    assert with_file(text, "MEMORY", "tools/a/").split("\n")[3] == "F:\ttools/a/"
    assert with_file(with_file(text, "MEMORY", "a/"), "MEMORY", "a/").count("F:\ta/") == 1
    with pytest.raises(KseriesError, match="no entry 'NOBODY'"):
        with_file(text, "NOBODY", "a/")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('why = "Digits are hard to read."\n', ""),
        ('"Digits are hard to read."', '" "'),
        ("why", "reason"),
        ("area", "place"),
        ("2 =", "two ="),
        ('title = "mm: Spell numbers"', "title = 3"),
    ],
)
def test_a_bad_topic(old: str, new: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        parse_topic("t", TOPIC.replace(old, new, 1))


def test_the_topics_of_the_repository() -> None:
    repo = Paths.discover().repo
    series = read_series(repo / "patches")
    topics = {entry.topic for entry in series.entries}
    for path in repo.glob("patches/*/mail/topic.toml"):
        topic = parse_topic(path.parents[1].name, path.read_text())
        assert topic.name in topics
        assert set(topic.after) <= topics
        for item in topic.selftests:
            assert (repo / "selftests" / item.area / "Makefile").is_file()
