"""The rules that need a kernel: each finds its mutation, and is silent on what is right."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.lint.checkers import fresh_warnings, read_checkpatch, read_kernel_doc
from harness.lint.diff import file_diffs
from harness.lint.exceptions import Exemption, excuse, load_exceptions, unused
from harness.lint.files import sections_of, spdx_problem
from harness.lint.message import named_functions, named_paths, strange_lines, subject_lies
from harness.lint.numbers import evaluate, load_numbers
from harness.lint.run import lint_on_kernel
from harness.series.patchfile import parse_patch
from harness.series.series import Finding, read_series
from harness.source.store import Source, ensure_source
from harness.tests.tinykernel import (
    FILES,
    Author,
    lay_out,
    lines,
    paths_in,
    pin_for,
    quiet,
    write_series,
)

MAINTAINERS = """\
List of maintainers
===================

Maintainers List
----------------

MEMORY
M:\tA Person <a@localhost>
F:\tmm/
X:\tmm/private*

CALLS
F:\tinclude/uapi/linux/prctl.h
F:\tkernel/*.c
N:\tagent

THE REST
F:\t*
F:\t*/
"""
PRCTL = "#define PR_OLD 1\n#define PR_TAKEN (1 << 4)\n"
NUMBERS = """\
[[number]]
name = "PR_OURS"
value = 77
how = "value"
why = "an option"
[[number.look]]
files = ["include/uapi/linux/prctl.h"]
pattern = '^#define (?P<name>PR_\\w+)\\s+(?P<value>.+)$'

[[number]]
name = "OURS"
how = "absent"
why = "a symbol"
[[number.look]]
files = ["*Kconfig"]
pattern = '^config (?P<name>OURS)$'
"""
EXTRA: Mapping[str, bytes] = {
    **FILES,
    "MAINTAINERS": MAINTAINERS.encode(),
    "LICENSES/preferred/GPL-2.0": b"text\n",
    "include/uapi/linux/prctl.h": PRCTL.encode(),
    "init/Kconfig": b"config THEIRS\n\tbool\n",
}


@pytest.fixture
def tiny(tmp_path: Path) -> tuple[Paths, Source, Author]:
    paths = paths_in(tmp_path)
    root = lay_out(tmp_path / "kernel", EXTRA)
    source = ensure_source(paths, pin_for(root), quiet(), str(root))
    (paths.repo / "patches/numbers.toml").write_text(NUMBERS)
    return paths, source, Author(source, tmp_path / "work")


def found(tiny: tuple[Paths, Source, Author], message: str) -> list[tuple[str, str]]:
    """Commit what was edited, lint it, and return (rule, what) of each finding."""
    paths, source, author = tiny
    write_series(paths, {"t/a.patch": author.export(author.commit(message))})
    series = read_series(paths.repo / "patches")
    findings, skipped = lint_on_kernel(paths, source, series, quiet())
    assert skipped == ["checkpatch --strict: this kernel has no scripts/checkpatch.pl"]
    assert all(item.hint and item.where.startswith("patches/") for item in findings)
    return [(item.rule, item.what) for item in findings]


GOOD = "mm/mmap: Spell nine\n\nmmap() in mm/mmap.c reads better so.\n"


def test_a_good_patch_has_no_findings(tiny: tuple[Paths, Source, Author]) -> None:
    tiny[2].edit("mm/mmap.c", b"mmap_9;", b"mmap_nine;")
    (tiny[2].root / "mm/new.c").write_bytes(lines("new"))
    assert found(tiny, GOOD) == []


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (GOOD.replace("mm/mmap:", "mm/memcontrol:"), "the subject says mm/memcontrol:"),
        (GOOD.replace("mm/mmap:", "kernel:"), "the subject says kernel:"),
        (GOOD.replace("Spell nine", "Spell nine in fork.c"), "the subject names fork.c"),
        (GOOD.replace("Spell nine", "Fix spoon()"), "the subject names spoon()"),
        (GOOD.replace("mm/mmap.c", "mm/nommap.c"), "the message names mm/nommap.c"),
        (GOOD.replace("mmap()", "munmap_all()"), "the message names munmap_all()"),
    ],
)
def test_a_message_that_lies_about_its_patch(
    tiny: tuple[Paths, Source, Author], message: str, says: str
) -> None:
    tiny[2].edit("mm/mmap.c", b"mmap_9;", b"mmap_nine;")
    findings = found(tiny, message)
    assert findings, "it was not noticed"
    assert all(rule == "message" for rule, _ in findings)
    assert any(what.startswith(says) for _, what in findings), findings


def test_a_taken_number_and_a_name_that_the_base_has(tiny: tuple[Paths, Source, Author]) -> None:
    paths, _, author = tiny
    author.edit("include/uapi/linux/prctl.h", b"PR_OLD", b"PR_OURS 0x4d\n#define PR_OLD")
    assert found(tiny, "prctl.h: Add ours\n\nFor us.\n") == []
    author.edit("include/uapi/linux/prctl.h", b"PR_OLD 1\n", b"PR_OLD 1\n#define PR_THEIRS 77\n")
    sh = author.commit("prctl.h: Add theirs\n\nFor them.\n")
    texts = {"t/a.patch": (paths.repo / "patches/t/a.patch").read_text()}
    write_series(paths, {**texts, "t/b.patch": author.export(sh)})
    findings, _ = lint_on_kernel(paths, tiny[1], read_series(paths.repo / "patches"), quiet())
    assert [(f.rule, f.what) for f in findings] == [
        ("numbers", "include/uapi/linux/prctl.h has PR_THEIRS as 0x4d, which is PR_OURS's")
    ]
    assert findings[0].where.startswith("patches/t/a.patch:")


def test_a_number_other_than_the_table_says(tiny: tuple[Paths, Source, Author]) -> None:
    tiny[2].edit("include/uapi/linux/prctl.h", b"PR_OLD", b"PR_OURS 78\n#define PR_OLD")
    assert found(tiny, "prctl.h: Add ours\n\nFor us.\n") == [
        ("numbers", "include/uapi/linux/prctl.h has PR_OURS as 0x4e, the table says 0x4d")
    ]


def test_a_number_looked_up_where_nothing_is(tiny: tuple[Paths, Source, Author]) -> None:
    file = tiny[0].repo / "patches/numbers.toml"
    file.write_text(NUMBERS.replace("linux/prctl.h", "linux/gone.h").replace("THEIRS", "OURS"))
    tiny[2].edit("mm/mmap.c", b"mmap_9;", b"mmap_nine;")
    assert found(tiny, GOOD) == [
        ("numbers", "PR_OURS is looked up in files that this kernel does not have")
    ]
    file.write_text(NUMBERS.replace("OURS)", "THEIRS)"))
    series = read_series(tiny[0].repo / "patches")
    findings, _ = lint_on_kernel(tiny[0], tiny[1], series, quiet())
    assert [f.what for f in findings] == ["init/Kconfig of the base has THEIRS"]


@pytest.mark.parametrize(
    ("name", "data", "rule", "says"),
    [
        ("mm/new.c", b"int x;\n", "spdx", "has no SPDX"),
        ("mm/new.c", b"// SPDX-License-Identifier: GPL-9\n", "spdx", "'GPL-9'"),
        ("mm/private.c", lines("x"), "maintainers", "mm/private.c"),
        ("kernel/new/x.c", lines("x"), "maintainers", "kernel/new/x.c"),
        ("drivers/left/out/x.c", lines("x"), "excluded", "drivers/left/out/x.c"),
    ],
)
def test_new_files(
    tiny: tuple[Paths, Source, Author], name: str, data: bytes, rule: str, says: str
) -> None:
    file = tiny[2].root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    folder = name.split("/", maxsplit=1)[0]
    hits = [what for found_rule, what in found(tiny, f"{folder}: Add a file\n\nFor us.\n")
            if found_rule == rule]  # fmt: skip
    assert len(hits) == 1
    assert says in hits[0]


def test_a_patch_may_bring_the_entry_of_its_file(tiny: tuple[Paths, Source, Author]) -> None:
    author = tiny[2]
    (author.root / "drivers/mine").mkdir(parents=True)
    (author.root / "drivers/mine/x.c").write_bytes(lines("x"))
    author.edit("MAINTAINERS", b"THE REST", b"MINE\nF:\tdrivers/mine/\n\nTHE REST")
    assert found(tiny, "drivers: Add a file\n\nFor us.\n") == []


def test_sections() -> None:
    assert sections_of(MAINTAINERS, "mm/a/b.c") == ["MEMORY"]
    assert sections_of(MAINTAINERS, "mm/private.c") == []
    assert sections_of(MAINTAINERS, "kernel/a.c") == ["CALLS"]
    assert sections_of(MAINTAINERS, "kernel/a/b.c") == []
    assert sections_of(MAINTAINERS, "tools/agent.py") == ["CALLS"]
    assert sections_of(MAINTAINERS, "fs/x.c") == []


@pytest.mark.parametrize(
    ("line", "good"),
    [
        ("/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */", True),
        ("# SPDX-License-Identifier: (GPL-2.0-or-later OR MIT)", True),
        ("// SPDX-License-Identifier: GPL-2.0+", True),
        (".. SPDX-License-Identifier: GPL-2.0 OR Beer", False),
        ("/* GPL */", False),
    ],
)
def test_licences(line: str, good: bool) -> None:
    known = ["GPL-2.0", "MIT", "Linux-syscall-note"]
    assert (spdx_problem(["#!/bin/sh", line], known) == "") is good


@pytest.mark.parametrize(
    ("subject", "touched"),
    [
        ("x86/uprobes: Emulate", ["arch/x86/kernel/uprobes.c"]),
        ("perf/x86/intel: Add", ["arch/x86/events/intel/core.c"]),
        ("sched/fair: Do", ["kernel/sched/fair.c", "kernel/sched/sched.h"]),
        ("ALSA: hda/realtek: Fix", ["sound/hda/codecs/realtek/alc269.c"]),
        ("mm: Do", ["include/linux/mm.h"]),
        ("docs: Say", ["Documentation/x.rst"]),
        ("[RFC] mm, memcg: Do", ["mm/memcontrol.c"]),
        ("tools/sched_ext: Add scx_agent", ["tools/sched_ext/scx_agent.c"]),
        ("net/sched: act_ct: Fix", ["net/sched/act_ct.c"]),
        ("mm/page_alloc: Fix alloc_pages()", ["mm/page_alloc.c"]),
        ("memcg: Fix the count in memcontrol.c", ["mm/memcontrol.c"]),
    ],
)
def test_subjects_that_tell_the_truth(subject: str, touched: list[str]) -> None:
    tops = {"mm", "kernel", "Documentation", "tools", "net"}
    assert list(subject_lies(subject, touched, "alloc_pages(gfp)", tops)) == []


def test_what_counts_as_a_path_or_a_function() -> None:
    body = "See kernel/fork.c, <agent.h>, https://a.b/c.html and x->call(); do_it() is new.\n"
    text = f'Subject: x\n\n{body}\nFixes: 123 ("mm: Do gone() in gone.c")\n---\n'
    whole = f'{body}\nFixes: 123 ("mm: Do gone() in gone.c")\n'
    assert list(named_paths(text, whole)) == [(3, "kernel/fork.c")]
    assert list(named_functions(text, whole)) == [(3, "do_it")]


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ("Why.\n\nAssisted-by: Name:1.2 sparse\n", ""),
        ("Why.\n\nAssisted-by: Name:1.2\nCc: x@y\n", ""),
        ("Why.\n\nAssisted-by: Name\n", "assisted-by"),
        ("Why.\n\nassisted-by: Name:1\n", "assisted-by"),
        ("Why.\nAssisted-by: Name:1\n\nMore.\n", "assisted-by"),
        ("Why.\n\nv2: said why\n", "notes"),
        ("Why.\n\nChanges since v1\n", "notes"),
        ("v2 of the table: is longer\n", "notes"),
        ("The v2 interface: it changes.\n", ""),
    ],
)
def test_lines_that_do_not_belong_in_a_message(body: str, rule: str) -> None:
    rules = [item[3] for item in strange_lines(f"Subject: x\n\n{body}---\n", body)]
    assert rules == ([rule] if rule else [])


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("0x100000000ULL", 1 << 32), ("(1UL << 6)", 64), ("BIT(31)\t\t/* KSM */", 1 << 31),
        ("BIT(NR)", 1 << 41), ("(A | 0x4)", 7), ("1U << 31", 1 << 31), ("010", 8), ("A_NAME", None),
        ("__pgprot(3)", None), ("37,", 37), ("(8 - 1)", 7), ("1 << 4000", None),
    ],
)  # fmt: skip
def test_constants(words: str, value: int | None) -> None:
    assert evaluate(words, {"NR": "41", "A": "3", "LOOP": "LOOP"}) == value
    assert evaluate("LOOP", {"LOOP": "LOOP"}) is None


@pytest.mark.parametrize("old", ['how = "value"', "?P<value>", "look", 'why = "an option"'])
def test_a_bad_table_of_numbers(tmp_path: Path, old: str) -> None:
    (tmp_path / "numbers.toml").write_text(NUMBERS.replace(old, 'how = "often"', 1))
    with pytest.raises(KseriesError) as caught:
        load_numbers(tmp_path)
    assert caught.value.code == Exit.LINT


def test_the_numbers_of_the_repository_can_be_read() -> None:
    names = [item.name for item in load_numbers(Paths.discover().repo / "patches")]
    assert {"MAP_FPR", "VM_FPR", "SCHED_FLAG_AGENT_CLASS", "PR_NUMA_PTE"} <= set(names)


SAID = """\
/tmp/a.patch:16: WARNING:COMMIT_LOG_LONG_LINE: Prefer a maximum 75 chars per line
/tmp/a.patch:402: ERROR:MISSING_SIGN_OFF: Missing Signed-off-by: line(s)
/tmp/a.patch total: 1 errors, 1 warnings, 0 checks, 300 lines checked
"""


def test_checkpatch_output() -> None:
    assert read_checkpatch(SAID) == [
        (16, "COMMIT_LOG_LONG_LINE", "Prefer a maximum 75 chars per line"),
        (402, "MISSING_SIGN_OFF", "Missing Signed-off-by: line(s)"),
    ]
    for cut in (SAID.rpartition("/tmp")[0], ""):
        with pytest.raises(ValueError, match=r"said nothing|MISSING"):
            read_checkpatch(cut)


def test_kernel_doc_output() -> None:
    said = "Warning: kernel/a.c:12 function parameter 'x' not described in 'f'\nother line\n"
    old = read_kernel_doc(said)
    assert old == [("kernel/a.c", 12, "function parameter 'x' not described in 'f'")]
    new = read_kernel_doc(said.replace(":12", ":80") * 2)
    assert fresh_warnings(old, new) == [("kernel/a.c", 80, old[0][2])]
    assert fresh_warnings(old, old) == []


def test_exceptions(tmp_path: Path) -> None:
    entry = '[[exception]]\nrule = "checkpatch/*"\npatch = "t/*"\nreason = "so"\n'
    (tmp_path / "exceptions.toml").write_text(entry + entry.replace("t/*", "u/a.patch"))
    exemptions = load_exceptions(tmp_path)
    mine = Finding("patches/t/a.patch:3", "X: long", "", "checkpatch/X")
    other = Finding("patches/t/a.patch:3", "long", "", "message")
    assert excuse([mine, other], exemptions) == ([other], 1)
    assert [item.where for item in unused(exemptions)] == ["patches/exceptions.toml:5"]
    narrow = Exemption("message", "t/a.patch", "so", text="short")
    assert excuse([other], [narrow]) == ([other], 0)


@pytest.mark.parametrize(
    "text",
    [
        '[[exception]]\nrule = "a"\npatch = "b"\n',
        '[[exception]]\nrule = "a"\npatch = "b"\nreason = ""\n',
        '[[exception]]\nrule = "a"\npatch = "b"\nreason = "c"\nuntil = "d"\n',
        'exception = "x"\n',
        "rule = ",
    ],
)
def test_bad_exceptions(tmp_path: Path, text: str) -> None:
    (tmp_path / "exceptions.toml").write_text(text)
    with pytest.raises(KseriesError) as caught:
        load_exceptions(tmp_path)
    assert caught.value.code == Exit.LINT


def test_file_diffs(tiny: tuple[Paths, Source, Author]) -> None:
    author = tiny[2]
    author.edit("mm/mmap.c", b"mmap_9;", b"mmap_nine;")
    (author.root / "mm/memcontrol.c").unlink()
    (author.root / "init/new").write_text("one\n")
    text = author.export(author.commit("mm: Do\n\nThree.\n"))
    files = file_diffs(parse_patch(text), text)
    assert [(f.path, f.new, f.gone) for f in files] == [
        ("init/new", True, False),
        ("mm/memcontrol.c", False, True),
        ("mm/mmap.c", False, False),
    ]
    row, line = next(iter(files[0].added))
    assert line == "one"
    assert text.split("\n")[row - 1] == "+one"
    assert any("mmap_nine" in line for line in files[2].changed)
