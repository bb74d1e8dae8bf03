"""What a verb is handed, and what it hands back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from harness.core.errors import Exit
from harness.core.paths import Paths
from harness.core.ui import Ui


@dataclass(frozen=True)
class Context:
    """One invocation: where things lie, the terminal, the global options."""

    paths: Paths
    ui: Ui
    json: bool = False
    yes: bool = False  # install host packages without asking


@dataclass
class Outcome:
    """A verb's answer: the exit status, the JSON body, the text for a person."""

    code: int = Exit.OK
    data: dict[str, Any] = field(default_factory=dict)
    text: str = ""
