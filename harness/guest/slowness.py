"""How much slower than the reference this host boots: the scale of all patience."""

from __future__ import annotations

from harness.core.paths import Paths
from harness.core.record import Record, load_record, save_record
from harness.guest.accel import host_boot_id
from harness.guest.job import Machine
from harness.guest.qemu import Qemu

# Host seconds to the first command on an idle machine with 2 cores, QEMU 10
# and the prod kernel: a base, and a share for each CPU that is brought up.
_REFERENCE = {"kvm": (3.0, 0.1), "tcg": (6.0, 0.5), "icount": (9.0, 1.0)}
_UNKNOWN = 2.0  # before the first boot: patient, not endless
_MOST = 4.0  # a heartbeat every 2 s must not need 20 minutes to be missed


def reference(accel: str, machine: Machine) -> float:
    """Return the reference boot time of this machine, in host seconds."""
    base, per_cpu = _REFERENCE["icount" if machine.lane.icount else accel]
    return base + per_cpu * machine.topology.cpus


class Slowness:
    """The measured factor of this host, kept for its next boots."""

    def __init__(self, paths: Paths, qemu: Qemu, accel: str, machine: Machine) -> None:
        self._folder = paths.records
        self._inputs = {
            "boot": host_boot_id(),
            "qemu": qemu.name,
            "accel": accel,
            "icount": str(machine.lane.icount),
        }
        self._reference = reference(accel, machine)

    def known(self) -> float:
        """Return the factor of an earlier boot, at least 1."""
        record = load_record(self._folder, "slowness", self._inputs)
        return float(record.outputs["factor"]) if record else _UNKNOWN

    def learn(self, boot_seconds: float) -> float:
        """Keep and return the factor of a boot that took these host seconds."""
        factor = round(min(_MOST, max(1.0, boot_seconds / self._reference)), 2)
        save_record(self._folder, Record("slowness", self._inputs, {"factor": factor}))
        return factor
