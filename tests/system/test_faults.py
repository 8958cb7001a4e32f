# SPDX-License-Identifier: MIT
"""A server that dies, refuses and comes back: nothing is lost, and the log says what to do."""

import os
import re
import signal
import time
import unittest

import lab
from case import OwnServerCase, now
from lab import record, send_tcp, wait_until

DIRECTORIES = 20
FILES = 4000
LATE = 500  # records that are sent when the server is dead
AWAY = 60 if "QATIME_TEST_LONG" in os.environ else 10  # seconds
KILLS = 50 if "QATIME_TEST_LONG" in os.environ else 2

survives = unittest.skipUnless(lab.FSAL == "VFS", "only root has a server whose files survive its end")


class Faults(OwnServerCase):
    def setUp(self):
        super().setUp()
        with self.files as files:
            for directory in range(DIRECTORIES):
                files.do("mkdir", f"{self.root}/{directory}")
                for name in range(FILES // DIRECTORIES):
                    files.do("create", f"{self.root}/{directory}/{name}")
        self.paths = [f"{self.root}/{index % DIRECTORIES}/{index // DIRECTORIES}" for index in range(FILES)]
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
    def test_a_server_killed_in_the_middle_and_started_again(self):
        daemon = self.daemon()
        for round_number in range(KILLS):
            times, records = self.round(round_number)
            send_tcp(daemon.port, records[:-LATE], wait=False)
            self.wait_for_work(times)
            self.server.stop(signal.SIGKILL)
            self.assertLess(len(self.applied(times)), FILES - LATE, "nothing was left to do")
            send_tcp(daemon.port, records[-LATE:])
            self.wait_for_line(daemon, rf"(warning|error).*{self.server.port}")
            self.server.start()
            self.expect_atimes(times, limit=180)
        self.expect_all_applied(daemon, times)

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

    def check_refusal(self, refused, restored, pattern):
        """The export refuses under load, is put right again, and nothing was lost."""
        daemon = self.daemon()
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
        self.server.change(**restored)
        self.wait_for_line(daemon, r"^.*resum.*$")
        self.expect_all_applied(daemon, times)

    def test_an_export_turned_read_only_under_load(self):
        self.check_refusal({"access": "RO"}, {"access": "RW"}, r"^.*warning.*read.only.*$")

    def test_an_export_squashed_under_load(self):
        self.check_refusal({"squash": "root_squash"}, {"squash": "no_root_squash"}, r"^.*warning.*squash.*$")

    def test_one_file_that_is_gone_holds_nobody_up(self):
        daemon = self.daemon()
        times, records = self.round(0)
        send_tcp(daemon.port, [record(f"{self.root}/{index}/gone", self.base) for index in range(DIRECTORIES)] + records)
        self.expect_atimes(times)
        counters = daemon.stop()
        self.assertEqual(counters("failed", "noent"), DIRECTORIES)
        counters.check_sums()


class SquashedFromTheStart(OwnServerCase):
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
