"""An area of selftests/ as a patch: what the harness lays over the tree, made part of it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from harness.core.errors import Exit, KseriesError
from harness.source.gitrepo import git
from harness.source.store import Source
from harness.submit.topic import SelftestText

TARGET = "tools/testing/selftests"
# The harness's own: what cases must do on the base, and kernels they must fail on.
_LEFT_OUT = ("plan.toml", "mutants")


def selftest_commit(repo: Path, source: Source, text: SelftestText, parent: str, date: str) -> str:
    """Commit an area on top of parent and return the id.

    date: of the author, as git writes it.
    """
    folder = repo / "selftests" / text.area
    if not (folder / "Makefile").is_file():
        raise KseriesError(
            Exit.USAGE,
            f"there is no area {text.area} of selftests",
            where=str(folder),
            hint="`[[selftest]]` in topic.toml names a folder of selftests/",
        )
    place = f"agent/{text.area}"
    with tempfile.TemporaryDirectory(prefix="kseries-selftest-") as scratch:
        env = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
        git("read-tree", parent, repo=source.git, env=env)
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder)
            if (
                path.is_file()
                and name.parts[0] not in _LEFT_OUT
                and "__pycache__" not in name.parts
            ):
                mode = "100755" if path.stat().st_mode & 0o100 else "100644"
                _add(source, env, f"{TARGET}/{place}/{name}", path.read_bytes(), mode)
        makefile = _show(source, parent, f"{TARGET}/Makefile")
        _add(source, env, f"{TARGET}/Makefile", with_target(makefile, place).encode())
        listed = _show(source, parent, "MAINTAINERS")
        listed = with_file(listed, text.maintainers, f"{TARGET}/{place}/")
        _add(source, env, "MAINTAINERS", listed.encode("utf-8", "surrogateescape"))
        tree = git("write-tree", repo=source.git, env=env).stdout.strip()
    subject = f"selftests/agent: Add tests of {text.area}"
    return git(
        "commit-tree", tree, "-p", parent, repo=source.git,
        stdin=f"{subject}\n\n{text.body}\n", env={"GIT_AUTHOR_DATE": date},
    ).stdout.strip()  # fmt: skip


def with_target(makefile: str, target: str) -> str:
    """Return selftests' Makefile with one more target, in alphabetical order."""
    line = f"TARGETS += {target}\n"
    lines = makefile.splitlines(keepends=True)
    if line in lines:
        return makefile
    rows = [n for n, text in enumerate(lines) if text.startswith("TARGETS += ")]
    after = [n for n in rows if lines[n] < line]
    at = (after[-1] + 1) if after else (rows[0] if rows else len(lines))
    return "".join([*lines[:at], line, *lines[at:]])


def with_file(maintainers: str, entry: str, path: str) -> str:
    """Return MAINTAINERS with path among the F: lines of an entry, in order."""
    lines = maintainers.split("\n")
    if entry not in lines:
        raise KseriesError(
            Exit.USAGE,
            f"MAINTAINERS has no entry {entry!r}",
            where="MAINTAINERS",
            hint="`maintainers` in topic.toml names the entry that gets the tests' F: line",
        )
    start = lines.index(entry)
    stop = next((n for n in range(start, len(lines)) if not lines[n].strip()), len(lines))
    new = f"F:\t{path}"
    if new in lines[start:stop]:
        return maintainers
    rows = [n for n in range(start, stop) if lines[n].startswith("F:")]
    after = [n for n in rows if lines[n] < new]
    at = (after[-1] + 1) if after else (rows[0] if rows else stop)
    return "\n".join([*lines[:at], new, *lines[at:]])


def _show(source: Source, commit: str, name: str) -> str:
    return git("show", f"{commit}:{name}", repo=source.git).stdout


def _add(source: Source, env: dict[str, str], name: str, data: bytes, mode: str = "100644") -> None:
    blob = git("hash-object", "-w", "--stdin", repo=source.git, stdin=data).stdout.strip()
    words = ("update-index", "--add", "--cacheinfo", f"{mode},{blob},{name}")
    git(*words, repo=source.git, env=env)
