"""pin.toml: which kernel everything is built on, and how to know it is that one.

pins/*.toml have the same form: other bases, onto which the series is rebased.
`kseries tree --pin-of TARBALL` writes one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.core.errors import Exit, KseriesError

_VERSION = re.compile(r"\d+\.\d+(\.\d+)?(-rc\d+)?")
_PIN_KEYS = {"version", "tag", "tree", "excluded", "artefact", "needs"}
_ARTEFACT_KEYS = {"name", "kind", "sha256", "sha1", "size", "url"}
KINDS = ("debian-orig", "kernel.org")


@dataclass(frozen=True)
class Artefact:
    """One published tarball of the release.

    kind: "debian-orig" or "kernel.org"; size in bytes; sha1 is what snapshot
    archives file it under; url where its publisher keeps it ("" if unknown).
    """

    name: str
    kind: str
    sha256: str
    size: int
    sha1: str = ""
    url: str = ""


@dataclass(frozen=True)
class Pin:
    """A kernel release and its identity.

    tree: the git tree id after the `excluded` paths (files or folders) are
    removed; tag: its name in a git repository of the stable kernels; needs:
    (capability of the host table, version) where this kernel wants a newer
    one than the table says.
    """

    version: str
    tag: str
    tree: str
    excluded: tuple[str, ...]
    artefacts: tuple[Artefact, ...]
    needs: tuple[tuple[str, str], ...] = ()

    def excluding(self, path: str) -> str:
        """Return the entry of `excluded` that path, relative to the root, falls under, or ""."""
        names = (n for n in self.excluded if path == n or path.startswith(f"{n}/"))
        return next(names, "")


class _BadPinError(Exception):
    """What is wrong with the file, in one sentence."""


def load_pin(path: Path) -> Pin:
    """Read and check a pin file; anything missing, unknown or malformed is an error."""
    try:
        return parse_pin(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise KseriesError(
            Exit.USAGE,
            "the pin file is missing",
            where=str(path),
            hint=f"restore it: `git checkout {path.name}`, or name one of pins/",
        ) from None
    except (_BadPinError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise KseriesError(
            Exit.USAGE,
            f"the pin file cannot be used: {error}",
            where=str(path),
            hint="its fields are explained in harness/source/pin.py; compare `git diff`",
        ) from None


def parse_pin(text: str) -> Pin:
    """Return the pin that the TOML text describes."""
    data = tomllib.loads(text)
    _known(data, _PIN_KEYS, "the top level")
    version = _text(data, "version", "the top level")
    if not _VERSION.fullmatch(version):
        raise _BadPinError(f"version {version!r} is not a kernel version like 6.18.15")
    tree = _digest(data, "tree", 40, "the top level")
    excluded = data.get("excluded", [])
    if not isinstance(excluded, list) or not all(isinstance(item, str) for item in excluded):
        raise _BadPinError("`excluded` must be a list of paths")
    for name in excluded:
        if not name or name.startswith("/") or name.endswith("/") or ".." in name.split("/"):
            raise _BadPinError(
                f"excluded path {name!r} must be relative, without .. or a slash at its end"
            )
    artefacts = data.get("artefact", [])
    if not isinstance(artefacts, list) or not all(isinstance(item, dict) for item in artefacts):
        raise _BadPinError("`artefact` must be written as [[artefact]] tables")
    return Pin(
        version,
        _text(data, "tag", "the top level"),
        tree,
        tuple(excluded),
        tuple(_artefact(item, number) for number, item in enumerate(artefacts, 1)),
        _needs(data.get("needs", {})),
    )


def pin_text(pin: Pin, remarks: Sequence[str]) -> str:
    """Return the text of a pin file that parse_pin reads back; remarks: lines of its head."""
    out = [f"# {line}".rstrip() for line in remarks]
    out += ["", f'version = "{pin.version}"', f'tag = "{pin.tag}"', f'tree = "{pin.tree}"', ""]
    out += ["# What Debian's orig tarball leaves out.", "excluded = ["]
    out += [*(f'    "{name}",' for name in pin.excluded), "]"]
    for item in pin.artefacts:
        out += ["", "[[artefact]]", f'name = "{item.name}"', f'kind = "{item.kind}"']
        out += [f'sha256 = "{item.sha256}"', f"size = {item.size}"]
        if item.sha1:
            out += ["# What snapshot archives file it under.", f'sha1 = "{item.sha1}"']
        if item.url:
            out.append(f'url = "{item.url}"')
    if pin.needs:
        out += ["", "# Of the host, where harness/host/packages.toml asks for less.", "[needs]"]
        out += [f'{name} = "{version}"' for name, version in pin.needs]
    return "\n".join(out) + "\n"


def _needs(data: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(data, dict):
        raise _BadPinError("`needs` must be a table: capability = version")
    for name, version in data.items():
        if not isinstance(version, str) or not re.fullmatch(r"\d+(\.\d+)*", version):
            raise _BadPinError(f'`{name}` in [needs] must be a version like "1.26"')
    return tuple(data.items())


def _artefact(data: Mapping[str, Any], number: int) -> Artefact:
    place = f"[[artefact]] number {number}"
    _known(data, _ARTEFACT_KEYS, place)
    name = _text(data, "name", place)
    if "/" in name:
        raise _BadPinError(f"`name` in {place} must be a file name, not a path")
    kind = _text(data, "kind", place)
    if kind not in KINDS:
        raise _BadPinError(f"`kind` in {place} is {kind!r}, it must be one of {', '.join(KINDS)}")
    size = data.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or size <= 0:
        raise _BadPinError(f"`size` in {place} must be a number of bytes")
    return Artefact(
        name=name,
        kind=kind,
        sha256=_digest(data, "sha256", 64, place),
        size=size,
        sha1=_digest(data, "sha1", 40, place) if "sha1" in data else "",
        url=_text(data, "url", place) if "url" in data else "",
    )


def _known(data: Mapping[str, Any], keys: set[str], place: str) -> None:
    for key in data:
        if key not in keys:
            raise _BadPinError(f"unknown key `{key}` in {place}")


def _text(data: Mapping[str, Any], key: str, place: str) -> str:
    value = data.get(key)
    if not isinstance(value, str) or not value:
        raise _BadPinError(f"`{key}` is missing in {place}, or not a text")
    return value


def _digest(data: Mapping[str, Any], key: str, length: int, place: str) -> str:
    value = _text(data, key, place)
    if not re.fullmatch(rf"[0-9a-f]{{{length}}}", value):
        raise _BadPinError(f"`{key}` in {place} must be {length} lower-case hex digits")
    return value
