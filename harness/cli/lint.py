"""kseries lint: what a list, its maintainers and its checkers would say of the series."""

from __future__ import annotations

import argparse

from harness.core.context import Context, Outcome
from harness.core.errors import Exit
from harness.lint.run import lint

DESCRIPTION = """\
Check what is kept in patches/ and kconfig/.

Form: `series` and the folder agree; each patch is as `kseries refresh` writes
it, has the series' identity, a subject `subsystem: Do this`, a body, and no
Signed-off-by; notes for reviewers are below ---; an Assisted-by is well
formed; a kconfig fragment has one symbol a line and a reason above.
On the kernel: checkpatch.pl --strict; kernel-doc of touched files; a licence
and an entry of MAINTAINERS for each new file; no path that the pin leaves out;
the shared numbers of patches/numbers.toml are free; a message names no file
and no function that is not there, and its subject what the patch touches; each
selftests/*/mutants/*.patch still applies on top of the series.

patches/exceptions.toml holds the findings that are as they should be, with
the reason of each; one that excuses nothing is a finding.
Series on other pins (patches/on/) are checked for form, too, and it is said
where patches/ has gone on without them; --pin checks one on its kernel.
Nothing is fetched: what needs the kernel is left out without it, and said to
be (with --strict that is a failure)."""
EXAMPLE = """\
  kseries lint
  kseries lint --strict --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("--strict", action="store_true", help="fail when a rule was left out")


def run(args: argparse.Namespace, context: Context) -> Outcome:
    """Check, and list what was found."""
    done = lint(context.paths, context.ui)
    lines = []
    for finding in done.findings:
        lines += [f"{finding.where}: {finding.what} [{finding.rule}]", f"  next: {finding.hint}"]
    lines += [f"not checked: {text}" for text in done.skipped]
    lines += [f"behind: {text} (`kseries rebase --onto` brings it there)" for text in done.behind]
    lines.append(
        f"{len(done.series.entries)} patches, {len(done.findings)} findings, "
        f"{done.excused} excused by patches/exceptions.toml"
    )
    bad = bool(done.findings) or (args.strict and bool(done.skipped))
    return Outcome(
        Exit.LINT if bad else Exit.OK,
        {
            "findings": [vars(finding) for finding in done.findings],
            "skipped": list(done.skipped),
            "excused": done.excused,
            "behind": list(done.behind),
        },
        "\n".join(lines),
    )
