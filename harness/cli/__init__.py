"""The command line: one verb a file, all with --help, --json, and an example."""

from __future__ import annotations

import argparse
import importlib
import json
import signal
import sys
from pathlib import Path
from types import FrameType, ModuleType

from harness import __version__
from harness.core.context import Context, Outcome
from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.core.ui import Ui

# In the order a person meets them; the sentence is the verb's line in --help.
VERBS: dict[str, str] = {
    "demo": "everything once: from nothing to out/latest/report.html",
    "check": "lint, types, unit tests and the lanes this host can do",
    "doctor": "say what this host offers and what is missing",
    "tree": "get the pinned kernel with the series applied, and print where",
    "rebase": "carry the series to another kernel, with a report on each patch",
    "refresh": "write edited commits of the worktree back into patches/",
    "lint": "check patches/ and kconfig/ as a list and its checkers would",
    "ledger": "write what each patch is switched, tested, measured and described by",
    "prep": "make mails of a topic for the lists, version by version; sends nothing",
    "config": "make and explain a kernel configuration",
    "build": "build the base and the patched kernel",
    "boot": "boot a kernel on an emulated topology and run a command",
    "shell": "the same guest, interactively, or under gdb",
    "test": "run selftests, ours or upstream's, and judge them",
    "bench": "run benchmarks, base against patched and rivals",
    "report": "make the report, JUnit and TAP of a stored run",
    "compare": "show what changed between two stored runs",
    "export": "a stored run for KernelCI, or as a job for a LAVA lab",
    "ci": "the lanes a CI runs; --full adds the slow ones",
    "clean": "free disk: old builds, results, downloads",
}

# They look at stored runs and the cache, or at the series on pin.toml's kernel alone.
WITHOUT_PIN = ("ledger", "prep", "report", "compare", "clean")


def load_verb(name: str) -> ModuleType:
    """Return the module of a verb: it has DESCRIPTION, EXAMPLE, add_arguments, run."""
    return importlib.import_module(f"harness.cli.{name}")


def build_parser(verb: str | None) -> argparse.ArgumentParser:
    """Return the parser; only the chosen verb's module is loaded."""
    parser = argparse.ArgumentParser(
        prog="kseries",
        description="Turn a quilt of kernel patches into evidence.",
        epilog="Start with `./kseries demo`. Each verb has its own --help with an example.",
    )
    parser.add_argument("--version", action="version", version=f"kseries {__version__}")
    subparsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, summary in VERBS.items():
        if name != verb:
            subparsers.add_parser(name, help=summary, add_help=False)
            continue
        module = load_verb(name)
        sub = subparsers.add_parser(
            name,
            help=summary,
            description=module.DESCRIPTION,
            epilog=f"example:\n{module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.add_argument("--json", action="store_true", help="answer in JSON on stdout")
        sub.set_defaults(pin=None)
        if name not in WITHOUT_PIN:
            sub.add_argument(
                "--pin",
                type=Path,
                metavar="FILE",
                help="another pin than pin.toml, with the series that was rebased onto it",
            )
        sub.add_argument(
            "--yes", action="store_true", help="install missing host packages (as root or by sudo)"
        )
        module.add_arguments(sub)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one verb and return its exit status."""
    words = sys.argv[1:] if argv is None else argv
    verb = next((word for word in words if not word.startswith("-")), None)
    args = build_parser(verb if verb in VERBS else None).parse_args(words)
    # Ended from outside, a verb must take its make and its guests along.
    signal.signal(signal.SIGTERM, _interrupted)
    signal.signal(signal.SIGINT, _interrupted)
    context = Context(Paths.discover(pin=args.pin), Ui(), json=args.json, yes=args.yes)
    try:
        _provide(args.verb, context)
        outcome: Outcome = load_verb(args.verb).run(args, context)
    except KseriesError as error:
        outcome = Outcome(error.code, {"error": error.as_json()})
        print(f"kseries {args.verb}: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        outcome = Outcome(Exit.INTERRUPTED, {"error": {"what": "interrupted"}})
        print(f"kseries {args.verb}: interrupted", file=sys.stderr)
    if context.json:
        body = {"verb": args.verb, "exit": int(outcome.code), **outcome.data}
        print(json.dumps(body, indent=2))
    elif outcome.text:
        print(outcome.text)
    sys.stdout.flush()
    return int(outcome.code)


def _provide(verb: str, context: Context) -> None:
    """Put programs on PATH that this pin's kernel wants newer than the host table does."""
    from harness.host.deps import load_capabilities

    if any(row.minimum and row.serves(verb) for row in load_capabilities()):
        from harness.host.newer import provide
        from harness.source.pin import load_pin

        provide(context.paths, load_pin(context.paths.pin_file).needs, verb, context.ui)


def _interrupted(number: int, frame: FrameType | None) -> None:
    """Turn a signal into the exception that every edge cleans up after."""
    raise KeyboardInterrupt
