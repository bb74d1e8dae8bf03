"""Prepare a version of a topic for the lists: mails in a folder, and a record of them.

Before anything is written, the mails that b4 made are applied to a clean base
again: each must give the tree that the quilt gives.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.core.record import write_atomic
from harness.core.ui import Ui
from harness.series.export import export_commit
from harness.series.patchfile import parse_patch
from harness.series.refresh import canonical_texts
from harness.series.series import Series, read_series
from harness.series.tree import AppliedPatch, apply_texts
from harness.source.gitrepo import IDENTITY, git
from harness.source.pin import Pin, load_pin
from harness.source.store import Source, ensure_source
from harness.submit.branch import (
    Letter,
    Person,
    b4,
    configure,
    make_branch,
    make_repository,
    tag_previous,
)
from harness.submit.mails import Mail, check_mails, read_mails
from harness.submit.parts import Part, plan_parts
from harness.submit.record import History, Version
from harness.submit.selftest import selftest_commit
from harness.submit.topic import Topic, load_topic, mail_folder

MARK = "prep.json"
_Texts = list[tuple[str, str]]


@dataclass(frozen=True)
class Request:
    """What is asked for.

    base: a commit or tag of the git repository `linux`, "" for none; signer:
    who mails and signs off, None for nobody yet; final: mails to be sent.
    """

    topic: str
    version: int
    out: Path
    base: str = ""
    linux: Path | None = None
    signer: Person | None = None
    final: bool = False
    source: str | None = None


@dataclass(frozen=True)
class Prepared:
    """One part as mails: folder, its mails, change-id, the tree that they give."""

    part: Part
    folder: Path
    change_id: str
    mails: tuple[Mail, ...]
    tree: str


@dataclass(frozen=True)
class _Bench:
    topic: Topic
    history: History
    request: Request
    paths: Paths
    ui: Ui
    work: Source
    base_commit: str  # "" where others do not have it
    before: _Texts  # what the topic builds on
    commits: tuple[AppliedPatch, ...]  # the topic's patches, then its selftests'
    texts: _Texts  # their patch files
    parts: tuple[Part, ...]


def prep(paths: Paths, ui: Ui, request: Request) -> list[Prepared]:
    """Write the mails of a version into request.out; see the module's first lines."""
    topic = load_topic(paths.repo, request.topic)
    history = History.load(mail_folder(paths.repo, request.topic))
    history.check(request.version)
    missing = [n for n in range(2, request.version + 1) if not topic.changes.get(n)]
    if missing:
        raise KseriesError(
            Exit.USAGE,
            f"nobody has written what is new in v{missing[0]}",
            where=f"patches/{topic.name}/mail/topic.toml",
            hint=f'[changes], then {missing[0]} = ["..."]',
        )
    _refuse_to_overwrite(request.out)
    source = ensure_source(paths, load_pin(paths.repo / "pin.toml"), ui, request.source)
    bench = _lay_out(paths, ui, request, history, source)
    records = {p.name: [text for _, text in bench.texts[p.start : p.stop]] for p in bench.parts}
    known = history.versions.get(request.version)
    if known and known.final and not history.same(request.version, records):
        raise KseriesError(
            Exit.USAGE,
            f"v{request.version} was final, and the patches have changed since",
            where=str(history.folder),
            hint=f"prepare -v{request.version + 1}, and say in topic.toml what is new",
        )
    prepared = []
    with ui.step(f"prepare {topic.name} v{request.version}", len(bench.parts)) as step:
        for number, part in enumerate(bench.parts):
            step.update(number, part.name)
            prepared.append(_part(bench, number, part, source.base_commit))
    _publish(bench, prepared)
    final = request.final or bool(known and known.final)
    trees = {item.part.name: item.tree for item in prepared}
    version = Version(source.pin.version, final, trees)
    history.keep(request.version, version, records)
    return [
        Prepared(p.part, request.out / p.folder.name if len(prepared) > 1 else request.out,
                 p.change_id, p.mails, p.tree)
        for p in prepared
    ]  # fmt: skip


def verify_base(linux: Path, ref: str, pin: Pin) -> str:
    """Return the commit that ref names, whose tree must be the pin's; KseriesError(PIN) else."""
    found = git("rev-parse", "-q", "--verify", f"{ref}^{{commit}}", repo=linux, check=False)
    if not found.ok:
        raise KseriesError(
            Exit.USAGE, f"the repository has no commit {ref}", where=str(linux),
            hint=f"fetch it there: `git -C {linux} fetch <stable kernels> tag {pin.tag}`",
        )  # fmt: skip
    commit = found.stdout.strip()
    # The repository is the user's: index and objects are made elsewhere.
    with tempfile.TemporaryDirectory(prefix="kseries-base-") as name:
        env = {
            "GIT_INDEX_FILE": f"{name}/index",
            "GIT_OBJECT_DIRECTORY": f"{name}/objects",
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(objects_of(linux)),
        }
        (Path(name) / "objects").mkdir()
        git("read-tree", commit, repo=linux, env=env)
        if pin.excluded:
            words = ("rm", "-r", "-q", "-f", "--cached", "--ignore-unmatch", "--sparse")
            git(*words, "--", *pin.excluded, repo=linux, env=env)
        tree = git("write-tree", repo=linux, env=env).stdout.strip()
    if tree != pin.tree:
        raise KseriesError(
            Exit.PIN,
            f"{ref} is not the pinned kernel: its tree is {tree}, the pin's is {pin.tree}",
            where=str(linux),
            hint=f"a base-commit must be true: name {pin.tag}, or rebase the series first",
            details={"tree": tree, "pin": pin.tree},
        )
    return commit


def objects_of(repository: Path) -> Path:
    """Return the object folder of a git repository, bare or not."""
    words = ("rev-parse", "--path-format=absolute", "--git-path", "objects")
    return Path(git(*words, repo=repository).stdout.strip())


def _lay_out(paths: Paths, ui: Ui, request: Request, history: History, source: Source) -> _Bench:
    topic = load_topic(paths.repo, request.topic)
    base, objects, base_commit = source.base_commit, [source.git / "objects"], ""
    if request.base:
        linux = request.linux or paths.worktree
        base = base_commit = verify_base(linux, request.base, source.pin)
        if base == source.base_commit:
            raise KseriesError(
                Exit.USAGE,
                f"{request.base} is the commit that the harness makes of the release's files: "
                "nobody else has it",
                where=str(linux),
                hint=f"--linux names a clone of the stable kernels, --base its {source.pin.tag}",
            )
        objects.append(objects_of(linux))
    folder = paths.cache / "prep" / paths.clone_id / topic.name
    work = make_repository(folder, objects, base, source.pin)
    configure(work, request.signer or _identity())
    series = read_series(paths.repo / "patches")
    before = [pair for name in topic.after for pair in _texts_of(series, name)]
    mine = _texts_of(series, topic.name)
    applied = apply_texts(paths, work, [*before, *mine], ui)
    commits = list(applied.patches[len(before) :])
    texts = [
        (file, text)
        for (file, _), (_, text) in zip(
            mine, canonical_texts(work, [*before, *mine], applied)[len(before) :], strict=True
        )
    ]
    date = git("show", "-s", "--format=%aI", commits[-1].commit, repo=work.git).stdout.strip()
    for item in topic.selftests:
        commit = selftest_commit(paths.repo, work, item, commits[-1].commit, date)
        tree = git("rev-parse", f"{commit}^{{tree}}", repo=work.git).stdout.strip()
        text = export_commit(work, commit, "")
        subject = parse_patch(text).subject
        commits.append(AppliedPatch(f"selftests/{item.area}.patch", subject, commit, tree))
        texts.append((commits[-1].file, text))
    parts = tuple(plan_parts([commit.subject for commit in commits]))
    return _Bench(
        topic, history, request, paths, ui, work, base_commit, before, tuple(commits), texts, parts
    )


def _part(bench: _Bench, number: int, part: Part, synthetic: str) -> Prepared:
    work, request, topic = bench.work, bench.request, bench.topic
    name = f"{topic.name}-{part.name}" if part.name else topic.name
    earlier = [*bench.before, *bench.texts[: part.start]]
    parent = work.base_commit
    if earlier:
        parent = apply_texts(bench.paths, work, earlier, bench.ui).top_commit
    change_id = bench.history.change_id(topic.name, part.name)
    cover = _render("cover.j2", bench, part, number=number + 1, count=len(bench.parts))
    prefixes = (*topic.prefix, *(() if request.final else ("DRAFT",)))
    prerequisites = tuple(f"patch-id: {_patch_id(work, text)}" for _, text in earlier)
    letter = Letter(cover, "", request.version, change_id, prefixes, prerequisites)
    why = _tag_previous(bench, part, letter, parent) if request.version > 1 else "first"
    template = _render("b4-cover.j2", bench, part, range_diff=not why, no_range_diff=why)
    letter = Letter(cover, template, request.version, change_id, prefixes, prerequisites)
    here = slice(part.start, part.stop)
    pairs = [(c, t) for c, (_, t) in zip(bench.commits[here], bench.texts[here], strict=True)]
    make_branch(work, name, parent, pairs, letter=letter, signer=request.signer)
    b4(work, "prep", "--auto-to-cc")
    folder = work.git / ".git" / "mails" / (f"{number + 1}-{part.name}" if part.name else "all")
    to = [word for address in topic.to for word in ("--to", address)]
    b4(work, "send", "--no-sign", *to, "-o", folder)
    mails = read_mails(folder)
    wanted = [commit.tree for commit in bench.commits[here]]
    base = Source(work.git, parent, _tree(work, parent), work.pin)
    check_mails(bench.paths, base, mails, wanted, bench.ui)
    for mail in mails:
        if synthetic in mail.text:
            raise KseriesError(
                Exit.SKIP_BISECT,
                "a mail names the synthetic base commit, which nobody else has",
                where=str(mail.path),
                hint="this is a fault of the harness",
            )
    return Prepared(part, folder, change_id, mails, wanted[-1])


def _tag_previous(bench: _Bench, part: Part, letter: Letter, parent: str) -> str:
    """Make the version before known to b4; return why there is nothing to compare, or ""."""
    old = bench.history.patches(letter.version - 1, part.name)
    if not old:
        return "that version had no part of this name"
    base = Source(bench.work.git, parent, _tree(bench.work, parent), bench.work.pin)
    try:
        applied = apply_texts(bench.paths, base, old, bench.ui)
    except KseriesError as error:
        if error.code is not Exit.APPLY:
            raise
        kernel = bench.history.versions[letter.version - 1].kernel
        return f"it was made on Linux {kernel} and does not apply here"
    pairs = [(patch, text) for patch, (_, text) in zip(applied.patches, old, strict=True)]
    signer = bench.request.signer
    tag_previous(bench.work, parent, pairs, letter=letter, signer=signer)
    return ""


def _render(name: str, bench: _Bench, part: Part, **more: object) -> str:
    # Mails are text, nothing to escape.
    environment = Environment(
        loader=PackageLoader("harness.submit"),
        undefined=StrictUndefined,
        autoescape=False,
        keep_trailing_newline=True,
    )
    after = [
        (
            load_topic(bench.paths.repo, name).title,
            ", ".join(History.load(mail_folder(bench.paths.repo, name)).change_ids.values()),
        )
        for name in bench.topic.after
    ]
    text = environment.get_template(name).render(
        topic=bench.topic,
        part=part,
        version=bench.request.version,
        draft=not bench.request.final,
        base_commit=bench.base_commit,
        kernel=bench.work.pin.version,
        after=after,
        **more,
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n"


def _publish(bench: _Bench, prepared: Sequence[Prepared]) -> None:
    """Put the mails where they were asked for, all or none."""
    out = bench.request.out
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for item in prepared:
        shutil.copytree(
            item.folder,
            partial / item.folder.name if len(prepared) > 1 else partial,
            dirs_exist_ok=True,
        )
    body = {
        "topic": bench.topic.name,
        "version": bench.request.version,
        "final": bench.request.final,
        "base_commit": bench.base_commit,
        "parts": [
            {"name": p.part.name, "change_id": p.change_id, "tree": p.tree, "mails": len(p.mails)}
            for p in prepared
        ],
    }
    write_atomic(partial / MARK, json.dumps(body, indent=1) + "\n")
    shutil.rmtree(out, ignore_errors=True)
    partial.rename(out)


def _refuse_to_overwrite(out: Path) -> None:
    if out.exists() and not (out / MARK).is_file() and (out.is_file() or any(out.iterdir())):
        raise KseriesError(
            Exit.USAGE,
            "the folder for the mails holds something else",
            where=str(out),
            hint="name a new or empty folder; one that prep has written is replaced",
        )


def _texts_of(series: Series, topic: str) -> _Texts:
    texts = [(e.file, series.text(e.file)) for e in series.entries if e.topic == topic]
    if not texts:
        topics = ", ".join(dict.fromkeys(entry.topic for entry in series.entries))
        raise KseriesError(
            Exit.USAGE, f"the series has no topic {topic}", where="patches/series",
            hint=f"there are: {topics}",
        )  # fmt: skip
    return texts


def _patch_id(work: Source, text: str) -> str:
    done = git("patch-id", "--stable", repo=work.git, stdin=text.encode("utf-8", "surrogateescape"))
    return done.stdout.split()[0]


def _tree(work: Source, commit: str) -> str:
    return git("rev-parse", f"{commit}^{{tree}}", repo=work.git).stdout.strip()


def _identity() -> Person:
    name, _, mail = IDENTITY.rstrip(">").partition(" <")
    return Person(name, mail)
