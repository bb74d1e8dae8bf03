from __future__ import annotations

from pathlib import Path

import pytest

from harness.build.fragments import (
    Request,
    find_set,
    load_sets,
    merge,
    parse_fragment,
    read_fragment,
)
from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths

TEXT = """\
# mine.config: what this file is for.

# --- memory ---------------
CONFIG_SWAP=y
# The penalty of memory.high
# needs it.
CONFIG_MEMCG=y
CONFIG_PAGE_COUNTER=y

# A number, and a string.
CONFIG_NR_CPUS=64
CONFIG_NAME="a b"
# Nothing suspends here.
# CONFIG_SUSPEND is not set
"""


def test_each_line_knows_its_reason() -> None:
    found = {r.symbol: r for r in parse_fragment(TEXT, "mine.config")}
    assert {name: r.value for name, r in found.items()} == {
        "SWAP": "y",
        "MEMCG": "y",
        "PAGE_COUNTER": "y",
        "NR_CPUS": "64",
        "NAME": '"a b"',
        "SUSPEND": "n",
    }
    assert found["SWAP"].reason == "memory"
    assert found["MEMCG"].reason == "The penalty of memory.high needs it."
    assert found["PAGE_COUNTER"].reason == found["MEMCG"].reason
    assert found["SUSPEND"].reason == "Nothing suspends here."
    assert found["SUSPEND"].place == "mine.config:14"


@pytest.mark.parametrize("line", ["CONFIG_FOO", "FOO=y", "CONFIG_FOO=", "CONFIG_A-B=y"])
def test_a_line_without_meaning_is_refused(line: str) -> None:
    with pytest.raises(KseriesError) as caught:
        parse_fragment(f"CONFIG_A=y\n{line}\n", "bad.config")
    assert caught.value.code is Exit.CONFIG
    assert caught.value.where == "bad.config:2"


def test_a_fragment_may_not_contradict_itself() -> None:
    with pytest.raises(KseriesError, match="CONFIG_A=y and for CONFIG_A=n"):
        parse_fragment("CONFIG_A=y\n# CONFIG_A is not set\n", "bad.config")


def _request(symbol: str, value: str, *, strict: bool = True, origin: str = "f") -> Request:
    return Request(symbol, value, origin, 1, "", strict)


def test_later_layers_win_and_are_told() -> None:
    plan = merge([[_request("A", "y"), _request("B", "n")], [_request("B", "y", origin="g")]])
    assert plan.text == "CONFIG_A=y\nCONFIG_B=y\n"
    assert [(o.weaker.value, o.stronger.origin) for o in plan.overrides] == [("n", "g")]


def test_a_selftest_may_add_but_not_contradict() -> None:
    fragments = [[_request("A", "n")]]
    assert "B" in merge(fragments, [_request("B", "y")]).requests
    with pytest.raises(KseriesError) as caught:
        merge(fragments, [_request("A", "y", origin="selftests/x/config")])
    assert caught.value.code is Exit.CONFIG
    assert "selftests/x/config:1" in caught.value.where


def test_a_selftest_beats_a_wish() -> None:
    plan = merge([[_request("A", "n", strict=False)]], [_request("A", "y")])
    assert plan.requests["A"].value == "y"
    assert plan.requests["A"].strict


def test_test_modules_are_never_built_in() -> None:
    # =m without modules would become =y, and test_vmalloc would run at boot.
    wishes = [_request("TEST_VMALLOC", "m", strict=False), _request("X", "y", strict=False)]
    plan = merge([wishes, [_request("MODULES", "n")]])
    assert set(plan.requests) == {"X", "MODULES"}
    assert plan.overrides[0].stronger.symbol == "MODULES"
    assert "TEST_VMALLOC" in merge([wishes, [_request("MODULES", "y")]]).requests


def test_the_hash_sees_values_not_comments() -> None:
    one = merge([parse_fragment("# why\nCONFIG_A=y\n", "f")])
    two = merge([parse_fragment("\n# another reason\n\nCONFIG_A=y\n", "g")])
    three = merge([parse_fragment("CONFIG_A=n\n", "f")])
    assert one.config_hash == two.config_hash != three.config_hash


def _sets(folder: Path, text: str) -> Path:
    (folder / "sets.toml").write_text(text)
    return folder


def test_sets_extend_each_other(tmp_path: Path) -> None:
    folder = _sets(
        tmp_path,
        '[a]\ndescription = "d"\nfragments = ["1"]\nupstream = ["mm"]\n'
        '[b]\ndescription = "e"\nextends = "a"\nfragments = ["2"]\n',
    )
    found = load_sets(folder)["b"]
    assert found.fragments == (folder / "1", folder / "2")
    assert found.upstream == ("mm",)


@pytest.mark.parametrize(
    "text",
    [
        "[a",
        '[a]\ndescription = "d"\n',
        '[a]\nfragments = ["1"]\n',
        '[a]\ndescription = "d"\nfragments = ["1"]\nextend = "b"\n',
        '[a]\ndescription = "d"\nfragments = ["1"]\nextends = "b"\n',
        '[a]\ndescription = "d"\nfragments = ["1"]\nextends = "a"\n',
    ],
)
def test_a_broken_list_of_sets_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(KseriesError) as caught:
        load_sets(_sets(tmp_path, text))
    assert caught.value.code is Exit.CONFIG
    assert "sets.toml" in caught.value.where


def test_an_unknown_set_lists_the_known(tmp_path: Path) -> None:
    folder = _sets(tmp_path, '[prod]\ndescription = "d"\nfragments = ["1"]\n')
    with pytest.raises(KseriesError, match="no config set 'prd'") as caught:
        find_set(folder, "prd")
    assert "prod" in caught.value.hint
    with pytest.raises(KseriesError, match="does not exist"):
        read_fragment(folder / "1")


def test_the_repositorys_fragments_all_give_reasons() -> None:
    root = Paths.discover().repo
    for item in load_sets(root / "kconfig").values():
        plan = merge(read_fragment(path, root=root) for path in item.fragments)
        assert all(request.reason for request in plan.requests.values())
        # Promises that other parts rest on.
        assert plan.requests["MODULES"].value == "n"
        for symbol in ("HZ_1000", "PREEMPT_LAZY", "NUMA", "PRINTK_CALLER", "DEBUG_TLBFLUSH"):
            assert plan.requests[symbol].value == "y"
