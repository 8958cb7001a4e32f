# SPDX-License-Identifier: MIT
"""Tests that need the eyes of the machine itself, or its root.

QATIME_TEST_NFS names one of its exports, and QATIME_TEST_SHELL the port of its shell. Nobody else uses the machine
meanwhile, because some tests change the export, or stop the server.
"""

import datetime
import os
import unittest

import machine
from case import OLD, Case, now
from kept import wait_until_settled
from lab import SECOND, record, send_tcp, wait_until

USUAL = "rw,insecure,no_root_squash"
REFUSALS = {
    "rw,insecure,root_squash": "squash",
    "ro,insecure,no_root_squash": "read-only",
    "rw,secure,no_root_squash": "allow source ports above 1023",
    "rw,insecure,no_root_squash,sec=krb5": "krb5 alone: let it take AUTH_SYS",
}
START = "rpc.nfsd -V 3 -N 4 4"


class Knfsd(Case):
    def shell(self, commands):
        return machine.shell(int(os.environ["QATIME_TEST_SHELL"]), commands)

    def place(self, path):
        """Where the machine has it."""
        return self.server.export + os.fsdecode(path)

    def export_as(self, options):
        """From now on."""
        export = self.server.above.export
        number = machine.EXPORTS.index(os.path.basename(export)) + 1
        self.assertEqual(self.shell(f"exportfs -o {options},no_subtree_check,fsid={number} '*:{export}'"), "")

    def check_connect(self, **settings):
        """(status, text)"""
        qatime = self.qatime(**settings)
        status, output, error = qatime.run("check", "--connect", "-c", qatime.configuration)
        return status, output + error

    def test_the_machine_itself_sees_the_times_that_were_set(self):
        (path,) = self.make_files("file")
        daemon, time = self.daemon(), now()
        send_tcp(daemon.port, [record(path, time)])
        self.expect_atimes({path: time})
        daemon.stop()
        seen = self.shell(f"stat -c '%x' {self.place(path)}; stat -c '%y' {self.place(path)}").splitlines()
        self.assertEqual(seen, [self.shown(self.server.kept(time)), self.shown(OLD)])

    @staticmethod
    def shown(time):
        """As `stat` does."""
        moment = datetime.datetime.fromtimestamp(time // SECOND, datetime.timezone.utc)
        return f"{moment:%Y-%m-%d %H:%M:%S}.{time % SECOND:09d} +0000"

    def test_an_export_that_lets_nobody_set_times_says_why(self):
        self.addCleanup(self.export_as, USUAL)
        for options, said in REFUSALS.items():
            with self.subTest(options):
                self.export_as(options)
                status, text = self.check_connect()
                self.assertEqual(status, 1, text)
                self.assertIn(said, text)
        self.export_as(USUAL)
        status, text = self.check_connect()
        self.assertEqual(status, 0, text)

    def test_what_is_not_there_is_named(self):
        for settings, said in (({"nfs__exports": [{"path": "/", "export": "/not there"}]}, 'export "/not there"'),
                               ({"nfs__port": self.server.mount_port}, "correct nfs.port"),
                               ({"nfs__mount_port": self.server.port}, "correct nfs.mount_port")):
            with self.subTest(said):
                status, text = self.check_connect(**settings)
                self.assertEqual(status, 1, text)
                self.assertIn(said, text)

    def test_accesses_to_a_whole_directory_wait_for_a_server_that_is_stopped(self):
        self.shell(f"cd {self.place(self.root)} && touch -d @{OLD // SECOND} $(seq 1000)")
        time = now()
        times = {f"{self.root}/{number}": time + 1000 * number for number in range(1, 1001)}
        (atime,) = self.files.atimes([self.root])
        daemon = self.daemon()
        self.addCleanup(self.shell, START)
        self.shell("rpc.nfsd 0")
        send_tcp(daemon.port, [record(path, time) for path, time in times.items()])
        wait_until(lambda: daemon.metrics()("server_up") == 0, "the server to be missed")
        self.shell(START)
        self.expect_atimes(times)
        self.expect_mtimes(dict.fromkeys(times, OLD))
        counters = daemon.stop()
        self.assertEqual((counters("applied"), counters("failed")), (len(times), 0))
        counters.check_sums()
        self.assertGreater(counters("rpcs", "readdirplus"), 0)
        self.assertEqual(self.files.atimes([self.root]), [atime])
        is_moved = "noatime" not in self.shell(f"grep ' {self.server.above.export} ' /proc/mounts")
        self.assertEqual("moves the access time of a directory that is read" in daemon.log, is_moved)
        if not is_moved:
            self.assertLess(counters("rpcs", "lookup"), len(times) // 10)

    def test_a_file_that_was_replaced_on_the_server_gets_the_next_access(self):
        (path,) = self.make_files("file")
        daemon, time = self.daemon(), now()
        send_tcp(daemon.port, [record(path, time)])
        self.expect_atimes({path: time})
        self.shell(f"rm {self.place(path)}; touch -d @{OLD // SECOND} {self.place(path)}")
        send_tcp(daemon.port, [record(path, time + SECOND)])
        self.expect_atimes({path: time + SECOND})
        self.expect_mtimes({path: OLD})
        counters = daemon.stop()
        self.assertEqual((counters("applied"), counters("failed")), (2, 0))
        counters.check_sums()

    def test_a_newer_time_of_somebody_else_stays_though_guards_are_by_whole_seconds(self):
        (path,) = self.make_files("file")
        daemon, time = self.daemon(), now()
        for step in range(3):  # the third may go without a look, if guards are exact
            send_tcp(daemon.port, [record(path, time + step * self.tick)])
            self.expect_atimes({path: time + step * self.tick})
        later = (time // SECOND + 60) * SECOND
        self.shell(f"touch -a -d @{later // SECOND} {self.place(path)}")
        send_tcp(daemon.port, [record(path, time + 3 * self.tick)])
        wait_until_settled(daemon)
        self.check_atimes([path], [later])
        self.assertIn("guards SETATTR by whole seconds", daemon.log)
        counters = daemon.stop()
        self.assertEqual((counters("applied"), counters("unchanged")), (3, 1))
        counters.check_sums()


if __name__ == "__main__":
    unittest.main()
