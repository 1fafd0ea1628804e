"""A cluster of this machine's own, and that of these tests, can't be reached from another machine."""

from __future__ import annotations

import ipaddress
import os
import subprocess
import sys
from pathlib import Path

import pytest

LISTENING = "0A"
PROC = Path("/proc")

pytestmark = pytest.mark.skipif(not (PROC / "net/tcp").exists(), reason="needs Linux' /proc")


def listeners(root):
    """Return (program, address) of every TCP port on which `root` and the processes below it listen."""
    sockets = {}
    for table, words in (("tcp", 1), ("tcp6", 4)):
        for line in (PROC / "net" / table).read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == LISTENING:
                packed = bytes.fromhex(local.partition(":")[0])
                sockets[rest[5]] = ipaddress.ip_address(
                    b"".join(packed[4 * word : 4 * word + 4][::-1] for word in range(words))
                )
    found = []
    for pid in family(root):
        try:
            links = [os.readlink(link) for link in (PROC / str(pid) / "fd").iterdir()]  # noqa: PTH115 (no path)
            program = (PROC / str(pid) / "comm").read_text().strip()
        except OSError:
            continue  # it has ended meanwhile
        inodes = {link.removeprefix("socket:[").removesuffix("]") for link in links}
        found += [(program, address) for inode, address in sockets.items() if inode in inodes]
    return found


def family(root):
    parents = {}
    for folder in PROC.iterdir():
        if folder.name.isdecimal():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    members = [root]
    for member in members:
        members += [pid for pid, parent in parents.items() if parent == member]
    return members


def is_loopback(address):
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def of_ray(found):
    assert {"gcs_server", "raylet"} <= {program for program, _ in found}
    assert [(program, str(address)) for program, address in found if not is_loopback(address)] == []


def test_the_cluster_of_these_tests_listens_on_the_loopback_only(cluster, executor):
    executor.prepare([], lambda *_: None)
    of_ray(listeners(os.getpid()))


def test_a_cluster_that_is_started_here_listens_on_the_loopback_only():
    code = (
        "from engine import RayExecutor; RayExecutor().prepare([], print); import ray\n"
        "ray.get(ray.remote(lambda: 0).remote()); print('ready', flush=True); input()"
    )
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        of_ray(listeners(process.pid))
        process.communicate("\n")
