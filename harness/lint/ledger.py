"""The claim ledger: what each patch is switched, tested, measured and described by.

patches/ledger.toml states it, topic by topic and, where a patch differs, patch
by patch.  Every cell is checked against the repository; what does not apply is
`{ none = "why" }`.  docs/ledger.md is the table, written by `kseries ledger`.

    [topic.sched-agent]
    symbol = ["SCHED_AGENT"]                       # a Kconfig symbol of the series
    selftest = ["sched_agent:test_perm"]           # area:program, or area:program:case
    benchmark = ["sched_agent:bursts"]             # folder:case
    off = ["CONFIG_SCHED_AGENT=n"]                 # a name that the topic's patches add
    page = ["docs/sched-agent.md"]
    [patch."sched-agent/add-tracepoints.patch"]
    selftest = ["sched_agent:test_credit"]
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.core.errors import Exit, KseriesError
from harness.series.patchfile import parse_patch
from harness.series.series import Finding, Series

FILE = "ledger.toml"
PAGE = "docs/ledger.md"
COLUMNS = ("symbol", "selftest", "benchmark", "off", "page")
_TITLES = ("patch", "Kconfig symbol", "selftest", "benchmark", "off-switch", "page")


@dataclass(frozen=True)
class Cell:
    """One cell: its entries, or why there are none; both empty where nothing is stated."""

    entries: tuple[str, ...] = ()
    none: str = ""


@dataclass(frozen=True)
class Row:
    """One patch: file, subject, cells by column."""

    file: str
    subject: str
    cells: Mapping[str, Cell]

    @property
    def topic(self) -> str:
        """The folder below patches/."""
        return self.file.partition("/")[0]


def read_ledger(repo: Path, series: Series) -> list[Row]:
    """Return a row for each patch; KseriesError(LINT) for a table that cannot be read."""
    path = repo / "patches" / FILE
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        topics, patches = data.pop("topic", {}), data.pop("patch", {})
        if data:
            raise ValueError(f"it has {', '.join(data)} beside topics and patches")
        rows = []
        for entry in series.entries:
            stated = {**topics.get(entry.topic, {}), **patches.get(entry.file, {})}
            subject = parse_patch(series.text(entry.file)).subject
            rows.append(Row(entry.file, subject, _cells(entry.file, stated)))
    except (tomllib.TOMLDecodeError, ValueError) as error:
        raise KseriesError(
            Exit.LINT,
            f"the ledger of claims cannot be read: {error}",
            where=str(path),
            hint="harness/lint/ledger.py says what it holds",
        ) from None
    return rows


def lint_ledger(repo: Path, series: Series) -> list[Finding]:
    """Return what is missing or untrue in the ledger, and whether its page is old."""
    rows = read_ledger(repo, series)
    findings = _strange(repo, series)
    added = _added(series)
    for row in rows:
        for column in COLUMNS:
            for what in _problems(repo, series, row, column, added.get(row.topic, frozenset())):
                hint = f"state it in patches/{FILE}, or why there is none"
                findings.append(Finding(f"patches/{row.file}:1", what, hint, "ledger"))
    page = repo / PAGE
    if not page.is_file() or page.read_text(encoding="utf-8") != ledger_text(rows):
        findings.append(
            Finding(PAGE, "it is not what patches/ledger.toml says", "`kseries ledger`", "ledger")
        )
    return findings


def ledger_text(rows: list[Row]) -> str:
    """Return the page."""
    lines = [
        "# What each patch claims, and what shows it",
        "",
        f"Made by `kseries ledger` from `patches/{FILE}`; `kseries lint` checks that each thing",
        "named here is there. A selftest is area:program or area:program:case",
        "(`kseries test AREA`), a benchmark folder:case (`kseries bench FOLDER`).",
        "",
        f"| {' | '.join(_TITLES)} |",
        f"|{'---|' * len(_TITLES)}",
    ]
    reasons: dict[str, int] = {}
    for row in rows:
        cells = [f"`{row.subject}`".replace("|", "\\|")]
        for column in COLUMNS:
            cell = row.cells[column]
            if cell.none:
                cells.append(f"none ({reasons.setdefault(cell.none, len(reasons) + 1)})")
            else:
                cells.append(", ".join(_shown(column, entry) for entry in cell.entries))
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "Where there is none:", ""] if reasons else []
    lines += [f"{number}. {reason}" for reason, number in reasons.items()]
    return "\n".join(lines) + "\n"


def _strange(repo: Path, series: Series) -> list[Finding]:
    """Return a finding for each entry about a topic or patch that the series does not have."""
    path = repo / "patches" / FILE
    data = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    stated = [*data.get("topic", {}), *data.get("patch", {})]
    known = {entry.topic for entry in series.entries} | set(series.files)
    return [
        Finding(f"patches/{FILE}", f"the series has no {name}", "remove its entry", "ledger")
        for name in stated
        if name not in known
    ]


def _shown(column: str, entry: str) -> str:
    if column == "page":
        name = Path(entry).name
        return f"[{Path(entry).stem}]({name})"
    return f"`{entry}`"


def _cells(file: str, stated: Mapping[str, Any]) -> dict[str, Cell]:
    cells = {}
    if strange := sorted(set(stated) - set(COLUMNS)):
        raise ValueError(f"{file} has the columns {', '.join(strange)}")
    for column in COLUMNS:
        value = stated.get(column, [])
        if isinstance(value, dict) and set(value) == {"none"} and isinstance(value["none"], str):
            cells[column] = Cell((), value["none"])
        elif isinstance(value, list) and all(isinstance(item, str) and item for item in value):
            cells[column] = Cell(tuple(value))
        else:
            raise ValueError(
                f'{column} of {file} is neither a list of names nor {{ none = "why" }}'
            )
    return cells


def _problems(
    repo: Path, series: Series, row: Row, column: str, added: frozenset[str]
) -> list[str]:
    cell = row.cells[column]
    if not cell.entries and not cell.none:
        return [f"the ledger says no {column}"]
    checks: Mapping[str, Callable[[str], str]] = {
        "symbol": lambda name: "" if name in series.symbols() else "no patch of the series has it",
        "selftest": lambda name: _selftest(repo, name),
        "benchmark": lambda name: _benchmark(repo, name),
        "off": lambda name: _off(name, added),
        "page": lambda name: "" if (repo / name).is_file() else "there is no such file",
    }
    found = [(entry, checks[column](entry)) for entry in cell.entries]
    return [f"the ledger's {column} {entry}: {why}" for entry, why in found if why]


def _selftest(repo: Path, name: str) -> str:
    area, _, rest = name.partition(":")
    program, _, case = rest.partition(":")
    folder = repo / "selftests" / area
    if not area or not (folder / "plan.toml").is_file():
        return "there is no such area"
    plan = tomllib.loads((folder / "plan.toml").read_text(encoding="utf-8"))
    if program not in plan.get("program", {}):
        return f"the area has no program {program}"
    last = case.rpartition(".")[2]
    sources = [path for path in folder.iterdir() if path.suffix in {".c", ".h", ".sh", ".py"}]
    texts = (path.read_text(encoding="utf-8") for path in sources)
    if last and not any(re.search(rf"\b{re.escape(last)}\b", text) for text in texts):
        return f"no source of the area has the case {case}"
    return ""


def _benchmark(repo: Path, name: str) -> str:
    folder, _, case = name.partition(":")
    plan = repo / "benchmarks" / folder / "plan.toml"
    if not folder or not plan.is_file():
        return "there is no such benchmark"
    cases = tomllib.loads(plan.read_text(encoding="utf-8")).get("case", [])
    return "" if case in {item["name"] for item in cases} else f"its plan has no case {case}"


def _off(name: str, added: frozenset[str]) -> str:
    word = name.partition("=")[0].removeprefix("CONFIG_").rpartition(".")[2]
    return "" if word in added else f"no patch of the topic adds {word}"


def _added(series: Series) -> dict[str, frozenset[str]]:
    """Return the words that the patches of each topic add."""
    words: dict[str, set[str]] = {}
    for file, text in series.texts():
        lines = [line for line in text.split("\n") if line.startswith("+")]
        words.setdefault(file.partition("/")[0], set()).update(re.findall(r"\w+", "\n".join(lines)))
    return {topic: frozenset(found) for topic, found in words.items()}
