# SPDX-License-Identifier: MIT
"""Records whose time is ahead of the clock, as those of a sender whose zone nobody said."""

import datetime
import json
import os
import unittest

import lab
from case import now
from lab import SECOND, record, rfc3339, send_tcp, send_udp, wait_until
from test_reload import Hangup

TOKYO = 9 * 3600 * SECOND


def traditional(time):
    moment = datetime.datetime.fromtimestamp(time // SECOND, datetime.timezone.utc)
    return f"{moment:%b} {moment.day:2} {moment:%H:%M:%S}".encode()


def body(path, *arguments, **options):
    return record(path, now(), *arguments, **options).split(b" - - - ", 1)[1]


class Ahead(Hangup):
    seconds = 12

    def state(self, daemon):
        """(troubles, the first line of `qatime status`), once the server is there: before, that is a trouble, too."""
        wait_until(lambda: daemon.metrics()("server_up") == 1, "a connection")
        url = f"http://127.0.0.1:{daemon.admin}"
        _, output, _ = daemon.run("status", "--admin", url)
        return json.loads(daemon.get("/status.json")[2])["troubles"], output.splitlines()[0]

    def test_local_times_from_the_east_change_nothing_and_are_told(self):
        path, other = self.make_files("file", "other")
        daemon = self.daemon()
        time = now() // SECOND * SECOND
        old, iso = traditional(time + TOKYO), rfc3339(time + TOKYO)[:19].encode()
        records = [b"<14>%s store-1 qumulo: %s" % (old, body(path)), b"%s,store-1,%s" % (old, body(path)),
                   b"%s store-1 qumulo %s" % (old, body(path, "fs_rename", target=other)),
                   b"%s store-1 qumulo %s" % (iso, body(path)), b"%s,store-1,%s" % (iso, body(path)),
                   b"<14>1 %s store-1 qumulo - - - %s" % (iso, body(path, "fs_delete"))]
        send_udp(daemon.udp_port, records[:1])
        send_tcp(daemon.port, records[1:])
        wait_until(lambda: daemon.metrics()("ignored", "future") == len(records), "all to be ignored")
        self.assertRegex(daemon.log, r"warning ingest: records are ignored, because their times are ahead by more than "
                                     r"policy\.future_limit; the last is of node store-1, by (8 h 5\d|9 h 0) min: .*"
                                     r"set syslog\.rfc3164_timezone")
        (trouble,), verdict = self.state(daemon)
        self.assertEqual((trouble["reason"], trouble["unready"]), ("future", False))
        self.assertIn("store-1", trouble["text"])
        self.assertIn("access times are not all true now", verdict)

        self.reload(daemon, syslog__rfc3164_timezone="Asia/Tokyo")
        send_tcp(daemon.port, [records[0]])
        self.expect_atimes({path: time})
        self.expect_untouched([other])
        send_tcp(daemon.port, [b"%s,store-1,%s" % (iso, body(other))])
        self.expect_atimes({other: time})
        counters = daemon.stop()
        self.assertEqual((counters("ignored", "future"), counters("moves"), counters("removals")), (len(records), 0, 0))
        counters.check_sums()

    def test_a_clock_ahead_is_that_of_the_node(self):
        (path,) = self.make_files("file")
        daemon = self.daemon()
        send_tcp(daemon.port, [record(path, now() + 3600 * SECOND, host="store-7")])
        wait_until(lambda: daemon.metrics()("ignored", "future") == 1, "it to be ignored")
        self.assertRegex(daemon.log, r"of node store-7, by (1 h 0|60) min: set the clock of the node, or of this host")
        self.expect_untouched([path])
        daemon.stop()

    @unittest.skipIf("QATIME_TEST_QUICK" in os.environ, "waits for 10 s")
    def test_the_trouble_ends_when_times_are_right_again(self):
        (path,) = self.make_files("file")
        daemon = self.daemon()
        send_tcp(daemon.port, [record(path, now() + TOKYO), record(path, now())])
        wait_until(lambda: daemon.metrics()("accepted") == 1, "both")
        self.assertEqual(len(self.state(daemon)[0]), 1)

        def is_over():
            send_tcp(daemon.port, [record(path, now())])
            return self.state(daemon)[0] == []

        wait_until(is_over, "the end of the trouble")
        daemon.stop()
