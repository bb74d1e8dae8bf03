import dataclasses
import io
from pathlib import Path

import pytest

from harness.build import tools as tools_module
from harness.build.kernel import Kernel
from harness.build.tools import build_tools
from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.core.proc import Completed
from harness.core.ui import Ui
from harness.measure import campaign
from harness.measure.planner import tools_of
from harness.tests.measure_plans import case, plan
from harness.tests.test_selftests_build import TOOLS


def kernel_at(folder: Path, tree: str = "abc") -> Kernel:
    source = folder / tree / "src"
    (source / "tools/sched_ext").mkdir(parents=True)
    (source / "tools/sched_ext/Makefile").write_text("all:\n")
    (source / "Makefile").touch()
    build = folder / tree / "build"
    return Kernel(
        key="k",
        tree=tree,
        src=source,
        build=build,
        image=build / "bzImage",
        vmlinux=build / "vmlinux",
        config=build / ".config",
        config_set="prod",
        config_hash="c",
        release="6.18.15",
        warnings=(),
        untaken=(),
        seconds=1.0,
        reused=False,
        toolchain={},
    )


class Maker:
    """Stands in for make: leaves each target's program, writes beside the sources."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.status = 0
        self.mode = 0o755

    def __call__(self, argv: list[object], **_: object) -> Completed:
        words = tuple(str(word) for word in argv)
        self.calls.append(words)
        values = dict(word.split("=", 1) for word in words if "=" in word)
        source = Path(words[words.index("-C") + 1])
        (source / "litter").touch()
        folder = Path(values["O"]) / "build/bin"
        folder.mkdir(parents=True, exist_ok=True)
        for name in words[words.index("--no-print-directory") + 1 :]:
            (folder / name).write_text(name)
            (folder / name).chmod(self.mode)
        return Completed(words, self.status, "a.c:1: error: no\n", "", 0.1)


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch) -> Maker:
    made = Maker()
    monkeypatch.setattr(tools_module, "run", made)
    monkeypatch.setattr(tools_module, "detect_toolchain", lambda: TOOLS)
    return made


def build(tmp_path: Path, kernel: Kernel, *names: str, folder: str = "sched_ext") -> Path:
    paths = Paths(tmp_path, tmp_path / "cache", tmp_path / "out")
    return build_tools(paths, kernel, folder, names, Ui(stream=io.StringIO()), jobs=1)


def test_programs_are_built_once_for_a_tree_and_a_compiler(tmp_path: Path, maker: Maker) -> None:
    kernel = kernel_at(tmp_path)
    folder = build(tmp_path, kernel, "scx_simple", "scx_qmap")
    assert sorted(path.name for path in folder.iterdir()) == ["scx_qmap", "scx_simple"]
    assert "CLANG=clang-19" in maker.calls[0]
    assert f"VMLINUX_BTF={kernel.vmlinux}" in maker.calls[0]
    assert not (kernel.src / "tools/sched_ext/litter").exists()
    assert build(tmp_path, kernel, "scx_simple", "scx_qmap") == folder
    assert len(maker.calls) == 1
    assert build(tmp_path, kernel, "scx_simple") != folder
    assert build(tmp_path, kernel_at(tmp_path, "def"), "scx_simple", "scx_qmap") != folder


def test_a_tool_that_is_gone_is_built_again(tmp_path: Path, maker: Maker) -> None:
    kernel = kernel_at(tmp_path)
    (build(tmp_path, kernel, "scx_simple") / "scx_simple").unlink()
    assert (build(tmp_path, kernel, "scx_simple") / "scx_simple").is_file()
    assert len(maker.calls) == 2


def test_what_cannot_be_built_is_named(tmp_path: Path, maker: Maker) -> None:
    kernel = kernel_at(tmp_path)
    with pytest.raises(KseriesError, match="no tools/nope") as caught:
        build(tmp_path, kernel, "a", folder="nope")
    assert caught.value.code is Exit.BUILD
    maker.mode = 0o644
    with pytest.raises(KseriesError, match="make scx_simple left no program"):
        build(tmp_path, kernel, "scx_simple")
    maker.status = 2
    with pytest.raises(KseriesError, match="tools/sched_ext does not build"):
        build(tmp_path, kernel, "scx_simple")


def test_a_plans_tools_lie_in_one_folder_for_each_kernel(
    tmp_path: Path, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels = {"base": kernel_at(tmp_path), "patched": kernel_at(tmp_path, "def")}
    for kernel in kernels.values():
        (kernel.src / "tools/other").mkdir()
        (kernel.src / "tools/other/Makefile").touch()
    monkeypatch.setattr(campaign, "build_benchmark", lambda *_: tmp_path / "bin")
    item = plan(
        case(command="{tools}/scx_simple"),
        tool=[
            {"folder": "sched_ext", "programs": ["scx_simple"]},
            {"folder": "sched_ext", "programs": ["scx_new"], "kernel": "patched"},
            {"folder": "other", "programs": ["helper"], "kernel": "patched"},
        ],
    )
    paths = Paths(tmp_path, tmp_path / "cache", tmp_path / "out")
    ui = Ui(stream=io.StringIO())
    programs = campaign.build_programs(paths, [item], kernels, ui)
    found = {
        name: sorted(path.name for path in folder.iterdir())
        for name, folder in programs.items()
        if "/" in name
    }
    assert found == {
        tools_of("topic", "base"): ["scx_simple"],
        tools_of("topic", "patched"): ["helper", "scx_new"],
    }
    # A run without the base kernel needs none of its tools.
    only = campaign.build_programs(paths, [item], {"patched": kernels["patched"]}, ui)
    assert tools_of("topic", "base") not in only
    # Nor does one without a case that asks for them.
    quiet = dataclasses.replace(item, cases=(plan(case()).cases))
    assert set(campaign.build_programs(paths, [quiet], kernels, ui)) == {"topic", "calibrate"}
