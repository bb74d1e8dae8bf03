"""The options that `boot` and `shell` share: which kernel on which machine."""

from __future__ import annotations

import argparse
import datetime
import importlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from harness.core.context import Context
from harness.core.errors import Exit, KseriesError
from harness.guest.job import Lane, Machine
from harness.guest.topology import parse_topology

_IMAGE = Path("arch/x86/boot/bzImage")
_DEFAULT = {Lane.L1: "1x1"}  # every other lane has 4x2


@dataclass(frozen=True)
class Chosen:
    """A machine with its kernel, and the kernel's build folder if there is one."""

    machine: Machine
    build: Path | None


def add_machine_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose a kernel and a machine."""
    parser.add_argument(
        "--numa",
        metavar="TOPOLOGY",
        help="NODESxCPUS[:MEMORY of a node], e.g. 4x2 (default) or 2x4:1G; memoryless, "
        "single-memoryless, distances (harness/guest/topologies); or a TOML file",
    )
    parser.add_argument(
        "--lane",
        choices=[lane.value for lane in Lane if lane is not Lane.HOST],
        default=Lane.TEST.value,
        help="how time passes in the guest (docs/measurement.md); default: test",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--patched", action="store_true", help="the series' kernel (default)")
    which.add_argument("--base", action="store_true", help="the pinned kernel without the series")
    which.add_argument("--kernel", metavar="BZIMAGE", type=Path, help="an image of your own")
    parser.add_argument(
        "--config",
        "--set",
        metavar="SET",
        default="prod",
        help="a set of kconfig/sets.toml (default: prod)",
    )
    parser.add_argument(
        "--append",
        metavar="WORD",
        action="append",
        default=[],
        help="a word for the kernel's command line; may be repeated",
    )
    parser.add_argument(
        "--no-scratch", action="store_true", help="no scratch disk, no swap: commands run on tmpfs"
    )


def choose(args: argparse.Namespace, context: Context, *, gdb: bool = False) -> Chosen:
    """Return the machine that the options ask for, its kernel built if need be."""
    lane = Lane(args.lane)
    # Before any building: a mistyped topology must not cost ten minutes.
    topology = parse_topology(args.numa or _DEFAULT.get(lane, "4x2"))
    image, build = _kernel(args, context)
    machine = Machine(
        kernel=image,
        topology=topology,
        lane=lane,
        scratch=not args.no_scratch,
        append=tuple(args.append),
        gdb=gdb,
    )
    return Chosen(machine, build)


def _kernel(args: argparse.Namespace, context: Context) -> tuple[Path, Path | None]:
    """Return the image to boot and its build folder: one's own, or the pipeline's."""
    if args.kernel:
        image: Path = args.kernel.resolve()
        if not image.is_file():
            raise KseriesError(
                Exit.USAGE,
                "this kernel image does not exist",
                where=str(args.kernel),
                hint="give the path of a bzImage",
            )
        inside = image.parts[-len(_IMAGE.parts) :] == _IMAGE.parts
        return image, image.parents[len(_IMAGE.parts) - 1] if inside else None
    arm = "base" if args.base else "patched"
    pipeline = importlib.import_module("harness.pipeline")
    kernel = getattr(pipeline.prepare(context, set_name=args.config, want=(arm,)), arm)
    return Path(kernel.image), Path(kernel.build)


def run_folder(context: Context, verb: str) -> Path:
    """Make and return a new folder in out/ for one guest."""
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    context.paths.out.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{verb}-{now}-", dir=context.paths.out))
    folder.chmod(0o755)
    return folder
