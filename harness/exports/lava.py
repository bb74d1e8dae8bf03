"""A job for a LAVA lab: boot the run's kernel on its topology, run its selftests. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.core.errors import Exit, KseriesError
from harness.results.model import Results

KERNEL, TESTS, JOB = "bzImage", "selftests.tar.gz", "job.yaml"
_BOOT_MINUTES = 15
_PROGRAM_MINUTES = 20
# run_kselftest.sh says `ok 1 selftests: agent/area: program # SKIP` for each program.
REPORT = r"""awk '/^(not )?ok [0-9]+ selftests: / {
  result = $1 == "ok" ? "pass" : "fail"
  if (/# SKIP/) result = "skip"
  name = $0
  sub(/^.*selftests: /, "", name); sub(/ *#.*/, "", name)
  gsub(/[^A-Za-z0-9_.-]+/, "_", name)
  print "lava-test-case " name " --result " result
}' /tmp/selftests.tap | sh"""


def lava_job(results: Results, url: str, rootfs: str, device_type: str = "qemu") -> dict[str, Any]:
    """Return the job definition as plain data.

    url: where bzImage and selftests.tar.gz will lie; rootfs: a raw image of a
    system with a root shell, wget and tar, compressed with xz if it ends so.
    """
    collections = own_collections(results)
    if not collections:
        raise KseriesError(
            Exit.USAGE,
            "the run has no selftests of ours, so there is nothing for a lab to repeat",
            where=results.run.id,
            hint="`kseries test` makes such a run",
        )
    base = url.rstrip("/")
    image: dict[str, Any] = {
        "image_arg": "-drive format=raw,if=virtio,file={rootfs}",
        "url": rootfs,
    }
    if rootfs.endswith(".xz"):
        image["compression"] = "xz"
    programs = {(item.suite, item.name) for item in results.tests}
    minutes = max(60, _PROGRAM_MINUTES * len(collections))
    steps = [
        "mkdir -p /opt/selftests && cd /opt/selftests",
        f"wget -q -O - {base}/{TESTS} | tar -xz",
        "(" + "; ".join(f"./run_kselftest.sh -c {name}" for name in collections)
        + ") 2>&1 | tee /tmp/selftests.tap",
        REPORT,
    ]  # fmt: skip
    return {
        "device_type": device_type,
        "job_name": f"kseries {results.run.pin} + {len(results.run.patches)} patches",
        "timeouts": {
            "job": {"minutes": minutes + 2 * _BOOT_MINUTES},
            "action": {"minutes": _BOOT_MINUTES},
            "connection": {"minutes": 5},
        },
        "priority": "medium",
        "visibility": "public",
        "metadata": {
            "run": results.run.id,
            "tree": results.run.patched_tree,
            "config": results.run.config,
            "cases": str(len(programs)),
        },
        "context": {
            "arch": "amd64",
            "machine": "q35",
            "memory": sum(node["memory"] for node in results.run.topology["nodes"]),
            "extra_options": qemu_options(results.run.topology["nodes"]),
        },
        "actions": [
            {
                "deploy": {
                    "timeout": {"minutes": _BOOT_MINUTES},
                    "to": "tmpfs",
                    "images": {
                        "kernel": {
                            "image_arg": "-kernel {kernel} "
                            '--append "console=ttyS0,115200 root=/dev/vda rw nokaslr"',
                            "url": f"{base}/{KERNEL}",
                        },
                        "rootfs": image,
                    },
                }
            },
            {
                "boot": {
                    "timeout": {"minutes": _BOOT_MINUTES},
                    "method": "qemu",
                    "media": "tmpfs",
                    "prompts": ["root@"],
                    "auto_login": {"login_prompt": "login:", "username": "root"},
                }
            },
            {
                "test": {
                    "timeout": {"minutes": minutes},
                    "definitions": [
                        {
                            "from": "inline",
                            "name": "selftests",
                            "path": "inline/selftests.yaml",
                            "repository": {
                                "metadata": {
                                    "format": "Lava-Test Test Definition 1.0",
                                    "name": "selftests",
                                    "description": "the series' own selftests",
                                },
                                "run": {"steps": steps},
                            },
                        }
                    ],
                }
            },
        ],
    }


def own_collections(results: Results) -> list[str]:
    """Return the collections of kselftest that the run took from the series' own."""
    names = [item.suite.partition(":")[0] for item in results.tests]
    return list(dict.fromkeys(name for name in names if name.startswith("agent/")))


def qemu_options(nodes: Sequence[Any]) -> list[str]:
    """Return QEMU's options for the NUMA nodes of a stored topology (MiB, CPUs)."""
    total = sum(node["cpus"] for node in nodes)
    sockets = sum(1 for node in nodes if node["cpus"])
    words = ["-smp", f"{total},sockets={sockets},cores={total // max(1, sockets)},threads=1"]
    first = 0
    for number, node in enumerate(nodes):
        numa = f"node,nodeid={number}"
        if node["cpus"]:
            numa += f",cpus={first}-{first + node['cpus'] - 1}"
            first += node["cpus"]
        if node["memory"]:
            words += ["-object", f"memory-backend-ram,id=mem{number},size={node['memory']}M"]
            numa += f",memdev=mem{number}"
        words += ["-numa", numa]
    return words
