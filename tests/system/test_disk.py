# SPDX-License-Identifier: MIT
"""A disk that is full, fails or hangs: the daemon goes on and says so, and what was kept stays kept."""

import json
import os
import pathlib
import signal
import subprocess
import time
import unittest
from unittest import mock

import lab
from case import now
from kept import KeptCase, access
from lab import send_tcp, wait_until
from service_manager import ServiceManager

REFUSED = "the backlog cannot be written"
LONG = "QATIME_TEST_LONG" in os.environ
HANGING = 30 if LONG else 1  # seconds
FULL = 60 if LONG else 0.5  # seconds


def may_mount():
    command = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return lab.ROOT and subprocess.run(command, capture_output=True).returncode == 0


class Disk(KeptCase):
    seconds = 4

    def setUp(self):
        super().setUp()
        self.paths = self.make_files(*(f"{index} {'long' * 15}" for index in range(300)))
        self.times = {}
        self.trouble = self.scratch.fresh("trouble") / "word"
        self.trouble.touch()

    def troubled(self, away=True, **environment):
        """A daemon whose server is away, or there, and whose disk is as the word in self.trouble says."""
        source = pathlib.Path(__file__).with_name("disk_trouble.c")
        library = self.scratch.path / "disk_trouble.so"
        if not library.exists():
            subprocess.run(["cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", library, source], check=True)
        sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        with mock.patch.dict(os.environ, LD_PRELOAD=str(library), DISK_TROUBLE=str(self.trouble), ASAN_OPTIONS=sanitizer,
                             **environment):
            return self.daemon(away=away)

    def access_all(self, daemon):
        self.times = {path: now() + 1000 * index for index, path in enumerate(self.paths)}
        send_tcp(daemon.port, [access(path, accessed) for path, accessed in self.times.items()])

    def access_until(self, daemon, words):
        def accessed():
            self.access_all(daemon)
            return words in daemon.log

        wait_until(accessed, words)

    def expect_applied_since(self, kept):
        self.expect_all_applied({})
        for path, atime in zip(kept, self.files.atimes(kept)):
            self.assertTrue(self.server.kept(kept[path]) <= atime <= self.times[path], path)

    @unittest.skipUnless(may_mount(), "only root can mount a small file system")
    def test_a_full_disk_that_has_room_again(self):
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=4m,mode=700,uid={lab.NOBODY}", "tmpfs", self.state], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.state], check=True)
        daemon = self.daemon(away=True)
        self.access_all(daemon)
        self.wait_until_kept(daemon)
        ballast = self.state / "ballast"
        with self.assertRaises(OSError), open(ballast, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        self.access_until(daemon, REFUSED)
        self.assertRegex(daemon.log, rf"error backlog: {REFUSED}, .*backlog\.db.* full")
        until = time.monotonic() + FULL
        while time.monotonic() < until:
            self.access_all(daemon)  # and this is refused, too
            time.sleep(0.1)
        ballast.unlink()
        wait_until(lambda: "the backlog is written again" in daemon.log, "the daemon to go on")
        self.wait_until_kept(daemon)
        daemon.kill()
        self.expect_all_applied(self.times)

    def test_a_disk_that_fails_takes_nothing_back(self):
        daemon = self.troubled()
        self.access_all(daemon)
        self.wait_until_kept(daemon)
        kept = self.times
        self.trouble.write_text("fails")
        self.access_until(daemon, REFUSED)
        daemon.kill()
        self.expect_applied_since(kept)

    def test_a_disk_that_failed_for_a_while(self):
        daemon = self.troubled()
        self.trouble.write_text("fails")
        self.access_until(daemon, REFUSED)
        status, _, body = daemon.get("/readyz")
        self.assertEqual((status, json.loads(body)["ready"]), (503, False))
        self.assertRegex(json.loads(body)["reasons"][0], rf"^backlog: {REFUSED}, .*backlog\.db")
        self.assertEqual(daemon.get("/healthz")[0], 200)
        url = f"http://127.0.0.1:{daemon.admin}"
        status, output, error = daemon.run("status", "--admin", url, "--ready")
        self.assertEqual((status, error), (1, ""))
        self.assertRegex(output, rf"^not ready: backlog: {REFUSED}, [^\n]*backlog\.db[^\n]*\n$")
        self.assertRegex(daemon.run("status", "--admin", url)[1], rf": not ready\n  backlog: {REFUSED}, .*backlog\.db")
        self.trouble.write_text("")
        wait_until(lambda: "the backlog is written again" in daemon.log, "the daemon to go on")
        self.assertEqual(daemon.get("/readyz")[0], 200)
        counters = daemon.stop()
        counters.check_sums()
        self.assertEqual(counters("pending_entries"), len(self.paths))
        self.assertEqual(counters("degraded", "backlog"), 0)
        self.expect_all_applied(self.times)

    def test_a_disk_that_could_not_be_read_for_a_while(self):
        daemon = self.daemon(away=True)
        self.access_all(daemon)
        daemon.stop()
        self.trouble.write_text("unreadable")
        daemon = self.troubled(away=False)
        wait_until(lambda: "the backlog cannot be read" in daemon.log, "the disk to refuse")
        self.trouble.write_text("")
        self.expect_atimes(self.times)

    def hanging(self, **environment):
        """A daemon whose disk hangs, and what it had kept before."""
        daemon = self.troubled(**environment)
        self.access_all(daemon)
        self.wait_until_kept(daemon)
        kept = self.times
        self.trouble.write_text("hangs")
        for _ in range(3):
            self.access_all(daemon)  # it receives all the same
        return daemon, kept

    def test_a_disk_that_hangs_keeps_nobody_else_waiting(self):
        manager = ServiceManager(self)
        daemon, _ = self.hanging(NOTIFY_SOCKET=manager.name, WATCHDOG_USEC="400000")
        until = time.monotonic() + HANGING
        while time.monotonic() < until:
            manager.receive_until("WATCHDOG=1")
        daemon.process.send_signal(signal.SIGTERM)
        manager.receive_until("STOPPING=1")
        for _ in range(5):
            manager.receive_until("WATCHDOG=1")
        self.trouble.write_text("")
        self.assertEqual(daemon.process.wait(60), 0, daemon.log)
        lab.Counters(daemon.log).check_sums()
        self.expect_all_applied(self.times)

    def test_a_second_signal_ends_it_though_the_disk_hangs(self):
        daemon, kept = self.hanging()
        daemon.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "stopping on SIGTERM" in daemon.log, "it to stop")
        daemon.process.send_signal(signal.SIGTERM)
        self.assertEqual(daemon.process.wait(60), 1)
        self.assertIn("stopped at once by a second signal", daemon.log)
        self.expect_applied_since(kept)

    @unittest.skipIf("QATIME_TEST_QUICK" in os.environ, "waits for 10 s")
    def test_a_disk_that_hangs_at_the_end_is_given_up(self):
        daemon, kept = self.hanging()
        daemon.process.send_signal(signal.SIGTERM)
        self.assertEqual(daemon.process.wait(60), 1)
        self.assertRegex(daemon.log, rf"those that came last are lost, {self.state} could not be written")
        self.expect_applied_since(kept)
