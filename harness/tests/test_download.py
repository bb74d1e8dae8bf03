from __future__ import annotations

import hashlib
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.source import fetch
from harness.source.download import UnavailableError, download, sha256_of
from harness.source.fetch import cached_path, obtain, places, repositories_in
from harness.source.pin import Artefact, Pin
from harness.source.store import ensure_source, open_source
from harness.tests.tinykernel import artefact, lay_out, pack, paths_in, pin_for, quiet

pytestmark = pytest.mark.network
BIG = bytes(range(256)) * 20_000  # 5 MB, several reads


@dataclass
class Server:
    """A server on localhost with faults: what it has, how it fails, what it was asked."""

    files: dict[str, bytes]
    cut: list[int] = field(default_factory=list)  # bytes after which each answer breaks off
    ranges: bool = True
    wrong_range: bool = False
    pause: float = 0.0  # seconds before each 64 KB
    asked: list[tuple[str, str]] = field(default_factory=list)  # path, Range
    url: str = ""


def serve(server: Server) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            server.asked.append((self.path, wanted))
            data = server.files.get(self.path)
            if data is None:
                self.send_error(404)
                return
            start = 0
            match = re.match(r"bytes=(\d+)-", wanted)
            if match and server.ranges:
                start = int(match[1])
                if start >= len(data):
                    self.send_error(416)
                    return
                self.send_response(206)
                start += 7 if server.wrong_range else 0
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            body = data[start:]
            if server.cut:
                body = body[: server.cut.pop(0)]
            try:
                for at in range(0, len(body), 1 << 16):
                    time.sleep(server.pause)
                    self.wfile.write(body[at : at + (1 << 16)])
            except OSError:
                pass  # the client was killed, as the test wanted

        def log_message(self, format: str, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_port}"
    threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
    return http


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server({"/big.tar.xz": BIG})
    http = serve(made)
    yield made
    http.shutdown()
    http.server_close()


@pytest.fixture
def big(tmp_path: Path) -> Artefact:
    (tmp_path / "big.tar.xz").write_bytes(BIG)
    return artefact(tmp_path / "big.tar.xz")


def get(server: Server, item: Artefact, dest: Path) -> None:
    download(f"{server.url}/big.tar.xz", item, dest, timeout=5)


def part(dest: Path) -> Path:
    return dest.with_name(f"{dest.name}.part")


def test_plain(server: Server, big: Artefact, tmp_path: Path) -> None:
    seen: list[int] = []
    download(f"{server.url}/big.tar.xz", big, tmp_path / "d", timeout=5, progress=seen.append)
    assert sha256_of(tmp_path / "d") == big.sha256
    assert seen == sorted(seen)
    assert seen[-1] == len(BIG)
    assert not part(tmp_path / "d").exists()


def test_a_broken_connection_is_continued(server: Server, big: Artefact, tmp_path: Path) -> None:
    server.cut = [1_000_000, 1_000_000]
    get(server, big, tmp_path / "d")
    assert [asked for _, asked in server.asked] == ["", "bytes=1000000-", "bytes=2000000-"]
    assert sha256_of(tmp_path / "d") == big.sha256


def test_a_part_of_an_earlier_run_is_continued(
    server: Server, big: Artefact, tmp_path: Path
) -> None:
    part(tmp_path / "d").write_bytes(BIG[:3_000_000])
    get(server, big, tmp_path / "d")
    assert server.asked == [("/big.tar.xz", "bytes=3000000-")]
    assert sha256_of(tmp_path / "d") == big.sha256


def test_a_whole_part_needs_no_server(server: Server, big: Artefact, tmp_path: Path) -> None:
    part(tmp_path / "d").write_bytes(BIG)
    get(server, big, tmp_path / "d")
    assert server.asked == []
    assert sha256_of(tmp_path / "d") == big.sha256


@pytest.mark.parametrize("junk", [b"\x00" * 3_000_000, BIG + b"more", b"\x00" * len(BIG)])
def test_a_bad_part_is_thrown_away(
    server: Server, big: Artefact, tmp_path: Path, junk: bytes
) -> None:
    part(tmp_path / "d").write_bytes(junk)
    get(server, big, tmp_path / "d")
    assert server.asked[-1] == ("/big.tar.xz", "")
    assert sha256_of(tmp_path / "d") == big.sha256


@pytest.mark.parametrize("fault", ["ranges", "wrong_range"])
def test_a_server_without_ranges_starts_over(
    server: Server, big: Artefact, tmp_path: Path, fault: str
) -> None:
    server.ranges = fault != "ranges"
    server.wrong_range = fault == "wrong_range"
    server.cut = [1_000_000]
    if fault == "wrong_range":
        # It says it continues elsewhere: what follows must not be appended.
        with pytest.raises(UnavailableError):
            get(server, big, tmp_path / "d")
        assert not (tmp_path / "d").exists()
        return
    get(server, big, tmp_path / "d")
    assert sha256_of(tmp_path / "d") == big.sha256


def test_a_server_that_never_gets_on_is_given_up(
    server: Server, big: Artefact, tmp_path: Path
) -> None:
    server.cut = [1_000_000] + [0] * 10
    with pytest.raises(UnavailableError):
        get(server, big, tmp_path / "d")
    assert len(server.asked) == 4
    assert not (tmp_path / "d").exists()
    assert part(tmp_path / "d").stat().st_size == 1_000_000  # the next server continues


def test_refusals(server: Server, big: Artefact, tmp_path: Path) -> None:
    def reason(url: str) -> str:
        with pytest.raises(UnavailableError) as caught:
            download(url, big, tmp_path / "d", timeout=2)
        assert not (tmp_path / "d").exists()
        return str(caught.value)

    assert "404" in reason(f"{server.url}/nothing")
    server.files["/small"] = b"<html>log in first</html>"
    assert f"offers 25 bytes, expected {len(BIG)}" in reason(f"{server.url}/small")
    server.files["/other"] = BIG[:-1] + b"?"
    assert f"expected {big.sha256}" in reason(f"{server.url}/other")
    assert not part(tmp_path / "d").exists()
    assert "refused" in reason("http://127.0.0.1:9/file")


def test_order_of_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "SNAPSHOT", "https://archive.example/file/")
    debian = Artefact("l.orig.tar.xz", "debian-orig", "a" * 64, 1, sha1="b" * 40)
    kernel = Artefact("l.tar.xz", "kernel.org", "c" * 64, 1, url="https://k.example/l.tar.xz")
    pin = Pin("6.1", "v6.1", "d" * 40, (), (debian, kernel))
    asked = []

    def repositories() -> list[str]:
        asked.append(1)
        return ["http://one.example/debian/", "http://two.example/debian"]

    walk = places(pin, "http://m.example/dir/", repositories)
    urls = [next(walk).url for _ in range(3)]
    assert urls == [
        "http://m.example/dir/l.orig.tar.xz",
        "http://m.example/dir/l.tar.xz",
        "https://k.example/l.tar.xz",
    ]
    assert asked == []  # apt is asked only when its turn comes
    rest = list(walk)
    assert [place.url for place in rest] == [
        "http://one.example/debian/pool/main/l/linux/l.orig.tar.xz",
        "http://two.example/debian/pool/main/l/linux/l.orig.tar.xz",
        fetch.SNAPSHOT + "b" * 40,
    ]
    assert rest[-1].timeout < rest[0].timeout


def test_repositories_of_apt() -> None:
    listing = (
        "http://one.example/debian/\nhttp://one.example/debian/\nmirror+http://x.example/\n"
        "cdrom://Debian/\nfile:/srv/debian\nhttps://two.example/debian/\n\n"
    )
    assert repositories_in(listing) == ["http://one.example/debian/", "https://two.example/debian/"]
    assert repositories_in("") == []


@dataclass
class Offline:
    """A tiny kernel that only the local server has."""

    paths: Paths
    pin: Pin
    server: Server


@pytest.fixture
def offline(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Offline:
    root = lay_out(tmp_path / "kernel")
    tarball = pack(root, tmp_path / "l.orig.tar.xz")
    server.files = {"/pool/main/l/linux/l.orig.tar.xz": tarball.read_bytes()}
    known = artefact(tarball)
    other = Artefact("l.tar.xz", "kernel.org", "c" * 64, 1, url="http://127.0.0.1:9/l.tar.xz")
    monkeypatch.delenv("KSERIES_MIRROR", raising=False)
    monkeypatch.setattr(fetch, "apt_repositories", lambda: [f"{server.url}/no", server.url])
    monkeypatch.setattr(fetch, "SNAPSHOT", f"{server.url}/file/")
    return Offline(paths_in(tmp_path), pin_for(root, known, other), server)


def test_from_apts_pool(offline: Offline) -> None:
    source = ensure_source(offline.paths, offline.pin, quiet())
    assert source.tree == offline.pin.tree
    assert [path for path, _ in offline.server.asked] == [
        "/no/pool/main/l/linux/l.orig.tar.xz",
        "/pool/main/l/linux/l.orig.tar.xz",
    ]
    kept = cached_path(offline.paths, offline.pin.artefacts[0])
    assert sha256_of(kept) == offline.pin.artefacts[0].sha256
    assert [path.name for path in offline.paths.downloads.iterdir()] == [kept.name]


def test_from_a_mirror(offline: Offline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KSERIES_MIRROR", f"{offline.server.url}/pool/main/l/linux")
    ensure_source(offline.paths, offline.pin, quiet())
    assert offline.server.asked == [("/pool/main/l/linux/l.orig.tar.xz", "")]
    # A folder is a mirror, too, and is not copied.
    monkeypatch.setenv("KSERIES_MIRROR", str(tmp_path))
    elsewhere = paths_in(tmp_path / "elsewhere")
    assert obtain(elsewhere, offline.pin, quiet()) == tmp_path / "l.orig.tar.xz"


def test_from_the_snapshot_archive(offline: Offline) -> None:
    data = offline.server.files.popitem()[1]
    sha1 = offline.pin.artefacts[0].sha1
    offline.server.files[f"/file/{sha1}"] = data
    assert ensure_source(offline.paths, offline.pin, quiet()).tree == offline.pin.tree


def test_nowhere(offline: Offline) -> None:
    offline.server.files.clear()
    with pytest.raises(KseriesError) as caught:
        ensure_source(offline.paths, offline.pin, quiet())
    error = caught.value
    assert error.code == Exit.PIN
    assert "kseries tree --source FILE" in error.hint
    assert "l.orig.tar.xz or l.tar.xz" in error.hint
    assert len(error.details["tried"]) == 4
    assert error.what.count("404") == 3


def test_a_cached_tarball(offline: Offline) -> None:
    ensure_source(offline.paths, offline.pin, quiet())
    kept = cached_path(offline.paths, offline.pin.artefacts[0])
    data = kept.read_bytes()
    offline.server.asked.clear()
    assert obtain(offline.paths, offline.pin, quiet()) == kept
    # Under its own name, as a person would drop it there.
    dropped = kept.rename(offline.paths.downloads / "l.orig.tar.xz")
    assert obtain(offline.paths, offline.pin, quiet()) == dropped
    assert offline.server.asked == []
    # Damaged on disk: fetched again.
    dropped.unlink()
    kept.write_bytes(data[:-1] + b"?")
    assert obtain(offline.paths, offline.pin, quiet()) == kept
    assert kept.read_bytes() == data


CHILD = """
import sys
from pathlib import Path
from harness.core.paths import Paths
from harness.core.ui import Ui
from harness.source import fetch
from harness.source.pin import parse_pin
from harness.source.store import ensure_source
fetch.apt_repositories = lambda: [sys.argv[2]]
root = Path(sys.argv[1])
paths = Paths(root / "repo", root / "cache", root / "out")
print(ensure_source(paths, parse_pin(sys.stdin.read()), Ui()).base_commit)
"""


def start(offline: Offline, pin_text: str) -> subprocess.Popen[bytes]:
    root = offline.paths.repo.parent
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(root), offline.server.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert child.stdin
    child.stdin.write(pin_text.encode())
    child.stdin.close()
    child.stdin = None
    return child


def as_toml(pin: Pin) -> str:
    item = pin.artefacts[0]
    return (
        f'version = "{pin.version}"\ntag = "{pin.tag}"\ntree = "{pin.tree}"\n'
        f"excluded = {list(pin.excluded)}\n[[artefact]]\n"
        f'name = "{item.name}"\nkind = "{item.kind}"\nsha256 = "{item.sha256}"\n'
        f"size = {item.size}\n"
    )


def test_two_runs_at_once(offline: Offline) -> None:
    offline.server.pause = 3.0  # longer than a process takes to start
    children = [start(offline, as_toml(offline.pin)) for _ in range(2)]
    outputs = [child.communicate(timeout=120) for child in children]
    assert [child.returncode for child in children] == [0, 0], outputs
    assert len({out for out, _ in outputs}) == 1
    # One downloaded and imported, the other waited for it.
    assert len(offline.server.asked) == 1
    assert open_source(offline.paths, offline.pin) is not None
    assert sum(b"waiting for another run" in err for _, err in outputs) == 1


def test_a_killed_download_is_continued(offline: Offline, big: Artefact, tmp_path: Path) -> None:
    """SIGKILL in the middle leaves a part and no entry; the next run takes it up."""
    (name,) = offline.server.files
    root = tmp_path / "kernel"
    # Large enough, and hardly compressible, to be caught in the middle.
    noise = b"".join(sha256_of_text(n) for n in range(60_000))
    (root / "init/noise.bin").write_bytes(noise)
    (tmp_path / "kernel-without/init/noise.bin").write_bytes(noise)
    tarball = pack(root, tmp_path / "l.orig.tar.xz")
    offline.server.files[name] = tarball.read_bytes()
    pin = pin_for(root, artefact(tarball))
    offline.server.pause = 0.2
    child = start(offline, as_toml(pin))
    entry = cached_path(offline.paths, pin.artefacts[0])
    deadline = time.monotonic() + 60
    while not (part(entry).exists() and part(entry).stat().st_size):
        assert time.monotonic() < deadline, "the download never started"
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    have = part(entry).stat().st_size
    assert 0 < have < pin.artefacts[0].size
    assert not entry.exists()
    assert open_source(offline.paths, pin) is None
    offline.server.pause = 0.0
    offline.server.asked.clear()
    assert ensure_source(offline.paths, pin, quiet()).tree == pin.tree
    assert offline.server.asked[-1] == (name, f"bytes={have}-")
    assert entry.exists()
    assert not part(entry).exists()


def sha256_of_text(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()
