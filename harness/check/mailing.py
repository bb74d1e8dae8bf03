"""The round trip: every topic as mails, applied as maintainers do, edited, and once more."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from harness.check.station import Tally
from harness.check.stations import Bench
from harness.check.trials import copied_repository
from harness.core.errors import Exit
from harness.core.paths import Paths
from harness.core.record import write_atomic
from harness.core.ui import Ui
from harness.series.export import export_commit
from harness.series.patchfile import encode, parse_patch
from harness.series.series import read_series
from harness.series.tree import apply_texts
from harness.source.gitrepo import git
from harness.source.pin import load_pin
from harness.source.store import Source, ensure_source
from harness.submit.prep import Request, prep
from harness.submit.roundtrip import apply_mails
from harness.submit.topic import load_topic, mail_folder

_EDIT = "An edit for the next version.\n"


def mailing(bench: Bench) -> Callable[[Tally], None]:
    """Return the work of the station: each topic that has a letter, v1 and v2."""

    def work(tally: Tally) -> None:
        with copied_repository(bench.context.paths) as copy:
            paths = Paths(copy, bench.context.paths.cache, copy.parent / "out")
            letters = (copy / "patches").glob("*/mail/topic.toml")
            topics = sorted(path.parents[1].name for path in letters)
            for topic in topics:
                (mail_folder(copy, topic) / "state.json").unlink(missing_ok=True)
                for problem in there_and_back(paths, topic, bench.context.ui):
                    if problem:
                        tally.bad(f"{topic}: {problem}", Exit.APPLY)
                    else:
                        tally.good()
                # What was edited may stand below another topic.
                shutil.copytree(
                    bench.context.paths.repo / "patches", copy / "patches", dirs_exist_ok=True
                )
            shutil.rmtree(paths.cache / "prep" / paths.clone_id, ignore_errors=True)
            tally.note = ", ".join(topics)
            if not topics:
                tally.bad("no topic has a letter")

    return work


def there_and_back(paths: Paths, topic: str, ui: Ui) -> list[str]:
    """Prepare v1, apply it three ways, edit a patch, and the same with v2.

    Returns a line for each way and version: what is wrong, "" if nothing.
    """
    source = ensure_source(paths, load_pin(paths.repo / "pin.toml"), ui)
    letter = mail_folder(paths.repo, topic) / "topic.toml"
    text = letter.read_text(encoding="utf-8")
    if "[changes]" not in text:
        write_atomic(letter, f'{text}\n[changes]\n2 = ["Edit a patch"]\n')
    problems = []
    seen = []
    for version in (1, 2):
        if version == 2:
            edit(paths, source, topic, ui)
        with tempfile.TemporaryDirectory(prefix="kseries-mails-") as name:
            folder = Path(name)
            made = prep(paths, ui, Request(topic, version, folder / "mails"))
            objects = [source.git / "objects", _objects(paths, topic)]
            base = _base(paths, source, topic, ui)
            folders = [item.folder for item in made]
            wanted = [item.tree for item in made]
            found = apply_mails(folders, folder / "clones", objects, base, source.pin)
        for way, trees in found.items():
            same = trees == wanted
            problems.append("" if same else f"v{version}, {way}: trees {trees}, not {wanted}")
        seen.append(wanted)
    problems.append("" if seen[0] != seen[1] else "the edit did not reach the mails")
    return problems


def edit(paths: Paths, source: Source, topic: str, ui: Ui) -> None:
    """Let the topic's third patch (or its last) change one line more, in no other's way."""
    series = read_series(paths.repo / "patches")
    names = (*load_topic(paths.repo, topic).after, topic)
    texts = [pair for name in names for pair in series.texts() if pair[0].startswith(f"{name}/")]
    mine = [file for file, _ in texts if file.startswith(f"{topic}/")]
    target = mine[min(2, len(mine) - 1)]
    applied = apply_texts(paths, source, texts, ui)
    patch = next(item for item in applied.patches if item.file == target)
    with tempfile.TemporaryDirectory(prefix="kseries-edit-") as name:
        env = {"GIT_INDEX_FILE": str(Path(name) / "index")}
        git("read-tree", patch.commit, repo=source.git, env=env)
        readme = git("show", f"{patch.commit}:README", repo=source.git).stdout + _EDIT
        words = ("hash-object", "-w", "--stdin")
        blob = git(*words, repo=source.git, stdin=readme).stdout.strip()
        words = ("update-index", "--cacheinfo", f"100644,{blob},README")
        git(*words, repo=source.git, env=env)
        tree = git("write-tree", repo=source.git, env=env).stdout.strip()
    message = git("show", "-s", "--format=%B", patch.commit, repo=source.git).stdout
    date = git("show", "-s", "--format=%aI", patch.commit, repo=source.git).stdout.strip()
    commit = git(
        "commit-tree", tree, "-p", f"{patch.commit}^", repo=source.git, stdin=message,
        env={"GIT_AUTHOR_DATE": date},
    ).stdout.strip()  # fmt: skip
    notes = parse_patch(series.text(target)).notes
    (series.folder / target).write_bytes(encode(export_commit(source, commit, notes)))


def _base(paths: Paths, source: Source, topic: str, ui: Ui) -> str:
    """Return the commit that the topic's mails are for: the base, and what it builds on."""
    series = read_series(paths.repo / "patches")
    after = load_topic(paths.repo, topic).after
    texts = [pair for name in after for pair in series.texts() if pair[0].startswith(f"{name}/")]
    return apply_texts(paths, source, texts, ui).top_commit if texts else source.base_commit


def _objects(paths: Paths, topic: str) -> Path:
    return paths.cache / "prep" / paths.clone_id / topic / ".git" / "objects"
