"""kseries prep: a topic as mails for the lists, version by version.  It sends nothing."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

from harness.core.context import Context, Outcome
from harness.core.errors import Exit, KseriesError

DESCRIPTION = """\
Make version N of a topic as mails in DIR, with b4: a cover letter from
patches/TOPIC/mail/topic.toml, recipients from the tree's get_maintainer.pl, the
topic's selftests as the last patches, what is new since the version before
with a range-diff.  More than 15 patches become parts, one for each subsystem.
The mails are applied to a clean base before they are written: they must give
the quilt's trees.  patches/TOPIC/mail/ keeps the change-ids and each version;
commit it.  Nothing is sent: the command that would is printed.

Mails are drafts, and say so, unless --final is given.  That takes --base, a
tag or commit of the git repository --linux whose tree is the pin's (the mails
carry it as base-commit), and --signoff: your name and address, of git's
configuration, go into each patch as author and Signed-off-by."""
EXAMPLE = """\
  kseries prep uprobes -v1 -o /tmp/uprobes-v1
  kseries prep uprobes -v2 -o /tmp/v2 --linux ~/linux --base v6.18.15 --signoff --final"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("topic", metavar="TOPIC", help="a folder of patches/")
    parser.add_argument("-v", dest="version", metavar="N", required=True, help="-v1, -v2, ...")
    parser.add_argument("-o", dest="out", metavar="DIR", type=Path, required=True)
    parser.add_argument("--base", metavar="REF", default="", help="what the mails stand on")
    parser.add_argument("--linux", metavar="GIT", type=Path, help="the repository that has REF")
    parser.add_argument("--signoff", action="store_true", help="sign the patches off as you")
    parser.add_argument("--final", action="store_true", help="mails to be sent, no drafts")
    parser.add_argument("--source", metavar="X", help="where to take the kernel from")


def run(args: argparse.Namespace, context: Context) -> Outcome:
    """Prepare, and print what would be sent to whom."""
    from harness.submit.checks import check_final, preflight, submitter
    from harness.submit.prep import Request, prep

    if not re.fullmatch(r"\d+", args.version):
        raise KseriesError(
            Exit.USAGE, f"{args.version!r} is no version", hint="-v1 is the first one"
        )
    if args.base and not args.linux:
        raise KseriesError(
            Exit.USAGE, "--base names a commit of which repository?", hint="add --linux GIT"
        )
    signer = submitter() if args.signoff else None
    checks = preflight(context.paths, context.ui, args.topic)
    if args.final:
        check_final(checks, base=args.base, signer=signer)
    request = Request(
        args.topic, int(args.version), args.out.resolve(), args.base,
        args.linux.resolve() if args.linux else None, signer, args.final, args.source,
    )  # fmt: skip
    prepared = prep(context.paths, context.ui, request)
    lines = []
    for item in prepared:
        lines.append(f"{item.folder}  (change-id {item.change_id}, tree {item.tree[:12]})")
        lines += [f"  {mail.subject}" for mail in item.mails]
        lines += [f"  To: {address}" for address in item.mails[0].to]
        lines += [f"  Cc: {address}" for address in item.mails[0].cc]
    lines += [f"{'ok' if check.ok else 'NOT'}: {check.name}: {check.said}" for check in checks]
    commands = [
        f"git send-email --no-thread --confirm=always {shlex.quote(str(item.folder))}/*.eml"
        for item in prepared
    ]
    if args.final:
        lines += ["nothing was sent; this would, part by part:", *commands]
    else:
        lines.append("these are drafts: read them, then --base, --signoff and --final")
    lines.append(f"keep what was made: git add patches/{args.topic}/mail")
    data = {
        "topic": args.topic,
        "version": request.version,
        "final": args.final,
        "parts": [
            {
                "name": item.part.name,
                "folder": str(item.folder),
                "change_id": item.change_id,
                "tree": item.tree,
                "mails": [
                    {"file": str(item.folder / mail.path.name), "subject": mail.subject,
                     "to": list(mail.to), "cc": list(mail.cc)}
                    for mail in item.mails
                ],
            }
            for item in prepared
        ],
        "checks": [vars(check) for check in checks],
        "commands": commands if args.final else [],
    }  # fmt: skip
    return Outcome(data=data, text="\n".join(lines))
