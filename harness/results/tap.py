"""TAP of a run: version 13 at the top, each suite a KTAP subtest below it."""

from __future__ import annotations

from harness.results.flat import Item, items_of
from harness.results.model import Results
from harness.results.text import one_line


def tap_text(results: Results) -> str:
    """Return the run as TAP.

    A reader of TAP 13 sees one line per suite and takes the indented subtests
    for noise; a reader of KTAP sees every case.  Excused failures are
    `not ok ... # TODO`, skipped ones `ok ... # SKIP reason`.
    """
    groups: dict[str, list[Item]] = {}
    for item in items_of(results):
        groups.setdefault(item.group, []).append(item)
    run = results.run
    lines = [
        "TAP version 13",
        f"# kseries {one_line(run.id)} {one_line(run.pin)} base {run.base_tree[:12]}"
        f" patched {run.patched_tree[:12]}",
        f"1..{len(groups)}",
    ]
    for index, (group, items) in enumerate(groups.items(), 1):
        lines.append(f"# Subtest: {_name(group)}")
        lines.append("    KTAP version 1")
        lines.append(f"    1..{len(items)}")
        lines += [f"    {line}" for n, item in enumerate(items, 1) for line in _lines(n, item)]
        failed = any(item.outcome in {"fail", "error"} for item in items)
        lines.append(f"{'not ok' if failed else 'ok'} {index} {_name(group)}")
    return "\n".join(lines) + "\n"


def _lines(index: int, item: Item) -> list[str]:
    name, text = _name(item.name), _name(item.text)
    if item.outcome == "pass":
        return [f"ok {index} {name}"]
    if item.outcome == "skip":
        return [f"ok {index} {name} # SKIP {text}".rstrip()]
    if item.outcome == "excused":
        return [f"not ok {index} {name} # TODO {item.kind}: {text}"]
    return [f"# {item.kind}: {text}", f"not ok {index} {name}"]


def _name(text: str) -> str:
    """Return text as a description: one line, and no # that reads as a directive."""
    return one_line(text).replace("#", "\\#")
