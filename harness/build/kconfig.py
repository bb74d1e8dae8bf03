"""Make a kernel configuration, and prove that every requested symbol took."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.build.fragments import ConfigSet, Plan, Request, find_set, merge, read_fragment
from harness.build.symbols import Symbols
from harness.build.toolchain import Toolchain, build_env, make_line
from harness.core.errors import Exit, KseriesError
from harness.core.lock import locked
from harness.core.paths import Paths
from harness.core.proc import run
from harness.core.record import hash_json, write_atomic
from harness.source.gitrepo import git

SELFTESTS = Path("tools/testing/selftests")
# What `make olddefconfig` and kconfiglib read of a kernel tree (26 MB of 1.7 GB).
_KCONFIG_FILES = re.compile(
    r"(^|/)Kconfig[^/]*$|^scripts/|^Makefile$|^Kbuild$|^arch/x86/Makefile|"
    r"^tools/testing/selftests/.*/?config$"
)


@dataclass(frozen=True)
class Untaken:
    """A wish that did not take: request, what the symbol is instead, and why."""

    symbol: str
    wanted: str
    got: str
    place: str
    reason: str

    def __str__(self) -> str:
        return (
            f"CONFIG_{self.symbol}={self.wanted} ({self.place}) did not take, "
            f"it is {self.got}: {self.reason}"
        )


@dataclass(frozen=True)
class Config:
    """A finished .config.

    path: the file; values: symbol to value, switched-off symbols left out;
    plan: what was asked for; untaken: upstream's wishes that did not take.
    """

    path: Path
    values: Mapping[str, str]
    plan: Plan
    untaken: tuple[Untaken, ...]


def parse_config(text: str) -> dict[str, str]:
    """Return the values of a .config; a symbol that is off does not appear."""
    pattern = re.compile(r"^CONFIG_(\w+)=(.*)$", re.MULTILINE)
    return {m[1]: m[2] for m in pattern.finditer(text)}


def misses(requests: Iterable[Request], values: Mapping[str, str]) -> list[Request]:
    """Return the requests that values do not satisfy."""
    return [r for r in requests if values.get(r.symbol, "n") != r.value]


def plan_config(
    config_set: ConfigSet, *, root: Path, extra: Sequence[Path] = (), src: Path | None = None
) -> Plan:
    """Read and merge what a set asks for.

    root: the repository, for short names; extra: `config` files of own
    selftests, strict; src: the kernel tree whose upstream selftests' wishes
    join in (None leaves them out: the plan of fragments alone).
    """
    layers: list[tuple[Request, ...]] = []
    for target in config_set.upstream if src else ():
        assert src is not None
        path = src / SELFTESTS / target / "config"
        if not path.is_file():
            raise KseriesError(
                Exit.CONFIG,
                f"the kernel tree has no config for the selftests of {target!r}",
                where=str(path),
                hint="take the target out of `upstream` in kconfig/sets.toml",
            )
        layers.append(read_fragment(path, root=src, strict=False))
    layers += [read_fragment(path, root=root) for path in config_set.fragments]
    needs = [request for path in extra for request in read_fragment(path, root=root)]
    return merge(layers, needs)


def request_hash(config_set: ConfigSet, *, root: Path, extra: Sequence[Path] = ()) -> str:
    """Return the hash of what is asked for, before any kernel tree is at hand.

    With the tree and the compiler it determines the .config: upstream's wishes
    are files of the tree, so their targets' names are enough here.
    """
    plan = plan_config(config_set, root=root, extra=extra)
    return hash_json([plan.config_hash, sorted(config_set.upstream)])


def make_config(
    paths: Paths,
    src: Path,
    build: Path,
    *,
    set_name: str,
    kconfig_dir: Path,
    toolchain: Toolchain,
    extra: Sequence[Path] = (),
    later: Collection[str] = (),
) -> Config:
    """Write build/.config for a set and check every symbol of it.

    src: a kernel tree (kconfig_tree's part of one is enough); a strict
    request that did not take ends in exit 10 with its unmet dependencies.
    later: symbols that patches define which this tree is without; while it
    does not know them, a request for them is no more than a wish.
    """
    plan = plan_config(find_set(kconfig_dir, set_name), root=paths.repo, extra=extra, src=src)
    build.mkdir(parents=True, exist_ok=True)
    path = build / ".config"
    write_atomic(path, plan.text)
    line = make_line(toolchain, src, build, "olddefconfig", jobs=1)
    # run() closes stdin: Kconfig must never wait for an answer.
    done = run(line, env=build_env(paths), check=False, timeout=600)
    if not done.ok:
        tail = (done.stderr or done.stdout).strip().splitlines()[-12:]
        raise KseriesError(
            Exit.CONFIG,
            "make olddefconfig failed",
            where=done.line,
            hint="its last lines were:\n    " + "\n    ".join(tail),
        )
    values = parse_config(path.read_text(encoding="utf-8"))
    missed = misses(plan.requests.values(), values)
    lost = [o for o in plan.overrides if not o.weaker.strict]
    if not missed and not lost:
        return Config(path, values, plan, ())
    symbols = Symbols(src, path, toolchain) if missed else None
    if symbols is not None:
        absent = {name for name in later if not symbols.known(name)}
        if strict := [r for r in missed if r.strict and r.symbol not in absent]:
            raise did_not_take(strict, values, symbols, set_name)
    untaken = [
        _untaken(request, values, symbols.why_not(request.symbol, request.value))
        for request in missed
        if symbols is not None
    ]
    untaken += [
        _untaken(o.weaker, values, [f"{o.stronger.place} decides: {o.stronger.reason}"])
        for o in lost
        if values.get(o.weaker.symbol, "n") != o.weaker.value
    ]
    return Config(path, values, plan, tuple(untaken))


def did_not_take(
    missed: Sequence[Request], values: Mapping[str, str], symbols: Symbols, set_name: str
) -> KseriesError:
    """Return the error that says, per symbol, who asked and what is unmet."""
    blocks = []
    details = []
    for request in missed:
        got = values.get(request.symbol, "n")
        why = symbols.why_not(request.symbol, request.value)
        blocks.append(f"{request} asked for at {request.place}, but it is {got}:")
        blocks += [f"  {line}" for line in why]
        details.append(
            {
                "symbol": f"CONFIG_{request.symbol}",
                "wanted": request.value,
                "got": got,
                "where": request.place,
                "why": why,
            }
        )
    count = len(missed)
    return KseriesError(
        Exit.CONFIG,
        f"{count} requested symbol{'s' * (count > 1)} of the set {set_name!r} did not take\n"
        + "\n".join(f"    {line}" for line in blocks),
        where=", ".join(request.place for request in missed),
        hint="add what is unmet to the fragment, or drop the line; "
        "`kseries config --explain SYMBOL` shows more",
        details={"symbols": details},
    )


def _untaken(request: Request, values: Mapping[str, str], why: Sequence[str]) -> Untaken:
    got = values.get(request.symbol, "n")
    reason = "; ".join(line.strip() for line in why)
    return Untaken(request.symbol, request.value, got, request.place, reason)


def kconfig_tree(paths: Paths, store: Path, tree: str) -> Path:
    """Return a folder with the part of a kernel tree that configuring needs.

    store: the bare repository that has the tree.  A second to make, so that
    `kseries config` does not wait for 1.7 GB of sources.
    """
    dest = paths.cache / "kconfig" / tree[:20]
    with locked(dest.with_suffix(".lock")):
        if (dest / ".complete").exists():
            return dest
        listing = git("ls-tree", "-r", "--name-only", "-z", tree, repo=store).stdout
        names = [name for name in listing.split("\0") if _KCONFIG_FILES.search(name)]
        dest.mkdir(parents=True, exist_ok=True)
        index = dest.with_name(f".{dest.name}.index-{os.getpid()}")
        env = {"GIT_INDEX_FILE": str(index)}
        try:
            git("read-tree", tree, repo=store, env=env)
            git(
                f"--git-dir={store.resolve()}",
                f"--work-tree={dest.resolve()}",
                "checkout-index",
                "--force",
                "--quiet",
                "-z",
                "--stdin",
                repo=store,
                env=env,
                stdin="".join(f"{name}\0" for name in names),
            )
        finally:
            index.unlink(missing_ok=True)
        (dest / ".complete").touch()
    return dest
