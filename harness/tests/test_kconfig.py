from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.build import kconfig
from harness.build.explain import explain, render
from harness.build.fragments import merge, parse_fragment
from harness.build.kconfig import Config, make_config, misses, parse_config
from harness.build.symbols import Symbols
from harness.build.toolchain import Toolchain
from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.core.proc import Completed

TINY = Path(__file__).parent / "data/build/tiny"
TOOLS = Toolchain("gcc", "gcc 1", "ld 1", "", "", "", "")


@pytest.fixture(scope="module")
def symbols() -> Symbols:
    return Symbols(TINY, TINY / "config")


def test_values_and_misses() -> None:
    values = parse_config((TINY / "config").read_text())
    assert values == {"MMU": "y", "HZ_250": "y", "BITS": "12"}
    requests = parse_fragment(
        "CONFIG_MMU=y\nCONFIG_SPARSE=y\nCONFIG_BITS=13\n# CONFIG_GONE is not set\n"
        "# CONFIG_HZ_250 is not set\n",
        "f",
    )
    assert [r.symbol for r in misses(requests, values)] == ["SPARSE", "BITS", "HZ_250"]


def test_a_chain_is_followed_to_its_end(symbols: Symbols) -> None:
    assert symbols.why_not("ZONE", "y") == [
        "CONFIG_ZONE = n  (Kconfig.mm:15)",
        "  depends on HOTPLUG",
        "    CONFIG_HOTPLUG = n  (Kconfig.mm:8)",
        "      depends on SPARSE && !TINY",
        "        CONFIG_SPARSE = n  (Kconfig.mm:4)",
        "          its dependencies are met, but nothing asks for it",
    ]


def test_alternatives_are_all_shown(symbols: Symbols) -> None:
    text = "\n".join(symbols.why_not("EITHER", "y"))
    assert "ZONE || TINY is n" in text
    assert "CONFIG_HOTPLUG = n" in text
    assert "CONFIG_TINY = n" in text


@pytest.mark.parametrize(
    ("name", "wanted", "expected"),
    [
        ("HIDDEN", "y", "it has no prompt"),
        ("HIDDEN", "y", "selected by ZONE && HOTPLUG (= n)"),
        ("HZ_1000", "y", "a choice in which CONFIG_HZ_250 is chosen"),
        ("HZ_250", "n", "chosen member of its choice"),
        ("MMU", "n", "a default sets it"),
        ("BITS", "99", "allowed range: 10 to 20"),
        ("PROBE", "m", "this kernel has no modules"),
        ("SPARSED", "y", "no Kconfig file of this tree defines CONFIG_SPARSED"),
        ("SPARSED", "y", "close names: CONFIG_SPARSE"),
    ],
)
def test_each_kind_of_refusal_has_its_sentence(
    symbols: Symbols, name: str, wanted: str, expected: str
) -> None:
    assert expected in "\n".join(symbols.why_not(name, wanted))


def _config(text: str) -> Config:
    values = parse_config((TINY / "config").read_text())
    return Config(TINY / "config", values, merge([parse_fragment(text, "f.config")]), ())


def test_explain_shows_request_and_what_is_unmet(symbols: Symbols) -> None:
    found = explain("CONFIG_ZONE", _config("# For hmm.\nCONFIG_ZONE=y\n"), symbols, "prod")
    assert render(found).splitlines()[:7] == [
        "CONFIG_ZONE = n   (set prod, bool)",
        '  prompt       "Device memory"',
        "  defined      Kconfig.mm:15",
        "  requested    f.config:2: CONFIG_ZONE=y",
        "               because: For hmm.",
        "  depends on   HOTPLUG",
        "               HOTPLUG = n   Kconfig.mm:8   <- unmet",
    ]
    assert "  selects      HIDDEN" in render(found)
    assert found.as_json()["requests"][0]["line"] == 2


def test_explain_of_a_hidden_symbol(symbols: Symbols) -> None:
    text = render(explain("HIDDEN", _config(""), symbols, "prod"))
    assert "none: it cannot be asked for" in text
    assert "requested    nowhere" in text
    assert "selected by  ZONE && HOTPLUG (= n)" in text
    assert "Book-keeping of device memory." in text
    assert "Second paragraph" not in text


def test_explain_of_a_choice_and_an_unknown_name(symbols: Symbols) -> None:
    text = render(explain("HZ_250", _config(""), symbols, "prod"))
    assert "CONFIG_HZ_250 is chosen of HZ_250, HZ_1000" in text
    with pytest.raises(KseriesError) as caught:
        explain("HZ_2500", _config(""), symbols, "prod")
    assert caught.value.code is Exit.CONFIG
    assert "CONFIG_HZ_250" in caught.value.hint


def _repository(folder: Path, fragment: str) -> Paths:
    (folder / "kconfig").mkdir()
    (folder / "kconfig/sets.toml").write_text(
        '[prod]\ndescription = "d"\nfragments = ["base.config"]\nupstream = ["mm"]\n'
    )
    (folder / "kconfig/base.config").write_text(fragment)
    src = folder / "src"
    shutil.copytree(TINY, src)
    (src / "tools/testing/selftests/mm").mkdir(parents=True)
    (src / "tools/testing/selftests/mm/config").write_text("CONFIG_ZONE=y\nCONFIG_PROBE=m\n")
    return Paths(folder, folder / "cache", folder / "out")


def _make(
    paths: Paths,
    monkeypatch: pytest.MonkeyPatch,
    *,
    extra: str = "",
    later: tuple[str, ...] = (),
) -> Config:
    """make_config with an olddefconfig that leaves the stored .config."""
    build = paths.repo / "build"

    def fake(argv: list[str], **_: object) -> Completed:
        assert "olddefconfig" in argv
        assert "LOCALVERSION=" in argv
        shutil.copy(TINY / "config", build / ".config")
        return Completed(tuple(map(str, argv)), 0, "", "", 0.1)

    monkeypatch.setattr(kconfig, "run", fake)
    needs: tuple[Path, ...] = ()
    if extra:
        path = paths.repo / "config"
        path.write_text(extra)
        needs = (path,)
    return make_config(
        paths,
        paths.repo / "src",
        build,
        set_name="prod",
        kconfig_dir=paths.repo / "kconfig",
        toolchain=TOOLS,
        extra=needs,
        later=later,
    )


def test_a_symbol_of_a_later_patch_is_a_wish_until_the_tree_knows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = _repository(tmp_path, "CONFIG_MMU=y\nCONFIG_BURST=y\n")
    config = _make(paths, monkeypatch, later=("BURST",))
    assert [i.place for i in config.untaken if i.symbol == "BURST"] == ["kconfig/base.config:2"]
    # Known, but it did not take: the series' own symbol is as strict as any.
    paths.repo.joinpath("kconfig/base.config").write_text("CONFIG_MMU=y\nCONFIG_HOTPLUG=y\n")
    with pytest.raises(KseriesError, match="CONFIG_HOTPLUG"):
        _make(paths, monkeypatch, later=("HOTPLUG",))


def test_wishes_that_did_not_take_are_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = _repository(tmp_path, "# None.\n# CONFIG_MODULES is not set\nCONFIG_MMU=y\n")
    config = _make(paths, monkeypatch)
    found = {item.symbol: item for item in config.untaken}
    assert set(found) == {"ZONE", "PROBE"}
    assert found["ZONE"].place == "tools/testing/selftests/mm/config:1"
    assert "CONFIG_SPARSE = n" in found["ZONE"].reason
    assert "kconfig/base.config:2 decides" in found["PROBE"].reason


def test_a_request_that_did_not_take_ends_in_ten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = _repository(tmp_path, "CONFIG_MMU=y\n# Heterogeneous memory.\nCONFIG_HOTPLUG=y\n")
    with pytest.raises(KseriesError) as caught:
        _make(paths, monkeypatch)
    assert caught.value.code is Exit.CONFIG
    text = str(caught.value)
    assert "CONFIG_HOTPLUG=y asked for at kconfig/base.config:3, but it is n" in text
    assert "depends on SPARSE && !TINY" in text
    assert caught.value.details["symbols"][0]["symbol"] == "CONFIG_HOTPLUG"


def test_a_conditional_dependency(tmp_path: Path) -> None:
    """Linux 7 writes `depends on X if Y`, which counts while Y is set."""
    (tmp_path / "Kconfig").write_text(
        'config A\n\tbool "a"\n\n'
        'config B\n\tbool "b"\n\n'
        'config C\n\tbool "c"\n\tdepends on A if B # while B is there\n'
    )
    for content, met in (("CONFIG_B=y\n", False), ("", True), ("CONFIG_A=y\nCONFIG_B=y\n", True)):
        (tmp_path / "config").write_text(content + "CONFIG_C=y\n")
        symbols = Symbols(tmp_path, tmp_path / "config")
        assert (symbols.value("C") == "y") == met
    assert symbols.depends_text("C") == "A || !B"


def test_an_own_selftests_config_is_strict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = _repository(tmp_path, "CONFIG_MMU=y\n")
    with pytest.raises(KseriesError, match="CONFIG_NO_SUCH"):
        _make(paths, monkeypatch, extra="CONFIG_NO_SUCH=y\n")


def test_a_missing_upstream_config_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = _repository(tmp_path, "CONFIG_MMU=y\n")
    (tmp_path / "src/tools/testing/selftests/mm/config").unlink()
    with pytest.raises(KseriesError, match="no config for the selftests of 'mm'"):
        _make(paths, monkeypatch)
