# SPDX-License-Identifier: MIT
"""Limits of memory as containers and services have them: what waits beyond them waits on disk."""

import contextlib
import os
import pathlib
import re
import unittest

from case import OwnServerCase, now, started_after
from lab import record, send_tcp, wait_until

MIB = 1 << 20
LONG = "QATIME_TEST_LONG" in os.environ
PATHS = 2_000_000 if LONG else 1_000_000  # each in a directory of its own: some 310 bytes of memory
BATCH = 50_000
GROUPS = pathlib.Path("/sys/fs/cgroup")


class Group:
    """A control group below ours, of version 1 or 2, that limits the memory of what is in it."""

    def __init__(self, limit):
        self.directory = self.home() / f"qatime-test-{os.getpid()}-{limit}"
        self.directory.mkdir()
        file = "memory.max" if (self.directory / "memory.max").exists() else "memory.limit_in_bytes"
        (self.directory / file).write_text(str(limit))
        self.door = self.directory / "cgroup.procs"
        self.door.chmod(0o666)

    @staticmethod
    def home():
        for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            for place in (GROUPS / "memory", GROUPS):
                directory = place / group[1:]
                is_version_1 = (directory / "memory.limit_in_bytes").exists()
                if "memory" in controllers.split(",") if is_version_1 else (
                        not controllers and "memory" in (directory / "cgroup.subtree_control").read_text().split()
                        if (directory / "cgroup.subtree_control").exists() else False):
                    return directory
        raise OSError("no control groups of memory below ours")

    def remove(self):
        with contextlib.suppress(OSError):
            self.directory.rmdir()


class Limits(OwnServerCase):
    seconds = 30

    def fill(self, daemon):
        when = now()
        for begin in range(0, PATHS, BATCH):
            send_tcp(daemon.port, [record(f"{self.root}/waits-{number}/file", when)
                                   for number in range(begin, begin + BATCH)])
            wait_until(lambda: daemon.process.poll() is not None or
                       daemon.metrics()("accepted") >= begin + BATCH, "the records to be taken", 120)
            self.assertIsNone(daemon.process.poll(), daemon.log[-2000:])

    def endure(self, daemon, limit):
        """Takes all, and is there again after a restart."""
        self.server.stop()
        daemon.start()
        self.assertRegex(daemon.log, rf"warning daemon: memory is limited to {limit} MiB \(.*\), so the backlog has \d+")
        self.fill(daemon)
        self.assertEqual(daemon.metrics()("dropped"), 0)
        daemon.stop()
        daemon.start()
        wait_until(lambda: daemon.metrics()("recovered") == PATHS, "the log to be read", 120)
        self.assertIsNone(daemon.process.poll(), daemon.log[-2000:])
        self.server.start()
        path, = self.make_files("good")
        when = now()
        send_tcp(daemon.port, [record(path, when)])
        self.expect_atimes({path: when})
        daemon.stop()

    def test_a_control_group(self):
        for limit in (160, 128):
            with self.subTest(limit):
                try:
                    group = Group(limit * MIB)
                except OSError as error:
                    self.skipTest(f"no control group can be made: {error}")
                self.addCleanup(group.remove)
                self.endure(started_after(self.qatime(), f"echo $$ > {group.door}"), limit)

    def test_a_limit_of_the_process(self):
        self.endure(started_after(self.qatime(), f"ulimit -d {160 << 10}"), 160)

    def test_a_limit_of_its_address_space(self):
        self.endure(started_after(self.qatime(), f"ulimit -v {300 << 10}"), r"\d+")

    def test_a_limit_that_is_high_enough_is_said(self):
        daemon = started_after(self.qatime(), f"ulimit -d {1 << 20}").start()
        self.assertRegex(daemon.log, r"info daemon: memory is limited to 1024 MiB \(RLIMIT_DATA\), enough for "
                                     r"backlog.memory, \d+ MiB")
        daemon.stop()


if __name__ == "__main__":
    unittest.main()
