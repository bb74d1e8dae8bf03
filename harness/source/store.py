"""The store: a bare repository that holds the verified kernel, shared by all clones."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from harness.core.disk import need_space
from harness.core.errors import Exit, KseriesError
from harness.core.lock import locked
from harness.core.paths import Paths
from harness.core.ui import Ui
from harness.source.fetch import check_known, obtain
from harness.source.gitrepo import git
from harness.source.importer import BASE_REF, import_archive, import_folder, import_git
from harness.source.pin import Pin

# Bytes of a store for each byte of its tarball: 336 MB for 157 MB.
STORE_RATIO = 2.5


@dataclass(frozen=True)
class Source:
    """A verified kernel: the bare repository, its base commit and tree, the pin."""

    git: Path
    base_commit: str
    tree: str
    pin: Pin


def store_path(paths: Paths, pin: Pin) -> Path:
    """Return where the store of this pin lies, or would."""
    return paths.git / f"{pin.tree}.git"


def open_source(paths: Paths, pin: Pin) -> Source | None:
    """Return the store of this pin if it is there already; fetches nothing."""
    store = store_path(paths, pin)
    if not (store / "HEAD").is_file():
        return None
    found = git("rev-parse", BASE_REF, f"{BASE_REF}^{{tree}}", repo=store, check=False)
    commit, _, tree = found.stdout.strip().partition("\n")
    if not found.ok or tree != pin.tree:
        return None
    return Source(store, commit, tree, pin)


def ensure_source(paths: Paths, pin: Pin, ui: Ui, source: str | None = None) -> Source:
    """Return the verified source, fetching and importing it when the cache lacks it.

    source: a tarball, an unpacked folder or a git repository to take it from.
    Raises KseriesError(PIN) for anything whose tree id is not the pin's.
    """
    found = open_source(paths, pin)
    if found:
        if source:
            ui.line(f"Linux {pin.version} is in the cache, verified: {source} is not read")
        return found
    store = store_path(paths, pin)
    with locked(paths.git / f".{pin.tree}.lock", on_wait=ui.line):
        found = open_source(paths, pin)
        if found:  # made by the run that held the lock
            return found
        shutil.rmtree(store, ignore_errors=True)
        size = max((artefact.size for artefact in pin.artefacts), default=0)
        need = int(size * STORE_RATIO)
        ui.line(f"Linux {pin.version} will take {(need + size) / 1e9:.1f} GB in {paths.cache}")
        need_space(paths.git, need, f"importing Linux {pin.version}")
        if source:
            _import_given(Path(source).expanduser(), store, pin, ui)
        else:
            import_archive(obtain(paths, pin, ui), store, pin, ui)
        found = open_source(paths, pin)
        assert found is not None, "a store is only named after its tree was compared"
        return found


def _import_given(origin: Path, store: Path, pin: Pin, ui: Ui) -> None:
    if not origin.exists():
        raise KseriesError(
            Exit.USAGE,
            "the source given with --source does not exist",
            where=str(origin),
            hint="name a tarball, an unpacked kernel, or a git repository",
        )
    if origin.is_file():
        check_known(origin, pin)
        import_archive(origin, store, pin, ui)
    elif (origin / ".git").exists() or (origin / "objects").is_dir():
        import_git(origin, store, pin, ui)
    else:
        import_folder(origin, store, pin, ui)
