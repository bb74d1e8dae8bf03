"""The shell lines of a command, run by the host's own sh."""

import subprocess
from pathlib import Path
from typing import Any

from harness.measure.planner import SETUP_FAILED, SKIP, Selection, plan_boots
from harness.measure.protocol import parse_output
from harness.tests.measure_plans import case, plan, programs


def run(tmp_path: Path, **changes: Any) -> subprocess.CompletedProcess[str]:
    item = plan(case(command="echo kseries end 0; pwd", **changes))
    shell = plan_boots([item], programs("topic"), Selection(boots=1))[0].runs[0].command.shell
    return subprocess.run(
        ["sh", "-c", shell], cwd=tmp_path, capture_output=True, text=True, check=False
    )


def test_a_command_has_a_folder_of_its_own(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == str(tmp_path / "topic.one.base")


def test_an_unmet_need_is_a_skip(tmp_path: Path) -> None:
    done = run(tmp_path, needs=[{"run": "false", "reason": "it's $HOME \\ `none`"}])
    assert done.returncode == SKIP
    assert parse_output(done.stdout).skip == "it's $HOME \\ `none`"
    assert run(tmp_path, needs=[{"run": "true", "reason": "never"}]).returncode == 0


def test_a_failed_setup_ends_the_command(tmp_path: Path) -> None:
    done = run(tmp_path, setup=["exit 3"])
    assert done.returncode == SETUP_FAILED
    assert "kseries end" not in done.stdout
