"""The stages in order: pin, source, series, build; and the folder of one run.

`prepare()` is what every verb that needs a kernel calls; a stage whose inputs
have not changed is read from its record.
"""

from harness.pipeline.prepare import Prepared, prepare
from harness.pipeline.run import RunFolder, start_run

__all__ = ["Prepared", "RunFolder", "prepare", "start_run"]
