"""Find the pinned release's tarball: in the cache, on a mirror, where apt looks.

The places are asked in order and the first that has the right bytes wins:
the cache; KSERIES_MIRROR (a URL or a folder that holds the tarball by name);
kernel.org; pool/main/l/linux/ of every repository that apt is configured
with (a superseded upstream tarball stays there for a while); last, where
KSERIES_SNAPSHOT names one, a snapshot archive by SHA-1.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness.core.disk import need_space
from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.core.proc import run
from harness.core.ui import Step, Ui
from harness.source.download import UnavailableError, download, sha256_of
from harness.source.pin import Artefact, Pin

# A snapshot archive of Debian, up to where a file's SHA-1 follows ("https://.../file/").
SNAPSHOT = os.environ.get("KSERIES_SNAPSHOT", "")
_TIMEOUT = 20.0
# An offline machine must learn that at once.
_SHORT_TIMEOUT = 5.0


@dataclass(frozen=True)
class Place:
    """Where an artefact may be: what to call it, its URL, seconds of silence allowed."""

    name: str
    url: str
    artefact: Artefact
    timeout: float = _TIMEOUT


def cached_path(paths: Paths, artefact: Artefact) -> Path:
    """Return where a verified tarball of this artefact lies, or would."""
    return paths.downloads / f"{artefact.sha256}.tar.xz"


def obtain(paths: Paths, pin: Pin, ui: Ui) -> Path:
    """Return a tarball whose sha256 the pin knows, downloading it when needed.

    The caller holds the lock of the pin's store.  Raises KseriesError(PIN)
    that lists every place with its reason.
    """
    found = _in_cache(paths, pin)
    if found:
        return found
    refusals: list[tuple[str, str]] = []
    mirror = os.environ.get("KSERIES_MIRROR", "")
    if mirror and not _is_http(mirror):
        local = _in_folder(Path(mirror), pin, refusals)
        if local:
            return local
    for place in places(pin, mirror if _is_http(mirror) else "", apt_repositories):
        dest = cached_path(paths, place.artefact)
        have = _partial(dest)
        need_space(dest.parent, place.artefact.size - have, f"downloading {place.artefact.name}")
        with ui.step(f"download {place.artefact.name} from {place.name}") as step:
            step.grow(place.artefact.size)
            try:
                download(
                    place.url,
                    place.artefact,
                    dest,
                    timeout=place.timeout,
                    progress=partial(_show, step),
                )
            except UnavailableError as error:
                # The step ends like any other; the next place may do better.
                step.note = f"no, {error}"
                refusals.append((place.url, str(error)))
                continue
        return dest
    raise _nowhere(pin, refusals)


def places(pin: Pin, mirror: str, repositories: Callable[[], Iterable[str]]) -> Iterator[Place]:
    """Yield the places to ask over the network, in order.

    repositories is called only when the places before it were of no use,
    because asking apt takes half a second.
    """
    if mirror:
        for artefact in pin.artefacts:
            yield Place("KSERIES_MIRROR", f"{mirror.rstrip('/')}/{artefact.name}", artefact)
    for artefact in pin.artefacts:
        if artefact.kind == "kernel.org" and artefact.url:
            yield Place("kernel.org", artefact.url, artefact, _SHORT_TIMEOUT)
    debian = [artefact for artefact in pin.artefacts if artefact.kind == "debian-orig"]
    if debian:
        for number, root in enumerate(repositories(), 1):
            for artefact in debian:
                url = f"{root.rstrip('/')}/pool/main/l/linux/{artefact.name}"
                yield Place(f"apt's repository {number}", url, artefact)
    for artefact in debian:
        if artefact.sha1 and SNAPSHOT:
            url = SNAPSHOT + artefact.sha1
            yield Place("the snapshot archive", url, artefact, _SHORT_TIMEOUT)


def apt_repositories() -> list[str]:
    """Return the http(s) repositories that apt is configured with, each once.

    Empty where there is no apt, or where `apt-get update` has never run.
    """
    if not shutil.which("apt-get"):
        return []
    done = run(["apt-get", "indextargets", "--format", "$(REPO_URI)"], check=False, timeout=30)
    return repositories_in(done.stdout)


def repositories_in(listing: str) -> list[str]:
    """Return the distinct http(s) URIs of an indextargets listing, in its order.

    mirror+http, cdrom, file and the like are not servers to ask.
    """
    return list(dict.fromkeys(line for line in listing.split() if _is_http(line)))


def check_known(path: Path, pin: Pin) -> None:
    """Raise KseriesError(PIN) at once where a file's name and size betray damage.

    A file that is no known artefact passes: its tree id will decide.
    """
    size = path.stat().st_size
    for artefact in pin.artefacts:
        if path.name == artefact.name and size < artefact.size:
            raise KseriesError(
                Exit.PIN,
                f"the tarball is cut off: it has {size} of {artefact.size} bytes",
                where=str(path),
                hint="finish the download, or let `kseries tree` fetch it",
            )
        if size == artefact.size and sha256_of(path) != artefact.sha256:
            raise KseriesError(
                Exit.PIN,
                f"the tarball has the size of {artefact.name} but not its content: "
                f"bytes were changed (its sha256 is {sha256_of(path)}, "
                f"the pin's is {artefact.sha256})",
                where=str(path),
                hint="download it again, or let `kseries tree` fetch it",
            )


def _in_cache(paths: Paths, pin: Pin) -> Path | None:
    for artefact in pin.artefacts:
        whole = cached_path(paths, artefact)
        if whole.is_file():
            if sha256_of(whole) == artefact.sha256:
                return whole
            whole.unlink()  # a disk or a person damaged it
        # A person may have put it there under its own name.
        dropped = paths.downloads / artefact.name
        if (
            dropped.is_file()
            and dropped.stat().st_size == artefact.size
            and sha256_of(dropped) == artefact.sha256
        ):
            return dropped
    return None


def _in_folder(folder: Path, pin: Pin, refusals: list[tuple[str, str]]) -> Path | None:
    for artefact in pin.artefacts:
        path = folder / artefact.name
        if not path.is_file():
            refusals.append((str(path), "no such file"))
        elif sha256_of(path) != artefact.sha256:
            refusals.append((str(path), "its sha256 is not the pin's"))
        else:
            return path
    return None


def _nowhere(pin: Pin, refusals: list[tuple[str, str]]) -> KseriesError:
    tried = "".join(f"\n    {url}: {reason}" for url, reason in refusals)
    names = " or ".join(artefact.name for artefact in pin.artefacts) or "the release's tarball"
    return KseriesError(
        Exit.PIN,
        f"no place has the source of Linux {pin.version}:{tried or ' the pin names none'}",
        where=f"pin.toml, version {pin.version}",
        hint=f"get {names} by other means (or a git clone that has {pin.tag}), then "
        "`kseries tree --source FILE`; on Debian `apt-get update` may be all that is missing",
        details={"tried": [{"url": url, "reason": reason} for url, reason in refusals]},
    )


def _show(step: Step, done: int) -> None:
    step.update(done, f"{done / 1e6:.0f} MB")


def _partial(dest: Path) -> int:
    part = dest.with_name(f"{dest.name}.part")
    return part.stat().st_size if part.exists() else 0


def _is_http(url: str) -> bool:
    return url.startswith(("http://", "https://"))
