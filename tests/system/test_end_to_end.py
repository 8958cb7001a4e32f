# SPDX-License-Identifier: MIT
"""Records in, access times out."""

import datetime
import json
import os
import re
import unittest

import foreign
import lab
from case import OLD, Case, later, now
from kept import wait_until_settled
from lab import SECOND, record, rfc3339, send_tcp, send_udp

# A record as the rsyslog of an earlier qatime forwarded it, with the NUL that Python's syslog handler adds.
RECORD_OF_2040 = (b'<155>2040-01-01T21:41:55.861195Z qumulo-1 qumulo 192.168.240.1,"admin",smb2,fs_read_data,ok,6,'
                  b'"/test_qatime/testfile",""\0')
TIME_OF_2040 = 2_209_066_915 * SECOND + 861_195_000

# (name, another name in its directory that a careless parser could take for it)
NAMES = {
    "a comma": (b"a,b", b"a"),
    "a quoted comma": (b'a","b', b'a"'),
    "a quote": (b'say "hi"', b"say "),
    "doubled quotes": (b'x""y', b'x"y'),
    "a space": (b"with space", b"with"),
    "a space at the end": (b"end ", b"end"),
    "a tab": (b"with\ttab", b"with tab"),
    "a backslash": (b"back\\slash", b"backslash"),
    "a backslash before a quote": (b'back\\"', b'back"'),
    "an octal escape spelled out": (b"line#012feed", b"line\nfeed"),
    "a percent escape spelled out": (b"%41", b"A"),
    "a star": (b"*", b"star"),
    "a dash in front": (b"-rf", b"rf"),
    "255 bytes": (b"n" * 255, b"n" * 254),
    "UTF-8": ("gr\u00fc\u00dfe \u65e5\u672c".encode(), "gru\u0308\u00dfe \u65e5\u672c".encode()),
    "bytes that are no UTF-8": (b"gr\xfc\xdfe", b"gr\xfc\xdf"),
    "dots": (b"...", b"..dot"),
}

# (what is wrong or of no interest, record of a path, the counter, its label)
IGNORED = [
    ("another operation", lambda path: record(path, now(), operation="fs_read_metadata"), "ignored", "operation"),
    ("an operation unknown yet", lambda path: record(path, now(), operation="fs_new_thing"), "ignored", "operation"),
    ("a failed operation", lambda path: record(path, now(), status="fs_access_denied_error"), "ignored", "status"),
    ("a snapshot", lambda path: record(b"/.snapshot/1_x" + path, now()), "ignored", "snapshot"),
    ("a snapshot below", lambda path: record(path + b"/.snapshot/f", now()), "ignored", "snapshot"),
    ("the far future", lambda path: record(path, now() + 3 * 86400 * SECOND), "ignored", "future"),
    ("a time before 1970", lambda path: record(path, -SECOND), "ignored", "range"),
    ("the root removed", lambda path: record("/", now(), "fs_tree_delete"), "ignored", "protected"),
    ("the root moved", lambda path: record("/", now(), "fs_rename", target=path), "ignored", "protected"),
    ("all removed for good", lambda path: record("/", 9_200_000_000 * SECOND, "fs_tree_delete"), "ignored", "range"),
    ("a removal ahead", lambda path: record(path, now() + 3 * 86400 * SECOND, "fs_delete"), "ignored", "future"),
    ("an unterminated quote", lambda path: record(path, now()).removesuffix(b',""')[:-1], "malformed", "quote"),
    ("seven fields", lambda path: record(path, now()).removesuffix(b',""'), "malformed", "fields"),
    ("nine fields", lambda path: record(path, now()) + b',""', "malformed", "fields"),
    ("a time that is none", lambda path: record(path, now()).replace(b"T", b"X", 1), "malformed", "time"),
    ("a 13th month", lambda path: b"<14>1 2026-13-01" + record(path, now())[16:], "malformed", "time"),
    ("dot dot", lambda path: record(path.replace(b"/f", b"/x/../f"), now()), "malformed", "path"),
    ("a dot", lambda path: record(path.replace(b"/f", b"/./f"), now()), "malformed", "path"),
    ("an empty component", lambda path: record(path.replace(b"/f", b"//f"), now()), "malformed", "path"),
    ("a relative path", lambda path: record(path[1:], now()), "malformed", "path"),
    ("a component too long", lambda path: record(path + b"/" + b"n" * 256, now()), "malformed", "path"),
    ("no record at all", lambda path: b"hello", "malformed", "header"),
]


class EndToEnd(Case):
    def test_a_record_over_udp_sets_exactly_its_time(self):
        self.make_directory("/test_qatime")
        (path,) = self.make_files("testfile", root="/test_qatime")
        daemon = self.daemon(policy__future_limit="0s")
        send_udp(daemon.udp_port, [RECORD_OF_2040])
        self.expect_atimes({path: TIME_OF_2040})
        self.expect_mtimes({path: OLD})
        counters = daemon.stop()
        self.assertEqual(counters("received_messages", "udp"), 1)
        self.assertEqual(counters("received_bytes", "udp"), len(RECORD_OF_2040))
        self.assertEqual(counters("applied"), 1)
        counters.check_sums()

    def test_the_same_record_is_ignored_by_the_default_limit_of_the_future(self):
        self.make_directory("/test_qatime")
        (path,) = self.make_files("testfile", root="/test_qatime")
        daemon = self.daemon()
        send_udp(daemon.udp_port, [RECORD_OF_2040])
        self.settle(daemon)
        self.expect_untouched([path])
        counters = daemon.stop()
        self.assertEqual(counters("ignored", "future"), 1)
        counters.check_sums()

    def settle(self, daemon):
        """Returns when all that was sent before has had its effect: a record sent after it has."""
        (path,) = self.make_files("last")
        time = now()
        send_udp(daemon.udp_port, [record(path, time)])
        send_tcp(daemon.port, [record(path, time + self.tick)])
        self.expect_atimes({path: time + self.tick})

    def test_odd_names(self):
        accessed, decoys = [], []
        for name, decoy in NAMES.values():
            accessed += self.make_files(name)
            decoys += self.make_files(decoy)
        times = {path: (1_600_000_000 + index) * SECOND + index * 1000 for index, path in enumerate(accessed)}
        daemon = self.daemon()
        send_tcp(daemon.port, [record(path, time) for path, time in times.items()])
        self.expect_atimes(times)
        self.expect_mtimes(dict.fromkeys(accessed, OLD))
        self.expect_untouched(decoys)
        counters = daemon.stop()
        self.assertEqual(counters("applied"), len(accessed))
        counters.check_sums()

    def test_thirty_levels(self):
        path = self.root
        with self.files as files:
            for level in range(30):
                path += f"/level {level}"
                files.do("mkdir", path)
        (path,) = self.make_files("deep", root=path)
        daemon, time = self.daemon(), now()
        send_tcp(daemon.port, [record(path, time)])
        self.expect_atimes({path: time})
        daemon.stop().check_sums()

    def test_a_directory_with_its_trailing_slash_and_the_root(self):
        directory = self.root + "/directory"
        self.make_directory(directory)
        daemon, time = self.daemon(), later()
        send_tcp(daemon.port, [record(directory + "/", time, "fs_list_directory"),
                               record("/", time + 1000, "fs_list_directory")])
        self.expect_atimes({directory: time, "/": time + 1000})
        self.assertEqual(daemon.stop()("applied"), 2)

    def test_two_names_of_one_file_share_its_newest_time(self):
        (first,) = self.make_files("first")
        second = self.root + "/second"
        with self.files as files:
            files.do("link", first, second)
        daemon, time = self.daemon(), now()
        send_tcp(daemon.port, [record(first, time + 1000 * step) if step % 2 else record(second, time + 1000 * step)
                               for step in range(100)])
        self.expect_atimes({first: time + 99_000, second: time + 99_000})
        daemon.stop().check_sums()

    def test_an_older_access_never_moves_a_time_backwards(self):
        (path,) = self.make_files("file")
        daemon, time = self.daemon(), now()
        send_tcp(daemon.port, [record(path, time)])
        self.expect_atimes({path: time})
        wait_until_settled(daemon)  # because an older access coalesces with one in flight
        send_tcp(daemon.port, [record(path, time - SECOND)])
        self.settle(daemon)
        self.expect_atimes({path: time})
        counters = daemon.stop()
        self.assertEqual(counters("unchanged"), 1)
        counters.check_sums()

    def test_what_is_no_access_changes_nothing_and_is_counted_by_its_reason(self):
        (path,) = self.make_files("f")
        daemon = self.daemon()
        send_tcp(daemon.port, [make(path) for _, make, _, _ in IGNORED])
        self.settle(daemon)
        self.expect_untouched([path])
        counters = daemon.stop()
        for counter in ("ignored", "malformed"):
            wanted = [label for _, _, name, label in IGNORED if name == counter]
            self.assertEqual(counters(counter), len(wanted), counters.values)
            for label in set(wanted):
                self.assertEqual(counters(counter, label), wanted.count(label), label)
        counters.check_sums()

    def test_each_malformed_record_alone_is_malformed(self):
        (path,) = self.make_files("f")
        for what, make, counter, label in IGNORED:
            with self.subTest(what):
                daemon = self.daemon()
                send_tcp(daemon.port, [make(path)])
                counters = daemon.stop()
                self.assertEqual(counters(counter, label), 1)
                self.assertEqual(counters("accepted"), 0)
                counters.check_sums()
        self.expect_untouched([path])

    def test_the_filters_of_the_configuration_decide(self):
        path, other, excluded = self.make_files("in", "other", "out")
        daemon, time = self.daemon(
            policy__include_paths=[self.root], policy__exclude_paths=[os.fsdecode(excluded)],
            policy__exclude_users=["ad\\robot"], policy__exclude_clients=["198.51.100.0/24"],
            policy__exclude_protocols=["FTP"], policy__clusters=["qumulo"],
        ), now()
        refused = {
            "path": [record(excluded, time), record("/elsewhere", time)],
            "user": [record(other, time).replace(b'"admin"', b'"AD\\Robot"')],
            "client": [record(other, time, client="198.51.100.9")],
            "protocol": [record(other, time).replace(b"smb2", b"ftp")],
            "cluster": [record(other, time, host="other-1")],
        }
        send_tcp(daemon.port, [line for lines in refused.values() for line in lines] + [record(path, time)])
        self.expect_atimes({path: time})
        counters = daemon.stop()
        for reason, lines in refused.items():
            self.assertEqual(counters("ignored", reason), len(lines), reason)
        counters.check_sums()
        self.expect_untouched([other, excluded])

    def test_only_senders_that_are_allowed_are_heard(self):
        (path,) = self.make_files("file")
        daemon = self.daemon(syslog__allow=["192.0.2.0/24"])
        send_udp(daemon.udp_port, [record(path, now())])
        send_tcp(daemon.port, [], wait=True)  # closed at once
        counters = daemon.stop()
        self.assertEqual(counters("ignored", "allow"), 1)
        self.assertGreater(counters("connections_refused", "allow"), 0)
        self.assertEqual(counters("accepted"), 0)
        counters.check_sums()
        self.expect_untouched([path])

    def test_a_network_of_ipv6_allows_no_sender_of_ipv4(self):
        (path,) = self.make_files("file")
        daemon = self.daemon(syslog__allow=["::/0"])
        send_udp(daemon.udp_port, [record(path, now())])
        send_tcp(daemon.port, [], wait=True)  # closed at once
        counters = daemon.stop()
        self.assertEqual(counters("ignored", "allow"), 1)
        self.assertGreater(counters("connections_refused", "allow"), 0)
        self.assertEqual(counters("accepted"), 0)
        self.expect_untouched([path])

    def test_json_and_the_traditional_header_are_understood(self):
        json_path, old_path = self.make_files("json", "traditional")
        daemon, time = self.daemon(syslog__rfc3164_timezone="Asia/Tokyo"), now() // SECOND * SECOND
        tokyo = datetime.datetime.fromtimestamp(time // SECOND + 9 * 3600, datetime.timezone.utc)
        body = record(old_path, time).split(b" - - - ", 1)[1]
        send_tcp(daemon.port, [
            f"<14>1 {rfc3339(time)} qumulo-1 qumulo - - - ".encode()
            + b'{"user_id":{"name":"AD\\alice"},"operation":"fs_read_data","status":"ok",'
            + b'"details":{"path":"' + json_path + b'"}}',
            f"<14>{tokyo:%b} {tokyo.day:2} {tokyo:%H:%M:%S} qumulo-1 qumulo ".encode() + body,
        ])
        self.expect_atimes({json_path: time, old_path: time})
        daemon.stop().check_sums()

    def test_a_dry_run_counts_and_changes_nothing(self):
        (path,) = self.make_files("file")
        daemon = self.qatime().start("--dry-run")
        send_tcp(daemon.port, [record(path, now())])
        counters = daemon.stop()
        self.assertEqual(counters("applied"), 1)
        self.assertEqual(counters("rpcs", "setattr"), 0)
        self.expect_untouched([path])

    def test_the_daemon_has_no_privileges(self):
        if not lab.ROOT:
            self.skipTest("runs as an ordinary user anyway")
        daemon = self.daemon()
        with open(f"/proc/{daemon.process.pid}/status") as status:
            facts = dict(line.rstrip("\n").split(":\t", 1) for line in status)
        self.assertEqual(set(facts["Uid"].split()), {str(lab.NOBODY)})
        self.assertEqual({int(facts[key], 16) for key in ("CapInh", "CapPrm", "CapEff", "CapAmb")}, {0})
        daemon.stop()


class Moves(Case):
    """Each test sends its records in one piece, so that no request is on its way before the last of them is read."""

    def test_an_access_follows_a_renamed_file(self):
        (new,) = self.make_files("new")
        daemon, time = self.daemon(), now()
        send_tcp(daemon.port, [record(self.root + "/old", time),
                               record(self.root + "/old", time + 1000, "fs_rename", target=new)])
        self.expect_atimes({new: time})
        counters = daemon.stop()
        self.assertEqual(counters("moves"), 1)
        self.assertEqual(counters("failed"), 0)
        counters.check_sums()

    def test_an_access_that_arrives_after_the_rename_follows_too(self):
        (new,) = self.make_files("new")
        daemon, time = self.daemon(), now()
        send_tcp(daemon.port, [record(self.root + "/old", time + 1000, "fs_rename", target=new),
                               record(self.root + "/old", time)])
        self.expect_atimes({new: time})
        daemon.stop().check_sums()

    def test_an_access_that_was_tried_in_vain_follows_a_rename_that_is_heard_of_later(self):
        old, other = self.make_files("old", "other")
        new = os.fsencode(self.root) + b"/new"
        with self.files as files:
            files.do("rename", old, new)
        daemon, time = self.daemon(), now()
        send_tcp(daemon.port, [record(old, time), record(other, time)])
        self.expect_atimes({other: time})
        send_tcp(daemon.port, [record(old, time + 1000, "fs_rename", target=new)])
        self.expect_atimes({new: time})
        counters = daemon.stop()
        self.assertGreaterEqual(counters("rpcs", "lookup"), 4, "the directory, old, other, new")
        self.assertEqual(counters("failed"), 0)
        counters.check_sums()

    def test_accesses_follow_a_renamed_directory(self):
        self.make_directory(self.root + "/new")
        self.make_directory(self.root + "/new/below")
        paths = self.make_files(*(f"below/{number}" for number in range(20)), root=self.root + "/new")
        daemon, time = self.daemon(), now()
        send_tcp(daemon.port, [record(path.replace(b"/new/", b"/old/"), time) for path in paths] +
                 [record(self.root + "/old/", time + 1000, "fs_rename", target=self.root + "/new/")])
        self.expect_atimes({path: time for path in paths})
        daemon.stop().check_sums()

    def test_an_access_before_a_removal_is_cancelled(self):
        file, below = self.make_files("file"), self.root + "/tree"
        self.make_directory(below)
        file += self.make_files("inside", root=below)
        daemon, time = self.daemon(), now()
        send_tcp(daemon.port, [record(path, time) for path in file] +
                 [record(file[0], time + 1000, "fs_delete"), record(below + "/", time + 1000, "fs_tree_delete")])
        counters = daemon.stop()
        self.assertEqual((counters("removals"), counters("cancelled")), (2, 2))
        self.expect_untouched(file)
        counters.check_sums()


@unittest.skipIf("QATIME_TEST_QUICK" in os.environ, "it would wait for a minute")
class EveryMinute(Case):
    seconds = 60

    def test_each_minute_has_a_line_of_what_moved(self):
        (path,) = self.make_files("file")
        daemon, time = self.daemon(log__format="json"), now()
        send_tcp(daemon.port, [record(path, time), record(path, time), b"no record"])
        self.expect_atimes({path: time})

        def reports():
            lines = [json.loads(line) for line in daemon.log.splitlines()]
            return [line for line in lines if line["message"].startswith("in the last minute: ")]

        lab.wait_until(reports, "the line of the first minute", limit=120)
        begin = datetime.datetime.fromisoformat(json.loads(daemon.log.splitlines()[0])["time"])
        (report,) = reports()
        self.assertGreater((datetime.datetime.fromisoformat(report["time"]) - begin).total_seconds(), 59)
        self.assertEqual([report[word] for word in ("received", "accepted", "malformed", "pending")], [3, 2, 1, 0])
        self.assertEqual(sum(report.get(word, 0) for word in ("coalesced", "applied", "unchanged")), 2)
        daemon.stop()

    @unittest.skipUnless("QATIME_TEST_LONG" in os.environ, "takes minutes")
    def test_an_idle_daemon_writes_little(self):
        daemon = self.daemon()
        wait_until_settled(daemon)
        before = len(daemon.log)
        minutes = 3
        lab.time.sleep(60 * minutes)
        self.assertLess((len(daemon.log) - before) * 24 * 60 / minutes, 20_000, daemon.log[before:])
        daemon.stop()


class EndToEndInMemory(EndToEnd):
    """The same on a server of another make, whose handles and attributes differ."""

    @classmethod
    def make_server(cls):
        if lab.FSAL == "MEM" or foreign.PLACE:
            raise unittest.SkipTest("the other class ran on it already")
        return lab.Ganesha(cls.scratch, "MEM")


class Symlinks(Case):
    @classmethod
    def make_server(cls):
        return foreign.server(cls.scratch, "MEM")

    def test_a_symlink_gets_its_own_time_and_its_target_does_not(self):
        if not self.server.sets_symlinks:
            self.skipTest("this server does not set the times of a symlink")
        (target,) = self.make_files("target")
        link = self.root + "/link"
        with self.files as files:
            files.do("symlink", "target", link)
        daemon, time = self.daemon(), later()
        send_tcp(daemon.port, [record(link, time)])
        self.expect_atimes({link: time})
        self.expect_untouched([target])
        daemon.stop().check_sums()


class SeveralExports(Case):
    def test_the_export_with_the_longest_path_serves_a_path_and_others_are_ignored(self):
        (path,) = self.make_files("file")
        exports = [{"path": "/elsewhere/x", "export": self.server.export},
                   {"path": "/elsewhere", "export": self.server.export}]
        daemon, time = self.daemon(nfs__exports=exports), now()
        send_tcp(daemon.port, [record(b"/elsewhere/x" + path, time), record(path, time)])
        self.expect_atimes({path: time})
        counters = daemon.stop()
        self.assertEqual(counters("ignored", "export"), 1)
        counters.check_sums()
