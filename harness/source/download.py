"""One file over HTTP: resumed where it broke off, whole and verified or not there."""

from __future__ import annotations

import hashlib
import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from harness.source.pin import Artefact

_CHUNK = 1 << 20
# Attempts in a row that brought no byte, after which a server is given up.
_STALLED = 3


class UnavailableError(Exception):
    """Why a place did not give the file, in a few words."""


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(
    url: str,
    artefact: Artefact,
    dest: Path,
    *,
    timeout: float,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Get the artefact from url into dest, or raise UnavailableError.

    Bytes collect in `<dest>.part`, which an interrupted run leaves for the
    next one; since the sha256 names the content, any server may continue
    another's part.  dest appears at once, verified.  timeout: seconds a
    connection may stay silent; progress is called with the bytes so far.
    """
    part = dest.with_name(f"{dest.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    resumed = _length(part) > 0
    while True:
        _collect(url, artefact, part, timeout, progress)
        found = sha256_of(part)
        if found == artefact.sha256:
            part.replace(dest)
            return
        part.unlink()
        if not resumed:
            raise UnavailableError(f"its sha256 is {found}, expected {artefact.sha256}")
        # The leftover may be to blame: once more from the first byte.
        resumed = False


def _collect(
    url: str, artefact: Artefact, part: Path, timeout: float, progress: Callable[[int], None]
) -> None:
    """Bring part to the artefact's size, over as many connections as it takes."""
    stalled = 0
    reason = ""
    while stalled < _STALLED:
        have = _length(part)
        if have > artefact.size:
            part.unlink()
            have = 0
        if have == artefact.size:
            return
        try:
            _transfer(url, artefact, part, have, timeout=timeout, progress=progress)
        except urllib.error.HTTPError as error:
            if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise UnavailableError(f"the server answers {error.code} {error.reason}") from None
            part.unlink(missing_ok=True)
            reason = "the server cannot continue a part"
        except urllib.error.URLError as error:
            # No connection at all: trying again would only take time.
            raise UnavailableError(f"{error.reason}") from None
        except (OSError, http.client.HTTPException) as error:
            reason = f"the connection broke off ({error or type(error).__name__})"
        stalled = 0 if _length(part) > have else stalled + 1
    raise UnavailableError(reason or "the connection ends before the file does")


def _transfer(
    url: str,
    artefact: Artefact,
    part: Path,
    have: int,
    *,
    timeout: float,
    progress: Callable[[int], None],
) -> None:
    """Append to part what one connection gives, from byte `have` on."""
    headers = {"User-Agent": "kseries", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        if have and not _continues(answer, have):
            have = 0
        length = answer.headers.get("Content-Length")
        if length is not None and have + int(length) != artefact.size:
            raise UnavailableError(
                f"it offers {have + int(length)} bytes, expected {artefact.size}"
            )
        with part.open("ab" if have else "wb") as out:
            while chunk := answer.read(_CHUNK):
                out.write(chunk)
                out.flush()
                have += len(chunk)
                progress(have)
                if have > artefact.size:
                    raise UnavailableError(f"it sends more than the {artefact.size} bytes expected")


def _continues(answer: http.client.HTTPResponse, have: int) -> bool:
    """Whether a server that was asked for a range really continues at byte `have`."""
    if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
        return False
    match = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return match is not None and int(match[1]) == have


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
