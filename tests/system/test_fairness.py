# SPDX-License-Identifier: MIT
"""One export that hangs, is slow or puts everything off: the others do not notice, and it is left in peace."""

import os
import statistics
import time
import unittest

import lab
from case import now
from lab import record, send_tcp, wait_until
from uneven_server import UnevenServer

LONG = "QATIME_TEST_LONG" in os.environ
BAD = 3000  # accesses below the export that is not well
GOOD = 2000 if LONG else 400  # below the other one
RATE = 200  # of them a second


class Fairness(unittest.TestCase):
    seconds = 10

    def check(self, manner):
        """Sends accesses below both exports; returns the server and the delays of those below the good one, sorted."""
        scratch = lab.Scratch()
        self.addCleanup(scratch.remove)
        server = UnevenServer({"/good": 0, "/bad": manner})
        self.addCleanup(server.stop)
        daemon = lab.Qatime(scratch, server, {
            "nfs.exports": [{"path": path, "export": path} for path in server.manners]})
        self.addCleanup(daemon.kill)
        daemon.start()
        wait_until(lambda: daemon.log.count("connected, 2 of 2 exports mounted"), "both exports to be mounted")
        base = now()
        send_tcp(daemon.port, [record(f"/bad/{n % 100}/{n}", base + n * 1000) for n in range(BAD)])
        sent = {}
        for n in range(GOOD):
            begin = time.monotonic()
            sent[f"/good/{n}".encode()] = begin
            send_tcp(daemon.port, [record(f"/good/{n}", base + n * 1000)], wait=False)
            time.sleep(max(0, begin + 1 / RATE - time.monotonic()))
        wait_until(lambda: all(handle in server.set_at for handle in sent), "the accesses of the good export")
        self.assertGreater(daemon.metrics()("pending_entries"), 0, "the other export had nothing to do")
        delays = sorted(server.set_at[handle][1] - begin for handle, begin in sent.items())
        print(f"{manner}: p50 {1e3 * statistics.median(delays):.1f} ms, "
              f"p99 {1e3 * delays[len(delays) * 99 // 100]:.1f} ms", flush=True)
        return server, daemon, delays

    def test_one_that_hangs(self):
        server, daemon, delays = self.check(None)
        self.assertLess(delays[-1], 5)  # nfs.timeout is 10 s
        calls = server.calls["/bad"]
        wait_until(lambda: daemon.metrics()("server_retries", "timeout") >= calls, "its requests to time out")
        self.assertEqual(server.connections, 1, "its timeouts cost the connection")

    def test_one_that_is_slow(self):
        _, _, delays = self.check(0.3)
        self.assertLess(delays[-1], 5)

    def test_one_that_puts_everything_off(self):
        server, _, delays = self.check("jukebox")
        self.assertLess(delays[-1], 5)
        before, begin = server.calls["/bad"], time.monotonic()
        time.sleep(3)
        rate = (server.calls["/bad"] - before) / (time.monotonic() - begin)
        print(f"{rate:.1f} calls a second", flush=True)
        self.assertLess(rate, 10)
