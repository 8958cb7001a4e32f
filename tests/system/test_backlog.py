# SPDX-License-Identifier: MIT
"""What was accepted is kept, whatever becomes of the process."""

import contextlib
import os
import pathlib
import random
import re
import signal
import sqlite3
import threading
import time
import unittest

import lab
from case import now
from kept import HERE, NOWHERE, KeptCase, access, rows
from lab import record, send_tcp, wait_until

LONG = "QATIME_TEST_LONG" in os.environ
ROUNDS = 200 if LONG else 20
SEED = int(os.environ.get("SEED", "1"))


class Backlog(KeptCase):
    seconds = 4

    def test_what_waits_at_the_end_is_applied_by_the_next(self):
        paths = self.make_files(*map(str, range(100)))
        times = {path: now() + 1000 * index for index, path in enumerate(paths)}
        daemon = self.daemon(away=True)
        send_tcp(daemon.port, [access(path, time) for path, time in times.items()])
        send_tcp(daemon.port, [record(f"{NOWHERE}/{index}", now()) for index in range(7)])
        counters = daemon.stop()
        counters.check_sums()
        self.assertEqual(counters("pending_entries"), 107)
        self.assertRegex(daemon.log, rf"stopped: 107 accesses wait in {self.state} for the next start")
        counters = self.expect_all_applied(times)
        self.assertEqual((counters("recovered"), counters("applied")), (107, 100))
        self.assertEqual(counters("dropped", "export"), 7)  # the next has other exports
        self.assertEqual(rows(self.state), [])

    def test_a_directory_is_for_one_daemon(self):
        daemon = self.daemon(away=True)
        status, output, error = self.qatime().run("run", "-c", daemon.configuration)
        self.assertEqual((status, len(error.splitlines())), (2, 1), error)
        self.assertRegex(error, rf"{self.state}.*in use.*process {daemon.process.pid}\b")
        daemon.stop()
        self.daemon(away=True).stop()

    def expect_refused(self, qatime, reason):
        for command in ("run", "check"):
            status, output, error = qatime.run(command, "-c", qatime.configuration)
            self.assertEqual((status, output, len(error.splitlines())), (2, "", 1), error)
            self.assertRegex(error, reason)

    def test_a_directory_that_is_not_absolute(self):
        self.expect_refused(self.qatime(backlog__directory="state"), r"backlog\.directory.*absolute")

    def test_a_backlog_of_a_newer_version_is_left_as_it_is(self):
        daemon = self.daemon(away=True)
        send_tcp(daemon.port, [record(f"{NOWHERE}/x", now())])
        daemon.stop()
        with contextlib.closing(sqlite3.connect(self.state / "backlog.db")) as database:
            database.execute("PRAGMA user_version = 2")
        before = {path: path.read_bytes() for path in self.state.glob("backlog.db*")}
        self.expect_refused(daemon, r"backlog\.db is a backlog of format 2, and this qatime knows format 1: start the version")
        self.assertEqual({path: path.read_bytes() for path in self.state.glob("backlog.db*")}, before)

    def test_check_says_why_a_backlog_cannot_be_read(self):
        for place, reason in ((self.state / "file" / "state", "Not a directory"), (self.state / "state", "Is a directory")):
            with self.subTest(reason):
                (self.state / "file").touch()
                (self.state / "state" / "backlog.db").mkdir(parents=True, exist_ok=True)
                qatime = self.qatime(backlog__directory=str(place))
                status, _, error = qatime.run("check", "-c", qatime.configuration)
                self.assertEqual((status, len(error.splitlines())), (1, 1), error)
                self.assertRegex(error, f"{place}.*{reason}")

    def test_a_dry_run_keeps_nothing(self):
        daemon = self.qatime().start("--dry-run")
        send_tcp(daemon.port, [record(f"{NOWHERE}/x", now())])
        daemon.process.terminate()
        daemon.process.wait(60)
        self.assertEqual(list(self.state.iterdir()), [])

    def test_memory_has_its_bound_and_the_disk_takes_the_rest(self):
        paths = self.make_files(*map(str, range(10)))
        daemon = self.daemon(away=True, backlog__memory="1 MiB")
        send_tcp(daemon.port, [record(f"{NOWHERE}/first", now())])
        before = self.resident(daemon)
        times, many, burst = {path: now() for path in paths}, 200_000 if LONG else 30_000, 500
        send_tcp(daemon.port, [access(path, time) for path, time in times.items()])
        for begin in range(0, many, burst):
            send_tcp(daemon.port, [record(f"{NOWHERE}/{'long ' * 48}{index}", now())
                                   for index in range(begin, begin + burst)])
            self.wait_until_kept(daemon)
        if not lab.is_sanitized(daemon.program):
            self.assertLess(self.resident(daemon) - before, 180 * many, "three quarters of their names")
        counters = daemon.stop()
        counters.check_sums()
        self.assertEqual(counters("pending_entries"), many + len(paths) + self.marks + 1)
        self.assertLess(counters("backlog_bytes"), 1 << 20)
        counters = self.expect_all_applied(times)
        self.assertEqual(counters("dropped", "export"), many + self.marks + 1)

    @staticmethod
    def resident(daemon):
        """Bytes of memory."""
        status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s*(\d+) kB", status)[1]) * 1024


class Kills(KeptCase):
    """SIGKILL at any moment, under load."""

    seconds = 20

    FILES, SENDERS = 200, 4

    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        self.paths = self.make_files(*map(str, range(self.FILES)))
        self.base, self.lock, self.count = now(), threading.Lock(), 0
        self.sent = {path: set() for path in self.paths}  # times that may have arrived
        self.received = {}  # the newest that have
        self.kept = {}  # the newest that no kill may lose

    def accesses(self, paths):
        with self.lock:
            self.count += len(paths)
            times = {path: self.base + 1000 * (self.count - index) for index, path in enumerate(paths)}
        for path, time in times.items():
            self.sent[path].add(time)
        return times

    def send(self, daemon, paths):
        times = self.accesses(paths)
        send_tcp(daemon.port, [access(path, time) for path, time in times.items()])
        self.received.update(times)

    def send_always(self, daemon, part):
        choose = random.Random(part)
        with contextlib.suppress(OSError):  # it was killed
            while True:
                self.send(daemon, choose.sample(self.paths[part::self.SENDERS], 20))

    @contextlib.contextmanager
    def load(self, daemon):
        """As much as there can be, until it is killed."""
        senders = [threading.Thread(target=self.send_always, args=(daemon, part)) for part in range(self.SENDERS)]
        for sender in senders:
            sender.start()
        try:
            yield
        finally:
            daemon.kill()
            for sender in senders:
                sender.join()

    def pause(self, most):
        time.sleep(self.random.uniform(0, most))

    def keep(self, daemon):
        """From here on, no kill may lose what was received."""
        received = dict(self.received)
        self.wait_until_kept(daemon)
        self.kept.update(received)

    def access_in_a_new_directory(self, daemon, name):
        with self.files as files:
            files.do("mkdir", f"{self.root}/{name}")
        (path,) = self.make_files(f"{name}/file")
        self.sent[path] = set()
        self.send(daemon, [path])

    def rename(self, daemon, name):
        """The directory is somewhere else now, and so is what waits for its file."""
        old, new = f"{self.root}/{name}", f"{self.root}/{name} renamed"
        with self.files as files:
            files.do("rename", old, new)
        send_tcp(daemon.port, [record(f"{HERE}{old}/", now(), "fs_rename", target=f"{HERE}{new}/")])
        for times in (self.sent, self.received, self.kept):
            times[f"{new}/file".encode()] = times.pop(f"{old}/file".encode())

    def kill_while_it_starts_and_while_it_stops(self, qatime):
        process = lab.start([qatime.program, "run", "-c", qatime.configuration], qatime.output, cwd=qatime.directory,
                            **lab.as_nobody())
        self.pause(0.03)
        lab.stop(process, signal.SIGKILL)
        qatime.start().process.send_signal(signal.SIGTERM)
        self.pause(0.02)
        qatime.kill()

    def test_what_was_kept_is_applied_in_the_end_and_nothing_else(self):
        untouched = self.make_files("untouched")
        away, there = self.qatime(away=True), self.qatime()
        unnamed = []
        for number in range(ROUNDS):
            daemon = self.random.choice([away, there]).start()
            with self.load(daemon):
                if daemon is away:  # else an access may be on its way to a name that is not there any more
                    while unnamed:
                        self.rename(daemon, unnamed.pop())
                self.access_in_a_new_directory(daemon, f"directory {number}")
                unnamed.append(f"directory {number}")
                self.keep(daemon)
                self.pause(0.1)
            self.kill_while_it_starts_and_while_it_stops(away)
            counters = away.start().stop()
            counters.check_sums()
            self.assertGreaterEqual(counters("recovered"), self.marks)
        counters = self.expect_all_applied({})
        self.assertEqual(counters("dropped", "export"), self.marks)
        for path, atime in zip(self.kept, self.files.atimes(self.kept)):
            self.assertGreaterEqual(atime, self.server.kept(self.kept[path]), path)
            self.assertIn(atime, map(self.server.kept, self.sent[path]), path)
        self.expect_untouched(untouched)
