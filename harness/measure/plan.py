"""benchmarks/TOPIC/plan.toml: what is measured, how, and what counts as success.

A topic is a folder: plan.toml, a Makefile and programs.  The harness runs
`make -C COPY OUTPUT=DIR` once (COPY is a copy of the topic's folder with
benchmarks/include beside it, so `-I../include` finds kseries.h), boots the
kernels, and runs each case's command in the guest.  A commented example that
uses every key:

    feature = "freeze"                  # short name: tables, plots, `kseries bench freeze`
    title = "Freezing a cgroup that sleeps in the memory.high penalty"
    patches = ["memcg/end-high-sleep-on-freeze.patch"]  # below patches/; [] for a baseline

    [[tool]]                            # optional: programs of the kernel's source to build
    folder = "sched_ext"                # below its tools/
    programs = ["scx_simple"]           # what `make O=DIR NAME` there leaves below DIR
    kernel = "base"                     # whose source, and in whose boots. Default "base"

    [[case]]
    name = "latency"                    # unique in the plan: a-z, 0-9, -
    title = "Time from writing cgroup.freeze to frozen 1"
    lanes = ["L1"]                      # of L1, L2, L3; each gives figures of its own
    command = "{bin}/freeze --seed {seed} --samples {samples} {args}"
    kernels = ["base", "patched"]       # arms with a boot of their own; this is the default
    samples = 200                       # samples of each metric, per boot, arm and x
    warmup = 10                         # for {warmup}; not counted. Default 0
    boots = 3                           # boots per kernel arm. Default 3; --runs overrides
    limit = 300                         # guest seconds for one command. Default 300
    args = ""                           # {args} of the kernel arms. Default ""; where they differ
                                        # { base = "--mode old", patched = "--mode new" }
    env = { MODE = "v2" }               # environment of every arm. Default {}
    setup = ["mount -t debugfs none /sys/kernel/debug"]   # in the guest, before each command;
                                        # a failure fails the case
    needs = [                           # a failing test skips the case, with the reason
        { run = "test -e /sys/fs/cgroup/cgroup.controllers", reason = "no cgroup v2" },
    ]
    topology = "1x1:1G"                 # default: 1x1:1G in L1, 4x2 in L2 and L3
    append = ["psi=1"]                  # more words for the kernel's command line. Default []
    scratch = false                     # true: an ext4 disk with swap, and run there. Default false
    isolate = false                     # true: a boot for this case alone. Default false
    level = "look"                      # the least thorough run that has it: "look" (the default:
                                        # also `demo` and `check`), "bench", "full" (bench --full)
    note = "..."                        # printed with the figures. Default ""

    [case.x]                            # optional: a sweep, the x axis of the plot
    name = "hogs"
    label = "busy CPUs"
    values = [1, 2, 4, 8]               # if the command names {x} it runs once for each value,
                                        # otherwise one run sweeps itself and prints x=

    [[case.metric]]
    name = "latency"                    # as the program prints it: a-z, 0-9, _
    title = "freeze latency"            # default: the name
    unit = "ms"                         # ns, us, ms and s are converted in targets
    better = "lower"                    # or "higher"
    statistics = ["p50", "p99"]         # of p50 p90 p95 p99 p999 max min mean sum count
    samples = 200                       # default: the case's; 1 for a figure printed once a run
    target = "patched.p99 < 50 ms"      # optional, or a list; see harness.measure.target
    arms = ["patched"]                  # the only ones that print it. Default: all

    [[case.rival]]                      # optional: what a user would pick instead
    name = "v1-freezer"                 # the arm's name in results
    title = "cgroup v1 freezer"         # default: the name
    kernel = "base"                     # in whose boots it runs. Default "base"
    args = "--v1"                       # {args} of this arm
    env = { MODE = "v1" }               # added to the case's env
    samples = 60                        # fewer, where one takes long. Default: the case's
    level = "bench"                     # as that of the case; at least that is what it has
    inline = false                      # true: no run of its own, the kernel arm's program
                                        # prints its samples with arm=NAME

Placeholders of `command`, `setup`, `needs` and `args`: {bin} folder of the built
programs, {dir} the topic's folder, {seed} a number that depends on --seed,
the case and the boot but not on the arm, {samples}, {warmup}, {x}, {args},
{arm}, {kernel}, {lane}, {tools} folder of the programs of [[tool]] that belong
to the boot's kernel.  Write {{ and }} for braces.  The working folder is
empty and the command's own (on a tmpfs, or on the scratch disk).

A program prints samples as benchmarks/include/kseries.h says:
`kseries METRIC VALUE [arm=NAME] [x=NUMBER]`, `kseries skip REASON` with
status 4, and last `kseries end COUNT`.  Another status than 0, a missing end,
or another number of samples than planned fails the case.

Cases of all topics with the same kernel, lane, topology, append and scratch
share boots, in the order of topics and cases; arms alternate: base, patched,
base, patched.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from harness.core.errors import Exit, KseriesError
from harness.guest.job import Lane
from harness.measure.model import (
    KERNELS,
    LANES,
    LEVELS,
    METRIC,
    PLACEHOLDERS,
    RESERVED,
    WORD,
    Case,
    Metric,
    Need,
    Plan,
    Rival,
    Sweep,
    Tool,
    placeholders,
)
from harness.measure.stats import STATISTICS
from harness.measure.table import Table
from harness.measure.target import Target, parse_target, resolve


def find_plans(benchmarks: Path, topics: Iterable[str] = ()) -> list[Plan]:
    """Read the plans below benchmarks/, in the order of their folders' names.

    topics: folder or feature names to keep; empty keeps all.  A name that
    fits none is an error that lists what there is.
    """
    plans = [load_plan(path) for path in sorted(benchmarks.glob("*/plan.toml"))]
    by_feature: dict[str, Plan] = {}
    for plan in plans:
        other = by_feature.setdefault(plan.feature, plan)
        if other is not plan:
            raise KseriesError(
                Exit.USAGE,
                f"two plans have the feature {plan.feature!r}",
                where=f"{other.file} and {plan.file}",
                hint="give one of them another name",
            )
    wanted = list(topics)
    known = {plan.topic for plan in plans} | set(by_feature)
    for name in wanted:
        if name not in known:
            raise KseriesError(
                Exit.USAGE,
                f"no benchmark topic {name!r}",
                where=str(benchmarks),
                hint="there are: " + (", ".join(plan.topic for plan in plans) or "none"),
            )
    return [p for p in plans if not wanted or p.topic in wanted or p.feature in wanted]


def load_plan(path: Path) -> Plan:
    """Read and validate one plan.toml; every error names the file and the key."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise KseriesError(
            Exit.USAGE,
            "a benchmark topic without a plan",
            where=str(path),
            hint="write one; the docstring of harness/measure/plan.py is a commented example",
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise KseriesError(
            Exit.USAGE, f"not TOML: {error}", where=str(path), hint="correct that line"
        ) from None
    return parse_plan(data, path)


def parse_plan(data: Mapping[str, object], path: Path) -> Plan:
    """Return the plan in the parsed TOML; path is for messages and the topic."""
    table = Table(data, str(path))
    plan = Plan(
        topic=path.parent.name,
        feature=table.word("feature", WORD),
        title=table.text("title"),
        patches=table.texts("patches", default=()),
        cases=tuple(_case(item) for item in table.tables("case", required=True)),
        file=path,
        tools=tuple(_tool(item) for item in table.tables("tool")),
    )
    table.done()
    table.unique("case", [case.name for case in plan.cases])
    return plan


def _case(table: Table) -> Case:
    command = table.text("command")
    samples = table.number("samples", minimum=1)
    sweep = _sweep(table.table("x"))
    case = Case(
        name=table.word("name", WORD),
        title=table.text("title"),
        lanes=tuple(Lane(name) for name in table.choices("lanes", LANES)),
        command=command,
        kernels=table.choices("kernels", KERNELS, default=KERNELS),
        metrics=tuple(_metric(item, samples) for item in table.tables("metric", required=True)),
        samples=samples,
        warmup=table.number("warmup", minimum=0, default=0),
        boots=table.number("boots", minimum=1, default=3),
        limit=float(table.number("limit", minimum=1, default=300)),
        args=_args(table),
        env=table.mapping("env"),
        setup=table.texts("setup", default=()),
        needs=tuple(_need(item) for item in table.tables("needs")),
        topology=table.text("topology", default=""),
        append=table.texts("append", default=()),
        scratch=table.flag("scratch"),
        isolate=table.flag("isolate"),
        level=table.choice("level", LEVELS, default=LEVELS[0]),
        note=table.text("note", default=""),
        sweep=sweep,
        rivals=tuple(_rival(item) for item in table.tables("rival")),
    )
    table.done()
    table.unique("metric", [metric.name for metric in case.metrics])
    table.unique("rival", [*KERNELS, *(rival.name for rival in case.rivals)])
    _check_templates(table, case)
    _check_arms(table, case)
    return case


def _tool(table: Table) -> Tool:
    tool = Tool(
        folder=table.text("folder"),
        programs=table.texts("programs"),
        kernel=table.choice("kernel", KERNELS, default="base"),
    )
    if not tool.programs:
        raise table.error("programs", "must name at least one")
    table.unique("programs", tool.programs)
    table.done()
    return tool


def _args(table: Table) -> Mapping[str, str]:
    """Return {args} by kernel arm: one text for both, or a table."""
    if not table.is_table("args"):
        return dict.fromkeys(KERNELS, table.text("args", default=""))
    args = table.mapping("args")
    for kernel in args:
        if kernel not in KERNELS:
            raise table.error("args", f"{kernel!r} is not known", KERNELS)
    return {kernel: args.get(kernel, "") for kernel in KERNELS}


def _sweep(table: Table | None) -> Sweep | None:
    if table is None:
        return None
    name = table.word("name", METRIC)
    sweep = Sweep(name, table.text("label", default=name), table.numbers("values"))
    table.unique("values", [f"{value:g}" for value in sweep.values])
    table.done()
    return sweep


def _metric(table: Table, samples: int) -> Metric:
    name = table.word("name", METRIC)
    if name in STATISTICS or name in RESERVED:
        taken = ", ".join((*STATISTICS, *RESERVED))
        raise table.error("name", f"{name!r} is taken; a metric is not called {taken}")
    targets = tuple(_target(table, text) for text in table.text_or_texts("target"))
    metric = Metric(
        name=name,
        title=table.text("title", default=name),
        unit=table.text("unit"),
        better=table.choice("better", ("lower", "higher")),
        statistics=table.choices("statistics", STATISTICS),
        samples=table.number("samples", minimum=1, default=samples),
        targets=targets,
        arms=table.texts("arms", default=()),
    )
    table.unique("arms", metric.arms)
    table.done()
    return metric


def _target(table: Table, text: str) -> Target:
    try:
        return parse_target(text)
    except KseriesError as error:
        raise table.error("target", f"{error.what} ({error.hint})") from None


def _rival(table: Table) -> Rival:
    name = table.word("name", WORD)
    rival = Rival(
        name=name,
        title=table.text("title", default=name),
        kernel=table.choice("kernel", KERNELS, default="base"),
        args=table.text("args", default=""),
        env=table.mapping("env"),
        inline=table.flag("inline"),
        samples=table.number("samples", minimum=0, default=0) or None,
        level=table.choice("level", LEVELS, default=LEVELS[0]),
    )
    if rival.inline and (rival.args or rival.env or rival.samples):
        raise table.error("inline", "an inline rival has no run, so no args, env or samples")
    table.done()
    return rival


def _need(table: Table) -> Need:
    need = Need(table.text("run"), table.text("reason"))
    table.done()
    return need


def _check_templates(table: Table, case: Case) -> None:
    """Refuse unknown placeholders before a guest boots for them."""
    templates = [("command", case.command), *(("setup", line) for line in case.setup)]
    templates += [("needs", need.run) for need in case.needs]
    templates += [("args", args) for args in case.args.values()]
    templates += [("rival", rival.args) for rival in case.rivals]
    for key, names in _placeholders(table, templates):
        unknown = sorted(names - set(PLACEHOLDERS))
        if unknown:
            raise table.error(key, f"no placeholder {unknown[0]!r}", PLACEHOLDERS)
        if "x" in names and case.sweep is None:
            raise table.error(key, "{x} without a [case.x] table")
        if "args" in names and key in ("args", "rival"):
            raise table.error(key, "{args} cannot be part of itself")
    takes_args = "args" in placeholders(case.command)
    if any(case.args.values()) and not takes_args:
        raise table.error("args", "the command does not use {args}")
    for rival in case.rivals:
        if rival.args and not takes_args:
            raise table.error("rival", f"{rival.name} has args, the command does not use {{args}}")


def _placeholders(
    table: Table, templates: Iterable[tuple[str, str]]
) -> Iterator[tuple[str, set[str]]]:
    """Yield the key and the placeholders of each template."""
    for key, template in templates:
        try:
            yield key, placeholders(template)
        except ValueError as error:
            raise table.error(key, f"{error}; write {{{{ and }}}} for braces") from None


def _check_arms(table: Table, case: Case) -> None:
    """Refuse rivals without a boot, and targets about figures that cannot be."""
    arms = {*case.kernels, *(rival.name for rival in case.rivals)}
    for rival in case.rivals:
        if rival.kernel not in case.kernels:
            raise table.error(
                "rival", f"{rival.name} runs on {rival.kernel}, which is not in kernels"
            )
    units = {metric.name: metric.unit for metric in case.metrics}
    for metric in case.metrics:
        for arm in metric.arms:
            if arm not in arms:
                raise table.error(f"metric {metric.name}: arms", f"no arm {arm!r}", sorted(arms))
        for target in metric.targets:
            try:
                _check_target(target, metric, case, arms, units)
            except KseriesError as error:
                raise table.error(f"metric {metric.name}: target", error.what) from None
        heads = [target.figures[0].text for target in metric.targets]
        table.unique(f"metric {metric.name}: target: the first figure", heads)


def _check_target(
    target: Target, metric: Metric, case: Case, arms: set[str], units: Mapping[str, str]
) -> None:
    """Refuse a target about figures that this case does not have."""
    statistics = {other.name: other.statistics for other in case.metrics}
    target.check(metric.name, arms, statistics, units, case.sweep.values if case.sweep else ())
    for figure in target.figures:
        name, _ = resolve(figure, metric.name, statistics)
        if not any(m.name == name and m.printed_by(figure.arm) for m in case.metrics):
            raise KseriesError(Exit.USAGE, f"{figure.text}: {figure.arm} does not print {name}")
