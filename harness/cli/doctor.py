"""kseries doctor: say what this host offers and what is missing."""

from __future__ import annotations

import argparse
import dataclasses

from harness.core.context import Context, Outcome
from harness.core.errors import Exit
from harness.host.doctor import capability_checks, machine_checks
from harness.source.pin import load_pin

DESCRIPTION = """\
Look at the host: programs, headers, versions, accelerator, memory and disk.
Each line says what is missing for which verbs and what to type. The
accelerator is probed by booting a few bytes and timing them, because a
/dev/kvm that opens may still not work. Exit status 8 when a verb cannot work."""
EXAMPLE = """\
  kseries doctor              a table
  kseries doctor --json       the same for a program
  kseries doctor --no-probe   without booting anything
  kseries doctor --pin pins/7.2.8.toml   what that kernel needs of the host"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("--no-probe", action="store_true", help="do not boot the accelerator probe")


def run(args: argparse.Namespace, context: Context) -> Outcome:
    """Examine the host and print a table."""
    pairs = capability_checks(context.paths, load_pin(context.paths.pin_file).needs)
    checks = [*machine_checks(context.paths), *(check for _, check in pairs)]
    qemu = next(f for f, _ in pairs if f.capability.name == "qemu")
    accel = "not probed"
    if qemu.usable and not args.no_probe:
        from harness.guest.accel import find_accel
        from harness.guest.qemu import find_qemu

        found = find_accel(context.paths, find_qemu(context.paths), context.ui)
        accel = f"{found.name}: {found.reason}"
    missing = [check.name for check in checks if check.state == "missing"]
    if not context.json:
        context.ui.table(
            "this host",
            ["what", "state", "detail", "next"],
            [[c.name, c.state, c.detail, c.next_step] for c in checks],
        )
        print(f"accelerator  {accel}")
    return Outcome(
        Exit.HOST if missing else Exit.OK,
        {
            "checks": [dataclasses.asdict(c) for c in checks],
            "accelerator": accel,
            "missing": missing,
        },
        ""
        if context.json
        else ("missing: " + ", ".join(missing) if missing else "all verbs can work"),
    )
