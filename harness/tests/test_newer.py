"""A program of a newer Debian, unpacked beside the host: chosen, fetched, refused."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.core.proc import Completed
from harness.host import deps, doctor, newer
from harness.tests.test_host import capability, program
from harness.tests.tinykernel import paths_in, quiet

NEEDS = (("thing", "1.26"),)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A Debian 12 whose emu is 1.24; emu is what `thing` of the table needs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program(folder, "emu", "v1.24")
    program(folder, "apt-get", "")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(deps, "SEARCH", f"{folder}:/usr/bin:/bin")
    row = capability(needs=("emu",), minimum="1.22", debian=("emu-tools",))
    for module in (newer, doctor):
        monkeypatch.setattr(module, "load_capabilities", lambda: (row,))
    monkeypatch.setattr(newer, "distribution", lambda: ("debian", "bookworm"))
    monkeypatch.setattr(newer, "mirrors_of", lambda codename: ["http://mirror.invalid/debian/"])
    return paths_in(tmp_path)


def serve(monkeypatch: pytest.MonkeyPatch, versions: dict[str, str]) -> list[list[str]]:
    """Let apt have one package in each suite, which says this version; return its calls."""
    calls: list[list[str]] = []
    current: list[str] = []

    @contextmanager
    def lists(mirrors: list[str], suites: tuple[str, ...]) -> Iterator[list[str]]:
        current[:] = suites
        cache = Path(os.environ["KSERIES_TEST_CACHE"])
        shutil.rmtree(cache, ignore_errors=True)
        (cache / "archives").mkdir(parents=True)
        yield ["-o", f"Dir::Cache={cache}"]

    def run(argv: Sequence[str | Path], **more: Any) -> Completed:
        words = [str(word) for word in argv]
        calls.append(words)
        if words[0] == "apt-get" and "install" in words:
            if current[0] not in versions:
                raise KseriesError(Exit.HOST, "no such suite", hint="404")
            cache = Path(words[words.index("-o") + 1].split("=")[1])
            (cache / "archives" / "emu.deb").touch()
        elif words[0] == "dpkg-deb":
            root = Path(words[-1])
            lib = root / "usr/lib/x86_64-linux-gnu"
            lib.mkdir(parents=True)
            (root / "usr/bin").mkdir()
            # Stands for the loader: it is handed --library-path, folders, the program.
            program(lib, "ld-linux-x86-64.so.2", f"v{versions[current[0]]}")
            program(root / "usr/bin", "emu", "not to be started without its loader")
        elif words[-1] == "--version":
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            return Completed(tuple(words), 0, done.stdout, "", 0.0)
        return Completed(tuple(words), 0, "", "", 0.0)

    monkeypatch.setattr(newer, "private_lists", lists)
    monkeypatch.setattr(newer, "run", run)
    return calls


def test_new_enough_is_left_alone(host: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = serve(monkeypatch, {})
    before = os.environ["PATH"]
    newer.provide(host, (("thing", "1.24"),), "build", quiet())
    newer.provide(host, NEEDS, "clean", quiet())
    assert (os.environ["PATH"], calls) == (before, [])


def test_fetched_once(host: Paths, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KSERIES_TEST_CACHE", str(tmp_path / "apt"))
    calls = serve(monkeypatch, {"trixie": "1.30", "forky": "1.31"})
    checks = doctor.capability_checks(host, NEEDS)
    assert [check.state for _, check in checks] == ["limited"]
    newer.provide(host, NEEDS, "build", quiet())
    folder = host.tools / "emu-1.30" / "bin"
    assert os.environ["PATH"].startswith(f"{folder}:")
    assert deps.version_of("emu") == (1, 30)
    install = next(call for call in calls if "install" in call)
    assert install[-1] == "emu-tools"
    assert "--download-only" in install
    assert not any(word == "-t" for word in install)
    count = len(calls)
    monkeypatch.setenv("PATH", os.environ["PATH"].partition(":")[2])
    newer.provide(host, NEEDS, "build", quiet())
    assert len(calls) == count
    monkeypatch.setenv("PATH", os.environ["PATH"].partition(":")[2])
    finding, check = doctor.capability_checks(host, NEEDS)[0]
    assert (check.state, finding.version) == ("ok", "1.24")
    assert "emu-1.30" in check.detail


def test_suite_after_suite(host: Paths, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KSERIES_TEST_CACHE", str(tmp_path / "apt"))
    serve(monkeypatch, {"trixie": "1.25", "forky": "1.31"})
    newer.provide(host, NEEDS, "build", quiet())
    assert newer.unpacked(host, "emu", "1.26") == host.tools / "emu-1.31" / "bin"
    assert newer.unpacked(host, "emu", "1.32") is None


def test_nowhere(host: Paths, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KSERIES_TEST_CACHE", str(tmp_path / "apt"))
    serve(monkeypatch, {"trixie": "1.25"})
    with pytest.raises(KseriesError) as caught:
        newer.provide(host, NEEDS, "build", quiet())
    assert caught.value.code == Exit.HOST
    assert "needs emu 1.26 or newer, the host has 1.24" in caught.value.what
    assert "trixie has 1.25; forky: no such suite" in caught.value.what
    assert not list(host.tools.glob(".emu.partial"))
    monkeypatch.setattr(newer, "distribution", lambda: ("fedora", ""))
    with pytest.raises(KseriesError, match="only Debian"):
        newer.provide(host, NEEDS, "build", quiet())


def test_unknown_need(host: Paths) -> None:
    with pytest.raises(KseriesError) as caught:
        newer.provide(host, (("no-such", "1"),), "build", quiet())
    assert caught.value.code == Exit.USAGE
