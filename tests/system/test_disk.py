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


needs_mount = unittest.skipUnless(may_mount(), "only root can mount a small file system")


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

    def mount(self, options):
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"mode=700,uid={lab.NOBODY},{options}", "tmpfs", self.state],
                       check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.state], check=True)

    def remount(self, options):
        subprocess.run(["mount", "-o", f"remount,{options}", self.state], check=True)

    def fill(self, left=0):
        """Fills the disk but for so many bytes. Returns the file that does."""
        ballast = self.state / "ballast"
        with self.assertRaises(OSError), open(ballast, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        os.truncate(ballast, ballast.stat().st_size - left)
        return ballast

    @needs_mount
    def test_a_full_disk_that_has_room_again(self):
        self.mount("size=4m")
        daemon = self.daemon(away=True)
        self.access_all(daemon)
        self.wait_until_kept(daemon)
        ballast = self.fill()
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

    def expect_degraded_until(self, daemon, mend, reason):
        """The daemon has started without its log, for this reason. Records of meanwhile are in the log afterwards."""
        said = [line for line in daemon.log.splitlines() if REFUSED in line]
        self.assertEqual(len(said), 1, daemon.log)
        self.assertRegex(said[0], rf"error backlog: {REFUSED}, what comes waits in memory: {self.state}.*{reason}")
        status, _, body = daemon.get("/readyz")
        self.assertEqual((status, json.loads(body)["ready"]), (503, False))
        self.assertRegex(json.loads(body)["reasons"][0], rf"^backlog: {REFUSED}, .*{reason}")
        self.assertEqual(daemon.get("/healthz")[0], 200)
        self.assertEqual(daemon.metrics()("degraded", "backlog"), 1)
        self.access_all(daemon)
        wait_until(lambda: daemon.metrics()("pending_entries") >= len(self.paths), "all to be accepted")
        self.assertIsNone(daemon.process.poll(), daemon.log)
        mend()
        wait_until(lambda: "the backlog is written again" in daemon.log, "the daemon to go on")
        wait_until(lambda: daemon.get("/readyz")[0] == 200, "it to be ready")
        self.assertEqual(daemon.metrics()("degraded", "backlog"), 0)
        self.wait_until_kept(daemon)
        daemon.kill()

    @needs_mount
    def test_a_full_disk_at_the_start(self):
        self.mount("size=1m")
        ballast = self.fill()
        manager = ServiceManager(self)
        with mock.patch.dict(os.environ, NOTIFY_SOCKET=manager.name):
            daemon = self.daemon(away=True)
        manager.receive_until("READY=1")
        self.expect_degraded_until(daemon, ballast.unlink, "full")
        self.expect_all_applied(self.times)

    @needs_mount
    def test_a_full_disk_at_the_start_has_a_log(self):
        self.mount("size=4m")
        daemon = self.daemon(away=True)
        self.access_all(daemon)
        daemon.stop()
        self.fill()
        daemon = self.daemon()
        self.assertNotIn(REFUSED, daemon.log)
        self.expect_atimes(self.times)

    def test_a_start_with_a_disk_that_fails(self):
        self.trouble.write_text("fails")
        daemon = self.troubled()
        self.expect_degraded_until(daemon, lambda: self.trouble.write_text(""), "Input/output error")

    def test_a_start_with_a_disk_that_cannot_be_read(self):
        daemon = self.daemon(away=True)
        self.access_all(daemon)
        daemon.stop()
        kept, self.paths = self.times, self.paths[:100]
        self.trouble.write_text("blind")
        daemon = self.troubled()
        self.expect_degraded_until(daemon, lambda: self.trouble.write_text(""), "Input/output error")
        self.assertEqual(list(self.state.glob("*.corrupt-*")), [])
        self.expect_all_applied({**kept, **self.times})

    def test_a_start_with_a_directory_that_cannot_be_used(self):
        scratch = self.scratch.fresh("places", lab.NOBODY)

        def parent_is_missing(place):
            def mend():
                place.parent.mkdir()
                os.chown(place.parent, lab.NOBODY, lab.NOBODY)
            return mend

        def parent_is_locked(place):
            place.parent.mkdir(mode=0o700)
            return lambda: place.parent.chmod(0o777)

        def is_a_file(place):
            parent_is_missing(place)()
            place.touch()
            return place.unlink

        def may_not_be_written(place):
            place.mkdir(parents=True)
            return lambda: os.chown(place, lab.NOBODY, lab.NOBODY)

        def file_may_not_be_read(place):
            may_not_be_written(place)()
            (place / "backlog.db").touch(0o600)
            return lambda: os.chown(place / "backlog.db", lab.NOBODY, lab.NOBODY)

        cases = {parent_is_missing: "No such file", is_a_file: "Not a directory"}
        if lab.ROOT:
            cases |= dict.fromkeys((parent_is_locked, may_not_be_written, file_may_not_be_read), "Permission denied")
        for block, reason in cases.items():
            with self.subTest(block.__name__):
                self.state = scratch / block.__name__ / "state"
                mend = block(self.state)
                self.expect_degraded_until(self.daemon(away=True), mend, reason)

    @needs_mount
    def test_a_start_with_a_file_system_that_takes_no_files(self):
        for before, after, reason in (("ro", "rw", "Read-only"), ("nr_inodes=1", "nr_inodes=0", "No space left")):
            with self.subTest(before):
                self.mount(before)
                self.expect_degraded_until(self.daemon(away=True), lambda: self.remount(after), reason)

    @unittest.skipIf("QATIME_TEST_QUICK" in os.environ, "waits for 10 s")
    def test_a_daemon_that_never_had_a_disk_ends_at_a_signal(self):
        self.state = self.state / "no" / "where"
        daemon = self.daemon(away=True)
        daemon.process.send_signal(signal.SIGTERM)
        self.assertEqual(daemon.process.wait(60), 0, daemon.log)

    @needs_mount
    def test_a_damaged_file_with_less_room_than_it_has_bytes(self):
        self.mount("size=8m")
        daemon = self.daemon(away=True)
        for part in range(60):
            send_tcp(daemon.port, [access(path + b" %d" % part, now()) for path in self.paths])
            self.wait_until_kept(daemon)
        self.access_all(daemon)
        self.wait_until_kept(daemon)
        daemon.stop()
        file = self.state / "backlog.db"
        with open(file, "r+b") as stream:
            stream.write(b"?" * 100)
        damaged = file.read_bytes()
        self.fill(left=len(damaged) // 2)
        daemon = self.daemon(away=True)
        self.assertRegex(daemon.log, r"error backlog: .*kept [1-9]\d* batches.*had no room for [1-9]\d* more with [1-9]\d*")
        (kept,) = (place for place in self.state.glob("*.corrupt-*") if not place.name.endswith("-wal"))
        self.assertEqual(kept.read_bytes(), damaged)
        self.assertEqual(daemon.get("/readyz")[0], 200)
        self.wait_until_kept(daemon)
        daemon.kill()
        self.daemon(nfs__exports=[self.here])
        self.expect_atimes(self.times)

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
