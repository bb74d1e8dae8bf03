"""kseries config: make a configuration, or explain a symbol of it."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from harness.core.context import Context, Outcome
from harness.core.errors import Exit

DESCRIPTION = """\
Make the kernel configuration of a set and print where it is.  Every symbol
that the fragments ask for is checked: one that did not take ends in exit
status 10 with the dependency that is unmet.  --explain says all about one
symbol: its value, who asked for it and why, what it depends on."""

EXAMPLE = """\
  kseries config --set kasan
  kseries config --explain CONFIG_SCHED_CLASS_EXT
  kseries config --list"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument("--set", default="prod", metavar="NAME", help="config set (default: prod)")
    parser.add_argument("--explain", metavar="SYMBOL", help="explain a symbol of the set")
    parser.add_argument("--list", action="store_true", help="list the sets")
    parser.add_argument("--base", action="store_true", help="without the series")
    parser.add_argument("--source", metavar="FILE|DIR|GIT", help="where to take the kernel from")
    parser.add_argument("-o", "--output", metavar="FILE", help="copy the .config here")


def run(args: argparse.Namespace, context: Context) -> Outcome:
    """Make the configuration, and explain a symbol if asked."""
    from harness.build.fragments import find_set, load_sets

    kconfig_dir = context.paths.repo / "kconfig"
    if args.list:
        sets = load_sets(kconfig_dir)
        text = "\n".join(f"{name:<10} {item.description}" for name, item in sets.items())
        data = {
            name: {
                "description": item.description,
                "fragments": [path.name for path in item.fragments],
                "upstream": list(item.upstream),
            }
            for name, item in sets.items()
        }
        return Outcome(Exit.OK, {"sets": data}, text)
    find_set(kconfig_dir, args.set)  # a wrong name is said before anything is fetched
    return _configure(args, context, kconfig_dir)


def _configure(args: argparse.Namespace, context: Context, kconfig_dir: Path) -> Outcome:
    from harness.build.arms import prepare
    from harness.build.explain import explain, render
    from harness.build.kconfig import kconfig_tree, make_config
    from harness.build.selftests import area_configs
    from harness.build.symbols import Symbols
    from harness.build.toolchain import detect_toolchain
    from harness.core.lock import locked
    from harness.series.series import load_series

    paths = context.paths
    verified, applied = prepare(paths, context.ui, args.source)
    tree = applied.base_tree if args.base else applied.top_tree
    later = load_series(paths).symbols() if args.base else ()
    src = kconfig_tree(paths, verified.git, tree)
    toolchain = detect_toolchain()
    build = src.parent / f"{src.name}-{args.set}-{paths.clone_id}"
    with locked(build.with_suffix(".lock"), on_wait=context.ui.line):
        config = make_config(
            paths,
            src,
            build,
            set_name=args.set,
            kconfig_dir=kconfig_dir,
            toolchain=toolchain,
            extra=area_configs(paths.repo / "selftests"),
            later=later,
        )
    if args.output:
        shutil.copyfile(config.path, args.output)
    data = {
        "set": args.set,
        "config": str(args.output or config.path),
        "requested": len(config.plan.requests),
        "untaken": [str(item) for item in config.untaken],
    }
    if args.explain:
        found = explain(args.explain, config, Symbols(src, config.path, toolchain), args.set)
        return Outcome(Exit.OK, {**data, "explain": found.as_json()}, render(found))
    for item in config.untaken:
        context.ui.line(f"  not taken: {item}")
    strict = sum(request.strict for request in config.plan.requests.values())
    context.ui.line(
        f"{args.set}: {strict} symbols requested, all took that this tree has; "
        f"{len(config.untaken)} wishes did not"
    )
    return Outcome(Exit.OK, data, str(args.output or config.path))
