# SPDX-License-Identifier: MIT
"""A low limit of open files, all of which idle senders would take."""

import contextlib
import re
import signal
import socket

from case import Hangup, OwnServerCase, now, started_after
from lab import record, send_tcp, wait_until

LIMITS = (24, 64, 256)
SENDERS = 300  # more than any of them


class Descriptors(OwnServerCase, Hangup):
    seconds = 5

    def limited(self, limit, **settings):
        """A daemon with this hard limit."""
        return started_after(self.qatime(**settings), f"ulimit -n {limit}").start()

    def fill(self, daemon):
        """With senders that send nothing, until it has refused some or takes no more."""
        for _ in range(SENDERS):
            sender = socket.create_connection(("127.0.0.1", daemon.port))
            self.addCleanup(sender.close)
        wait_until(lambda: re.search("connections are open|cannot accept", daemon.log), "the limit")

    def expect_page(self, daemon):
        for path in ("/", "/status.json"):
            self.assertEqual(daemon.get(path)[0], 200)

    def test_idle_senders_leave_some_for_servers_and_the_page(self):
        for limit in LIMITS:
            with self.subTest(limit):
                self.check(limit)

    def check(self, limit):
        if self.server.process.poll() is not None:
            self.server.start()
        path, = self.make_files(f"file-{limit}")
        daemon = self.limited(limit)
        self.fill(daemon)
        said = re.findall(r"limit of (\d+) open files leaves (\d+) .* to (\d+) \(LimitNOFILE", daemon.log)
        self.assertEqual(len(said), 1, daemon.log)
        self.assertEqual(int(said[0][0]), limit)
        self.assertLessEqual(daemon.metrics()("connections"), int(said[0][1]))
        self.assertGreater(int(said[0][2]), 1024)

        self.server.stop(signal.SIGKILL)
        wait_until(lambda: daemon.metrics()("server_up") == 0, "the server to be away")
        self.server.start()
        wait_until(lambda: daemon.metrics()("server_up") == 1, "the server to be back")
        self.expect_page(daemon)
        when = now()
        with contextlib.suppress(ConnectionResetError):  # another one may have made room
            send_tcp(daemon.port, [record(path, when)])
        self.expect_atimes({path: when})
        daemon.stop().check_sums()

    def test_a_limit_that_is_high_enough_is_not_mentioned(self):
        daemon = self.limited(256, syslog__max_connections=100)
        self.fill(daemon)
        wait_until(lambda: daemon.metrics()("connections") == 100, "all that may be there")
        self.assertNotIn("open files leaves", daemon.log)
        daemon.stop()

    def test_a_hangup_gives_senders_no_more_than_servers_leave(self):
        daemon = self.limited(64, syslog__max_connections=10)
        self.assertNotIn("open files leaves", daemon.log)
        self.reload(daemon, syslog__max_connections=1000)
        wait_until(lambda: "open files leaves" in daemon.log, "the limit to be said")
        left = int(re.search(r"open files leaves (\d+) ", daemon.log)[1])
        self.assertLess(left, 64)
        self.fill(daemon)
        self.assertLessEqual(daemon.metrics()("connections"), left)
        self.expect_page(daemon)
        daemon.stop()
