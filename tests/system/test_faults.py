# SPDX-License-Identifier: MIT
"""A server that dies, refuses and comes back: nothing is lost, and the log says what to do."""

import os
import random
import re
import signal
import socket
import time
import unittest

import lab
from case import OwnServerCase, now
from kept import wait_until_settled
from lab import record, send_tcp, wait_until

DIRECTORIES = 20
FILES = 4000
LONG = "QATIME_TEST_LONG" in os.environ
AWAY = 60 if LONG else 10  # seconds
KILLS = 10 if LONG else 3
UPDATES = 150_000 if LONG else 20_000  # through all kills
WAITING = 1_000_000  # for an export

RATE = 1000  # updates per second, so that some are left to do when the server is changed or killed

survives = unittest.skipUnless(lab.FSAL == "VFS", "only root has a server whose files survive its end")


def lift_rate(daemon):
    text = daemon.configuration.read_text()
    daemon.configuration.write_text("".join(line for line in text.splitlines(True) if not line.startswith("nfs.max_rate")))
    daemon.process.send_signal(signal.SIGHUP)


class Faults(OwnServerCase):
    seconds = 10

    def setUp(self):
        super().setUp()
        self.paths = [f"{self.root}/{index % DIRECTORIES}/{index // DIRECTORIES}" for index in range(FILES)]
        self.make_tree(self.paths)
        self.base = now()

    def round(self, number):
        """A newer time for every file, and records of it in the order of self.paths."""
        times = {path: self.base + (number * FILES + index) * 1000 for index, path in enumerate(self.paths)}
        return times, [record(path, time) for path, time in times.items()]

    def expect_all_applied(self, daemon, times):
        self.expect_atimes(times, limit=180)
        counters = daemon.stop()
        self.assertEqual(counters("failed"), 0, counters.values)
        self.assertEqual(counters("dropped") + counters("pending_entries"), 0)
        counters.check_sums()

    def wait_for_work(self, times):
        """Until some of these times are on the server."""
        some = list(times)[:: FILES // 50]
        wait_until(lambda: any(self.applied({path: times[path] for path in some})), "the first update")

    def applied(self, times):
        """The paths of {path: time} that have their times."""
        if self.server.fsal == "VFS":  # whether it runs or not
            atimes = [os.stat(f"{self.server.tree}{path}").st_atime_ns for path in times]
        else:
            atimes = self.files.atimes(times)
        return [path for path, atime in zip(times, atimes) if atime == times[path]]

    def wait_for_line(self, daemon, pattern):
        return wait_until(lambda: re.search(pattern, daemon.log, re.MULTILINE | re.IGNORECASE), pattern).group()

    @survives
    def test_a_server_that_is_away_at_the_start(self):
        self.server.stop(signal.SIGKILL)
        daemon = self.daemon()
        times, records = self.round(0)
        send_tcp(daemon.port, records)
        self.wait_for_line(daemon, rf"(warning|error).*127\.0\.0\.1.*{self.server.port}.*refused")
        self.server.start()
        self.expect_all_applied(daemon, times)

    @survives
    def test_a_server_that_is_away_costs_next_to_no_processor_time(self):
        daemon = self.daemon()
        self.server.stop(signal.SIGKILL)
        times, records = self.round(0)
        send_tcp(daemon.port, records)
        before = lab.cpu_seconds(daemon.process.pid)
        time.sleep(AWAY)
        self.assertLess(lab.cpu_seconds(daemon.process.pid) - before, AWAY / 100)
        self.server.start()
        self.expect_all_applied(daemon, times)

    @survives
    def test_names_changed_while_the_server_was_away(self):
        daemon = self.daemon()
        self.server.stop(signal.SIGKILL)
        times, records = self.round(0)
        tree = str(self.server.tree) + self.root
        os.rename(f"{tree}/0", f"{tree}/renamed")
        gone = f"{self.root}/1/0"
        os.unlink(tree + "/1/0")
        later = self.base + FILES * 1000
        send_tcp(daemon.port, records + [
            record(f"{self.root}/0/", later, "fs_rename", target=f"{self.root}/renamed/"),
            record(gone, later, "fs_delete")])
        self.server.start()
        del times[gone]
        self.expect_all_applied(daemon, {path.replace(f"{self.root}/0/", f"{self.root}/renamed/"): time
                                         for path, time in times.items()})

    def check_refusal(self, refused, restored, pattern, resumed="resumed"):
        """The export refuses under load, is put right again, and nothing was lost."""
        daemon = self.daemon(nfs__max_rate=RATE)
        times, records = self.round(0)
        send_tcp(daemon.port, records, wait=False)
        self.wait_for_work(times)
        self.server.change(**refused)
        self.addCleanup(self.server.change, **restored)
        self.assertLess(len(self.applied(times)), FILES, "nothing was left to do")
        times, records = self.round(1)
        send_tcp(daemon.port, records)
        line = self.wait_for_line(daemon, pattern)
        self.assertIn(self.server.export, line)
        lift_rate(daemon)
        self.server.change(**restored)
        self.wait_for_line(daemon, resumed)
        self.expect_all_applied(daemon, times)

    def test_an_export_turned_read_only_under_load(self):
        self.check_refusal({"access": "RO"}, {"access": "RW"}, r"^.*warning.*read.only.*$")

    def test_an_export_squashed_under_load(self):
        self.check_refusal({"squash": "root_squash"}, {"squash": "no_root_squash"}, r"^.*warning.*squash.*$")

    def test_an_export_that_wants_a_privileged_port_under_load(self):
        self.check_refusal({"privileged": "true"}, {"privileged": "false"}, r"^.*warning.*ports above 1023.*$")

    def test_an_export_taken_back_under_load(self):
        self.check_refusal({"exported": False}, {"exported": True}, r"^.*warning.*not mounted.*$",
                           resumed='export ".*" mounted$')

    def test_one_file_that_is_gone_holds_nobody_up(self):
        daemon = self.daemon()
        times, records = self.round(0)
        send_tcp(daemon.port, [record(f"{self.root}/{index}/gone", self.base) for index in range(DIRECTORIES)] + records)
        self.expect_atimes(times)
        wait_until_settled(daemon)
        counters = daemon.stop()
        self.assertEqual(counters("failed", "noent"), DIRECTORIES)
        counters.check_sums()


@survives
class LocalFiles(OwnServerCase):
    """Files that are made and looked at where they lie, whether the server runs or not."""

    seconds = 10

    def make(self, count):
        paths = [f"{self.root}/{index // 100}/{index % 100}" for index in range(count)]
        self.make_tree(paths)
        return paths

    def atimes(self, paths):
        return {path: os.stat(f"{self.server.tree}{path}").st_atime_ns for path in paths}

    def are_applied(self, times):
        return self.atimes(times) == times

    def check_end(self, daemon, times, limit=180):
        wait_until(lambda: self.are_applied(times), f"{len(times)} atimes", limit)
        wait_until_settled(daemon)  # also those that were set with their replies lost
        counters = daemon.stop()
        self.assertEqual(counters("failed") + counters("dropped") + counters("pending_entries"), 0, counters.values)
        counters.check_sums()

    def test_a_server_killed_again_and_again(self):
        paths = self.make(UPDATES)
        before = self.atimes(paths)
        base = now()
        times = {path: base + index * 1000 for index, path in enumerate(paths)}

        def sweep():
            """Every file has its old time or its new one, and none has gone back."""
            nonlocal seen
            found = self.atimes(paths)
            wrong = [path for path in paths if found[path] not in (before[path], times[path])]
            self.assertEqual(wrong, [])
            self.assertEqual([path for path in paths if found[path] < seen[path]], [])
            seen = found

        seen = before
        daemon = self.daemon(nfs__max_rate=5 * RATE)
        share = UPDATES // (KILLS + 1)
        for kill in range(KILLS):
            part = dict(list(times.items())[kill * share:(kill + 1) * share])
            send_tcp(daemon.port, [record(path, time) for path, time in part.items()], wait=False)
            if kill > 0:  # it has been dead until now
                self.server.start()
            some = {path: part[path] for path in list(part)[::share // 50]}
            wait_until(lambda: set(self.atimes(some).items()) & set(some.items()), "the first update")
            self.server.stop(signal.SIGKILL)
            self.assertFalse(self.are_applied(part), "nothing was left to do")
            sweep()
        send_tcp(daemon.port, [record(path, times[path]) for path in paths[KILLS * share:]])
        lift_rate(daemon)
        self.server.start()
        self.check_end(daemon, times)
        sweep()

    def test_one_of_two_servers_killed(self):
        other = lab.Ganesha(self.scratch, beside=self.server)
        self.addCleanup(other.stop)
        daemon = self.daemon(nfs__servers=[self.server.host, other.host])
        paths = self.make(1000)
        times = {}
        connection = socket.create_connection(("127.0.0.1", daemon.port))
        self.addCleanup(connection.close)

        def feed(what):
            """Sends up to 1,000 records a second until one of what was sent since has its time."""
            fed = {}

            def is_one_applied():
                part = {path: now() for path in random.sample(paths, 20)}
                connection.sendall(b"".join(record(path, when) + b"\n" for path, when in part.items()))
                fed.update(part)
                times.update(part)
                return set(self.atimes(fed).items()) & set(fed.items())

            wait_until(is_one_applied, what)

        for server in (self.server, other):
            wait_until(lambda: all(re.search(rf"{each.host}:{each.port}: connected", daemon.log) for each in
                                   (self.server, other)), "both servers")
            feed("both at work")
            server.stop(signal.SIGKILL)
            feed("the other to go on")
            seen = daemon.log.count(f"{server.host}:{server.port}: connected")
            server.start()
            wait_until(lambda: daemon.log.count(f"{server.host}:{server.port}: connected") > seen, "it to be back")
        self.check_end(daemon, times)

    def test_an_export_that_one_of_two_servers_refuses(self):
        second = self.scratch.exports / "second"
        second.mkdir()
        both = lab.Ganesha(self.scratch, others=[second])
        self.addCleanup(both.stop)
        one = lab.Ganesha(self.scratch, beside=both)
        self.addCleanup(one.stop)
        paths = {f"{path}/{index}": tree / str(index)
                 for path, tree in (("/first", both.tree), ("/second", second)) for index in range(FILES)}
        for file in paths.values():
            file.touch()
        qatime = lab.Qatime(self.scratch, both, {
            "nfs.servers": [both.host, one.host],
            "nfs.exports": [{"path": "/first", "export": both.export}, {"path": "/second", "export": str(second)}]})
        self.addCleanup(qatime.kill)
        daemon = qatime.start()
        for server in (both, one):
            wait_until(lambda: re.search(rf"{server.host}:{server.port}: connected", daemon.log), "both servers")
        base = now()
        send_tcp(daemon.port, [record(path, base) for path in paths])
        wait_until(lambda: all(file.stat().st_atime_ns == base for file in paths.values()), f"{len(paths)} atimes", 180)
        wait_until_settled(daemon)
        counters = daemon.stop()
        self.assertEqual(counters("failed") + counters("dropped") + counters("pending_entries"), 0, counters.values)
        counters.check_sums()

    @unittest.skipUnless(LONG, "takes minutes")
    def test_a_million_entries_that_wait_for_their_export(self):
        paths = self.make(WAITING)
        daemon = self.daemon()
        for refused, restored, pattern in (({"squash": "root_squash"}, {"squash": "no_root_squash"}, "squash"),
                                           ({"access": "RO"}, {"access": "RW"}, "read-only"),
                                           ({"exported": False}, {"exported": True}, "not mounted")):
            with self.subTest(pattern):
                self.server.change(**refused)
                base = now()
                times = {path: base + index * 1000 for index, path in enumerate(paths)}
                send_tcp(daemon.port, [record(path, time) for path, time in times.items()])
                wait_until(lambda: re.search(f"warning.*{pattern}", daemon.log), f"a line about {pattern}")
                self.server.change(**restored)
                wait_until(lambda: self.are_applied(times), "a million atimes", limit=1200)
        self.check_end(daemon, times)


class SquashedFromTheStart(OwnServerCase):
    seconds = 10

    @classmethod
    def make_server(cls):
        return lab.Ganesha(cls.scratch, squash="no_root_squash")

    def test_the_log_says_which_export_setting_to_look_at(self):
        names = [f"{number}" for number in range(5)]
        for name in names:
            self.make_directory(f"{self.root}/{name}")
        paths = self.make_files(*(f"{name}/file" for name in names))
        self.server.change(squash="root_squash")
        self.addCleanup(self.server.change, squash="no_root_squash")
        daemon, time = self.daemon(), now()
        send_tcp(daemon.port, [record(path, time) for path in paths])
        wait_until(lambda: re.search("warning.*squash", daemon.log), "a line about squashing")
        self.expect_untouched(paths)
        self.server.change(squash="no_root_squash")
        self.expect_atimes({path: time for path in paths})
        daemon.stop().check_sums()
