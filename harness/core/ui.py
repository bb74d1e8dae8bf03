"""What a person sees while a verb works: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text


class Step:
    """One piece of visible work; update() moves its bar or prints a line."""

    def __init__(self, ui: Ui, name: str, total: float | None, task: TaskID | None) -> None:
        self._ui = ui
        self._name = name
        self._total = total
        self._task = task
        self._last = time.monotonic()
        self.note = ""

    def update(self, done: float | None = None, text: str = "") -> None:
        """Say how far the work is: done of total, and what it is at."""
        progress = self._ui.progress
        if progress is not None and self._task is not None:
            progress.update(self._task, completed=done, detail=text[:60])
            return
        # Without a terminal one line every ten seconds shows that it lives.
        now = time.monotonic()
        if now - self._last >= 10:
            self._last = now
            share = f" {done:g}/{self._total:g}" if self._total and done is not None else ""
            self._ui.line(f"    {self._name}{share} {text}".rstrip())

    def grow(self, total: float) -> None:
        """Set a total that was not known at the start."""
        self._total = total
        if self._ui.progress is not None and self._task is not None:
            self._ui.progress.update(self._task, total=total)


class Ui:
    """The terminal of one invocation.

    Everything a person reads while waiting goes to stderr, so that stdout
    holds the verb's answer alone (a path, a table, JSON).
    """

    def __init__(self, *, quiet: bool = False, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.quiet = quiet
        color = not os.environ.get("NO_COLOR")
        self.console = Console(file=self.stream, no_color=not color, highlight=False)
        self.out = Console(file=sys.stdout, no_color=not color, highlight=False)
        self.progress: Progress | None = None
        self._warned: set[str] = set()

    @property
    def live(self) -> bool:
        """Whether bars can be drawn."""
        return self.console.is_terminal and not self.quiet

    def line(self, text: str) -> None:
        """Print one plain line for the waiting person."""
        if not self.quiet:
            self.console.print(text, markup=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Print a line that must not be missed, even with --quiet."""
        self.console.print(text, style="bold yellow", markup=False, soft_wrap=True)

    def warn_once(self, text: str) -> None:
        """Warn, unless this invocation has said the same before."""
        if text not in self._warned:
            self._warned.add(text)
            self.warn(text)

    @contextlib.contextmanager
    def step(self, name: str, total: float | None = None) -> Iterator[Step]:
        """Show one piece of work from its start to its end."""
        start = time.monotonic()
        if not self.live:
            self.line(f"{name} ...")
            step = Step(self, name, total, None)
            try:
                yield step
            except BaseException:
                self.line(f"{name}: did not finish ({time.monotonic() - start:.1f} s)")
                raise
            self.line(f"{name}: {step.note or 'done'} ({time.monotonic() - start:.1f} s)")
            return
        owner = self.progress is None
        if self.progress is None:
            self.progress = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(bar_width=30),
                TextColumn("{task.fields[detail]}", markup=False),
                TimeElapsedColumn(),
                console=self.console,
                transient=True,
            )
            self.progress.start()
        task = self.progress.add_task(name, total=total, detail="")
        step = Step(self, name, total, task)
        try:
            yield step
        finally:
            self.progress.remove_task(task)
            if owner:
                self.progress.stop()
                self.progress = None
        self.line(f"{name}: {step.note or 'done'} ({time.monotonic() - start:.1f} s)")

    def table(
        self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]], right: int = 99
    ) -> None:
        """Print a table on stdout; columns from index `right` on are numbers."""
        if not self.out.is_terminal:
            # Rich folds to 80 columns without a terminal; a log wants it all.
            widths = [
                max([len(name), *(len(row[i]) for row in rows)]) for i, name in enumerate(header)
            ]
            print(title)
            for row in [header, *rows]:
                cells = [
                    cell.rjust(w) if i >= right else cell.ljust(w)
                    for i, (cell, w) in enumerate(zip(row, widths, strict=True))
                ]
                print("  " + "  ".join(cells).rstrip())
            return
        table = Table(title=title, title_justify="left")
        for index, name in enumerate(header):
            table.add_column(name, justify="right" if index >= right else "left")
        for row in rows:
            # Text, not markup: a case named `core[x]` keeps its brackets.
            table.add_row(*(Text(cell) for cell in row))
        self.out.print(table)
