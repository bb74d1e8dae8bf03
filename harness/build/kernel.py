"""Build one kernel from one tree, once: the key says whether it exists already."""

from __future__ import annotations

import dataclasses
import os
import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.build.fragments import find_set
from harness.build.kconfig import Config, Untaken, make_config, request_hash
from harness.build.makelog import (
    attribute_warning,
    first_error,
    new_warnings,
    parse_warnings,
    touching,
)
from harness.build.toolchain import Toolchain, build_env, default_jobs, detect_toolchain, make_line
from harness.core.errors import Exit, KseriesError
from harness.core.lock import locked
from harness.core.paths import Paths
from harness.core.proc import run
from harness.core.record import Record, load_record, record_key, save_record
from harness.core.ui import Ui
from harness.source.gitrepo import checkout_tree

IMAGE = Path("arch/x86/boot/bzImage")
_GIB = 1 << 30
# Measured on prod; debug kernels are larger.
SRC_BYTES = int(1.8 * _GIB)
BUILD_BYTES = {"prod": int(2.3 * _GIB)}
DEBUG_BUILD_BYTES = int(3.5 * _GIB)
# Lines of a cold build, until a finished one says better.
FIRST_LINES = 2900


@dataclass(frozen=True)
class Kernel:
    """A finished build.

    tree: git tree id it was made from; src, build: its folders (src is never
    written to); image: the bzImage; config: its .config; config_hash: hash of
    what was asked for; warnings: as `path:line: warning: text`; untaken:
    wishes of upstream selftests that did not take; seconds: of the make that
    finished it; reused: whether this call found it ready.
    """

    key: str
    tree: str
    src: Path
    build: Path
    image: Path
    vmlinux: Path
    config: Path
    config_set: str
    config_hash: str
    release: str
    warnings: tuple[str, ...]
    untaken: tuple[Untaken, ...]
    seconds: float
    reused: bool
    toolchain: dict[str, str]


def build_inputs(tree: str, config_hash: str, toolchain: Toolchain) -> dict[str, str]:
    """Return what a kernel is made from, by hash: its key in records."""
    return {"tree": tree, "config": config_hash, "compiler": toolchain.id}


def build_kernel(
    paths: Paths,
    store_git: Path,
    tree: str,
    *,
    config_set: str = "prod",
    extra_config: Sequence[Path] = (),
    kconfig_dir: Path,
    ui: Ui,
    jobs: int | None = None,
    touched: Sequence[tuple[str, Sequence[str]]] = (),
    later: Collection[str] = (),
) -> Kernel:
    """Return the kernel of a tree and a config set, building it if need be.

    store_git: bare repository that has the tree; extra_config: `config`
    files of own selftests, strict; jobs: compilers at once (None: the CPUs);
    touched: (patch file, paths) of the series, so that a break names its
    patch; later: symbols that this tree may be without.  Two runs for one key
    wait for each other; a build that was interrupted goes on where it stopped.
    """
    toolchain = detect_toolchain()
    chosen = find_set(kconfig_dir, config_set)
    config_hash = request_hash(chosen, root=paths.repo, extra=extra_config)
    inputs = build_inputs(tree, config_hash, toolchain)
    key = record_key("build", inputs)
    folder = paths.builds / key
    with locked(paths.cache / "locks" / f"build-{key}.lock", on_wait=ui.line):
        record = load_record(paths.records, "build", inputs)
        if record is not None and (kernel := _restore(record, folder)):
            ui.line(f"kernel {config_set} {tree[:12]}: reused ({folder})")
            os.utime(folder)  # for `clean`, which asks when it was last used
            return kernel
        job = KernelJob(
            paths, folder, tree, config_set, toolchain, ui, jobs or default_jobs(), later
        )
        kernel = job.make(store_git, kconfig_dir, extra_config, inputs["config"], touched)
        save_record(paths.records, job.record(kernel, inputs))
        return kernel


@dataclass(frozen=True)
class KernelJob:
    """The make of one kernel in one folder; who keeps it, and for how long, is the caller's."""

    paths: Paths
    folder: Path
    tree: str
    config_set: str
    toolchain: Toolchain
    ui: Ui
    jobs: int
    later: Collection[str] = ()  # symbols that the tree may be without

    @property
    def src(self) -> Path:
        """The source, never written to by make."""
        return self.folder / "src"

    @property
    def build(self) -> Path:
        """What make writes."""
        return self.folder / "build"

    @property
    def log(self) -> Path:
        """All that make said."""
        return self.folder / "make.log"

    def make(
        self,
        store_git: Path,
        kconfig_dir: Path,
        extra: Sequence[Path],
        config_hash: str,
        touched: Sequence[tuple[str, Sequence[str]]] = (),
    ) -> Kernel:
        """Lay the source out where it is not, configure, compile, and return the kernel."""
        config = self.configure(store_git, kconfig_dir, extra)
        lines, seconds = self.compile(touched)
        return self.finish(config, config_hash, lines, seconds)

    def configure(self, store_git: Path, kconfig_dir: Path, extra: Sequence[Path] = ()) -> Config:
        """Lay the source out where it is not, and write the .config."""
        check_disk(self.folder, self.needed(), self.ui, f"kernel {self.config_set}")
        if not self.src.exists():
            with self.ui.step(f"lay out {self.tree[:12]}"):
                self.folder.mkdir(parents=True, exist_ok=True)
                checkout_tree(store_git, self.tree, self.src)
        with self.ui.step(f"configure {self.config_set}") as step:
            config = make_config(
                self.paths,
                self.src,
                self.build,
                set_name=self.config_set,
                kconfig_dir=kconfig_dir,
                toolchain=self.toolchain,
                extra=extra,
                later=self.later,
            )
            step.note = f"{len(config.plan.requests)} symbols checked"
        return config

    def needed(self) -> int:
        """Bytes that src and build still have to take."""
        build = BUILD_BYTES.get(self.config_set, DEBUG_BUILD_BYTES)
        if self.build.exists():
            build //= 2  # an interrupted build has part of it
        return build + (0 if self.src.exists() else SRC_BYTES)

    def compile(
        self,
        touched: Sequence[tuple[str, Sequence[str]]],
        targets: Sequence[str] = (),
    ) -> tuple[int, float]:
        """Run make; return the number of its lines and the seconds it took.

        targets: objects, say; without any it is the whole kernel.
        """
        gdb = ["scripts_gdb"] if "CONFIG_GDB_SCRIPTS=y" in self._config_text() else []
        # -O line keeps a compiler's message in one piece.
        line = make_line(
            self.toolchain,
            self.src,
            self.build,
            "-Oline",
            "--no-print-directory",
            *(targets or ["bzImage", *gdb]),
            jobs=self.jobs,
        )
        expected = self._last_lines()
        count = 0
        start = time.monotonic()
        # Appended to: a continued build does not repeat the warnings of objects it has.
        with (
            self.ui.step(f"build {self.config_set} {self.tree[:12]}", total=expected) as step,
            self.log.open("a", encoding="utf-8") as log,
        ):

            def note(text: str) -> None:
                nonlocal count
                count += 1
                log.write(text + "\n")
                step.update(min(count, expected), text.strip())

            done = run(line, env=build_env(self.paths), check=False, on_line=note)
            step.note = "built" if done.ok else "failed"
        if not done.ok:
            raise self.broken(done.stdout, touched)
        return count, time.monotonic() - start

    def broken(self, output: str, touched: Sequence[tuple[str, Sequence[str]]]) -> KseriesError:
        """Return the error of a build break, with its first lines and its patches."""
        error = first_error(output, self.src, self.build)
        patches = touching(error.file, touched) if error.file else ()
        blame = f"; {error.file} is touched by {', '.join(patches)}" if patches else ""
        return KseriesError(
            Exit.BUILD,
            f"the {self.config_set} kernel of tree {self.tree[:12]} does not build{blame}\n"
            + "\n".join(f"    {line}" for line in error.lines),
            where=error.file or str(self.build),
            hint=f"the whole log is {self.log}",
            details={
                "file": error.file,
                "lines": list(error.lines),
                "log": str(self.log),
                "patches": list(patches),
            },
        )

    def finish(self, config: Config, config_hash: str, lines: int, seconds: float) -> Kernel:
        """Return the kernel that make has left."""
        for spare in self.build.glob(".tmp_vmlinux*"):
            spare.unlink()  # the link's own steps, 300 MB that nothing reads again
        for file in (self.build / IMAGE, self.build / "vmlinux"):
            if not file.is_file():
                raise KseriesError(
                    Exit.BUILD,
                    "make ended well but left no kernel",
                    where=str(file),
                    hint=f"see {self.log}",
                )
        if lines > FIRST_LINES // 2:  # a continued build would set the bar too low
            save_record(
                self.paths.records,
                Record("build-lines", {"set": self.config_set}, {"lines": lines}),
            )
        log = self.log.read_text(encoding="utf-8", errors="replace")
        return Kernel(
            key=self.folder.name,
            tree=self.tree,
            src=self.src,
            build=self.build,
            image=self.build / IMAGE,
            vmlinux=self.build / "vmlinux",
            config=self.build / ".config",
            config_set=self.config_set,
            config_hash=config_hash,
            release=(self.build / "include/config/kernel.release").read_text().strip(),
            warnings=tuple(parse_warnings(log, self.src, self.build)),
            untaken=config.untaken,
            seconds=round(seconds, 1),
            reused=False,
            toolchain=self.toolchain.describe(),
        )

    def record(self, kernel: Kernel, inputs: Mapping[str, str]) -> Record:
        """Return what must be known to find the kernel again."""
        outputs: dict[str, Any] = {
            "tree": kernel.tree,
            "config_set": kernel.config_set,
            "config_hash": kernel.config_hash,
            "release": kernel.release,
            "warnings": list(kernel.warnings),
            "untaken": [dataclasses.asdict(item) for item in kernel.untaken],
            "seconds": kernel.seconds,
            "toolchain": kernel.toolchain,
            "image_bytes": kernel.image.stat().st_size,
        }
        return Record("build", inputs, outputs)

    def _last_lines(self) -> int:
        last = load_record(self.paths.records, "build-lines", {"set": self.config_set})
        return int(last.outputs["lines"]) if last else FIRST_LINES

    def _config_text(self) -> str:
        return (self.build / ".config").read_text(encoding="utf-8")


def _restore(record: Record, folder: Path) -> Kernel | None:
    """Return the kernel of a record if its files are still there."""
    out = record.outputs
    build = folder / "build"
    image = build / IMAGE
    needed = (folder / "src" / "Makefile", build / "vmlinux", build / ".config", image)
    if not all(path.is_file() for path in needed):
        return None
    if image.stat().st_size != out["image_bytes"]:
        return None
    return Kernel(
        key=folder.name,
        tree=out["tree"],
        src=folder / "src",
        build=build,
        image=image,
        vmlinux=build / "vmlinux",
        config=build / ".config",
        config_set=out["config_set"],
        config_hash=out["config_hash"],
        release=out["release"],
        warnings=tuple(out["warnings"]),
        untaken=tuple(Untaken(**item) for item in out["untaken"]),
        seconds=out["seconds"],
        reused=True,
        toolchain=dict(out["toolchain"]),
    )


def check_disk(folder: Path, needed: int, ui: Ui, what: str) -> None:
    """Print what a stage needs on disk, and refuse to start without it.

    folder: where it will lie (its nearest existing parent is asked); needed:
    bytes.
    """
    place = folder
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    ui.line(f"{what}: needs {needed / _GIB:.1f} GiB of disk, {free / _GIB:.1f} GiB are free")
    if free < needed:
        raise KseriesError(
            Exit.HOST,
            f"{what} needs {needed / _GIB:.1f} GiB of disk, {free / _GIB:.1f} GiB are free",
            where=str(place),
            hint="`kseries clean` frees old builds; XDG_CACHE_HOME moves the cache",
        )


def check_warnings(
    base: Kernel, patched: Kernel, touched: Sequence[tuple[str, Sequence[str]]]
) -> None:
    """Refuse warnings that the base kernel does not have, naming the patches.

    touched: (patch file, paths it touches) in series order.
    """
    fresh = new_warnings(base.warnings, patched.warnings)
    if not fresh:
        return
    found = [(warning, attribute_warning(warning, touched)) for warning in fresh]
    lines = [f"    {text}  [{', '.join(patches) or 'no patch'}]" for text, patches in found]
    blamed = sorted({patch for _, patches in found for patch in patches})
    raise KseriesError(
        Exit.BUILD,
        f"the series adds {len(fresh)} warning{'s' * (len(fresh) > 1)}:\n" + "\n".join(lines),
        where=", ".join(blamed) or str(patched.build),
        hint="fix the patch; `kseries build` shows the warning again after a `refresh`",
        details={"warnings": [{"warning": w, "patches": list(p)} for w, p in found]},
    )
