"""Build programs of the kernel's own tools/, for benchmarks that need them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from harness.build.kernel import Kernel
from harness.build.makelog import first_error
from harness.build.overlay import make_overlay
from harness.build.toolchain import build_env, default_jobs, detect_toolchain
from harness.core.errors import Exit, KseriesError
from harness.core.lock import locked
from harness.core.paths import Paths
from harness.core.proc import run
from harness.core.record import Record, load_record, record_key, save_record
from harness.core.ui import Ui


def build_tools(
    paths: Paths,
    kernel: Kernel,
    folder: str,
    programs: Sequence[str],
    ui: Ui,
    *,
    jobs: int | None = None,
) -> Path:
    """Return a folder with programs of tools/FOLDER of a kernel's source.

    Each program is a make target, `make -C tools/FOLDER O=DIR NAME`, that
    leaves an executable of this name somewhere below DIR.  The sources are
    seen through links, so that what a Makefile writes beside them stays out of
    the kernel's tree; BPF programs are built with the newest clang, against
    the kernel's own types.
    """
    source = kernel.src / "tools" / folder
    if not (source / "Makefile").is_file():
        raise KseriesError(
            Exit.BUILD,
            f"the kernel has no tools/{folder} that could be built",
            where=str(source),
            hint="correct `folder` of [[tool]] in the plan",
        )
    toolchain = detect_toolchain()
    inputs = {
        "folder": folder,
        "programs": " ".join(programs),
        "tree": kernel.tree,
        "config": kernel.config_hash,
        "compiler": toolchain.bpf_id,
    }
    key = record_key("tools", inputs)
    place = paths.builds / f"tools-{folder.replace('/', '-')}-{key}"
    output = place / "bin"
    with locked(paths.cache / "locks" / f"tools-{key}.lock", on_wait=ui.line):
        record = load_record(paths.records, "tools", inputs)
        if record is not None and all((output / name).exists() for name in programs):
            return output
        shutil.rmtree(place, ignore_errors=True)
        (place / "build").mkdir(parents=True)
        output.mkdir()
        make_overlay(kernel.src, place / "src", "tools", kernel.src / "tools")
        jobs = jobs or default_jobs()
        _make(paths, kernel, place, folder=folder, programs=programs, ui=ui, jobs=jobs)
        for name in programs:
            shutil.copy2(_find(place / "build", name, source), output / name)
        save_record(paths.records, Record("tools", inputs, {"programs": list(programs)}))
    return output


def _find(build: Path, name: str, source: Path) -> Path:
    """Return the executable that a target left."""
    for path in sorted(build.rglob(name)):
        if path.is_file() and os.access(path, os.X_OK):
            return path
    raise KseriesError(
        Exit.BUILD,
        f"make {name} left no program of that name",
        where=str(source / "Makefile"),
        hint="correct `programs` of [[tool]] in the plan",
    )


def _make(
    paths: Paths,
    kernel: Kernel,
    place: Path,
    *,
    folder: str,
    programs: Sequence[str],
    ui: Ui,
    jobs: int,
) -> None:
    toolchain = detect_toolchain()
    suffix = toolchain.llvm_suffix
    log = place / "make.log"
    line: list[str | Path] = [
        "make",
        "-C",
        place / "src" / "tools" / folder,
        f"O={place / 'build'}",
        f"VMLINUX_BTF={kernel.vmlinux}",
        f"CLANG={toolchain.clang or 'clang'}",
        f"LLVM_STRIP=llvm-strip{suffix}",
        f"LLVM_CONFIG=llvm-config{suffix}",
        f"-j{jobs}",
        "-Oline",
        "--no-print-directory",
        *programs,
    ]
    with ui.step(f"build tools/{folder}") as step:
        done = run(
            line,
            env=build_env(paths),
            check=False,
            output=log,
            on_line=lambda text: step.update(text=text.strip()),
        )
        step.note = "built" if done.ok else "failed"
    if not done.ok:
        error = first_error(done.stdout, place / "src", place / "build")
        raise KseriesError(
            Exit.BUILD,
            f"tools/{folder} does not build\n" + "\n".join(f"    {text}" for text in error.lines),
            where=error.file or f"tools/{folder}",
            hint=f"the whole log is {log}",
            details={"lines": list(error.lines), "log": str(log)},
        )
