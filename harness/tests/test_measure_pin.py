"""A pin computed from a tarball, and verbs that work with it."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from harness.cli import WITHOUT_PIN, build_parser, tree
from harness.core.context import Context
from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.source.measure import CHANGES, needs_of
from harness.source.pin import parse_pin, pin_text
from harness.source.store import ensure_source, open_source
from harness.tests.test_cli_tree import call
from harness.tests.tinykernel import EXCLUDED, VERSION, lay_out, pack, paths_in, pin_for, quiet

DEBIAN = f"linux_{VERSION}.orig.tar.xz"
TABLE = """\
====================== ===============  ====
GNU C                  8.1              gcc --version
pahole                 1.26             pahole --version
====================== ===============  ====
pahole
"""


@pytest.fixture
def context(tmp_path: Path) -> Context:
    paths = paths_in(tmp_path)
    root = lay_out(tmp_path / "kernel")
    (root / CHANGES).parent.mkdir(parents=True)
    (root / CHANGES).write_text(TABLE)
    (paths.repo / "pin.toml").write_text(pin_text(pin_for(root), ["another kernel"]))
    return Context(paths, quiet())


def test_pin_of_a_tarball(context: Context, tmp_path: Path) -> None:
    root = tmp_path / "kernel"
    tarball = pack(root, tmp_path / DEBIAN)
    made = call(tree, context, "--pin-of", str(tarball))
    pin = parse_pin(made.text)
    assert (pin.version, pin.tag) == (VERSION, f"v{VERSION}")
    # The tree id is that of a plain `git add` without the excluded paths.
    assert pin.tree == pin_for(root).tree
    assert pin.excluded == EXCLUDED
    assert made.data["held"] == list(EXCLUDED)
    assert f"the tarball holds {', '.join(EXCLUDED)}." in made.text
    assert pin.needs == (("btf", "1.26"),)
    data = tarball.read_bytes()
    artefact = pin.artefacts[0]
    assert (artefact.kind, artefact.size) == ("debian-orig", len(data))
    assert artefact.sha256 == hashlib.sha256(data).hexdigest()
    assert artefact.sha1 == hashlib.sha1(data).hexdigest()
    # What was read is in the cache, verified: the pin needs no source any more.
    assert open_source(context.paths, pin) is not None
    assert ensure_source(context.paths, pin, quiet(), "/nonexistent").tree == pin.tree
    # Again, and from a tarball that lacks what Debian leaves out.
    for name in EXCLUDED:
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    again = call(tree, context, "--pin-of", str(pack(root, tarball)))
    assert again.data["tree"] == pin.tree
    assert "the tarball holds none." in again.text
    left = {path.name for path in context.paths.git.iterdir()}
    assert left == {f"{pin.tree}.git", ".unknown.lock"} | {n for n in left if n.endswith(".lock")}


def test_pin_of_kernel_org(context: Context, tmp_path: Path) -> None:
    tarball = pack(tmp_path / "kernel", tmp_path / f"linux-{VERSION}.tar.xz")
    artefact = call(tree, context, "--pin-of", str(tarball)).data["artefact"]
    assert artefact["kind"] == "kernel.org"
    assert artefact["url"].endswith(f"/kernel/v6.x/linux-{VERSION}.tar.xz")


def test_refused(context: Context, tmp_path: Path) -> None:
    def refused(path: Path) -> KseriesError:
        with pytest.raises(KseriesError) as caught:
            call(tree, context, "--pin-of", str(path))
        assert caught.value.hint
        return caught.value

    assert refused(tmp_path / "linux-9.9.tar.xz").code == Exit.USAGE
    nobody = pack(tmp_path / "kernel", tmp_path / "kernel.tar.xz")
    assert "whose tarball" in refused(nobody).what
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/README").write_text("no kernel\n")
    empty = pack(tmp_path / "empty", tmp_path / "linux-9.9.tar.xz")
    assert "it is no kernel" in refused(empty).what
    cut = tmp_path / "linux-9.8.tar.xz"
    cut.write_bytes(nobody.read_bytes()[:-300])
    assert "cut off" in refused(cut).what
    assert not [path for path in context.paths.git.iterdir() if path.suffix == ".git"]


def test_needs() -> None:
    assert needs_of(TABLE) == (("btf", "1.26"),)
    assert needs_of(TABLE.replace("1.26", "1.16")) == ()
    assert needs_of("") == ()


def test_pin_file_round_trip(tmp_path: Path) -> None:
    repo = Paths.discover().repo
    for path in [repo / "pin.toml", *sorted((repo / "pins").glob("*.toml"))]:
        pin = parse_pin(path.read_text())
        assert parse_pin(pin_text(pin, ["a remark"])) == pin
        assert path.stem in {"pin", pin.version}
    with pytest.raises(Exception, match="must be a version"):
        parse_pin(path.read_text().partition("[needs]")[0] + '[needs]\nbtf = "new"\n')


def test_the_option(tmp_path: Path) -> None:
    args = build_parser("tree").parse_args(["tree", "--pin", "pins/7.2.8.toml"])
    repo = Paths.discover().repo
    paths = Paths.discover(pin=repo / args.pin)
    assert paths.overlay == repo / "patches" / "on" / "7.2.8"
    assert paths.worktree.name == "linux-7.2.8"
    assert paths.rebasing.name == "rebase-7.2.8"
    own = Paths.discover(pin=repo / "pin.toml")
    assert own == Paths.discover()
    assert own.overlay is None


@pytest.mark.parametrize("verb", [*WITHOUT_PIN, "tree", "lint", "export"])
def test_verbs_have_the_option_that_look_at_it(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        build_parser(verb).parse_args([verb, "--help"])
    assert ("--pin FILE" in capsys.readouterr().out) == (verb not in WITHOUT_PIN)
