import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from harness.measure.protocol import Sample, parse_output


def test_samples_with_arm_and_x() -> None:
    output = parse_output(
        "warming up\n"
        "kseries latency 1.5\n"
        "kseries latency 2e3 arm=v1-freezer\r\n"
        "kseries ipis 7 arm=patched x=8\n"
        "kseries ipis -0.5 x=0.25\n"
        "kseries end 4\n"
        "bye\n"
    )
    assert output.problem == ""
    assert output.samples == (
        Sample("latency", 1.5),
        Sample("latency", 2000.0, "v1-freezer"),
        Sample("ipis", 7.0, "patched", 8.0),
        Sample("ipis", -0.5, "", 0.25),
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no `kseries end` after 0 samples"),
        ("kseries a 1\n", "no `kseries end` after 1 samples"),
        ("kseries a 1\nkseries end 2\n", "`kseries end 2`, but 1 samples came"),
        ("kseries a 1\nkseries end 1\nkseries a 2\n", "line 3 comes after the end"),
        ("kseries a nan\nkseries end 1\n", "line 1 is not understood"),
        ("kseries a inf\nkseries end 1\n", "line 1 is not understood"),
        ("kseries a one\nkseries end 1\n", "line 1 is not understood"),
        ("kseries a 1 y=2\nkseries end 1\n", "line 1 is not understood"),
        ("kseries a 1 x=two\nkseries end 1\n", "line 1 is not understood"),
        ("kseries a\nkseries end 0\n", "line 1 is not understood"),
        ("kseries end many\n", "line 1 is not understood"),
    ],
)
def test_an_incomplete_log_is_a_problem(text: str, says: str) -> None:
    assert says in parse_output(text).problem


def test_a_skip_has_its_reason() -> None:
    assert parse_output("kseries skip no cgroup v2 here\n").skip == "no cgroup v2 here"
    assert parse_output("kseries skip\n").skip == "the program gave no reason"


@settings(deadline=None)
@given(
    some.lists(
        some.tuples(
            some.sampled_from(["latency", "ipis"]),
            some.floats(allow_nan=False, allow_infinity=False),
            some.sampled_from(["", "base", "v1-freezer"]),
            some.none() | some.floats(-1e9, 1e9),
        ),
        max_size=30,
    ),
    some.data(),
)
def test_what_is_printed_is_read_and_no_cut_is_missed(
    rows: list[tuple[str, float, str, float | None]], data: some.DataObject
) -> None:
    lines = [
        f"kseries {metric} {value!r}"
        + (f" arm={arm}" if arm else "")
        + ("" if x is None else f" x={x!r}")
        for metric, value, arm, x in rows
    ] + [f"kseries end {len(rows)}"]
    assert parse_output("\n".join(lines)).samples == tuple(Sample(*row) for row in rows)
    gone = data.draw(some.integers(0, len(lines) - 1))
    assert parse_output("\n".join(lines[:gone] + lines[gone + 1 :])).problem
