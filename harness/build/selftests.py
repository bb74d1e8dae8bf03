"""Build kselftests, ours and upstream's, target by target, beside the kernel.

Upstream's targets lie in one folder per tree, config and compiler, and are
built once: base and patched kernels run the same files.  Own areas lie in a
folder of their own, keyed by their contents too, so that an edited test
rebuilds itself alone.  An area that uses what the series adds to tools/ (a
library, a scheduler) is built from the patched tree; both kernels run that,
too.  One make per target: a target that does not build is reported by name,
while kselftest's own loop would go on without it.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.build.kconfig import SELFTESTS
from harness.build.kernel import Kernel, check_disk
from harness.build.makelog import first_error
from harness.build.overlay import link_to, make_overlay
from harness.build.toolchain import Toolchain, build_env, default_jobs, detect_toolchain, make_line
from harness.core.errors import Exit, KseriesError
from harness.core.lock import locked
from harness.core.paths import Paths
from harness.core.proc import run
from harness.core.record import Record, hash_files, hash_json, load_record, record_key, save_record
from harness.core.ui import Ui

# kselftest/runner.sh gives a test this long unless its folder's `settings` says otherwise.
DEFAULT_TIMEOUT = 45.0
_NEED_BYTES = 1 << 30
_AGENT = "agent"


@dataclass(frozen=True)
class TestProgram:
    """One program of a collection, as kselftest-list.txt names it.

    collection: "cgroup", "agent/cgroup_freeze"; dir: the installed folder it
    must be run in; timeout: seconds that its authors allow, None for no limit.
    """

    collection: str
    name: str
    dir: Path
    timeout: float | None

    @property
    def path(self) -> Path:
        """The program itself."""
        return self.dir / self.name


@dataclass(frozen=True)
class Missing:
    """What a target should have and does not: a program, or (name empty) more."""

    collection: str
    name: str
    reason: str


@dataclass(frozen=True)
class Install:
    """Installed selftests.

    root: a folder with a link per collection, kselftest's helpers and the
    whole kselftest-list.txt; missing: what could not be built, to be counted
    as failed by whoever asked for it, or skipped with the reason.
    """

    root: Path
    programs: tuple[TestProgram, ...]
    missing: tuple[Missing, ...]
    seconds: float


def parse_list(text: str) -> list[tuple[str, str]]:
    """Return (collection, program) of each line of a kselftest-list.txt."""
    pairs = []
    for line in text.splitlines():
        if not line.strip():
            continue
        collection, colon, program = line.strip().partition(":")
        if not colon or not program:
            raise KseriesError(
                Exit.BUILD,
                f"this line of kselftest-list.txt names no program: {line!r}",
                where="kselftest-list.txt",
                hint="look at the target's emit_tests rule",
            )
        pairs.append((collection, program))
    return pairs


def parse_timeout(settings: str) -> float | None:
    """Return the seconds a `settings` file allows; None for no limit (0)."""
    found = re.findall(r"^timeout=(\d+)\s*$", settings, re.MULTILINE)
    if not found:
        return DEFAULT_TIMEOUT
    return float(found[-1]) or None


def parse_remarks(log: str) -> list[str]:
    """Return the `Warning:` paragraphs that Makefiles print about what they leave out."""
    remarks = []
    lines = iter(log.splitlines())
    for line in lines:
        if not line.startswith("Warning: "):
            continue
        words = [line.removeprefix("Warning: ").strip()]
        for more in lines:
            if not more.strip() or more.startswith(("make", "  ", "gcc", "cc ")):
                break
            words.append(more.strip())
        remarks.append(re.sub(r"\s+", " ", " ".join(words)))
    return list(dict.fromkeys(remarks))


def list_areas(own: Path) -> list[str]:
    """Return the areas of the repository's selftests folder."""
    return sorted(path.parent.name for path in own.glob("*/Makefile"))


def area_configs(own: Path, areas: Sequence[str] | None = None) -> tuple[Path, ...]:
    """Return the `config` files of own areas (None: all), for build_kernel."""
    names = list_areas(own) if areas is None else areas
    return tuple(path for name in names if (path := own / name / "config").is_file())


def build_selftests(
    paths: Paths,
    kernel: Kernel,
    *,
    own: Path,
    areas: Sequence[str],
    upstream: Sequence[str],
    ui: Ui,
    jobs: int | None = None,
    patched: Kernel | None = None,
    patched_areas: Sequence[str] = (),
) -> Install:
    """Return the installed selftests of own areas and upstream targets.

    kernel: the finished build whose headers and BTF they use (the base
    kernel, as both kernels run the same files); own: the repository's
    selftests folder; patched_areas: own areas that are built from the tree of
    `patched` instead, and are missing without one.  An own area that does not
    build is an error; an upstream target is reported in `missing`.
    """
    start = time.monotonic()
    toolchain = detect_toolchain()
    _check_names(kernel, own, [*areas, *patched_areas], upstream)
    place = _Place(paths, _key(kernel, toolchain), kernel, toolchain, ui, jobs)
    parts = place.parts(own, areas, upstream) if areas or upstream else []
    if patched_areas and patched is not None:
        place = dataclasses.replace(place, key=_key(patched, toolchain), kernel=patched)
        parts += place.parts(own, patched_areas, ())
    elif patched_areas:
        parts += [_without_tree(paths, f"{_AGENT}/{area}") for area in patched_areas]
    return _assemble(paths, parts, time.monotonic() - start)


@dataclass(frozen=True)
class _Part:
    """One installed target: where, what its list says, what is missing."""

    target: str
    install: Path
    programs: tuple[str, ...]
    missing: tuple[Missing, ...]


@dataclass(frozen=True)
class _Place:
    """One folder of sources (in links), objects and installed tests."""

    paths: Paths
    key: str
    kernel: Kernel
    toolchain: Toolchain
    ui: Ui
    jobs: int | None

    def parts(self, own: Path, areas: Sequence[str], upstream: Sequence[str]) -> list[_Part]:
        """Build upstream targets here, and own areas in a place of their own."""
        lock = self.paths.cache / "locks" / f"selftests-{self.key}.lock"
        with locked(lock, on_wait=self.ui.line):
            self.prepare(self.kernel.src, "tools", self.kernel.src / "tools")
            built = [self.target(name) for name in upstream]
            if areas:
                key = _key(self.kernel, self.toolchain, own=hash_files(own))
                private = dataclasses.replace(self, key=key)
                # What an area includes or writes of upstream's tests is the
                # shared folder's, never the kernel's source.
                private.prepare(self.src, str(SELFTESTS / _AGENT), own, headers=self.build)
                built += [private.target(f"{_AGENT}/{area}", strict=True) for area in areas]
        return built

    @property
    def folder(self) -> Path:
        return self.paths.builds / self.key

    @property
    def src(self) -> Path:
        return self.folder / "src"

    @property
    def build(self) -> Path:
        return self.folder / "build"

    @property
    def install(self) -> Path:
        return self.folder / "install"

    def prepare(self, src: Path, hole: str, fill: Path, *, headers: Path | None = None) -> None:
        """Lay the sources out and install the kernel's headers, once.

        headers: a folder whose usr/include has them already.
        """
        if (self.folder / ".ready").exists():
            return
        check_disk(self.folder, _NEED_BYTES, self.ui, "selftests")
        self.folder.mkdir(parents=True, exist_ok=True)
        make_overlay(src, self.src, hole, fill)
        self.build.mkdir(exist_ok=True)
        if headers is None:
            with self.ui.step("kernel headers for selftests"):
                line = make_line(
                    self.toolchain, self.kernel.src, self.build, "headers", jobs=self._jobs()
                )
                run(line, env=build_env(self.paths), code=Exit.BUILD)
        else:
            link_to(self.build / "usr", headers / "usr")
        # Makefiles look for $(O)/vmlinux and $(O)/.config as if O were the kernel's.
        for name in ("vmlinux", ".config"):
            link_to(self.build / name, self.kernel.build / name)
        (self.folder / ".ready").touch()

    def target(self, name: str, *, strict: bool = False) -> _Part:
        """Build and install one target, or find it done.

        strict: a target that does not build is an error, else it is missing.
        """
        inputs = {"place": self.key, "target": name}
        installed = self.install / name
        record = load_record(self.paths.records, "selftest", inputs)
        if record is not None and installed.is_dir():
            return self._part(name, record)
        log = self.folder / "logs" / f"{name.replace('/', '-')}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(installed, ignore_errors=True)
        listing = self.install / "kselftest-list.txt"
        listing.unlink(missing_ok=True)
        start = time.monotonic()
        with self.ui.step(f"build selftests {name}") as step:
            done = run(
                self._line(name),
                env=build_env(self.paths),
                check=False,
                output=log,
                on_line=lambda text: step.update(text=text.strip()),
            )
            step.note = "built" if done.ok else "does not build"
        if not done.ok:
            return self._failed(name, done.stdout, log, strict=strict)
        pairs = parse_list(listing.read_text(encoding="utf-8"))
        programs = [program for collection, program in pairs if collection == name]
        lost = [p for p in programs if not (installed / p).is_file()]
        missing = [[p, "listed by the target, but not installed"] for p in lost]
        missing += [["", remark] for remark in parse_remarks(done.stdout)]
        record = Record(
            "selftest",
            inputs,
            {
                "programs": [p for p in programs if p not in lost],
                "missing": missing,
                "seconds": round(time.monotonic() - start, 1),
            },
        )
        save_record(self.paths.records, record)
        return self._part(name, record)

    def _part(self, name: str, record: Record) -> _Part:
        out = record.outputs
        missing = tuple(Missing(name, program, reason) for program, reason in out["missing"])
        return _Part(name, self.install, tuple(out["programs"]), missing)

    def _failed(self, name: str, output: str, log: Path, *, strict: bool) -> _Part:
        error = first_error(output, self.src, self.build)
        text = "\n".join(f"    {line}" for line in error.lines)
        if strict:
            raise KseriesError(
                Exit.BUILD,
                f"the selftests of {name} do not build\n{text}",
                where=error.file or name,
                hint=f"the whole log is {log}",
                details={"target": name, "lines": list(error.lines), "log": str(log)},
            )
        self.ui.warn(f"upstream selftests {name} do not build (log: {log})\n{text}")
        reason = " | ".join(error.lines) or "make failed without a message"
        return _Part(name, self.install, (), (Missing(name, "", f"does not build: {reason}"),))

    def _line(self, target: str) -> list[str | Path]:
        suffix = self.toolchain.llvm_suffix
        return [
            "make",
            "-C",
            self.src / SELFTESTS,
            f"O={self.build}",
            f"KHDR_INCLUDES=-isystem {self.build}/usr/include",
            f"KSFT_INSTALL_PATH={self.install}",
            f"TARGETS={target}",
            "SKIP_TARGETS=",  # sched_ext and bpf are skipped by default
            "FORCE_TARGETS=1",
            f"VMLINUX_BTF={self.kernel.vmlinux}",
            # Never a module for the host's own kernel.
            f"KDIR={self.kernel.build}",
            f"CLANG={self.toolchain.clang or 'clang'}",
            f"LLVM_STRIP=llvm-strip{suffix}",
            f"LLVM_CONFIG=llvm-config{suffix}",
            f"-j{self._jobs()}",
            "-Oline",
            "--no-print-directory",
            "install",
        ]

    def _jobs(self) -> int:
        return self.jobs or default_jobs()


def _key(kernel: Kernel, toolchain: Toolchain, **more: str) -> str:
    inputs = {"tree": kernel.tree, "config": kernel.config_hash, "compiler": toolchain.bpf_id}
    return record_key("selftests", {**inputs, **more})


def _without_tree(paths: Paths, target: str) -> _Part:
    """Return what is left of an area whose tree is not in this run."""
    reason = "it is built from the patched tree, and this run has the base kernel alone"
    return _Part(target, paths.builds / "none", (), (Missing(target, "", reason),))


def _check_names(kernel: Kernel, own: Path, areas: Sequence[str], upstream: Sequence[str]) -> None:
    known = list_areas(own)
    for name in areas:
        if name not in known:
            raise KseriesError(
                Exit.USAGE,
                f"there is no selftest area {name!r}",
                where=str(own),
                hint=f"the areas are: {', '.join(known) or 'none'}",
            )
    root = kernel.src / SELFTESTS
    for name in upstream:
        if not (root / name / "Makefile").is_file():
            others = [str(p.parent.relative_to(root)) for p in root.glob("*/Makefile")]
            close = difflib.get_close_matches(name, others, 4) or sorted(others)
            raise KseriesError(
                Exit.USAGE,
                f"the kernel tree has no selftests {name!r}",
                where=str(root),
                hint=f"for instance: {', '.join(close)}",
            )


def _assemble(paths: Paths, parts: Sequence[_Part], seconds: float) -> Install:
    """Make the folder that shows all targets as one kselftest installation."""
    places = [[part.target, str(part.install)] for part in parts]
    root = paths.builds / f"tests-{hash_json(places)}"
    root.mkdir(parents=True, exist_ok=True)
    programs: list[TestProgram] = []
    lines: list[str] = []
    for part in parts:
        folder = part.install / part.target
        if folder.is_dir():
            link_to(root / part.target, folder)
            for helper in ("kselftest", "run_kselftest.sh"):
                link_to(root / helper, part.install / helper)
        timeout = _timeout(folder)
        for name in part.programs:
            programs.append(TestProgram(part.target, name, folder, timeout))
            lines.append(f"{part.target}:{name}\n")
    (root / "kselftest-list.txt").write_text("".join(lines), encoding="utf-8")
    missing = tuple(item for part in parts for item in part.missing)
    return Install(root, tuple(programs), missing, seconds)


def _timeout(folder: Path) -> float | None:
    settings = folder / "settings"
    return parse_timeout(settings.read_text() if settings.is_file() else "")
