from __future__ import annotations

import resource
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.core.ui import Ui
from harness.source.fetch import cached_path
from harness.source.gitrepo import checkout_tree
from harness.source.pin import Pin, load_pin
from harness.source.store import ensure_source, open_source, store_path
from harness.source.stream import makefile_version, quote_path
from harness.tests.tinykernel import (
    FILES,
    artefact,
    env_without_git,
    lay_out,
    pack,
    paths_in,
    pin_for,
    quiet,
    sh,
    tree_of,
)

# Equal on every machine: the tiny kernel's base commit.
BASE_COMMIT = "6744373d92eb573d4ce15f7821acf9bac0f1ecb3"


def nothing_left(paths: Paths, pin: Pin) -> bool:
    left = [path.name for path in paths.git.iterdir() if not path.name.endswith(".lock")]
    return not left and open_source(paths, pin) is None


def refused(paths: Paths, pin: Pin, source: Path) -> KseriesError:
    with pytest.raises(KseriesError) as caught:
        ensure_source(paths, pin, quiet(), str(source))
    assert caught.value.code == Exit.PIN
    assert caught.value.where
    assert caught.value.hint
    assert nothing_left(paths, pin)
    return caught.value


@pytest.mark.parametrize("suffix", ["tar.xz", "tar.gz", "tar"])
def test_tarball(tmp_path: Path, suffix: str) -> None:
    root = lay_out(tmp_path / "kernel")
    tarball = pack(root, tmp_path / f"linux.{suffix}")
    pin = pin_for(root)
    paths = paths_in(tmp_path)
    source = ensure_source(paths, pin, quiet(), str(tarball))
    assert source.tree == pin.tree
    assert source.base_commit == BASE_COMMIT
    checkout_tree(source.git, source.tree, tmp_path / "out")
    assert tree_of(tmp_path / "out") == pin.tree
    assert not (tmp_path / "out/drivers/left/out").exists()
    assert (tmp_path / "out/drivers/left/outside.c").read_bytes() == FILES["drivers/left/outside.c"]
    assert (source.git / "info/attributes").read_bytes() == FILES[".gitattributes"]
    # The second time nothing is read, not even what --source names.
    assert ensure_source(paths, pin, quiet(), "/nonexistent") == source


def test_without_the_xz_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = lay_out(tmp_path / "kernel")
    tarball = pack(root, tmp_path / "linux.tar.xz")
    monkeypatch.setattr("harness.source.importer.shutil.which", lambda name: None)
    source = ensure_source(paths_in(tmp_path), pin_for(root), quiet(), str(tarball))
    assert source.base_commit == BASE_COMMIT
    tarball.write_bytes(tarball.read_bytes()[:-200])
    error = refused(paths_in(tmp_path / "two"), pin_for(root), tarball)
    assert "cut off" in error.what


def test_folder(tmp_path: Path) -> None:
    root = lay_out(tmp_path / "kernel")
    source = ensure_source(paths_in(tmp_path), pin_for(root), quiet(), str(root))
    assert source.base_commit == BASE_COMMIT


def test_excluded_paths_may_be_gone_already(tmp_path: Path) -> None:
    root = lay_out(tmp_path / "kernel")
    pin = pin_for(root)
    shutil.rmtree(root / "drivers/left/out")
    (root / "Documentation/left-out.txt").unlink()
    tarball = pack(root, tmp_path / "orig.tar.xz")
    assert ensure_source(paths_in(tmp_path), pin, quiet(), str(tarball)).tree == pin.tree


def git_repo(root: Path, tag: str) -> None:
    sh("git", "init", "-q", root, cwd=root)
    sh("git", "add", "-A", "-f", cwd=root)
    sh("git", "commit", "-q", "-m", "release", cwd=root)
    sh("git", "tag", "-m", "signed or not", tag, cwd=root)
    (root / "Makefile").write_text("VERSION = 9\nPATCHLEVEL = 9\n")
    sh("git", "commit", "-q", "-am", "later work", cwd=root)
    # Attributes must not change what is imported.
    (root / ".git/info/attributes").write_text("* text eol=crlf\n")


@pytest.mark.parametrize("bare", [False, True])
def test_git(tmp_path: Path, bare: bool) -> None:
    root = lay_out(tmp_path / "kernel")
    pin = pin_for(root)
    git_repo(root, pin.tag)
    origin = root
    if bare:
        origin = tmp_path / "bare.git"
        sh("git", "clone", "-q", "--bare", root, origin, cwd=tmp_path)
    source = ensure_source(paths_in(tmp_path), pin, quiet(), str(origin))
    assert source.base_commit == BASE_COMMIT
    shutil.rmtree(origin)
    checkout_tree(source.git, source.tree, tmp_path / "out")
    assert tree_of(tmp_path / "out") == pin.tree


def test_git_without_the_tag(tmp_path: Path) -> None:
    root = lay_out(tmp_path / "kernel")
    pin = pin_for(root)
    git_repo(root, "v6.1.1")
    paths = paths_in(tmp_path)
    with pytest.raises(KseriesError, match=r"has no tag v6\.1\.2") as caught:
        ensure_source(paths, pin, quiet(), str(root))
    assert caught.value.code == Exit.PIN
    assert nothing_left(paths, pin)


def test_git_with_another_tree_under_the_tag(tmp_path: Path) -> None:
    root = lay_out(tmp_path / "kernel")
    pin = pin_for(root)
    (root / "Makefile").write_bytes(FILES["Makefile"].replace(b"= 2", b"= 9"))
    git_repo(root, pin.tag)
    error = refused(paths_in(tmp_path), pin, root)
    assert "its Makefile says 6.1.9, the pin is 6.1.2" in error.what


def test_one_changed_byte_in_the_archive(tmp_path: Path) -> None:
    root = lay_out(tmp_path / "kernel")
    tarball = pack(root, tmp_path / "linux.tar.xz")
    pin = pin_for(root, artefact(tarball))
    data = bytearray(tarball.read_bytes())
    data[len(data) // 2] ^= 1
    tarball.write_bytes(data)
    error = refused(paths_in(tmp_path), pin, tarball)
    assert "bytes were changed" in error.what
    assert pin.artefacts[0].sha256 in error.what
    # The same damage in a file that no artefact is like: the archive says so.
    error = refused(paths_in(tmp_path / "two"), pin_for(root), tarball)
    assert "damaged or cut off" in error.what


def test_one_changed_byte_in_a_file(tmp_path: Path) -> None:
    root = lay_out(tmp_path / "kernel")
    pin = pin_for(root)
    (root / "mm/mmap.c").write_bytes(FILES["mm/mmap.c"].replace(b"mmap_3;", b"mmap_4;"))
    error = refused(paths_in(tmp_path), pin, pack(root, tmp_path / "linux.tar.xz"))
    assert "its version is right but its files are not" in error.what
    assert pin.tree in error.what
    assert error.details["found"] != pin.tree


@pytest.mark.parametrize("keep", [0.5, 0.98])
def test_truncated(tmp_path: Path, keep: float) -> None:
    root = lay_out(tmp_path / "kernel")
    # The end of a plain tar is padding, which nobody misses.
    for suffix in ("tar.xz", "tar.gz", "tar") if keep < 0.9 else ("tar.xz", "tar.gz"):
        tarball = pack(root, tmp_path / f"linux.{suffix}")
        pin = pin_for(root, artefact(tarball))
        data = tarball.read_bytes()
        tarball.write_bytes(data[: int(len(data) * keep)])
        error = refused(paths_in(tmp_path / suffix), pin, tarball)
        assert f"it has {int(len(data) * keep)} of {len(data)} bytes" in error.what
        renamed = tarball.rename(tmp_path / f"other.{suffix}")
        error = refused(paths_in(tmp_path / f"{suffix}2"), pin, renamed)
        assert "damaged or cut off" in error.what


def test_debian_patched(tmp_path: Path) -> None:
    root = lay_out(tmp_path / "kernel")
    pin = pin_for(root)
    (root / "debian/patches").mkdir(parents=True)
    (root / "debian/patches/series").write_text("debian/version.patch\n")
    for number, origin in enumerate((root, pack(root, tmp_path / "linux.tar.xz"))):
        error = refused(paths_in(tmp_path / str(number)), pin, origin)
        assert "debian/patches" in error.what
        assert ".orig.tar.xz" in error.hint


def test_wrong_version(tmp_path: Path) -> None:
    root = lay_out(tmp_path / "kernel")
    pin = pin_for(root)
    (root / "Makefile").write_bytes(FILES["Makefile"].replace(b"SUBLEVEL = 2", b"SUBLEVEL = 3"))
    error = refused(paths_in(tmp_path), pin, pack(root, tmp_path / "linux.tar.xz"))
    assert "its Makefile says 6.1.3, the pin is 6.1.2" in error.what


def test_no_kernel_at_all(tmp_path: Path) -> None:
    pin = pin_for(lay_out(tmp_path / "kernel"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").write_text("hello\n")
    error = refused(paths_in(tmp_path), pin, pack(tmp_path / "other", tmp_path / "a.tar.xz"))
    assert "it is no kernel" in error.what
    (tmp_path / "text").write_text("this is no archive\n")
    error = refused(paths_in(tmp_path / "two"), pin, tmp_path / "text")
    assert "damaged or cut off" in error.what


def test_source_that_is_not_there(tmp_path: Path) -> None:
    pin = pin_for(lay_out(tmp_path / "kernel"))
    with pytest.raises(KseriesError) as caught:
        ensure_source(paths_in(tmp_path), pin, quiet(), str(tmp_path / "nope"))
    assert caught.value.code == Exit.USAGE


def test_a_killed_import_leaves_no_trace(tmp_path: Path) -> None:
    root = lay_out(tmp_path / "kernel")
    pin = pin_for(root)
    paths = paths_in(tmp_path)
    store = store_path(paths, pin)
    left = store.with_name(f"{store.name}.quarantine")
    (left / "objects").mkdir(parents=True)
    (left / "objects/junk").write_text("half a pack")
    assert open_source(paths, pin) is None
    source = ensure_source(paths, pin, quiet(), str(root))
    assert not left.exists()
    assert source.base_commit == BASE_COMMIT


def test_a_damaged_store_is_made_anew(tmp_path: Path) -> None:
    root = lay_out(tmp_path / "kernel")
    pin = pin_for(root)
    paths = paths_in(tmp_path)
    source = ensure_source(paths, pin, quiet(), str(root))
    shutil.rmtree(source.git / "objects")
    (source.git / "objects").mkdir()
    assert open_source(paths, pin) is None
    assert ensure_source(paths, pin, quiet(), str(root)) == source
    assert open_source(paths, pin) == source


def test_user_settings_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    (home / ".config/git").mkdir(parents=True)
    (home / ".gitconfig").write_text(
        "[core]\n\tautocrlf = true\n[commit]\n\tgpgsign = true\n[user]\n\tname = Someone\n"
        "[init]\n\tdefaultObjectFormat = sha256\n"
    )
    (home / ".config/git/attributes").write_text("* text eol=crlf\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Someone Else")
    root = lay_out(tmp_path / "kernel")
    pin = pin_for(root)
    source = ensure_source(paths_in(tmp_path), pin, quiet(), str(root))
    assert source.base_commit == BASE_COMMIT
    checkout_tree(source.git, source.tree, tmp_path / "out")
    assert tree_of(tmp_path / "out") == pin.tree


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("VERSION = 6\nPATCHLEVEL = 18\nSUBLEVEL = 15\nEXTRAVERSION =\n", "6.18.15"),
        ("VERSION = 7\nPATCHLEVEL = 0\nSUBLEVEL = 0\nEXTRAVERSION = -rc3\n", "7.0-rc3"),
        ("VERSION=6\nPATCHLEVEL=1\nSUBLEVEL=\n", "6.1"),
        ("all:\n\ttrue\n", ""),
    ],
)
def test_makefile_version(text: str, version: str) -> None:
    assert makefile_version(text) == version


def test_quote_path() -> None:
    assert quote_path("mm/a b.c") == b"mm/a b.c"
    assert quote_path('"q"\n') == b'"\\"q\\"\\n"'


@pytest.mark.real_tarball
def test_the_real_tarball(tmp_path: Path) -> None:
    real = Paths.discover()
    pin = load_pin(real.repo / "pin.toml")
    found = [
        path
        for item in pin.artefacts
        for path in (cached_path(real, item), real.downloads / item.name)
        if path.is_file()
    ]
    if not found:
        pytest.skip("no tarball of the pinned kernel in the cache (`kseries tree` gets it)")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = resource.getrusage(resource.RUSAGE_SELF)
    source = ensure_source(paths_in(tmp_path), pin, Ui(), str(found[0]))
    assert source.tree == pin.tree
    spent = 0.0
    for now, then in (
        (resource.getrusage(resource.RUSAGE_CHILDREN), before),
        (resource.getrusage(resource.RUSAGE_SELF), own),
    ):
        spent += now.ru_utime + now.ru_stime - then.ru_utime - then.ru_stime
    # CPU seconds, on two cores less on the clock; a loaded machine only makes it wait.
    assert spent < 60, f"the import took {spent:.0f} s of CPU time"
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_the_repository_names_no_mirror() -> None:
    """A package mirror's host name is the host's business, never this repository's."""
    repo = Paths.discover().repo
    done = (
        subprocess.run(
            ["apt-get", "indextargets", "--format", "$(REPO_URI)"],
            capture_output=True,
            check=False,
            env=env_without_git(),
        )
        if shutil.which("apt-get")
        else None
    )
    hosts = (
        {uri.split("/")[2] for uri in done.stdout.decode().split() if "://" in uri}
        if done
        else set()
    )
    if not hosts:
        pytest.skip("apt is not here, or has no lists yet")
    for host in hosts:
        found = subprocess.run(
            ["git", "grep", "-lF", host], cwd=repo, capture_output=True, check=False
        )
        assert found.stdout == b"", f"{host} is named in {found.stdout.decode()}"
