"""kseries export: a stored run for KernelCI's database, or as a job for a LAVA lab."""

from __future__ import annotations

import argparse
import json
import tarfile
from pathlib import Path

from harness.core.context import Context, Outcome
from harness.core.errors import Exit, KseriesError
from harness.core.record import write_atomic
from harness.exports.lava import JOB, KERNEL, TESTS
from harness.results.model import Results
from harness.results.store import LATEST, load_run

DESCRIPTION = f"""\
Turn a stored run into what others read.

kcidb: checkouts, builds and tests as KernelCI's database takes them, checked
by kcidb-io; on stdout, or in -o FILE.  What submits it is kcidb-submit.

lava: the definition of a job that boots the run's patched kernel on its
topology in a LAVA lab and runs the series' selftests there.  DIR gets
{JOB}, {KERNEL} and {TESTS}; --url is where a lab can fetch the last
two, --rootfs the image of a system with a root shell, wget and tar.

RUN is a run id, a unique start of one, a path, or `latest`."""
EXAMPLE = """\
  kseries export kcidb latest --origin mylab -o report.json
  kseries export lava latest --url https://files.example.org/kseries \\
      --rootfs https://files.example.org/debian.img.xz -o lava/"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    parser.add_argument("form", choices=("kcidb", "lava"))
    parser.add_argument("run", metavar="RUN", nargs="?", default=LATEST, help="default: latest")
    parser.add_argument("-o", dest="out", metavar="PATH", type=Path, help="file, or lava's folder")
    parser.add_argument("--origin", metavar="NAME", default="kseries", help="kcidb: who submits")
    parser.add_argument("--url", metavar="URL", help="lava: where the folder's files will lie")
    parser.add_argument("--rootfs", metavar="URL", help="lava: the image to boot into")
    parser.add_argument(
        "--job-only", action="store_true", help="lava: the definition alone, build nothing"
    )


def run(args: argparse.Namespace, context: Context) -> Outcome:
    """Write the export."""
    _, results = load_run(context.paths, args.run)
    if args.form == "kcidb":
        return _kcidb(args, context, results)
    return _lava(args, context, results)


def _kcidb(args: argparse.Namespace, context: Context, results: Results) -> Outcome:
    from harness.exports.kcidb import kcidb_report

    report = kcidb_report(results, args.origin, _patches(context, results))
    text = json.dumps(report, indent=1)
    if args.out:
        write_atomic(args.out, text + "\n")
    counts = {key: len(report[key]) for key in ("checkouts", "builds", "tests")}
    said = ", ".join(f"{number} {name}" for name, number in counts.items())
    data = {"run": results.run.id, "counts": counts, "report": report}
    return Outcome(data=data, text=f"{args.out}: {said}" if args.out else text)


def _patches(context: Context, results: Results) -> list[bytes] | None:
    """Return the patch files of the run, None where patches/ has changed since."""
    from harness.series.patchfile import encode
    from harness.series.series import load_series
    from harness.series.tree import apply_series
    from harness.source.pin import load_pin
    from harness.source.store import open_source

    paths = context.paths
    source = open_source(paths, load_pin(paths.pin_file))
    if source is None:
        return None
    series = load_series(paths)
    if apply_series(paths, source, series, context.ui).top_tree != results.run.patched_tree:
        return None
    return [encode(text) for _, text in series.texts()]


def _lava(args: argparse.Namespace, context: Context, results: Results) -> Outcome:
    import yaml

    from harness.exports.lava import lava_job

    missing = [f"--{name}" for name in ("url", "rootfs") if not getattr(args, name)]
    if missing or not args.out:
        raise KseriesError(
            Exit.USAGE,
            f"a lab needs {', '.join([*missing, *([] if args.out else ['-o DIR'])])}",
            hint="`kseries export --help` has an example",
        )
    job = lava_job(results, args.url, args.rootfs)
    args.out.mkdir(parents=True, exist_ok=True)
    write_atomic(args.out / JOB, yaml.safe_dump(job, sort_keys=False, width=100))
    files = [JOB]
    if not args.job_only:
        files += _artefacts(args.out, context, results)
    data = {"run": results.run.id, "folder": str(args.out), "files": files, "job": job}
    lines = [str(args.out / name) for name in files]
    if not args.job_only:
        lines.append(f"upload {KERNEL} and {TESTS} to {args.url}")
    lines.append(f"submit: lavacli jobs submit {args.out / JOB}")
    return Outcome(data=data, text="\n".join(lines))


def _artefacts(folder: Path, context: Context, results: Results) -> list[str]:
    """Put the kernel and the installed selftests into the folder."""
    from harness.exports.lava import own_collections
    from harness.kselftest.plan import Selection
    from harness.pipeline.evidence import install_tests
    from harness.pipeline.prepare import prepare

    prepared = prepare(context, set_name=results.run.config.split()[0])
    if prepared.applied.top_tree != results.run.patched_tree or prepared.patched is None:
        raise KseriesError(
            Exit.USAGE,
            "the series has changed since that run: its kernel is not here any more",
            where=results.run.id,
            hint="`kseries test` makes a new run; --job-only writes the definition alone",
        )
    areas = tuple(name.partition("/")[2] for name in own_collections(results))
    install = install_tests(context, prepared, Selection(areas))
    (folder / KERNEL).write_bytes(prepared.patched.image.read_bytes())
    with tarfile.open(folder / TESTS, "w:gz", dereference=True) as tar:
        for path in sorted(install.root.iterdir()):
            tar.add(path, arcname=path.name)
    return [KERNEL, TESTS]
