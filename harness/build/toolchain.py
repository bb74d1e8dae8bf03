"""The compilers of this host, and the environment every build runs in."""

from __future__ import annotations

import functools
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.core.proc import run
from harness.core.record import hash_json

# Older clangs lose the kptr tags of BPF objects.
CLANG_MIN = 16
_REMOTE = ("CCACHE_REMOTE_STORAGE", "CCACHE_REMOTE_ONLY", "CCACHE_RESHARE")
_FOREIGN = ("KBUILD_", "KCONFIG_", "CCACHE_", "MAKE", "CONFIG_", "KSFT_", "LLVM", "LC_")
_FOREIGN_NAMES = frozenset(
    {"ARCH", "SRCARCH", "CC", "LD", "HOSTCC", "CFLAGS", "CPPFLAGS", "LDFLAGS", "CLANG"}
    | {"CROSS_COMPILE", "LOCALVERSION", "O", "OUTPUT", "V", "KCFLAGS", "KAFLAGS", "KDIR"}
    | {"TARGETS", "INSTALL_PATH", "GREP_OPTIONS", "CDPATH", "BASH_ENV", "ENV"}
)


@dataclass(frozen=True)
class Toolchain:
    """The tools of a build, each with the version text it prints.

    ccache, clang and pahole are empty where the host lacks them: a compiler
    cache and BPF tests are then missing, a kernel can still be built.
    """

    cc: str
    cc_version: str
    ld_version: str
    ccache: str
    clang: str
    clang_version: str
    pahole_version: str

    @property
    def id(self) -> str:
        """What of the toolchain can change a kernel, as a hash."""
        return hash_json([self.cc_version, self.ld_version, self.pahole_version])

    @property
    def bpf_id(self) -> str:
        """The same for what is built with clang as well."""
        return hash_json([self.id, self.clang_version])

    @property
    def make_cc(self) -> str:
        """The CC= of make's line, through the compiler cache where there is one."""
        return f"{self.ccache} {self.cc}" if self.ccache else self.cc

    @property
    def llvm_suffix(self) -> str:
        """The suffix of clang's sisters (llvm-strip-19), such as "-19"."""
        name = Path(self.clang).name
        return name.removeprefix("clang") if name.startswith("clang-") else ""

    def describe(self) -> dict[str, str]:
        """Return name and version of every tool, for records and results."""
        return {key: str(value) for key, value in asdict(self).items()}


def newest_clang(names: Iterable[str]) -> str:
    """Return the clang-N of names with the highest N of at least CLANG_MIN, or ""."""
    found = [(int(m[1]), name) for name in names if (m := re.fullmatch(r"clang-(\d+)", name))]
    usable = [entry for entry in found if entry[0] >= CLANG_MIN]
    return max(usable)[1] if usable else ""


@functools.cache
def detect_toolchain() -> Toolchain:
    """Find the compilers on PATH; a missing gcc, ld or make is an error."""
    for name in ("make", "gcc", "ld"):
        if not shutil.which(name):
            raise KseriesError(
                Exit.HOST,
                f"the program {name!r} was not found, and a kernel needs it",
                where=os.environ.get("PATH", ""),
                hint="run `./kseries doctor`: it names the package",
            )
    folders = [Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]
    names = {path.name for folder in folders if folder.is_dir() for path in folder.glob("clang-*")}
    clang = newest_clang(names)
    if not clang and (version := _version("clang")):
        number = re.search(r"version (\d+)", version)
        clang = "clang" if number and int(number[1]) >= CLANG_MIN else ""
    return Toolchain(
        cc="gcc",
        cc_version=_version("gcc"),
        ld_version=_version("ld"),
        ccache="ccache" if shutil.which("ccache") else "",
        clang=clang,
        clang_version=_version(clang) if clang else "",
        pahole_version=_version("pahole"),
    )


def _version(program: str) -> str:
    if not shutil.which(program):
        return ""
    lines = run([program, "--version"], check=False, timeout=30).stdout.splitlines()
    return lines[0].strip() if lines else ""


def build_env(paths: Paths) -> dict[str, str]:
    """Return the whole environment of a build.

    The caller's CFLAGS, KBUILD_* and the like stay out; time, user and host
    are fixed, so that one tree gives one image; ccache looks for sources
    relative to paths.builds, so that two keys share their objects.
    """
    env = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(_FOREIGN) and key not in _FOREIGN_NAMES
    }
    # The kernel's Makefile drops LC_ALL, so both say how gcc quotes in its
    # messages; ccache, which replays them, hashes LANG.
    env.update(
        LANG="C.UTF-8",
        LC_ALL="C.UTF-8",
        TZ="UTC",
        KBUILD_BUILD_TIMESTAMP="Thu Jan  1 00:00:00 UTC 1970",
        KBUILD_BUILD_USER="kseries",
        KBUILD_BUILD_HOST="localhost",
        CCACHE_DIR=str(paths.ccache),
        CCACHE_BASEDIR=str(paths.builds),
        CCACHE_NOHASHDIR="1",
        CCACHE_MAXSIZE=os.environ.get("CCACHE_MAXSIZE", "10G"),
    )
    # CCACHE_RECACHE=1 measures a cold build; CCACHE_DISABLE=1 goes without; the
    # remote storage is what several machines share.  Empty is unset, as a CI has it.
    for name in ("CCACHE_RECACHE", "CCACHE_DISABLE", *_REMOTE):
        if os.environ.get(name):
            env[name] = os.environ[name]
    return env


def make_line(
    toolchain: Toolchain, src: Path, build: Path, *targets: str, jobs: int
) -> list[str | Path]:
    """Return make's argv for a kernel tree: out of tree, without a local version."""
    return [
        "make",
        "-C",
        src,
        f"O={build}",
        "LOCALVERSION=",
        f"CC={toolchain.make_cc}",
        f"HOSTCC={toolchain.make_cc}",
        f"-j{jobs}",
        *targets,
    ]


def default_jobs() -> int:
    """Return how many compilers to run at once: one a CPU this process may use."""
    return len(os.sched_getaffinity(0)) or 1
