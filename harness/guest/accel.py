"""KVM or TCG: decided by booting a few bytes on each and timing them.

/dev/kvm that opens proves nothing: some nested hosts let it open and then
crawl or hang.  So a boot sector that does nothing but leave through QEMU's
isa-debug-exit runs under both accelerators, and the clock decides.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.core.record import Record, load_record, save_record
from harness.core.ui import Ui
from harness.guest.qemu import Qemu

_PORT = 0xF4
_VALUE = 0x2A
_STATUS = _VALUE << 1 | 1  # how isa-debug-exit turns the value into QEMU's status
PROBE_LIMIT = 6.0  # seconds; working KVM and TCG both take about 0.2
# KVM that works is about as fast as TCG on a probe this short (start-up of
# QEMU prevails); KVM that traps every instruction takes tens of times longer.
_SLOWER = 3.0
_KVM = Path("/dev/kvm")


@dataclass(frozen=True)
class Accel:
    """The accelerator in use, why, and the probe's seconds (None: not probed or failed)."""

    name: str  # "kvm" or "tcg"
    reason: str
    kvm_seconds: float | None = None
    tcg_seconds: float | None = None


def boot_sector() -> bytes:
    """Return 512 bytes that a BIOS boots and that write _VALUE to isa-debug-exit.

    A loop of 65536 turns comes first: accelerators that trap or emulate each
    instruction show themselves, others do not notice.
    """
    code = b"".join(
        (
            b"\x31\xc9",  # xor cx, cx
            b"\xe2\xfe",  # loop to itself until cx wraps to 0
            bytes((0xB0, _VALUE)),  # mov al, _VALUE
            bytes((0xE6, _PORT)),  # out _PORT, al
            b"\xf4\xeb\xfd",  # hlt; jump back to it
        )
    )
    return code.ljust(510, b"\0") + b"\x55\xaa"


def probe_command(qemu: Qemu, accel: str, image: Path) -> list[str]:
    """Return the QEMU line that boots the sector in image under accel."""
    return [
        str(qemu.path),
        *qemu.options,
        *("-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc"),
        *("-m", "16M", "-accel", accel),
        *("-drive", f"file={image},format=raw,if=floppy,readonly=on", "-boot", "a"),
        *("-device", f"isa-debug-exit,iobase={_PORT:#x},iosize=1"),
    ]


def probe(qemu: Qemu, accel: str, limit: float = PROBE_LIMIT) -> float | None:
    """Boot the sector under accel; return its seconds, or None if it never got there."""
    with tempfile.TemporaryDirectory(prefix="kseries-probe-") as folder:
        image = Path(folder) / "boot.img"
        image.write_bytes(boot_sector())
        start = time.monotonic()
        child = subprocess.Popen(
            probe_command(qemu, accel, image),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            status = child.wait(limit)
        except subprocess.TimeoutExpired:
            return None
        finally:
            # A QEMU stuck inside KVM may ignore everything but SIGKILL.
            if child.poll() is None:
                child.kill()
                child.wait()
        return time.monotonic() - start if status == _STATUS else None


def choose(kvm: float | None, tcg: float | None) -> Accel:
    """Return the accelerator for these probe seconds (None: it failed); pure."""
    if tcg is None and kvm is None:
        raise KseriesError(
            Exit.HOST,
            "QEMU boots nothing on this host, neither under KVM nor under TCG",
            hint="run `./kseries doctor`, and QEMU by hand",
        )
    if kvm is None:
        return Accel("tcg", "KVM opens but boots nothing", kvm, tcg)
    if tcg is not None and kvm > _SLOWER * tcg:
        reason = f"KVM opens but took {kvm:.2f} s for what TCG does in {tcg:.2f} s"
        return Accel("tcg", reason, kvm, tcg)
    return Accel("kvm", f"KVM booted the probe in {kvm:.2f} s", kvm, tcg)


def host_boot_id() -> str:
    """Return the id of this boot of the host: KVM may differ after the next."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def find_accel(
    paths: Paths,
    qemu: Qemu,
    ui: Ui,
    *,
    kvm_device: Path = _KVM,
    probe_one: Callable[[Qemu, str], float | None] = probe,
) -> Accel:
    """Return the accelerator for this host: probed once per host boot and QEMU.

    KSERIES_ACCEL=kvm or tcg overrides.  KVM that opens but does not work is
    said loudly in each invocation, since every guest is slower for it.
    """
    forced = os.environ.get("KSERIES_ACCEL")
    if forced:
        if forced not in {"kvm", "tcg"}:
            raise KseriesError(
                Exit.USAGE, f"KSERIES_ACCEL is {forced!r}", hint="set it to kvm or tcg, or unset it"
            )
        return Accel(forced, "KSERIES_ACCEL says so")
    if not os.access(kvm_device, os.R_OK | os.W_OK):
        why = "cannot be opened" if kvm_device.exists() else "does not exist"
        return Accel("tcg", f"{kvm_device} {why}")
    inputs = {"boot": host_boot_id(), "qemu": f"{qemu.path} {qemu.name}"}
    record = load_record(paths.records, "accel", inputs)
    if record:
        accel = Accel(**record.outputs)
    else:
        accel = choose(probe_one(qemu, "kvm"), probe_one(qemu, "tcg"))
        save_record(paths.records, Record("accel", inputs, vars(accel)))
    if accel.name == "tcg":
        ui.warn_once(f"KVM is not used: {accel.reason}. Guests run under TCG, which is slower.")
    return accel
