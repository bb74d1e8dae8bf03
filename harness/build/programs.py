"""Build a topic's benchmark programs in the cache, never in the repository."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from harness.build.kernel import Kernel
from harness.build.makelog import first_error
from harness.build.toolchain import build_env, default_jobs, detect_toolchain
from harness.core.errors import Exit, KseriesError
from harness.core.lock import locked
from harness.core.paths import Paths
from harness.core.proc import run
from harness.core.record import Record, hash_files, load_record, record_key, save_record
from harness.core.ui import Ui

SHARED = "include"


def build_benchmark(
    paths: Paths, topic_dir: Path, kernel: Kernel, ui: Ui, *, jobs: int | None = None
) -> Path:
    """Return the folder with a topic's programs, building them if need be.

    topic_dir: benchmarks/<topic>; its Makefile is run on a copy as
    `make OUTPUT= CC= CLANG= KERNEL_SRC= KERNEL_BUILD=` and leaves its programs
    in OUTPUT (linked statically where it can, as guests boot the host's root
    but rivals may not).  benchmarks/include, which topics share, lies beside the
    copy as ../include.  A topic without a Makefile has nothing to build: the
    folder then holds its files alone.
    """
    toolchain = detect_toolchain()
    if not topic_dir.is_dir():
        raise KseriesError(
            Exit.USAGE,
            f"there is no benchmark topic {topic_dir.name!r}",
            where=str(topic_dir),
            hint="a topic is a folder below benchmarks/ with a plan.toml",
        )
    common = topic_dir.parent / SHARED
    inputs = {
        "topic": topic_dir.name,
        "files": hash_files(topic_dir),
        "shared": hash_files(common) if common.is_dir() else "",
        "tree": kernel.tree,
        "config": kernel.config_hash,
        "compiler": toolchain.bpf_id,
    }
    key = record_key("benchmark", inputs)
    folder = paths.builds / f"bench-{topic_dir.name}-{key}"
    output = folder / "bin"
    with locked(paths.cache / "locks" / f"bench-{key}.lock", on_wait=ui.line):
        record = load_record(paths.records, "benchmark", inputs)
        if record is not None and all((output / name).exists() for name in record.outputs["files"]):
            return output
        shutil.rmtree(folder, ignore_errors=True)
        src = folder / "src" / topic_dir.name
        shutil.copytree(topic_dir, src)
        if common.is_dir():
            shutil.copytree(common, folder / "src" / SHARED)
        output.mkdir()
        if (src / "Makefile").is_file():
            _make(paths, src, output, kernel=kernel, ui=ui, jobs=jobs or default_jobs())
        files = sorted(str(p.relative_to(output)) for p in output.rglob("*") if p.is_file())
        if not files and (src / "Makefile").is_file():
            raise KseriesError(
                Exit.BUILD,
                f"the Makefile of the benchmark {topic_dir.name} left no program",
                where=str(topic_dir / "Makefile"),
                hint="it must write its programs to $(OUTPUT)",
            )
        save_record(paths.records, Record("benchmark", inputs, {"files": files}))
    return output


def _make(paths: Paths, src: Path, output: Path, *, kernel: Kernel, ui: Ui, jobs: int) -> None:
    toolchain = detect_toolchain()
    log = output.with_name("make.log")
    line: list[str | Path] = [
        "make",
        "-C",
        src,
        f"OUTPUT={output}",
        f"CC={toolchain.cc}",
        f"CLANG={toolchain.clang or 'clang'}",
        f"KERNEL_SRC={kernel.src}",
        f"KERNEL_BUILD={kernel.build}",
        f"-j{jobs}",
        "-Oline",
        "--no-print-directory",
    ]
    env = build_env(paths) | {"PYTHONDONTWRITEBYTECODE": "1", "HOME": os.environ.get("HOME", "/")}
    with ui.step(f"build benchmark {src.name}") as step:
        done = run(line, env=env, check=False, output=log)
        step.note = "built" if done.ok else "failed"
    if not done.ok:
        error = first_error(done.stdout, src, output)
        raise KseriesError(
            Exit.BUILD,
            "the benchmark does not build\n" + "\n".join(f"    {text}" for text in error.lines),
            where=error.file or str(src / "Makefile"),
            hint=f"the whole log is {log}",
            details={"lines": list(error.lines), "log": str(log)},
        )
