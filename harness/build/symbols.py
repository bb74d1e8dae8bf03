"""Kconfig as data: what a symbol needs, what it has, and why a request failed.

kconfiglib evaluates the kernel's own Kconfig files against a finished
.config.  `make olddefconfig` stays the authority on values; this module only
says why.  The library predates some spellings of newer kernels, which are
translated while a file is read.
"""

from __future__ import annotations

import difflib
import io
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import kconfiglib

from harness.build.toolchain import Toolchain

_DEPTH = 6  # how far an unmet dependency is followed
_MODERN = {
    # Only carries old .config values over; without a prompt it is inert.
    "transitional": "",
    # 6.x drops the word `option`.
    "modules": "\toption modules",
}
# 7.x: a dependency that counts only under a condition.  Without modules, "is not n" and
# "is y" are one, so that the negation says the same.
_CONDITION = re.compile(r"(\s*depends on) ([^#]+) if ([^#]+)(#.*)?")
_LOCK = threading.Lock()


class _Kconfig(kconfiglib.Kconfig):  # type: ignore[misc]
    def _open(self, filename: str, mode: str) -> TextIO:
        handle: TextIO = super()._open(filename, mode)
        if mode != "r" or not Path(filename).name.startswith("Kconfig"):
            return handle
        with handle:
            lines = handle.read().split("\n")
        return io.StringIO("\n".join(_translated(line) for line in lines))


def _translated(line: str) -> str:
    if match := _CONDITION.fullmatch(line):
        return f"{match[1]} ({match[2]}) || !({match[3]})"
    return _MODERN.get(line.strip(), line)


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Kconfig's $(NAME) reads the process's environment, and its shell calls too."""
    with _LOCK:
        saved = dict(os.environ)
        os.environ.update(values)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(saved)


@dataclass(frozen=True)
class Dependency:
    """One operand of a symbol's `depends on`: its text, value, whether it is met."""

    text: str
    value: str
    met: bool
    places: tuple[str, ...] = ()


class Symbols:
    """The symbols of one kernel tree with the values of one .config."""

    def __init__(self, src: Path, config: Path, toolchain: Toolchain | None = None) -> None:
        """Parse src/Kconfig (3 s for x86) and load config.

        toolchain: the compilers that $(cc-option) asks; None for a Kconfig
        tree that asks nothing.
        """
        # KERNELVERSION only shows in the main menu's title.
        values = {
            "srctree": str(src),
            "ARCH": "x86",
            "SRCARCH": "x86",
            "KERNELVERSION": "kernel",
            "CC": toolchain.cc if toolchain else "false",
            "CC_VERSION_TEXT": toolchain.cc_version if toolchain else "",
            "LD": "ld",
            "NM": "nm",
            "AR": "ar",
            "OBJCOPY": "objcopy",
            "PAHOLE": "pahole",
            "RUSTC": "rustc",
            "RUSTC_VERSION_TEXT": "",
            "BINDGEN": "bindgen",
            "CLANG_FLAGS": "",
            "LC_ALL": "C",
        }
        with _environment(values):
            self._tree = _Kconfig(str(src / "Kconfig"), warn=True, warn_to_stderr=False)
            self._tree.load_config(str(config))
        self._src = src

    def known(self, name: str) -> bool:
        """Whether some Kconfig file defines the symbol."""
        symbol = self._tree.syms.get(name)
        return symbol is not None and bool(symbol.nodes)

    def close_names(self, name: str) -> list[str]:
        """Return defined symbols whose names look like name."""
        names = [n for n, s in self._tree.syms.items() if s.nodes]
        return difflib.get_close_matches(name, names, 4, 0.75)

    def value(self, name: str) -> str:
        """Return the symbol's value as Kconfig computes it, "n" where there is none."""
        symbol = self._tree.syms.get(name)
        return str(symbol.str_value) if symbol is not None and symbol.str_value else "n"

    def symbol(self, name: str) -> Any:
        """Return kconfiglib's symbol (KeyError if no file mentions it)."""
        return self._tree.syms[name]

    def places(self, name: str) -> tuple[str, ...]:
        """Return where the symbol is defined, as file:line."""
        return _places(self._tree.syms[name])

    def dependencies(self, name: str) -> tuple[Dependency, ...]:
        """Return the operands of the symbol's depends-on, each with its value."""
        symbol = self._tree.syms[name]
        return tuple(_dependency(part) for part in _and_parts(_depends(symbol)))

    def depends_text(self, name: str) -> str:
        """Return the depends-on expression as Kconfig would write it."""
        return _text(_depends(self._tree.syms[name]))

    def chain(self, name: str) -> list[str]:
        """Return lines that say why the symbol does not have a stronger value."""
        return self._chain(self._tree.syms[name], 0, set())

    def why_not(self, name: str, wanted: str) -> list[str]:
        """Return lines that say why the symbol did not end with the wanted value."""
        if not self.known(name):
            close = ", ".join(f"CONFIG_{n}" for n in self.close_names(name))
            return [
                f"no Kconfig file of this tree defines CONFIG_{name}",
                *([f"close names: {close}"] if close else []),
            ]
        symbol = self._tree.syms[name]
        if wanted == "n":
            return self._held(symbol)
        if wanted == "m" and symbol.orig_type is kconfiglib.TRISTATE:
            modules = self._tree.modules
            if modules.tri_value == 0:
                return [f"CONFIG_{modules.name} = n: this kernel has no modules"]
        return self._chain(symbol, 0, set())

    def _held(self, symbol: Any) -> list[str]:
        """Why a symbol is set although it was asked to be off."""
        selectors = [
            f"selected by {_text(part)}"
            for part in _or_parts(symbol.rev_dep)
            if kconfiglib.expr_value(part) > 0
        ]
        if selectors:
            return selectors
        if symbol.choice is not None:
            return ["it is the chosen member of its choice: ask for another member"]
        if not _prompted(symbol):
            return ["it has no prompt that can be answered now: a default sets it"]
        return ["a default sets it although the request says n"]

    def _chain(self, symbol: Any, depth: int, seen: set[str]) -> list[str]:
        pad = "  " * depth
        if symbol.name in seen or depth > _DEPTH:
            return []
        seen.add(symbol.name)
        places = _places(symbol)
        lines = [f"{pad}CONFIG_{symbol.name} = {_shown(symbol)}  ({', '.join(places) or '?'})"]
        if not symbol.nodes:
            return [f"{pad}CONFIG_{symbol.name} is not defined for this architecture"]
        depends = _depends(symbol)
        unmet = [part for part in _and_parts(depends) if kconfiglib.expr_value(part) == 0]
        if unmet:
            lines.append(f"{pad}  depends on {_text(depends)}")
            for part in unmet:
                lines += self._unmet(part, depth + 2, seen)
            return lines
        if symbol.choice is not None and symbol.choice.selection is not symbol:
            chosen = symbol.choice.selection
            name = f"CONFIG_{chosen.name}" if chosen is not None else "none"
            return [*lines, f"{pad}  it is a member of a choice in which {name} is chosen"]
        if not _prompted(symbol):
            lines.append(f"{pad}  it has no prompt: only a `select` or a default can set it")
            for part in list(_or_parts(symbol.rev_dep))[:4]:
                lines.append(f"{pad}  selected by {_text(part)} (= {_tri(part)})")
            return lines
        if depth:
            lines.append(f"{pad}  its dependencies are met, but nothing asks for it")
        elif symbol.type in {kconfiglib.INT, kconfiglib.HEX}:
            ranges = "; ".join(f"{_text(a)} to {_text(b)}" for a, b, _ in symbol.ranges)
            lines.append(f"{pad}  allowed range: {ranges or 'any'}")
        return lines

    def _unmet(self, part: Any, depth: int, seen: set[str]) -> list[str]:
        """One operand that is n: follow it if it is a symbol, else show its parts."""
        pad = "  " * depth
        if isinstance(part, kconfiglib.Symbol):
            known = part.name in seen
            lines = self._chain(part, depth, seen)
            return lines or ([f"{pad}CONFIG_{part.name} = n  (see above)"] if known else [])
        lines = [f"{pad}{_text(part)} is n"]
        inner = [s for s in _symbols_in(part) if not s.is_constant]
        negated = isinstance(part, tuple) and part[0] is kconfiglib.NOT
        for symbol in inner[:8]:
            if negated or symbol.tri_value > 0 or not isinstance(part, tuple):
                lines.append(f"{pad}  CONFIG_{symbol.name} = {_shown(symbol)}")
            elif part[0] is kconfiglib.OR:
                lines += self._chain(symbol, depth + 1, seen)
            else:
                lines.append(f"{pad}  CONFIG_{symbol.name} = {_shown(symbol)}")
        return lines


def _depends(symbol: Any) -> Any:
    return symbol.direct_dep


def _and_parts(expression: Any) -> list[Any]:
    return list(kconfiglib.split_expr(expression, kconfiglib.AND))


def _or_parts(expression: Any) -> list[Any]:
    if getattr(expression, "name", "") == "n":
        return []
    return list(kconfiglib.split_expr(expression, kconfiglib.OR))


def _text(expression: Any) -> str:
    return str(kconfiglib.expr_str(expression))


def _tri(expression: Any) -> str:
    return str(kconfiglib.TRI_TO_STR[kconfiglib.expr_value(expression)])


def _shown(symbol: Any) -> str:
    return str(symbol.str_value) or "n"


def _places(symbol: Any) -> tuple[str, ...]:
    return tuple(f"{node.filename}:{node.linenr}" for node in symbol.nodes)


def _prompted(symbol: Any) -> bool:
    return any(n.prompt and kconfiglib.expr_value(n.prompt[1]) > 0 for n in symbol.nodes)


def _symbols_in(expression: Any) -> list[Any]:
    found = [item for item in kconfiglib.expr_items(expression) if hasattr(item, "is_constant")]
    return sorted(found, key=lambda item: str(item.name))


def _dependency(part: Any) -> Dependency:
    met = kconfiglib.expr_value(part) > 0
    if isinstance(part, kconfiglib.Symbol):
        return Dependency(_text(part), _shown(part), met, _places(part))
    inside = ", ".join(f"{s.name} = {_shown(s)}" for s in _symbols_in(part) if not s.is_constant)
    return Dependency(_text(part), f"{_tri(part)} ({inside})" if inside else _tri(part), met)


def plain_name(name: str) -> str:
    """Return a symbol's name without CONFIG_, as a person may type it either way."""
    return re.sub(r"^CONFIG_", "", name.strip())
