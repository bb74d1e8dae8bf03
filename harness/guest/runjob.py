"""How guests are run, as a type: the edge that planners are handed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from harness.core.paths import Paths
from harness.core.ui import Ui
from harness.guest.allow import AllowEntry
from harness.guest.job import BootResult, CommandResult, Job, Machine


class RunJob(Protocol):
    """harness.guest.session.run_job, so that tests can bring a guest of their own."""

    def __call__(
        self,
        machine: Machine,
        job: Job,
        folder: Path,
        *,
        paths: Paths,
        ui: Ui,
        on_result: Callable[[CommandResult], None] | None = None,
        on_tick: Callable[[], None] | None = None,
        allow: Sequence[AllowEntry] = (),
    ) -> BootResult:
        """Boot the machine, run the job, and say what came of it."""
