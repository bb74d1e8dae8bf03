"""Say everything about one symbol: value, who asked, what it needs, what needs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import kconfiglib

from harness.build.fragments import Request
from harness.build.kconfig import Config
from harness.build.symbols import Dependency, Symbols, plain_name
from harness.core.errors import Exit, KseriesError

_LIST_LIMIT = 12


@dataclass(frozen=True)
class Explanation:
    """One symbol in one configuration.

    requests: every line that asks for it, the winning one last; depends: the
    operands of its depends-on; why: lines about what keeps it from being set,
    empty when it is set.
    """

    symbol: str
    set_name: str
    value: str
    type: str
    prompt: str
    defined: tuple[str, ...]
    requests: tuple[Request, ...]
    depends_text: str
    depends: tuple[Dependency, ...]
    selects: tuple[str, ...]
    selected_by: tuple[str, ...]
    implied_by: tuple[str, ...]
    choice: str
    why: tuple[str, ...]
    help: str

    def as_json(self) -> dict[str, Any]:
        """Return the explanation as JSON types."""
        return asdict(self)


def explain(name: str, config: Config, symbols: Symbols, set_name: str) -> Explanation:
    """Explain a symbol (with or without CONFIG_) in a finished configuration."""
    name = plain_name(name)
    if not symbols.known(name):
        close = ", ".join(f"CONFIG_{n}" for n in symbols.close_names(name))
        raise KseriesError(
            Exit.CONFIG,
            f"no Kconfig file of this tree defines CONFIG_{name}",
            where=f"the set {set_name!r}",
            hint=f"close names: {close}" if close else "check the spelling",
            details={"symbol": f"CONFIG_{name}"},
        )
    symbol = symbols.symbol(name)
    prompts = [node.prompt[0] for node in symbol.nodes if node.prompt]
    helps = [node.help.strip() for node in symbol.nodes if node.help]
    value = config.values.get(name, "n")
    return Explanation(
        symbol=f"CONFIG_{name}",
        set_name=set_name,
        value=value,
        type=str(kconfiglib.TYPE_TO_STR[symbol.orig_type]),
        prompt=prompts[0] if prompts else "",
        defined=symbols.places(name),
        requests=_requests(name, config),
        depends_text=symbols.depends_text(name),
        depends=symbols.dependencies(name),
        selects=tuple(_clause(target, cond) for target, cond, *_ in symbol.selects),
        selected_by=_reverse(symbol.rev_dep),
        implied_by=_reverse(symbol.weak_rev_dep),
        choice=_choice(symbol),
        why=tuple(symbols.chain(name)) if value == "n" else (),
        help=helps[0] if helps else "",
    )


def _requests(name: str, config: Config) -> tuple[Request, ...]:
    lost = [o.weaker for o in config.plan.overrides if o.weaker.symbol == name]
    winner = config.plan.requests.get(name)
    return (*lost, *([winner] if winner else []))


def _clause(target: Any, condition: Any) -> str:
    text = str(kconfiglib.expr_str(condition))
    return f"{target.name} if {text}" if text != "y" else str(target.name)


def _reverse(expression: Any) -> tuple[str, ...]:
    if getattr(expression, "name", "") == "n":
        return ()
    parts = kconfiglib.split_expr(expression, kconfiglib.OR)
    # Those that act now come first.
    ordered = sorted(parts, key=lambda part: -int(kconfiglib.expr_value(part)))
    return tuple(
        f"{kconfiglib.expr_str(part)} (= {kconfiglib.TRI_TO_STR[kconfiglib.expr_value(part)]})"
        for part in ordered
    )


def _choice(symbol: Any) -> str:
    choice = symbol.choice
    if choice is None:
        return ""
    prompts = [node.prompt[0] for node in choice.nodes if node.prompt]
    chosen = f"CONFIG_{choice.selection.name}" if choice.selection is not None else "none"
    members = ", ".join(member.name for member in choice.syms)
    return f"{prompts[0] if prompts else 'a choice'}: {chosen} is chosen of {members}"


def render(item: Explanation) -> str:
    """Return the explanation as text for a person."""
    lines = [f"{item.symbol} = {item.value}   (set {item.set_name}, {item.type})"]
    if item.prompt:
        lines.append(f'  prompt       "{item.prompt}"')
    else:
        lines.append("  prompt       none: it cannot be asked for, only selected or defaulted")
    lines.append(f"  defined      {', '.join(item.defined)}")
    if not item.requests:
        lines.append("  requested    nowhere: Kconfig's default")
    for index, request in enumerate(item.requests):
        lost = "" if index + 1 == len(item.requests) else "  [overridden]"
        lines.append(f"  requested    {request.place}: {request}{lost}")
        if request.reason:
            lines.append(f"               because: {request.reason}")
    if item.depends_text != "y":
        lines.append(f"  depends on   {item.depends_text}")
        for part in item.depends:
            places = f"   {', '.join(part.places)}" if part.places else ""
            unmet = "" if part.met else "   <- unmet"
            lines.append(f"               {part.text} = {part.value}{places}{unmet}")
    else:
        lines.append("  depends on   nothing")
    if item.choice:
        lines.append(f"  choice       {item.choice}")
    lines += _listing("selects", item.selects)
    lines += _listing("selected by", item.selected_by)
    lines += _listing("implied by", item.implied_by)
    if item.why:
        lines.append("  why it is off")
        lines += [f"    {line}" for line in item.why]
    if item.help:
        first = item.help.split("\n\n", 1)[0]
        lines.append("  help")
        lines += [f"    {line.strip()}" for line in first.splitlines()]
    return "\n".join(lines)


def _listing(title: str, entries: Sequence[str]) -> list[str]:
    if not entries:
        return []
    shown = [f"  {title:<12} {entries[0]}"]
    shown += [f"               {entry}" for entry in entries[1:_LIST_LIMIT]]
    if len(entries) > _LIST_LIMIT:
        shown.append(f"               and {len(entries) - _LIST_LIMIT} more")
    return shown
