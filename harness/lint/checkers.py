"""The kernel's own checkers: checkpatch.pl --strict, and kernel-doc on touched files.

They run out of the pinned base.  What they say is kept by a hash of what they
were given, so that the next lint costs what has changed.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from harness.core.errors import Exit, KseriesError
from harness.core.proc import run
from harness.core.record import Record, hash_files, load_record, save_record
from harness.core.ui import Ui
from harness.lint.ground import Ground, Laid
from harness.series.patchfile import encode
from harness.series.series import Finding
from harness.source.gitrepo import checkout_tree

CHECKPATCH = "scripts/checkpatch.pl"
# It moved out of scripts/ in 6.19.
_KERNEL_DOC = ("scripts/kernel-doc", "tools/docs/kernel-doc")
_SAID = re.compile(r"^.*?:(\d+): (?:ERROR|WARNING|CHECK):(\w+): (.*)$")
_TOTAL = re.compile(r"total: \d+ errors?, .* lines checked$")
_DOC_SAID = re.compile(r"^(?:Warning|Error|warning|error)?:?\s*(\S+?):(\d+):? (.*)$")
_DOCUMENTED = (".c", ".h")


def checkpatch(ground: Ground, ui: Ui) -> list[Finding]:
    """Return what checkpatch.pl --strict finds in each patch."""
    rules = hash_files(ground.base, [CHECKPATCH])
    findings = []
    with ui.step("checkpatch --strict", len(ground.patches)) as step:
        for number, laid in enumerate(ground.patches):
            step.update(number, laid.file)
            digest = hashlib.sha256(encode(laid.text)).hexdigest()
            inputs = {"patch": digest, "script": rules, "base": ground.applied.base_tree}
            record = load_record(ground.paths.records, "checkpatch", inputs)
            if record is None:
                record = Record("checkpatch", inputs, {"said": _checkpatch(ground, laid)})
                save_record(ground.paths.records, record)
            findings += [
                Finding(
                    f"patches/{laid.file}:{row}",
                    f"{kind}: {what}",
                    "change it in the worktree and `kseries refresh`, or state an exception",
                    f"checkpatch/{kind}",
                )
                for row, kind, what in record.outputs["said"]
            ]
    return findings


def read_checkpatch(said: str) -> list[tuple[int, str, str]]:
    """Return (row, type, sentence) of --terse --show-types output.

    Raises ValueError without the closing total: a checker that died must not
    look like a clean patch.
    """
    lines = said.strip().split("\n")
    if not any(_TOTAL.search(line) for line in lines):
        raise ValueError(said.strip()[-400:] or "it said nothing")
    hits = (_SAID.match(line) for line in lines)
    return [(int(hit[1]), hit[2], hit[3]) for hit in hits if hit]


def _checkpatch(ground: Ground, laid: Laid) -> list[tuple[int, str, str]]:
    with tempfile.TemporaryDirectory(prefix="kseries-checkpatch-") as folder:
        file = Path(folder) / "a.patch"
        file.write_bytes(encode(laid.text))
        words = ["--strict", "--terse", "--show-types", "--no-color", f"--root={ground.base}"]
        # A .checkpatch.conf of the user's changes what is found.
        env = {**os.environ, "HOME": folder}
        done = run(
            ["perl", ground.base / CHECKPATCH, *words, file],
            cwd=ground.base,
            env=env,
            check=False,
        )
    try:
        return read_checkpatch(done.stdout)
    except ValueError as error:
        raise KseriesError(
            Exit.LINT,
            f"checkpatch.pl did not end as it should: {error}{done.stderr.strip()[-400:]}",
            where=done.line,
            hint="run the line by hand",
        ) from None


def kernel_doc(ground: Ground, ui: Ui) -> list[Finding]:
    """Return what kernel-doc says of touched files that it does not say of the base's."""
    script = next((s for s in _KERNEL_DOC if (ground.base / s).is_file()), "")
    names = [
        name
        for name in ground.touched
        if name.endswith(_DOCUMENTED) and (ground.top / name).is_file()
    ]
    if not script or not names:
        return []
    inputs = {
        "base": ground.applied.base_tree,
        "files": hash_files(ground.top, sorted(names)),
        "names": ",".join(sorted(names)),
    }
    record = load_record(ground.paths.records, "kernel-doc", inputs)
    if record is None:
        with (
            ui.step("kernel-doc"),
            tempfile.TemporaryDirectory(prefix="kseries-kdoc-") as folder,
        ):
            base = Path(folder) / "base"
            checkout_tree(
                ground.source.git, ground.applied.base_tree, base, set(names) & ground.base_names
            )
            before = _kernel_doc(ground.base / script, base, names)
            after = _kernel_doc(ground.base / script, ground.top, names)
        record = Record("kernel-doc", inputs, {"said": fresh_warnings(before, after)})
        save_record(ground.paths.records, record)
    return [
        Finding(
            ground.last_to_touch(name),
            f"kernel-doc on {name}:{row}: {what}",
            "Documentation/doc-guide/kernel-doc.rst says what a comment must hold",
            "kernel-doc",
        )
        for name, row, what in record.outputs["said"]
    ]


def fresh_warnings(
    before: Iterable[tuple[str, int, str]], after: Iterable[tuple[str, int, str]]
) -> list[tuple[str, int, str]]:
    """Return the warnings that are new, whatever lines they moved to."""
    known = Counter((name, what) for name, _, what in before)
    fresh = []
    for name, row, what in after:
        if known[name, what]:
            known[name, what] -= 1
        else:
            fresh.append((name, row, what))
    return fresh


def read_kernel_doc(said: str) -> list[tuple[str, int, str]]:
    """Return (file, line, sentence) of each warning."""
    hits = (_DOC_SAID.match(line) for line in said.split("\n"))
    return [(hit[1], int(hit[2]), hit[3]) for hit in hits if hit]


def _kernel_doc(script: Path, folder: Path, names: Iterable[str]) -> list[tuple[str, int, str]]:
    there = [name for name in names if (folder / name).is_file()]
    if not there:
        return []
    done = run([script, "-none", *there], cwd=folder, check=False)
    found = read_kernel_doc(done.stdout + "\n" + done.stderr)
    if "Traceback" in done.stderr or (done.status and not found):
        raise KseriesError(
            Exit.LINT,
            f"kernel-doc did not end as it should: {done.stderr.strip()[-400:]}",
            where=done.line,
            hint="run the line by hand",
        )
    return found
