"""Developer sessions: `nox -s lint types unit` in the environment of ./kseries."""

import nox

nox.options.sessions = ["lint", "types", "unit"]
nox.options.default_venv_backend = "none"


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting."""
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    session.run("mypy")


@nox.session
def unit(session: nox.Session) -> None:
    """Run the tests that need neither QEMU nor a compiler."""
    session.run("pytest", *session.posargs)
