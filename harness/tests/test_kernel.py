from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.build import kernel as kernel_module
from harness.build.fragments import Plan
from harness.build.kconfig import Config, Untaken
from harness.build.kernel import Kernel, build_kernel, check_disk, check_warnings
from harness.build.toolchain import Toolchain
from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.core.proc import Completed
from harness.core.record import record_key
from harness.core.ui import Ui

TOOLS = Toolchain("gcc", "gcc 1", "ld 1", "ccache", "clang-19", "clang 19", "v1.24")
TREE = "fee8e7b4208eb74080e6382a69236b61799e36a2"
WARNING = "../src/mm/a.c:7:1: warning: unused variable 'x' [-Wunused-variable]"


@dataclass
class Maker:
    """Stands in for make: prints lines, leaves files, counts its calls."""

    build: Path | None = None
    calls: list[list[str]] = field(default_factory=list)
    script: list[Callable[[], tuple[int, str]]] = field(default_factory=list)

    def __call__(self, argv: list[object], **options: object) -> Completed:
        words = [str(word) for word in argv]
        self.calls.append(words)
        self.build = Path(next(w[2:] for w in words if w.startswith("O=")))
        status, text = self.script.pop(0)()
        on_line = options["on_line"]
        assert callable(on_line)
        for line in text.splitlines():
            on_line(line)
        return Completed(tuple(words), status, text, "", 1.0)

    def good(self) -> tuple[int, str]:
        assert self.build
        for name, text in {
            "arch/x86/boot/bzImage": "image",
            "vmlinux": "elf",
            ".tmp_vmlinux1": "spare",
            "include/config/kernel.release": "6.18.15\n",
        }.items():
            (self.build / name).parent.mkdir(parents=True, exist_ok=True)
            (self.build / name).write_text(text)
        return 0, "  CC      b.o\n"

    def bad(self) -> tuple[int, str]:
        return 2, f"{WARNING}\n../src/mm/b.c:3:1: error: no such thing\nmake: *** [b.o] Error 1\n"


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch) -> Maker:
    made = Maker()

    def lay_out(_store: Path, _tree: str, dest: Path) -> None:
        dest.mkdir(parents=True)
        (dest / "Makefile").touch()

    def configure(_paths: Paths, _src: Path, build: Path, **_: object) -> Config:
        build.mkdir(exist_ok=True)
        (build / ".config").write_text("CONFIG_A=y\n")
        untaken = (Untaken("M", "m", "n", "mm/config:1", "no modules"),)
        return Config(build / ".config", {"A": "y"}, Plan({}, ()), untaken)

    monkeypatch.setattr(kernel_module, "run", made)
    monkeypatch.setattr(kernel_module, "checkout_tree", lay_out)
    monkeypatch.setattr(kernel_module, "make_config", configure)
    monkeypatch.setattr(kernel_module, "detect_toolchain", lambda: TOOLS)
    return made


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "kconfig").mkdir()
    (tmp_path / "kconfig/sets.toml").write_text(
        '[prod]\ndescription = "d"\nfragments = ["base.config"]\n'
    )
    (tmp_path / "kconfig/base.config").write_text("CONFIG_A=y\n")
    return Paths(tmp_path, tmp_path / "cache", tmp_path / "out")


def _build(paths: Paths, tree: str = TREE) -> Kernel:
    ui = Ui(stream=io.StringIO())
    touched = (("mm/b.patch", ("mm/b.c",)), ("mm/c.patch", ("mm/c.c",)))
    return build_kernel(
        paths, paths.git, tree, kconfig_dir=paths.repo / "kconfig", ui=ui, jobs=3, touched=touched
    )


def test_a_kernel_is_built_once(paths: Paths, maker: Maker) -> None:
    maker.script = [maker.good]
    first = _build(paths)
    second = _build(paths)
    assert (first.reused, second.reused) == (False, True)
    assert len(maker.calls) == 1
    assert first.image == paths.builds / first.key / "build/arch/x86/boot/bzImage"
    assert second.release == "6.18.15"
    assert second.untaken[0].reason == "no modules"
    assert not (first.build / ".tmp_vmlinux1").exists()
    line = maker.calls[0]
    assert f"O={first.build}" in line
    assert "LOCALVERSION=" in line
    assert "CC=ccache gcc" in line
    assert "-j3" in line


def test_the_key_changes_with_tree_request_and_compiler(
    paths: Paths, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker.script = [maker.good] * 4
    keys = {_build(paths).key, _build(paths, "0" * 40).key}
    (paths.repo / "kconfig/base.config").write_text("# Why.\nCONFIG_A=y\n")
    assert _build(paths).key in keys  # a comment rebuilds nothing
    (paths.repo / "kconfig/base.config").write_text("CONFIG_A=y\nCONFIG_B=y\n")
    keys.add(_build(paths).key)
    other = SimpleNamespace(**{**TOOLS.describe(), "id": "x", "make_cc": "gcc"})
    other.describe = TOOLS.describe
    monkeypatch.setattr(kernel_module, "detect_toolchain", lambda: other)
    keys.add(_build(paths).key)
    assert len(keys) == 4


def test_a_break_ends_in_four_and_names_its_patch(paths: Paths, maker: Maker) -> None:
    maker.script = [maker.bad]
    with pytest.raises(KseriesError) as caught:
        _build(paths)
    assert caught.value.code is Exit.BUILD
    assert caught.value.where == "mm/b.c"
    assert caught.value.details["patches"] == ["mm/b.patch"]
    assert "mm/b.c:3:1: error: no such thing" in str(caught.value)
    assert Path(caught.value.details["log"]).read_text().startswith(WARNING)


def test_an_interrupted_build_goes_on_and_keeps_its_warnings(paths: Paths, maker: Maker) -> None:
    def interrupted() -> tuple[int, str]:
        raise KeyboardInterrupt

    maker.script = [maker.bad, interrupted, maker.good]
    with pytest.raises(KseriesError):
        _build(paths)
    with pytest.raises(KeyboardInterrupt):
        _build(paths)
    kernel = _build(paths)
    assert not kernel.reused
    assert kernel.warnings == ("mm/a.c:7: warning: unused variable 'x' [-Wunused-variable]",)
    assert _build(paths).reused


def test_a_kernel_that_lost_its_image_is_built_again(paths: Paths, maker: Maker) -> None:
    maker.script = [maker.good, maker.good, maker.good]
    kernel = _build(paths)
    kernel.image.write_text("")  # cut short
    assert not _build(paths).reused
    kernel.vmlinux.unlink()
    assert not _build(paths).reused


def test_make_that_leaves_no_kernel_is_an_error(paths: Paths, maker: Maker) -> None:
    def hollow() -> tuple[int, str]:
        maker.good()
        assert maker.build
        (maker.build / "vmlinux").unlink()
        return 0, ""

    maker.script = [hollow]
    with pytest.raises(KseriesError, match="left no kernel"):
        _build(paths)
    key = record_key("build", {})
    assert not (paths.records / "build" / f"{key}.json").exists()


def test_a_full_disk_is_told_before_the_start(tmp_path: Path) -> None:
    seen = io.StringIO()
    with pytest.raises(KseriesError) as caught:
        check_disk(tmp_path / "not/there", 1 << 60, Ui(stream=seen), "kernel prod")
    assert caught.value.code is Exit.HOST
    assert "kseries clean" in caught.value.hint
    assert "needs" in seen.getvalue()
    check_disk(tmp_path, 1, Ui(stream=seen), "x")


def test_new_warnings_end_in_four_and_name_the_patches(paths: Paths, maker: Maker) -> None:
    def warned() -> tuple[int, str]:
        return 0, f"{maker.good()[1]}../src/mm/b.c:9:1: warning: unused variable 'y'\n"

    maker.script = [maker.good, warned]
    base, patched = _build(paths), _build(paths, "1" * 40)
    touched = [("mm/b.patch", ("mm/b.c",)), ("mm/c.patch", ("mm/c.c",))]
    check_warnings(base, base, touched)
    with pytest.raises(KseriesError) as caught:
        check_warnings(base, patched, touched)
    assert caught.value.code is Exit.BUILD
    assert caught.value.where == "mm/b.patch"
    assert "mm/b.c:9: warning: unused variable 'y'  [mm/b.patch]" in str(caught.value)
