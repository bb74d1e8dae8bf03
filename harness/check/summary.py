"""The summary of a CI run: a page that a repository can keep."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from harness.build.fragments import find_set
from harness.build.kconfig import request_hash
from harness.build.selftests import area_configs
from harness.build.toolchain import detect_toolchain
from harness.check.resume import host_line
from harness.check.station import StationResult, closing_line
from harness.core.paths import Paths
from harness.guest.qemu import find_qemu
from harness.pipeline.run import host_facts
from harness.series.series import load_series
from harness.source.pin import load_pin


def summary_text(results: Sequence[StationResult], paths: Paths, command: str) -> str:
    """Return the summary as Markdown: what ran where, and each station's line."""
    pin = load_pin(paths.pin_file)
    here = host_line(host_facts())
    extra = area_configs(paths.repo / "selftests")
    config = request_hash(find_set(paths.repo / "kconfig", "prod"), root=paths.repo, extra=extra)
    toolchain = detect_toolchain()
    day = datetime.now(UTC).date().isoformat()
    lines = [
        f"# {closing_line(results)}",
        "",
        f"Made by `{command}` on {day}.",
        "",
        "| | |",
        "|---|---|",
        f"| kernel | {pin.version}, tree `{pin.tree}` |",
        f"| series | {len(load_series(paths).files)} patches |",
        f"| config | prod, `{config}` |",
        f"| compiler | {toolchain.id} |",
        f"| QEMU | {'.'.join(map(str, find_qemu(paths).version))} |",
        f"| host | {here} |",
        "",
        "| station | ended | passed | failed | skipped | seconds | commit | remark |",
        "|---|---|---:|---:|---:|---:|---|---|",
    ]
    for result in results:
        tally = result.tally
        remark = result.reason or tally.note
        if result.host not in {"", here}:
            remark = f"{remark}; on {result.host}".removeprefix("; ")
        remark = remark.replace("|", "/").replace(str(paths.repo) + "/", "")
        lines.append(
            f"| {result.name} | {result.state} | {tally.passed} | {tally.failed} | "
            f"{tally.skipped} | {result.seconds:.0f} | {result.commit} | {remark} |"
        )
    problems = [(r.name, problem) for r in results for problem in r.tally.problems]
    if problems:
        lines += ["", "## What failed", ""]
        lines += [f"- **{name}**: {text.splitlines()[0]}" for name, text in problems]
    return "\n".join(lines) + "\n"
