# SPDX-License-Identifier: MIT
"""A server dies without a word, as by a loss of power: packets vanish, and nobody answers with a reset."""

import os
import shutil
import time
import unittest

import lab
import network
from case import OwnServerCase, now
from lab import record, send_tcp, wait_until

SILENCE = 120  # seconds from the death to the first access
LIMIT = 2  # seconds until that is set


@network.can_be_made
@unittest.skipUnless("QATIME_TEST_LONG" in os.environ, f"waits {SILENCE} s")
@unittest.skipUnless(shutil.which("iptables"), "nothing but iptables drops packets here")
class SilentDeath(unittest.TestCase):
    def test_in_a_namespace_of_its_own(self):
        network.run_inside(self, "InsideSilence")


class InsideSilence(OwnServerCase):
    @unittest.skipUnless(lab.FSAL == "VFS", "only root has two servers of the same files")
    def test_the_first_access_after_it_goes_to_the_other_server_at_once(self):
        other = lab.Ganesha(self.scratch, beside=self.server)
        self.addCleanup(other.stop)
        paths = self.make_files("before", "after")
        daemon = self.daemon(nfs__servers=[other.host, self.server.host])
        wait_until(lambda: daemon.metrics()("server_up") == 2, "both servers to answer")
        send_tcp(daemon.port, [record(paths[0], now())])
        wait_until(lambda: daemon.metrics()("applied") == 1, "an access")
        for side in ("-s", "-d"):
            network.command("iptables", "-A", "INPUT", side, other.host, "-j", "DROP")
        time.sleep(SILENCE)
        begin = time.monotonic()
        send_tcp(daemon.port, [record(paths[1], now())])
        wait_until(lambda: daemon.metrics()("applied") == 2, "the first access after the death")
        took = time.monotonic() - begin
        print(f"{SILENCE} s after a silent death the first access took {took:.2f} s")
        self.assertLess(took, LIMIT)


def load_tests(loader, *_):
    return network.chosen(loader, SilentDeath, InsideSilence)
