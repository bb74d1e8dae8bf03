"""Install host packages with the distribution's own tool.

Standard library only.  Debian is tested; for Fedora the line is printed.  A
newer QEMU comes from <suite>-backports through private apt lists: the host's
own lists and sources stay as they are.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.host.deps import Finding, distribution, examine, packages_for

APT = ["-y", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0", "-qq"]


class InstallError(Exception):
    """Packages are missing and were not installed; the text says what to type."""


def manual_line(findings: list[Finding]) -> str:
    """Return the line that installs what is missing on this distribution."""
    family, codename = distribution()
    names = packages_for(findings, family)
    if family == "debian":
        suite = ""
        if any(f.capability.backports and not f.ok for f in findings):
            suite = f" -t {codename}-backports"
        return f"apt-get install --no-install-recommends{suite} {' '.join(names)}"
    if family == "fedora":
        return f"dnf install {' '.join(names)}   # untested"
    return "install what provides: " + " ".join(n for f in findings for n in f.missing)


def may_install(yes: bool) -> list[str] | None:
    """Return the prefix for privileged commands ([] as root), None where not allowed."""
    if distribution()[0] != "debian" or not shutil.which("apt-get"):
        return None
    if os.geteuid() == 0:
        return []
    if yes and shutil.which("sudo"):
        return ["sudo"]
    return None


def ensure(findings: list[Finding], *, yes: bool = False) -> None:
    """Install what the findings miss; raise InstallError where that is not allowed.

    Says on stderr what it installs, because it may take minutes.
    """
    if all(f.ok for f in findings):
        return
    prefix = may_install(yes)
    if prefix is None:
        if all(f.usable for f in findings):
            return
        raise InstallError(
            "packages are missing: "
            + ", ".join(
                f"{f.capability.name} ({', '.join(f.missing)})" for f in findings if f.missing
            )
            + f"\n  next: run this as root, then try again:\n    {manual_line(findings)}"
        )
    plain = [f for f in findings if not f.ok and not f.capability.backports]
    newer = [f for f in findings if not f.ok and f.capability.backports]
    names = packages_for(plain, "debian")
    if names or newer:
        _apt(prefix, ["update"])
    if names:
        print(f"installing {len(names)} host packages: {' '.join(names)}", file=sys.stderr)
        _apt(prefix, ["install", *APT, *names])
    for finding in newer:
        _install_newer(prefix, finding)


def _install_newer(prefix: list[str], finding: Finding) -> None:
    """Install one capability, from backports where the suite's own is too old."""
    names = list(finding.capability.debian)
    _, codename = distribution()
    mirrors = mirrors_of(codename)
    print(f"installing {' '.join(names)} ({finding.capability.why})", file=sys.stderr)
    if mirrors:
        try:
            with private_lists(mirrors, (codename, f"{codename}-backports")) as options:
                _apt(prefix, [*options, "update"], quiet=True)
                suite = ["-t", f"{codename}-backports"]
                _apt(prefix, [*options, "install", *APT, *suite, *names])
                return
        except InstallError as error:
            print(f"no backport to be had, taking the suite's own: {error}", file=sys.stderr)
    if not examine(finding.capability, versions=False).usable:
        _apt(prefix, ["install", *APT, *names])


def mirrors_of(codename: str) -> list[str]:
    """Return the Debian repositories that apt already uses for this suite."""
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)|$(CODENAME)|$(COMPONENT)|$(ORIGIN)"],
        capture_output=True,
        text=True,
        check=False,
    )
    found = []
    for line in done.stdout.splitlines():
        uri, suite, component, origin = [*line.split("|"), "", "", ""][:4]
        if (suite, component) == (codename, "main") and origin in {"Debian", ""}:
            found.append(uri)
    return [u for u in dict.fromkeys(found) if u.startswith(("http://", "https://"))]


@contextlib.contextmanager
def private_lists(mirrors: list[str], suites: tuple[str, ...]) -> Iterator[list[str]]:
    """Yield apt options for lists and cache of their own, removed afterwards.

    suites: backports alone cannot resolve, the suite itself goes with them.
    Lists of their own, because an update with foreign sources erases the
    shared ones.
    """
    with tempfile.TemporaryDirectory(prefix="kseries-apt-", dir="/var/tmp") as name:
        root = Path(name)
        root.chmod(0o755)
        for folder in ("lists/partial", "cache/archives/partial"):
            (root / folder).mkdir(parents=True)
        source = root / "sources.list"
        lines = [f"deb {mirror} {suite} main\n" for mirror in mirrors for suite in suites]
        source.write_text("".join(lines), encoding="utf-8")
        yield [
            "-o", f"Dir::State::lists={root}/lists",
            "-o", f"Dir::Cache={root}/cache",
            "-o", f"Dir::Etc::sourcelist={source}",
            "-o", "Dir::Etc::sourceparts=-",
            "-o", "APT::Sandbox::User=root",
        ]  # fmt: skip


def _apt(prefix: list[str], words: list[str], *, quiet: bool = False) -> None:
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        [*prefix, "apt-get", *words],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        tail = "\n    ".join((done.stderr or done.stdout).strip().splitlines()[-8:])
        raise InstallError(f"apt-get {' '.join(words)} failed:\n    {tail}")
    if not quiet and "update" in words and "Err:" in done.stdout:
        print(done.stdout, file=sys.stderr)
