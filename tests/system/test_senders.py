# SPDX-License-Identifier: MIT
"""Records from other programs than a cluster."""

import logging
import logging.handlers
import socket

import lab
from case import Case, now

NAMES = ("plain", "a,b", 'a "quoted" name', "a'b\\c", "ä ö ü", "日本", "ends in comma,")


class SysLogHandler(Case):
    """Python's: <PRI> and the message, in UTF-8, with a NUL behind it on either transport."""

    def logger(self, port, kind):
        handler = logging.handlers.SysLogHandler(("127.0.0.1", port), socktype=kind)
        handler.setFormatter(logging.Formatter("%(message)s"))
        self.addCleanup(handler.close)
        logger = logging.Logger(self.id())
        logger.addHandler(handler)
        return logger

    def check(self, kind, transport):
        paths = self.make_files(*NAMES)
        times = {path: now() for path in paths}
        daemon = self.daemon()
        logger = self.logger({"tcp": daemon.port, "udp": daemon.udp_port}[transport], kind)
        for path, when in times.items():
            whole = lab.record(path, when).decode()  # <14>1 TIME HOST qumulo - - - BODY
            _, moment, host, rest = whole.split(" ", 3)
            logger.info("%s %s %s", moment, host, rest.replace(" - - - ", " ", 1))
        self.expect_atimes(times)
        counters = daemon.stop()
        self.assertEqual(counters("received_messages", transport), len(times))
        self.assertEqual(counters("applied"), len(times))
        counters.check_sums()

    def test_over_tcp(self):
        self.check(socket.SOCK_STREAM, "tcp")

    def test_over_udp(self):
        self.check(socket.SOCK_DGRAM, "udp")
