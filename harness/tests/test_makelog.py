from __future__ import annotations

from pathlib import Path

import pytest

from harness.build.makelog import (
    attribute_warning,
    first_error,
    new_warnings,
    normalise,
    parse_warnings,
    touching,
)

DATA = Path(__file__).parent / "data/build"
SRC = Path("/cache/builds/k/src")
BUILD = Path("/cache/builds/k/build")
TOUCHED = (
    ("cgroup/one.patch", ("mm/memcontrol.c", "kernel/signal.c")),
    ("cgroup/two.patch", ("mm/memcontrol.c", "include/linux/memcontrol.h")),
    ("x86/three.patch", ("arch/x86/kernel/uprobes.c",)),
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../src/mm/memory.c", "mm/memory.c"),
        ("/cache/builds/k/src/mm/../mm/memory.c", "mm/memory.c"),
        ("/cache/builds/k/build/include/generated/x.h", "include/generated/x.h"),
        ("./include/generated/x.h", "include/generated/x.h"),
        ("vmlinux.o", "vmlinux.o"),
        ("/usr/include/stdio.h", "/usr/include/stdio.h"),
    ],
)
def test_paths_are_relative_to_the_tree(name: str, expected: str) -> None:
    assert normalise(name, SRC, BUILD) == expected


def test_every_kind_of_warning_counts_once() -> None:
    assert parse_warnings((DATA / "warnings.log").read_text(), SRC, BUILD) == (
        "include/linux/memcontrol.h:99: warning: 'penalty' defined but not used "
        "[-Wunused-function]",
        "mm/memcontrol.c:2301: warning: unused variable 'left' [-Wunused-variable]",
        "mm/memcontrol.c:2399: warning: unused variable 'left' [-Wunused-variable]",
        "tools/objtool/check.c:10: warning: label 'out' defined but not used [-Wunused-label]",
        "vmlinux.o: warning: objtool: do_syscall_64+0x1a: call to memcpy() leaves "
        ".noinstr.text section",
        "vmlinux: warning: ld: .tmp_vmlinux1 has a LOAD segment with RWX permissions",
        "arch/x86/Kconfig:12: warning: ignoring type redefinition of 'FOO' from 'bool' "
        "to 'tristate'",
        "vmlinux: warning: modpost: vmlinux: section mismatch in reference: foo "
        "(section: .text) -> bar (section: .init.text)",
    )


def test_a_moved_warning_is_not_new_but_a_second_one_is() -> None:
    old = ["mm/a.c:10: warning: unused variable 'x'"]
    assert new_warnings(old, ["mm/a.c:25: warning: unused variable 'x'"]) == ()
    twice = ["mm/a.c:25: warning: unused variable 'x'", "mm/a.c:80: warning: unused variable 'x'"]
    assert new_warnings(old, twice) == (twice[1],)
    assert new_warnings(old, ["mm/b.c:10: warning: unused variable 'x'"]) != ()
    assert new_warnings(old, []) == ()


def test_a_warning_belongs_to_the_patches_of_its_file() -> None:
    one = "mm/memcontrol.c:2301: warning: unused variable 'left'"
    assert attribute_warning(one, TOUCHED) == ("cgroup/one.patch", "cgroup/two.patch")
    assert attribute_warning("arch/x86/kernel/uprobes.o: warning: objtool: x", TOUCHED) == (
        "x86/three.patch",
    )


def test_a_warning_elsewhere_points_at_headers_then_at_all() -> None:
    other = "mm/vmscan.c:1: warning: x"
    assert attribute_warning(other, TOUCHED) == ("cgroup/two.patch",)
    assert attribute_warning(other, TOUCHED[2:]) == ("x86/three.patch",)
    assert attribute_warning(other, ()) == ()


def test_the_first_error_comes_with_its_lines_and_file() -> None:
    error = first_error((DATA / "break.log").read_text(), SRC, BUILD)
    assert error.file == "kernel/cgroup/freezer.c"
    assert error.lines[0].startswith("kernel/cgroup/freezer.c:163:9: error: implicit declaration")
    assert not any("CC  " in line for line in error.lines)
    assert error.lines[-1].startswith("make[5]: *** [scripts/Makefile.build:287: ")
    assert touching(error.file, [("p", ["kernel/cgroup/freezer.c"]), ("q", ["x.c"])]) == ("p",)


def test_a_link_error_names_the_source() -> None:
    error = first_error((DATA / "link.log").read_text(), SRC, BUILD)
    assert error.file == "mm/memcontrol.c"
    assert "freezing_slow_path2" in error.lines[0]


def test_without_a_known_error_the_end_of_the_log_is_shown() -> None:
    assert first_error("a\nb\n", SRC, BUILD).lines == ("a", "b")
    full = first_error("make[1]: *** [Makefile:2: vmlinux] Error 137\n", SRC, BUILD)
    assert full.file == "vmlinux"
    space = first_error("as: x.o: No space left on device\nmake: *** [x] Error 1\n", SRC, BUILD)
    assert "No space left" in space.lines[0]
