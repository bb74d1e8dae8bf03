"""kseries build: the base and the patched kernel."""

from __future__ import annotations

import argparse
import functools
from typing import TYPE_CHECKING, Any

from harness.core.context import Context, Outcome
from harness.core.errors import Exit, KseriesError, worst

if TYPE_CHECKING:
    from harness.check.prefixes import PrefixBoot, PrefixTests

DESCRIPTION = """\
Build the pinned base kernel and the kernel with the series on it, and print
their images.  A kernel that exists for the same tree, configuration and
compiler is reused.  A build break, and a warning that only the patched kernel
has, end in exit status 4 and name the patch.

--each builds every prefix of the series instead, and lists what each patch makes
the compiler warn of; with --boot each prefix is also booted on 4 nodes of 2 CPUs,
and the selftests that exist by then run on it: those of an area whose patches, as
patches/ledger.toml states them, are all in it.  What a prefix has shown is kept,
so an interrupted run goes on where it stopped; what failed runs again.  Exits 1
when a test failed, 5 when a guest died, 6 on a timeout or hang, 7 when the kernel
complained although the tests passed, and names the patch and the console."""

EXAMPLE = """\
  kseries build
  kseries build --patched --config kasan
  kseries build --each            # every prefix: does it build, what does its patch warn of
  kseries build --each --boot     # and does it boot and pass the selftests it has by then"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument(
        "--config",
        "--set",
        default="prod",
        metavar="SET",
        help="a set of kconfig/sets.toml (default: prod)",
    )
    parser.add_argument("--base", action="store_true", help="only the base kernel")
    parser.add_argument("--patched", action="store_true", help="only the patched kernel")
    parser.add_argument("--each", action="store_true", help="every prefix of the series")
    parser.add_argument(
        "--boot", action="store_true", help="with --each: boot each, and run the tests it has"
    )
    parser.add_argument("--source", metavar="FILE|DIR|GIT", help="where to take the kernel from")
    parser.add_argument("-j", "--jobs", type=int, metavar="N", help="compilers at once")


def run(args: argparse.Namespace, context: Context) -> Outcome:
    """Build what was asked for."""
    if args.each:
        return _each(args, context)
    if args.boot:
        raise KseriesError(
            Exit.USAGE,
            "--boot belongs to --each",
            hint="`kseries build --each --boot`, or `kseries boot -- CMD` for one kernel",
        )
    from harness.build.arms import build_arms

    both = args.base == args.patched
    arms = build_arms(
        context.paths,
        context.ui,
        config_set=args.config,
        base=both or args.base,
        patched=both or args.patched,
        source=args.source,
        jobs=args.jobs,
    )
    found = [(arm, k) for arm, k in (("base", arms.base), ("patched", arms.patched)) if k]
    data: dict[str, Any] = {
        arm: {
            "image": str(kernel.image),
            "vmlinux": str(kernel.vmlinux),
            "config": str(kernel.config),
            "release": kernel.release,
            "tree": kernel.tree,
            "key": kernel.key,
            "seconds": kernel.seconds,
            "reused": kernel.reused,
            "warnings": list(kernel.warnings),
            "untaken": [str(item) for item in kernel.untaken],
            "toolchain": kernel.toolchain,
        }
        for arm, kernel in found
    }
    text = "\n".join(f"{arm:<8} {kernel.release}  {kernel.image}" for arm, kernel in found)
    return Outcome(Exit.OK, {"config": args.config, "kernels": data}, text)


def _each(args: argparse.Namespace, context: Context) -> Outcome:
    from harness.build.each import build_each

    tests = _prefix_tests(args, context) if args.boot else None
    boots = tests.boots if tests else []
    try:
        prefixes = build_each(
            context.paths,
            context.ui,
            config_set=args.config,
            source=args.source,
            jobs=args.jobs,
            visit=tests,
        )
    except KseriesError as error:
        if tests:  # what the prefixes before it have shown is not lost
            error.details["boots"] = [_boot_data(boot) for boot in boots]
            error.code = worst([*(boot.code for boot in boots), error.code])
            for bad in (boot for boot in boots if boot.code):
                error.what += f"\n    before that, {bad.patch}: {bad.line}"
                error.what += f"\n        console: {bad.console}"
        raise
    done = {boot.patch: boot for boot in boots}
    lines, rows = [], []
    for prefix in prefixes:
        row: dict[str, Any] = {
            "patch": prefix.patch,
            "tree": prefix.tree,
            "new_warnings": list(prefix.fresh),
        }
        lines.append(f"{prefix.patch}: builds, {len(prefix.fresh)} new warnings")
        lines += [f"    {warning}" for warning in prefix.fresh]
        if boot := done.get(prefix.patch):
            row["boot"] = _boot_data(boot)
            lines[-1 - len(prefix.fresh)] += f"; {boot.line}"
            lines += [f"    {problem}" for problem in boot.problems]
            lines += [f"    console: {boot.console}"] if boot.console else []
        rows.append(row)
    codes = [Exit.BUILD for prefix in prefixes if prefix.fresh]
    code = worst([*(boot.code for boot in boots), *codes])
    return Outcome(code, {"config": args.config, "prefixes": rows}, "\n".join(lines))


def _prefix_tests(args: argparse.Namespace, context: Context) -> PrefixTests:
    from harness.check.prefixes import PrefixTests
    from harness.pipeline.run import start_run

    folder = functools.cache(lambda: start_run(context))
    return PrefixTests(context, folder, config_set=args.config)


def _boot_data(boot: PrefixBoot) -> dict[str, Any]:
    return {
        "patch": boot.patch,
        "areas": list(boot.areas),
        "passed": boot.passed,
        "failed": boot.failed,
        "skipped": boot.skipped,
        "exit": int(boot.code),
        "problems": list(boot.problems),
        "console": boot.console,
        "kept": boot.kept,
    }
