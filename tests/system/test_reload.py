# SPDX-License-Identifier: MIT
"""SIGHUP: the configuration changes whole or not at all, while records go on to come."""

import json
import os
import pathlib
import re
import signal
import socket
import ssl
import threading
import time

import lab
from case import TAKEN, Hangup, now
from certificates import Authority
from lab import record, wait_until

RELOADS = 1000 if "QATIME_TEST_LONG" in os.environ else 50
WARM = RELOADS // 5  # reloads, before memory is looked at
SENDERS = 4
FILES = 50
NAME = "qatime.example"
REFUSED = "SIGHUP changes nothing: "


class Sender(threading.Thread):
    """Sends records over one connection until it is told to stop: reads and writes of the paths in turn."""

    def __init__(self, connection, paths):
        super().__init__()
        self.connection, self.paths = connection, paths
        self.sent = 0
        self.newest = {path: 0 for path in paths}
        self.is_over = threading.Event()
        self.error = None

    def run(self):
        try:
            while not self.is_over.is_set():
                for number, path in enumerate(self.paths):
                    when = now()
                    line = record(path, when, ("fs_read_data", "fs_write_data")[number % 2])
                    self.connection.sendall(b"%d %s" % (len(line), line))
                    self.sent += 1
                    self.newest[path] = when
                time.sleep(0.01)
        except OSError as error:
            self.error = error


class Load(Hangup):
    """The suite for ThreadSanitizer has this one, too."""

    def setUp(self):
        super().setUp()
        self.authority = Authority(self.scratch.fresh("certificates"))
        self.identities = [self.authority.issue(NAME) for _ in range(2)]
        self.make_directory(f"{self.root}/read")
        self.make_directory(f"{self.root}/write")
        # Records that one configuration takes the other does not.
        self.kinds = [{"policy__operations": [f"fs_{kind}_data"], "policy__include_paths": [f"{self.root}/{kind}"]}
                      for kind in ("read", "write")]
        self.daemon_ = self.qatime(**self.kinds[0], syslog__tls__certificate=str(self.identities[0].certificate),
                                   syslog__tls__key=str(self.identities[0].key))
        self.daemon_.settings["syslog.listen"].append("tls://127.0.0.1:0")
        self.write(self.daemon_)

    def connect(self, tls):
        if not tls:
            return socket.create_connection(("127.0.0.1", self.daemon_.port), timeout=60)
        context = ssl.create_default_context(cafile=self.authority.certificate)
        plain = socket.create_connection(("127.0.0.1", self.daemon_.tls_port), timeout=60)
        return context.wrap_socket(plain, server_hostname=NAME)

    def resources(self):
        process = pathlib.Path(f"/proc/{self.daemon_.process.pid}")
        resident = int(re.search(r"VmRSS:\s+(\d+) kB", (process / "status").read_text())[1])
        return resident, len(os.listdir(process / "fd"))

    def turn(self, number):
        """One SIGHUP: of three, one is of each configuration, and one of a wrong one."""
        if number % 3 == 2:
            return self.turn_wrong(number // 3)
        kind = number % 3
        identity = self.identities[kind]
        self.write(self.daemon_, **self.kinds[kind], syslog__tls__certificate=str(identity.certificate),
                   syslog__tls__key=str(identity.key), syslog__max_message=f"{64 + kind} KiB",
                   syslog__max_connections=512 + kind, syslog__allow=["127.0.0.0/8", *["192.0.2.0/24"] * kind],
                   syslog__udp_receive_buffer=f"{128 + 64 * kind} KiB", policy__future_limit=f"{24 + kind}h",
                   nfs__max_in_flight=32 + 16 * kind, nfs__max_rate=kind * 1_000_000, nfs__timeout=f"{10 + kind}s")
        self.hang_up(self.daemon_, TAKEN)

    def turn_wrong(self, number):
        right = self.daemon_.configuration.read_text()
        if number % 4 == 3:
            self.write(self.daemon_, **self.kinds[1], syslog__tls__key="/nonexistent")
        else:
            self.daemon_.configuration.write_text(("nonsense = 1\n", 'nfs.timeout = "no"\n', "= =\n")[number % 4])
        self.hang_up(self.daemon_, REFUSED)
        self.daemon_.configuration.write_text(right)

    def test_nothing_is_lost_or_judged_by_half_of_each_while_the_configuration_changes(self):
        kinds = ("read", "write")
        paths = [self.make_files(*map(str, range(FILES)), root=f"{self.root}/{kind}") for kind in kinds]
        crossed = [self.make_files("crossed", root=f"{self.root}/{kind}")[0] for kind in kinds]
        self.daemon_.start()
        share = FILES // SENDERS
        senders = []
        for number in range(SENDERS):
            mine = [part[number * share:(number + 1) * share] for part in paths]
            mine = [path for pair in zip(*mine) for path in pair]
            senders.append(Sender(self.connect(tls=number % 2), mine))
        # Records that only a mixture of the two configurations would take:
        strays = Sender(self.connect(tls=False), crossed[::-1])
        everybody = [*senders, strays]
        for sender in everybody:
            self.addCleanup(sender.connection.close)
            sender.start()
        try:
            for number in range(RELOADS):
                self.turn(number)
                if number == WARM:
                    before = self.resources()
            after = self.resources()
            self.turn(0)  # reads are taken, writes not
            mark = now()
            wait_until(lambda: all(min(sender.newest.values()) > mark for sender in everybody), "more records")
        finally:
            for sender in everybody:
                sender.is_over.set()
                sender.join()
        self.assertEqual([sender.error for sender in everybody], [None] * len(everybody))
        for sender in everybody:
            if isinstance(sender.connection, ssl.SSLSocket):
                sender.connection.unwrap().close()
            else:
                sender.connection.shutdown(socket.SHUT_WR)
                self.assertEqual(sender.connection.recv(1), b"")
        newest = {path: when for sender in senders for path, when in sender.newest.items()}
        self.expect_atimes({path: newest[path] for path in paths[0][:SENDERS * share]})
        self.expect_untouched(crossed)
        counters = self.daemon_.stop()
        self.assertEqual(counters("received_messages"), sum(each.sent for each in everybody))
        self.assertEqual(counters("malformed"), 0)
        self.assertEqual(counters("connections_refused"), 0)
        self.assertGreater(counters("ignored", "operation"), 0)
        refused = len([number for number in range(RELOADS) if number % 3 == 2])
        self.assertEqual(counters("reloads", "refused"), refused)
        self.assertEqual(counters("reloads", "taken"), RELOADS - refused + 1)
        counters.check_sums()
        self.assertEqual(after[1], before[1], "descriptors")
        if not lab.is_sanitized(lab.binary("QATIME")):
            self.assertLess(after[0], before[0] + 4096, "KiB of memory")


class Reload(Hangup):
    def test_all_keys_that_may_change_do_and_the_others_are_named(self):
        taken, left = self.make_files("taken", "left")
        daemon = self.qatime().start("--set", "policy.granularity=1ms", "--set", "log.level=debug")
        line = self.reload(daemon, policy__exclude_paths=[os.fsdecode(left)], policy__granularity="5m", nfs__port=1,
                           backlog__memory="1 MiB", log__format="json", log__level="error")
        said = "SIGHUP: read again, changed from now on: policy.exclude_paths, log.format"
        self.assertEqual(json.loads(line)["message"], said)
        named = "SIGHUP: changed, but only a restart will take it over: backlog.memory, nfs.port"
        wait_until(lambda: named in daemon.log, "the other keys")
        time_ = now()
        lab.send_tcp(daemon.port, [record(left, time_), record(taken, time_)])
        self.expect_atimes({taken: time_})
        self.hang_up(daemon, named)  # as long as it is so
        line = self.reload(daemon)
        self.assertIn("changed from now on: policy.exclude_paths, log.format", line)
        lab.send_tcp(daemon.port, [record(left, time_)])
        self.expect_atimes({left: time_})
        line = self.reload(daemon)
        self.assertIn("SIGHUP: read again, no key has changed", line)
        counters = daemon.stop()
        self.assertEqual(counters("ignored", "path"), 1)
        counters.check_sums()

    def test_limits_hold_for_connections_that_are_open(self):
        paths = self.make_files("first", "second", "third")
        daemon = self.daemon()
        with socket.create_connection(("127.0.0.1", daemon.port)) as sender:
            times = {path: now() for path in paths}
            lines = [record(path, time_) for path, time_ in times.items()]
            sender.sendall(lines[0] + b"\n")
            self.expect_atimes({paths[0]: times[paths[0]]})
            long = b"<14>1 " + b"x" * 2000
            sender.sendall(long[:1000])  # is unfinished meanwhile
            self.reload(daemon, syslog__max_message="1 KiB")
            sender.sendall(long[1000:] + b"\n" + lines[1] + b"\n")
            self.expect_atimes({paths[1]: times[paths[1]]})
            self.reload(daemon, syslog__allow=["192.0.2.1"])
            sender.settimeout(60)
            self.assertEqual(sender.recv(1), b"")  # nobody who is not allowed is heard
        with socket.create_connection(("127.0.0.1", daemon.port)) as sender:
            sender.settimeout(60)
            self.assertEqual(sender.recv(1), b"")
        lab.send_udp(daemon.udp_port, [lines[2]])
        wait_until(lambda: daemon.metrics()("ignored", "allow") == 1, "the datagram to be ignored")
        self.reload(daemon, syslog__allow=["127.0.0.1"])
        lab.send_udp(daemon.udp_port, [lines[2]])
        self.expect_atimes({paths[2]: times[paths[2]]})
        counters = daemon.stop()
        self.assertEqual(counters("malformed", "too_long"), 1)
        self.assertEqual(counters("connections_refused", "allow"), 2)
        self.assertEqual(counters("ignored", "allow"), 1)
        counters.check_sums()

    def test_a_balancer_is_believed_as_long_as_it_is_one(self):
        [path] = self.make_files("file")
        daemon = self.daemon(syslog__allow=["192.0.2.1"])
        self.reload(daemon, syslog__proxy_from=["127.0.0.1"])
        time_ = now()
        with socket.create_connection(("127.0.0.1", daemon.port)) as sender:
            sender.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 50000 1514\r\n" + record(path, time_) + b"\n")
            self.expect_atimes({path: time_})
            self.reload(daemon, syslog__proxy_from=[])
            sender.settimeout(60)
            self.assertEqual(sender.recv(1), b"")
        self.assertIn("syslog.allow does not have 127.0.0.1", daemon.log)
        counters = daemon.stop()
        self.assertEqual((counters("malformed"), counters("connections_refused", "allow")), (0, 1))
        counters.check_sums()

    def test_rates_change(self):
        paths = self.make_files(*map(str, range(300)))
        daemon = self.daemon(nfs__max_rate=1)
        times = {path: now() for path in paths}
        lab.send_tcp(daemon.port, [record(path, time_) for path, time_ in times.items()])
        self.reload(daemon, nfs__max_rate=0, nfs__max_in_flight=5, nfs__timeout="30s")
        self.expect_atimes(times)  # at one a second it would take 300 s
        counters = daemon.stop()
        self.assertLessEqual(counters("server_window"), 5)
        counters.check_sums()
