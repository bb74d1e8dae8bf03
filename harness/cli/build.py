"""kseries build: the base and the patched kernel."""

from __future__ import annotations

import argparse
from typing import Any

from harness.core.context import Context, Outcome
from harness.core.errors import Exit

DESCRIPTION = """\
Build the pinned base kernel and the kernel with the series on it, and print
their images.  A kernel that exists for the same tree, configuration and
compiler is reused.  A build break, and a warning that only the patched kernel
has, end in exit status 4 and name the patch."""

EXAMPLE = """\
  kseries build
  kseries build --patched --config kasan
  kseries build --each            # every prefix: does it build, what does its patch warn of"""


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
    parser.add_argument("--source", metavar="FILE|DIR|GIT", help="where to take the kernel from")
    parser.add_argument("-j", "--jobs", type=int, metavar="N", help="compilers at once")


def run(args: argparse.Namespace, context: Context) -> Outcome:
    """Build what was asked for."""
    if args.each:
        return _each(args, context)
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

    prefixes = build_each(
        context.paths, context.ui, config_set=args.config, source=args.source, jobs=args.jobs
    )
    lines = []
    for prefix in prefixes:
        lines.append(f"{prefix.patch}: builds, {len(prefix.fresh)} new warnings")
        lines += [f"    {warning}" for warning in prefix.fresh]
    data = {
        "config": args.config,
        "prefixes": [
            {"patch": p.patch, "tree": p.tree, "new_warnings": list(p.fresh)} for p in prefixes
        ],
    }
    bad = any(prefix.fresh for prefix in prefixes)
    return Outcome(Exit.BUILD if bad else Exit.OK, data, "\n".join(lines))
