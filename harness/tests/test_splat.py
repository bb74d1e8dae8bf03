"""Splats: one line for each class, callers apart, the allowlist, bad consoles."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.core.errors import Exit, KseriesError
from harness.guest.allow import load_allow, parse_allow
from harness.guest.splat import MEMCG_KILL, console_problem, find_splats, panicked

BANNER = "[    0.000000][    T0] Linux version 6.18.15 (kseries@localhost)\n"
TODAY = datetime.date(2026, 11, 22)


def _console(*lines: str, caller: str = "T77") -> str:
    stamped = [f"[  {10 + i / 1000:.6f}][{caller:>6}] {line}" for i, line in enumerate(lines)]
    return BANNER + "\n".join(stamped) + "\n"


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("warn", "WARNING: CPU: 0 PID: 1 at kernel/sched/topology.c:2359 f+0x1/0x2"),
        ("warn", "WARNING: kernel/sched/core.c:10 at f+0x1/0x2, CPU#0: init/1"),
        ("bug", "kernel BUG at mm/slub.c:563!"),
        ("bug", "BUG: Bad page state in process x  pfn:12345"),
        ("bug", "BUG: spinlock lockup suspected on CPU#1, x/12"),
        ("bug", "unregister_netdevice: waiting for lo to become free. Usage count = 2"),
        ("bug", "BUG kmalloc-64 (Not tainted): Poison overwritten"),
        ("oops", "BUG: kernel NULL pointer dereference, address: 0000000000000000"),
        ("oops", "BUG: unable to handle page fault for address: ffffffff12345678"),
        ("oops", "Oops: general protection fault, probably for non-canonical address 0x1"),
        ("oops", "general protection fault, maybe for address 0x1: 0000 [#1] PREEMPT SMP"),
        ("oops", "Oops: divide error: 0000 [#1] SMP"),
        ("kasan", "BUG: KASAN: slab-use-after-free in f+0x1/0x2"),
        ("kasan", "BUG: KFENCE: out-of-bounds read in f+0x1/0x2"),
        ("kcsan", "BUG: KCSAN: data-race in f / g"),
        ("ubsan", "UBSAN: array-index-out-of-bounds in drivers/x.c:1:2"),
        ("lockdep", "WARNING: possible circular locking dependency detected"),
        ("lockdep", "WARNING: possible recursive locking detected"),
        ("lockdep", "WARNING: possible irq lock inversion dependency detected"),
        ("lockdep", "WARNING: inconsistent lock state"),
        ("lockdep", "WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected"),
        ("lockdep", "WARNING: SOFTIRQ-safe -> SOFTIRQ-unsafe lock order detected"),
        ("lockdep", "WARNING: suspicious RCU usage"),
        ("lockdep", "WARNING: bad unlock balance detected!"),
        ("lockdep", "[ BUG: Invalid wait context ]"),
        ("lockdep", "INFO: trying to register non-static key."),
        ("rcu-stall", "rcu: INFO: rcu_preempt self-detected stall on CPU"),
        ("rcu-stall", "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:"),
        ("rcu-stall", "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 1-... }"),
        ("rcu-stall", "INFO: rcu_tasks detected stalls on tasks:"),
        ("rcu-stall", "rcu: rcu_preempt kthread starved for 21003 jiffies! g1 f0x0"),
        ("soft-lockup", "watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [cat:77]"),
        ("soft-lockup", "watchdog: CPU0: Watchdog detected hard LOCKUP on cpu 0"),
        (
            "soft-lockup",
            "BUG: workqueue lockup - pool cpus=1 node=0 flags=0x0 nice=0 stuck for 30s",
        ),
        ("hung-task", "INFO: task dd:123 blocked for more than 10 seconds."),
        ("atomic-sleep", "BUG: scheduling while atomic: cat/77/0x00000002"),
        ("atomic-sleep", "BUG: sleeping function called from invalid context at mm/x.c:1"),
        ("panic", "Kernel panic - not syncing: sysrq triggered crash"),
        ("oom-kill", "tail invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER), order=0"),
    ],
)
def test_each_class(kind: str, line: str) -> None:
    splats = find_splats(_console("before", line, "CPU: 0 UID: 0 PID: 1", "Call Trace:"))
    assert [(s.kind, s.title, s.line) for s in splats] == [(kind, line, 3)]
    assert splats[0].text.startswith(line)


@pytest.mark.parametrize(
    "line",
    [
        "traps: a.out[12] general protection fault ip:401136 sp:7ffd error:0 in a.out",
        "traps: a.out[12] trap invalid opcode ip:401136 sp:7ffd error:0 in a.out",
        "a.out[12]: segfault at 0 ip 401136 sp 7ffd error 6 in a.out[401000+1000]",
        "Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on",
        "rcu: Hierarchical RCU implementation.",
        "lockdep: fixing up alternatives.",
        "kseries: run upstream.cgroup:test_core",
        "watchdog: Delayed init of the lockup detector failed: -19",
        'sched_ext: BPF scheduler "maximal" disabled (unregistered from user space)',
    ],
)
def test_what_only_looks_like_one(line: str) -> None:
    assert find_splats(_console(line)) == ()


def test_two_cpus_are_told_apart_by_their_callers() -> None:
    a = ["WARNING: CPU: 0 PID: 7 at a.c:1 a+0x1/0x2", "Modules linked in:", "Call Trace:"]
    b = ["BUG: kernel NULL pointer dereference, address: 0", "#PF: supervisor read", "Oops: 0000"]
    lines = []
    for index, (x, y) in enumerate(zip(a, b, strict=True)):
        lines += [f"[   1.{index}00000][    T7] {x}", f"[   1.{index}00001][    C1] {y}"]
    splats = find_splats(BANNER + "\n".join(lines) + "\n")
    assert [s.text.split("\n") for s in splats] == [a, b]


def test_an_oops_is_one_report_and_the_panic_after_it_another() -> None:
    splats = find_splats(
        _console(
            "BUG: kernel NULL pointer dereference, address: 0000000000000000",
            "#PF: supervisor write access in kernel mode",
            "Oops: Oops: 0002 [#1] SMP",
            "Call Trace:",
            "---[ end trace 0000000000000000 ]---",
            "RIP: 0010:f+0x1/0x2",
            "Kernel panic - not syncing: Fatal exception",
            "---[ end Kernel panic - not syncing: Fatal exception ]---",
        )
    )
    assert [s.kind for s in splats] == ["oops", "panic"]


def test_the_message_of_a_warning_is_part_of_it() -> None:
    splats = find_splats(
        _console(
            "------------[ cut here ]------------",
            "refcount_t: underflow; use-after-free.",
            "WARNING: CPU: 1 PID: 77 at lib/refcount.c:28 refcount_warn_saturate+0x1/0x2",
            "Call Trace:",
            "---[ end trace 0000000000000000 ]---",
        )
    )
    assert [(s.kind, s.line) for s in splats] == [("warn", 2)]
    assert splats[0].title.startswith("WARNING: CPU: 1")
    assert "underflow" in splats[0].text


def test_list_corruption_with_its_bug_is_one_report() -> None:
    splats = find_splats(
        _console(
            "------------[ cut here ]------------",
            "list_add corruption. next->prev should be prev (a), but was 0. (next=b).",
            "kernel BUG at lib/list_debug.c:31!",
            "Oops: invalid opcode: 0000 [#1] SMP",
            "---[ end trace 0000000000000000 ]---",
        )
    )
    assert [s.kind for s in splats] == ["bug"]
    assert "list_add corruption" in splats[0].text


def test_cut_here_and_then_nothing() -> None:
    splats = find_splats(_console("------------[ cut here ]------------", "strange thing"))
    assert [(s.kind, s.title) for s in splats] == [("warn", "strange thing")]


def test_memcg_kill_is_information_a_global_one_is_a_splat() -> None:
    head = "tail invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0"
    memcg = "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),task=tail,pid=77,uid=0"
    machine = "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),task=tail,pid=77,uid=0"
    (kill,) = find_splats(_console(head, memcg, "Memory cgroup out of memory: Killed process 77"))
    assert kill.allowed == MEMCG_KILL
    (kill,) = find_splats(_console(head, machine, "Out of memory: Killed process 77 (tail)"))
    assert kill.allowed == ""


def test_program_output_on_the_console_is_not_the_kernel() -> None:
    text = BANNER + "WARNING: this is a program talking\nBUG: so is this\n"
    assert find_splats(text) == ()
    glued = BANNER + "half a line[   11.123456][   T77] BUG: Bad rss-counter state mm:1\n"
    assert [s.kind for s in find_splats(glued)] == ["bug"]


def test_a_console_without_time_stamps_is_read_too() -> None:
    assert [s.kind for s in find_splats("Linux version 6\nBUG: KASAN: x in f\n")] == ["kasan"]


def test_colours_and_crlf() -> None:
    text = _console("WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2", "Call Trace:")
    text = "\x1bc\x1b[?7l\x1b[2JSeaBIOS\r\n" + text.replace("WARN", "\x1b[31mWARN\x1b[0m")
    (splat,) = find_splats(text.replace("\n", "\r\n"))
    assert splat.title == "WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2"
    assert "\r" not in splat.text


@settings(deadline=None)  # a busy host is no failure
@given(st.text(max_size=300))
def test_never_raises(text: str) -> None:
    find_splats(text)
    find_splats(BANNER + text)
    console_problem(text)
    panicked(text)


def test_panicked() -> None:
    text = _console("Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100")
    assert panicked(text).endswith("Attempted to kill init! exitcode=0x00000100")
    assert panicked(BANNER) == ""


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "empty"),
        (" \n\n", "empty"),
        ("SeaBIOS (version 1.16)\nBooting from ROM...\n", "banner"),
        (BANNER + "[    0.000000][    T0] Command line: quiet root=/dev/vda\n", "quiet"),
        (BANNER + "[    0.000000][    T0] Command line: loglevel=3 root=/dev/vda\n", "loglevel=3"),
        (BANNER + "** 17 printk messages dropped **\n", "17 printk"),
    ],
)
def test_a_console_that_shows_nothing_is_not_clean(text: str, word: str) -> None:
    assert word in console_problem(text)


def test_a_good_console_has_no_problem() -> None:
    assert console_problem(BANNER + "[    0.000000][    T0] Command line: loglevel=7\n") == ""
    assert console_problem(BANNER + "[    0.000000][    T0] Command line: quiet loglevel=7\n") == ""


ENTRY = """
[[allow]]
pattern = "topology_sane"
reason = "QEMU's caches span nodes"
owner = "the lead"
expires = {expires}
"""


def test_an_allowed_splat_is_listed_with_its_reason() -> None:
    allow = parse_allow(ENTRY.format(expires="2026-12-31"), TODAY)
    line = "WARNING: CPU: 0 PID: 1 at arch/x86/kernel/smpboot.c:1 topology_sane.isra.0+0x1/0x2"
    (splat,) = find_splats(_console(line), allow)
    assert splat.allowed == "QEMU's caches span nodes"
    (other,) = find_splats(_console("WARNING: CPU: 0 PID: 1 at mm/x.c:1 f+0x1/0x2"), allow)
    assert other.allowed == ""


def test_an_expired_entry_is_an_error_that_names_it() -> None:
    with pytest.raises(KseriesError) as caught:
        parse_allow(ENTRY.format(expires="2026-11-21"), TODAY, "allow.toml")
    assert caught.value.code is Exit.LINT
    assert "topology_sane" in caught.value.what
    assert "2026-11-21" in caught.value.what
    assert "the lead" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "[[allow]]\npattern = 'x'\n",
        "[[allow]]\npattern = '('\nreason = 'r'\nowner = 'o'\nexpires = 2027-01-01\n",
        "[[allow]]\npattern = 'x'\nreason = ''\nowner = 'o'\nexpires = 2027-01-01\n",
        "[[allow]]\npattern = 'x'\nreason = 'r'\nowner = 'o'\nexpires = 'never'\n",
        "[[alow]]\n",
        "not toml",
    ],
)
def test_bad_allowlists_are_refused(text: str) -> None:
    with pytest.raises(KseriesError) as caught:
        parse_allow(text, TODAY)
    assert caught.value.code is Exit.LINT


def test_the_stored_allowlist_is_good() -> None:
    load_allow(today=TODAY)
