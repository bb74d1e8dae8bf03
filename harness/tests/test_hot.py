from __future__ import annotations

from pathlib import Path

import pytest

from harness.build.hot import differences, functions, read_table
from harness.core.errors import Exit, KseriesError

# As objdump of binutils 2.40 prints it.
TEXT = """
kernel/sched/fair.o:     file format elf64-x86-64


Disassembly of section .text:

0000000000000010 <find_matching_se>:
      10:\te8 00 00 00 00       \tcall   15 <find_matching_se+0x5>
\t\t\t11: R_X86_64_PLT32\t__fentry__-0x4
      15:\t4c 8b 07             \tmov    (%rdi),%r8
      18:\t7e fb                \tjle    15 <find_matching_se+0x5>

0000000000000030 <twice>:
      30:\tc3                   \tret

0000000000000040 <twice>:
      40:\t90                   \tnop
"""


def test_functions() -> None:
    assert functions(TEXT) == {
        "find_matching_se": (
            "0: e8 00 00 00 00 call <find_matching_se+0x5>",
            "1: R_X86_64_PLT32 __fentry__-0x4",
            "5: 4c 8b 07 mov (%rdi),%r8",
            "8: 7e fb jle <find_matching_se+0x5>",
        ),
        "twice": ("0: c3 ret",),
        "twice#2": ("0: 90 nop",),
    }


def test_a_function_may_move_but_not_change() -> None:
    moved = TEXT.replace("      4", "      5").replace("00040 <", "00050 <")
    assert differences(TEXT, moved) == []
    assert differences(TEXT, TEXT.replace("c3      ", "90      ")) == [
        "twice differs: `0: c3 ret` is now `0: 90 ret`"
    ]
    assert differences(TEXT, TEXT.replace("__fentry__", "hook")) == [
        "find_matching_se differs: `1: R_X86_64_PLT32 __fentry__-0x4` "
        "is now `1: R_X86_64_PLT32 hook-0x4`"
    ]
    longer = TEXT + "      41:\tc3                   \tret\n"
    assert differences(TEXT, longer) == ["twice#2 differs: `(end)` is now `1: c3 ret`"]


def test_functions_that_come_and_go_are_told() -> None:
    assert differences(TEXT, TEXT.replace("<find_matching_se>:", "<other>:")) == [
        "find_matching_se is gone",
        "other is new",
    ]


def test_the_table(tmp_path: Path) -> None:
    assert read_table(tmp_path) == {}
    (tmp_path / "hot-objects.toml").write_text('[A]\nobjects = ["a.o", "b.o"]\n')
    assert read_table(tmp_path) == {"A": ("a.o", "b.o")}
    (tmp_path / "hot-objects.toml").write_text('[A]\nobject = ["a.o"]\n')
    with pytest.raises(KseriesError, match="cannot be read") as caught:
        read_table(tmp_path)
    assert caught.value.code is Exit.CONFIG
