# SPDX-License-Identifier: MIT
"""Which access times are set, and how many per second."""

import os
import time
import unittest

import lab
from case import OLD, Case, OwnServerCase, now
from kept import wait_until_settled
from lab import SECOND, record, send_tcp, wait_until

MINUTE = 60 * SECOND


class Modes(Case):
    def setUp(self):
        if not self.server.keeps_mtime:
            self.skipTest("this server changes mtime with atime")
        super().setUp()

    def check(self, accesses, **settings):
        """Of a file whose atime and mtime are old, [(time of an access, atime after it)] one after the other."""
        (path,) = self.make_files("file")
        for moment, wanted in accesses:
            daemon = self.daemon(**settings)
            send_tcp(daemon.port, [record(path, moment)])
            wait_until_settled(daemon)
            counters = daemon.stop()
            self.check_atimes([path], [wanted])
            self.assertEqual(counters("unchanged"), 0 if moment == wanted else 1)
            counters.check_sums()
        self.expect_mtimes({path: OLD})

    def test_relatime_sets_the_first_access_after_a_change_and_one_per_threshold(self):
        base, hour = self.server.kept(now() - 600 * MINUTE), 60 * MINUTE
        self.check([(base, base), (base + hour - 1000, base), (base + hour, base + hour)],
                   policy__mode="relatime", policy__threshold="1h")

    def test_steps_smaller_than_the_granularity_are_skipped(self):
        base = self.server.kept(now() - 10 * MINUTE)
        self.check([(base, base), (base + MINUTE - 1000, base), (base + MINUTE, base + MINUTE)],
                   policy__granularity="1m")


class Rate(Case):
    RATE, FILES = 100, 300

    def test_updates_keep_the_rate(self):
        paths = self.make_files(*(str(number) for number in range(self.FILES)))
        daemon, base = self.daemon(nfs__max_rate=self.RATE), now()
        begin = time.monotonic()
        send_tcp(daemon.port, [record(path, base) for path in paths])
        self.expect_atimes({path: base for path in paths})
        took = time.monotonic() - begin
        burst = self.RATE // 10
        self.assertGreaterEqual(took, (self.FILES - burst) / self.RATE)
        counters = daemon.stop()
        self.assertEqual(counters("applied"), self.FILES)
        counters.check_sums()


class LeftAsTheyAre(OwnServerCase):
    @unittest.skipUnless(lab.FSAL == "VFS", "only FSAL VFS says yes to new times of a symlink and leaves them")
    def test_times_that_the_server_says_it_has_set_and_has_not(self):
        (target,) = self.make_files("target")
        link = self.root + "/link"
        with self.files as files:
            files.do("symlink", "target", link)
        daemon, moment = self.daemon(), now() + SECOND
        send_tcp(daemon.port, [record(link, moment), record(target, moment)])
        self.expect_atimes({target: moment})
        wait_until(lambda: "leaves the atime as it is" in daemon.log, "a line about the link")
        counters = daemon.stop()
        self.assertEqual(counters("failed", "ignored"), 1)
        self.assertEqual(counters("applied"), 1)
        counters.check_sums()
        status, _, said = daemon.run("touch", "-c", daemon.configuration, "--time", lab.rfc3339(moment + SECOND), link,
                                     os.fsdecode(target))
        self.assertEqual((status, said), (1, f"qatime: {link}: ignored: the server says ok and leaves the atime as it is\n"))
        self.assertEqual(self.files.atimes([target]), [moment + SECOND])
