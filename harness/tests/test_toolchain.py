from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.build.toolchain import Toolchain, build_env, make_line, newest_clang
from harness.core.paths import Paths

TOOLS = Toolchain("gcc", "gcc 12", "ld 2", "ccache", "clang-19", "clang 19", "v1.24")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["clang-14", "clang-16", "clang-19", "clang-cl", "clang-format-20"], "clang-19"),
        (["clang-9", "clang-14"], ""),  # too old: BPF objects lose their kptr tags
        (["clang-9", "clang-16"], "clang-16"),
        ([], ""),
    ],
)
def test_the_newest_usable_clang_is_taken(names: list[str], expected: str) -> None:
    assert newest_clang(names) == expected


def test_ids_follow_what_can_change_the_result() -> None:
    assert replace(TOOLS, clang_version="clang 20").id == TOOLS.id
    assert replace(TOOLS, clang_version="clang 20").bpf_id != TOOLS.bpf_id
    assert replace(TOOLS, ccache="").id == TOOLS.id
    for change in ({"cc_version": "gcc 13"}, {"ld_version": "ld 3"}, {"pahole_version": "v1.30"}):
        assert replace(TOOLS, **change).id != TOOLS.id


def test_without_a_compiler_cache_the_compiler_stands_alone() -> None:
    assert TOOLS.make_cc == "ccache gcc"
    assert replace(TOOLS, ccache="").make_cc == "gcc"
    assert TOOLS.llvm_suffix == "-19"
    assert replace(TOOLS, clang="clang").llvm_suffix == ""


def test_the_callers_settings_stay_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CFLAGS", "KBUILD_OUTPUT", "ARCH", "MAKEFLAGS", "LOCALVERSION", "LC_MESSAGES"):
        monkeypatch.setenv(name, "surprise")
    monkeypatch.setenv("CCACHE_RECACHE", "1")
    env = build_env(Paths(tmp_path, tmp_path / "cache", tmp_path / "out"))
    assert "surprise" not in env.values()
    assert env["CCACHE_BASEDIR"] == str(tmp_path / "cache/builds")
    assert env["CCACHE_NOHASHDIR"] == env["CCACHE_RECACHE"] == "1"
    assert env["KBUILD_BUILD_TIMESTAMP"].endswith("1970")
    assert env["PATH"]


def test_every_kernel_build_is_out_of_tree_and_unsuffixed() -> None:
    line = make_line(TOOLS, Path("/s"), Path("/b"), "bzImage", jobs=2)
    assert [str(word) for word in line] == [
        "make",
        "-C",
        "/s",
        "O=/b",
        "LOCALVERSION=",
        "CC=ccache gcc",
        "HOSTCC=ccache gcc",
        "-j2",
        "bzImage",
    ]
