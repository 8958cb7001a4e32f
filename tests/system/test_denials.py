# SPDX-License-Identifier: MIT
"""Files that qatime may not set, among others that it may; a time that no access is newer than; names that are gone."""

import os
import random
import subprocess
import time
import unittest

import lab
from case import OwnServerCase, now
from kept import wait_until_settled
from lab import SECOND, record, send_tcp

USER = 12345


@unittest.skipUnless(lab.FSAL == "VFS", "needs files whose owner can be changed")
class Denials(OwnServerCase):
    seconds = 8

    def local(self, path):
        return f"{self.server.tree}{path}"

    def make(self, count, directories, foreign=()):
        """Files in so many directories, all of USER but those with a number in `foreign`."""
        paths = [f"{self.root}/{number % directories}/{number}" for number in range(count)]
        self.make_tree(paths)
        for number, path in enumerate(paths):
            if number not in foreign:
                os.chown(self.local(path), USER, USER)
        return paths

    def expect_end(self, daemon, failed):
        wait_until_settled(daemon)
        counters = daemon.stop()
        self.assertEqual(counters("failed"), failed)
        self.assertEqual([line for line in daemon.log.splitlines() if "permission denied" in line], [])
        counters.check_sums()

    def test_a_tenth_of_foreign_files_holds_no_other_up(self):
        count, foreign = 2000, set(random.Random(1).sample(range(2000), 200))
        paths = self.make(count, 50, foreign)
        daemon = self.daemon(nfs__uid=USER, nfs__gid=USER)
        for begin in range(0, count, 100):
            when, some = now(), range(begin, begin + 100)
            send_tcp(daemon.port, [record(paths[number], when) for number in some])
            self.expect_atimes({paths[number]: when for number in some if number not in foreign}, limit=12)
        own, when = next(path for number, path in enumerate(paths) if number not in foreign), now()
        send_tcp(daemon.port, [record(own, when)])  # whose success shows that the last denials are of their files
        self.expect_atimes({own: when}, limit=12)
        self.expect_end(daemon, len(foreign))

    def test_many_foreign_files_in_many_directories_hold_no_other_up(self):
        paths = self.make(700, 700, range(600))
        daemon, when = self.daemon(nfs__uid=USER, nfs__gid=USER), now()
        send_tcp(daemon.port, [record(path, when) for path in paths[:600]])
        for path in paths[600:]:
            send_tcp(daemon.port, [record(path, when)])
            time.sleep(0.01)
        self.expect_atimes({path: when for path in paths[600:]}, limit=12)
        self.expect_end(daemon, 600)

    def test_immutable_files_suspend_nothing_for_root(self):
        paths = self.make(30, 3, range(30))
        fixed = [path for number, path in enumerate(paths) if number < 3]
        if subprocess.run(["chattr", "+i", *map(self.local, fixed)], capture_output=True).returncode != 0:
            self.skipTest("the file system has no immutable files")
        self.addCleanup(subprocess.run, ["chattr", "-i", *map(self.local, fixed)], check=True)
        daemon, when = self.daemon(), now()
        send_tcp(daemon.port, [record(path, when) for path in fixed])
        send_tcp(daemon.port, [record(path, when) for path in paths[3:]])
        self.expect_atimes({path: when for path in paths[3:]}, limit=12)
        self.expect_end(daemon, len(fixed))


class OddTimes(OwnServerCase):
    seconds = 2

    def test_an_atime_in_the_future_is_said_and_set_back_on_demand(self):
        paths = self.make_files("odd", "right")
        ahead = time.time() + 86400
        with self.files as files:
            files.do("age", paths[0], int(ahead))
        daemon, when = self.daemon(), now()
        send_tcp(daemon.port, [record(path, when) for path in paths])
        self.expect_atimes({paths[0]: int(ahead) * SECOND, paths[1]: when})
        wait_until_settled(daemon)
        counters = daemon.stop()
        self.assertEqual((counters("applied"), counters("unchanged"), counters("ahead")), (1, 1, 1))
        self.assertIn("policy.repair_future = true", daemon.log)
        counters.check_sums()

        daemon = self.daemon(policy__repair_future=True)
        send_tcp(daemon.port, [record(paths[0], when)])
        self.expect_atimes({paths[0]: when})
        self.assertEqual(daemon.stop()("ahead"), 0)


class Gone(OwnServerCase):
    seconds = 10

    def test_much_below_a_directory_that_is_gone_holds_no_other_up(self):
        paths = self.make_files(*map(str, range(20)))
        daemon, when = self.daemon(), now()
        send_tcp(daemon.port, [record(f"/gone-{os.getpid()}/{number}/f", when) for number in range(30000)])
        send_tcp(daemon.port, [record(path, when) for path in paths])
        self.expect_atimes({path: when for path in paths}, limit=40)
        wait_until_settled(daemon)
        counters = daemon.stop()
        self.assertEqual((counters("applied"), counters("failed", "noent")), (20, 30000))
        self.assertEqual([line for line in daemon.log.splitlines() if "no audit path exists" in line], [])
        counters.check_sums()
