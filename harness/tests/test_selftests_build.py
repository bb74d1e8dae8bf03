from __future__ import annotations

import dataclasses
import io
import shutil
from pathlib import Path

import pytest

from harness.build import programs as programs_module
from harness.build import selftests as selftests_module
from harness.build.kernel import Kernel
from harness.build.overlay import link_around, make_overlay
from harness.build.programs import build_benchmark
from harness.build.selftests import (
    DEFAULT_TIMEOUT,
    Install,
    area_configs,
    build_selftests,
    list_areas,
    parse_list,
    parse_remarks,
    parse_timeout,
)
from harness.build.toolchain import Toolchain
from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.core.proc import Completed
from harness.core.ui import Ui

DATA = Path(__file__).parent / "data/build"
TOOLS = Toolchain("gcc", "gcc 1", "ld 1", "", "clang-19", "clang 19", "v1.24")
TESTS = "tools/testing/selftests"


def test_the_list_and_its_faults() -> None:
    text = "cgroup:test_core\ncgroup:test_freezer\n\nagent/cgroup_freeze:penalty\n"
    assert parse_list(text) == [
        ("cgroup", "test_core"),
        ("cgroup", "test_freezer"),
        ("agent/cgroup_freeze", "penalty"),
    ]
    with pytest.raises(KseriesError, match="names no program"):
        parse_list("cgroup\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("timeout=180\n", 180.0), ("timeout=0\n", None), ("", DEFAULT_TIMEOUT), ("nice=1\n", 45.0)],
)
def test_timeouts(text: str, expected: float | None) -> None:
    assert parse_timeout(text) == expected


def test_what_makefiles_leave_out_is_heard() -> None:
    assert parse_remarks((DATA / "x86-remarks.log").read_text()) == [
        "you seem to have a broken 32-bit build environment. This will reduce test coverage of "
        "64-bit kernels. If you are using a Debian-like distribution, try:",
        "missing Module.symvers, please have the kernel built first. page_frag test will be "
        "skipped.",
    ]


def test_writes_into_an_overlay_stay_there(tmp_path: Path) -> None:
    src = tmp_path / "src"
    (src / "tools/lib").mkdir(parents=True)
    (src / "tools/lib/a.c").write_text("a")
    (src / "mm").mkdir()
    (src / "mm/gup_test.h").write_text("h")
    make_overlay(src, tmp_path / "copy", "tools", src / "tools")
    (tmp_path / "copy/tools/lib/local_config.h").write_text("x")
    (tmp_path / "copy/tools/lib/a.c").write_text("changed")
    assert (tmp_path / "copy/mm/gup_test.h").read_text() == "h"
    assert (src / "tools/lib/a.c").read_text() == "a"
    assert not (src / "tools/lib/local_config.h").exists()


def test_an_overlay_can_add_a_folder_deep_inside(tmp_path: Path) -> None:
    src = tmp_path / "src"
    (src / TESTS / "cgroup").mkdir(parents=True)
    (src / TESTS / "lib.mk").write_text("rules")
    (src / "Makefile").touch()
    link_around(src, tmp_path / "copy", f"{TESTS}/agent")
    top = tmp_path / "copy" / TESTS
    assert not (top / "agent").exists()
    assert not top.is_symlink()
    assert (top / "cgroup").is_symlink()
    assert (top / "lib.mk").read_text() == "rules"
    assert (tmp_path / "copy/Makefile").is_symlink()


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    folder = tmp_path / "cache/builds/k"
    for name in ("cgroup", "mm"):
        (folder / "src" / TESTS / name).mkdir(parents=True)
        (folder / "src" / TESTS / name / "Makefile").touch()
    (folder / "build").mkdir()
    return Kernel(
        key="k",
        tree="t",
        src=folder / "src",
        build=folder / "build",
        image=folder / "bzImage",
        vmlinux=folder / "build/vmlinux",
        config=folder / "build/.config",
        config_set="prod",
        config_hash="c",
        release="6.18.15",
        warnings=(),
        untaken=(),
        seconds=1.0,
        reused=True,
        toolchain={},
    )


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    area = tmp_path / "selftests/cgroup_freeze"
    area.mkdir(parents=True)
    (area / "Makefile").touch()
    (area / "config").write_text("CONFIG_MEMCG=y\n")
    return Paths(tmp_path, tmp_path / "cache", tmp_path / "out")


class Maker:
    """Stands in for make: installs what `programs` says of each target."""

    def __init__(self) -> None:
        self.programs: dict[str, list[str]] = {
            "cgroup": ["test_core", "test_kill"],
            "mm": ["run_vmtests.sh"],
            "agent/cgroup_freeze": ["penalty"],
            "agent/libagent": ["test_libagent"],
        }
        self.lost = ""
        self.broken = ""
        self.built: list[str] = []
        self.folders: dict[str, Path] = {}

    def __call__(self, argv: list[object], **_: object) -> Completed:
        words = tuple(str(word) for word in argv)
        values = dict(word.split("=", 1) for word in words if "=" in word)
        if "headers" in words:
            (Path(values["O"]) / "usr/include").mkdir(parents=True)
            return Completed(words, 0, "", "", 0.1)
        target = values["TARGETS"]
        self.built.append(target)
        self.folders[target] = Path(words[words.index("-C") + 1])
        if target == self.broken:
            text = "t.c:3:1: error: nothing works\nmake: *** [t] Error 1\n"
            return Completed(words, 2, text, "", 0.1)
        root = Path(values["KSFT_INSTALL_PATH"])
        (root / "kselftest").mkdir(parents=True, exist_ok=True)
        (root / "run_kselftest.sh").touch()
        (root / target).mkdir(parents=True)
        (root / target / "settings").write_text("timeout=90\n")
        for name in self.programs[target]:
            if name != self.lost:
                (root / target / name).touch()
        lines = [f"{target}:{name}\n" for name in self.programs[target]]
        (root / "kselftest-list.txt").write_text("".join(lines))
        return Completed(words, 0, "Warning: no 32-bit libc\n\n", "", 0.1)


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch) -> Maker:
    made = Maker()
    for module in (selftests_module, programs_module):
        monkeypatch.setattr(module, "run", made)
        monkeypatch.setattr(module, "detect_toolchain", lambda: TOOLS)
    return made


def _build(paths: Paths, kernel: Kernel, upstream: tuple[str, ...] = ("cgroup", "mm")) -> Install:
    return build_selftests(
        paths,
        kernel,
        own=paths.repo / "selftests",
        areas=("cgroup_freeze",),
        upstream=upstream,
        ui=Ui(stream=io.StringIO()),
        jobs=1,
    )


def test_targets_become_one_installation(paths: Paths, kernel: Kernel, maker: Maker) -> None:
    install = _build(paths, kernel)
    assert [(p.collection, p.name, p.timeout) for p in install.programs] == [
        ("cgroup", "test_core", 90.0),
        ("cgroup", "test_kill", 90.0),
        ("mm", "run_vmtests.sh", 90.0),
        ("agent/cgroup_freeze", "penalty", 90.0),
    ]
    assert all(p.path.is_file() for p in install.programs)
    assert (install.root / "agent/cgroup_freeze/penalty").is_file()
    assert (install.root / "kselftest").is_dir()
    assert "mm:run_vmtests.sh\n" in (install.root / "kselftest-list.txt").read_text()
    assert {m.reason for m in install.missing} == {"no 32-bit libc"}


def test_only_what_changed_is_built_again(paths: Paths, kernel: Kernel, maker: Maker) -> None:
    first = _build(paths, kernel)
    again = _build(paths, kernel)
    assert (again.root, again.programs, again.missing) == (
        first.root,
        first.programs,
        first.missing,
    )
    assert maker.built == ["cgroup", "mm", "agent/cgroup_freeze"]
    (paths.repo / "selftests/cgroup_freeze/penalty.c").write_text("int main;")
    second = _build(paths, kernel)
    assert maker.built[3:] == ["agent/cgroup_freeze"]
    # A guest may still run the earlier one.
    assert second.programs[3].dir != first.programs[3].dir
    assert first.programs[3].path.is_file()


def test_an_upstream_target_that_breaks_is_named(
    paths: Paths, kernel: Kernel, maker: Maker
) -> None:
    maker.broken = "mm"
    install = _build(paths, kernel)
    assert {p.collection for p in install.programs} == {"cgroup", "agent/cgroup_freeze"}
    broken = [m for m in install.missing if m.collection == "mm"]
    assert broken[0].reason.startswith("does not build: t.c:3:1: error: nothing works")
    maker.broken = ""
    assert "mm" in {p.collection for p in _build(paths, kernel).programs}


def test_an_own_area_that_breaks_is_an_error(paths: Paths, kernel: Kernel, maker: Maker) -> None:
    maker.broken = "agent/cgroup_freeze"
    with pytest.raises(KseriesError) as caught:
        _build(paths, kernel)
    assert caught.value.code is Exit.BUILD
    assert caught.value.details["target"] == "agent/cgroup_freeze"


@pytest.fixture
def patched(kernel: Kernel, tmp_path: Path) -> Kernel:
    folder = tmp_path / "cache/builds/p"
    shutil.copytree(kernel.src, folder / "src")
    (folder / "src/tools/lib/agent").mkdir(parents=True)
    (folder / "build").mkdir()
    return dataclasses.replace(kernel, key="p", tree="t2", src=folder / "src", build=folder)


def _build_both(paths: Paths, kernel: Kernel, patched: Kernel | None) -> Install:
    folder = paths.repo / "selftests/libagent"
    folder.mkdir(exist_ok=True)
    (folder / "Makefile").touch()
    return build_selftests(
        paths,
        kernel,
        own=paths.repo / "selftests",
        areas=("cgroup_freeze",),
        upstream=("cgroup",),
        ui=Ui(stream=io.StringIO()),
        jobs=1,
        patched=patched,
        patched_areas=("libagent",),
    )


def test_an_area_can_be_built_from_the_patched_tree(
    paths: Paths, kernel: Kernel, patched: Kernel, maker: Maker
) -> None:
    install = _build_both(paths, kernel, patched)
    own = [(p.collection, p.name) for p in install.programs if p.collection != "cgroup"]
    assert own == [("agent/cgroup_freeze", "penalty"), ("agent/libagent", "test_libagent")]
    assert all(p.path.is_file() for p in install.programs)
    has_library = {
        target: (folder / "../../lib/agent").is_dir() for target, folder in maker.folders.items()
    }
    assert has_library == {"cgroup": False, "agent/cgroup_freeze": False, "agent/libagent": True}
    _build_both(paths, kernel, dataclasses.replace(patched, tree="t3"))
    assert maker.built[3:] == ["agent/libagent"]


def test_without_the_patched_tree_its_areas_are_missing(
    paths: Paths, kernel: Kernel, maker: Maker
) -> None:
    install = _build_both(paths, kernel, None)
    assert maker.built == ["cgroup", "agent/cgroup_freeze"]
    (lost,) = [m for m in install.missing if m.collection == "agent/libagent"]
    assert "built from the patched tree" in lost.reason


def test_a_listed_program_that_is_not_there_is_missing(
    paths: Paths, kernel: Kernel, maker: Maker
) -> None:
    maker.lost = "test_kill"
    install = _build(paths, kernel)
    assert "test_kill" not in {p.name for p in install.programs}
    assert ("cgroup", "test_kill") in {(m.collection, m.name) for m in install.missing}


def test_unknown_names_are_refused(paths: Paths, kernel: Kernel, maker: Maker) -> None:
    with pytest.raises(KseriesError, match="no selftests 'cgruop'") as caught:
        _build(paths, kernel, ("cgruop",))
    assert caught.value.code is Exit.USAGE
    assert "cgroup" in caught.value.hint
    with pytest.raises(KseriesError, match="no selftest area 'nope'"):
        build_selftests(
            paths,
            kernel,
            own=paths.repo / "selftests",
            areas=("nope",),
            upstream=(),
            ui=Ui(stream=io.StringIO()),
        )
    assert not maker.built


def test_areas_and_their_configs(paths: Paths) -> None:
    own = paths.repo / "selftests"
    (own / "notes").mkdir()
    assert list_areas(own) == ["cgroup_freeze"]
    assert area_configs(own) == (own / "cgroup_freeze/config",)
    assert area_configs(own, ()) == ()


def test_benchmarks_are_built_on_a_copy(
    paths: Paths, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = paths.repo / "benchmarks/freeze"
    topic.mkdir(parents=True)
    (topic / "Makefile").write_text("all:\n")
    (topic.parent / "include").mkdir()
    (topic.parent / "include/kseries.h").write_text("one")
    calls: list[dict[str, str]] = []

    def make(argv: list[object], **_: object) -> Completed:
        values = dict(str(word).split("=", 1) for word in argv if "=" in str(word))
        calls.append(values)
        if len(calls) < 3:
            (Path(values["OUTPUT"]) / "freeze").touch()
        return Completed(("make",), 4 if len(calls) == 4 else 0, "f.c:1: error: no\n", "", 0.1)

    monkeypatch.setattr(programs_module, "run", make)
    monkeypatch.setattr(programs_module, "detect_toolchain", lambda: TOOLS)
    ui = Ui(stream=io.StringIO())
    first = build_benchmark(paths, topic, kernel, ui)
    assert (first / "freeze").is_file()
    assert (Path(calls[0]["OUTPUT"]).parent / "src/include/kseries.h").read_text() == "one"
    assert build_benchmark(paths, topic, kernel, ui) == first
    assert len(calls) == 1
    assert calls[0]["KERNEL_BUILD"] == str(kernel.build)
    assert calls[0]["CLANG"] == "clang-19"
    assert not list(topic.glob("freeze*"))
    (topic / "freeze.c").write_text("int main;")
    assert build_benchmark(paths, topic, kernel, ui) != first
    (topic / "freeze.c").write_text("int x;")
    with pytest.raises(KseriesError, match="left no program"):
        build_benchmark(paths, topic, kernel, ui)
    with pytest.raises(KseriesError, match="does not build") as caught:
        build_benchmark(paths, topic, kernel, ui)
    assert caught.value.code is Exit.BUILD
    with pytest.raises(KseriesError, match="no benchmark topic"):
        build_benchmark(paths, topic.parent / "nope", kernel, ui)
