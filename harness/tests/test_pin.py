from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.source.pin import load_pin

GOOD = f"""\
version = "6.1.2"
tag = "v6.1.2"
tree = "{"a" * 40}"
excluded = ["drivers/left/out"]

[[artefact]]
name = "linux.tar.xz"
kind = "kernel.org"
sha256 = "{"b" * 64}"
size = 12
"""


def test_repository_pin() -> None:
    pin = load_pin(Paths.discover().repo / "pin.toml")
    assert pin.version == "6.18.15"
    assert pin.tree == "fee8e7b4208eb74080e6382a69236b61799e36a2"
    assert pin.tag == f"v{pin.version}"
    assert {artefact.kind for artefact in pin.artefacts} == {"debian-orig", "kernel.org"}
    assert all(artefact.sha1 for artefact in pin.artefacts if artefact.kind == "debian-orig")


def test_excludes_whole_names_only(tmp_path: Path) -> None:
    (tmp_path / "pin.toml").write_text(GOOD)
    pin = load_pin(tmp_path / "pin.toml")
    assert pin.excluding("drivers/left/out")
    assert pin.excluding("drivers/left/out/deep/file.h")
    assert not pin.excluding("drivers/left/outside.c")
    assert not pin.excluding("drivers/left")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('version = "6.1.2"', "", "`version` is missing"),
        ('version = "6.1.2"', 'version = "six"', "not a kernel version"),
        ("a" * 40, "a" * 39, "40 lower-case hex digits"),
        ("b" * 64, "B" * 64, "64 lower-case hex digits"),
        ("size = 12", "size = true", "number of bytes"),
        ("size = 12", "size = -1", "number of bytes"),
        ('kind = "kernel.org"', 'kind = "other"', "one of debian-orig, kernel.org"),
        ('name = "linux.tar.xz"', 'name = "../linux"', "not a path"),
        ("drivers/left/out", "../out", "relative"),
        ("drivers/left/out", "/out", "relative"),
        ('tag = "v6.1.2"', 'tag = "v6.1.2"\ncolour = 1', "unknown key `colour`"),
        ("size = 12", "size = 12\nsize2 = 3", "unknown key `size2` in [[artefact]] number 1"),
        ("version =", "version ==", "Invalid"),
    ],
)
def test_bad_pin(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in GOOD
    (tmp_path / "pin.toml").write_text(GOOD.replace(old, new))
    with pytest.raises(KseriesError) as caught:
        load_pin(tmp_path / "pin.toml")
    assert caught.value.code == Exit.USAGE
    assert words in caught.value.what
    assert caught.value.hint


def test_missing_pin(tmp_path: Path) -> None:
    with pytest.raises(KseriesError, match="missing"):
        load_pin(tmp_path / "pin.toml")
