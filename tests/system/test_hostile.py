# SPDX-License-Identifier: MIT
"""Peers that send too much, nothing, or half of something: memory stays flat, and nodes that send records are served."""

import os
import pathlib
import random
import re
import resource
import socket
import struct
import subprocess

import lab
from case import Case, now
from kept import wait_until_settled
from lab import record, wait_until

MIB = 1 << 20
LONG = "QATIME_TEST_LONG" in os.environ
ENDLESS = 1024 * MIB if LONG else 128 * MIB  # bytes of a line that does not end
SILENT = 10_000                              # connections that send nothing
DEFAULT_CONNECTIONS = 1024                   # syslog.max_connections
NODES = 300
SEED = int(os.environ.get("SEED", "1"))


def most_resident(daemon):
    """Bytes of memory that the daemon held at its peak."""
    status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def descriptors(daemon):
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


def limit_descriptors(daemon, count):
    """As the user that the daemon runs as, who may do that."""
    subprocess.run(["prlimit", f"--pid={daemon.process.pid}", f"--nofile={count}:"], check=True, **lab.as_nobody())


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Hostile(Case):
    def connect(self, daemon):
        connection = socket.create_connection(("127.0.0.1", daemon.port))
        self.addCleanup(connection.close)
        return connection

    def expect_served(self, node, name):
        """A record on this connection sets its time."""
        path, = self.make_files(name)
        when = now()
        node.sendall(record(path, when) + b"\n")
        self.expect_atimes({path: when})

    def expect_flat(self, daemon, before, most):
        """The peak of memory has not grown by more than `most` bytes; a sanitizer's own memory says nothing."""
        if not lab.is_sanitized(daemon.program):
            self.assertLess(most_resident(daemon) - before, most)

    def allow_descriptors(self, count):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < count:
            self.skipTest(f"a process may have no more than {hard} open files here")
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))

    def test_a_line_that_does_not_end(self):
        daemon = self.daemon()
        node, endless = self.connect(daemon), self.connect(daemon)
        self.expect_served(node, "before")
        chunk, before = b"x" * MIB, most_resident(daemon)
        for sent in range(ENDLESS // MIB):
            endless.sendall(chunk)
            if sent == ENDLESS // MIB // 2:
                self.expect_served(node, "meanwhile")
        self.expect_flat(daemon, before, 4 * MIB)
        endless.sendall(b"\n")
        self.expect_served(endless, "behind it")
        counters = daemon.stop()
        self.assertEqual(counters("malformed", "too_long"), 1)
        self.assertEqual(counters("received_messages", "tcp"), 4)
        self.assertGreater(counters("received_bytes", "tcp"), ENDLESS)
        counters.check_sums()

    def test_unfinished_messages_share_one_bound(self):
        daemon = self.daemon(syslog__max_message="8 MiB")
        node = self.connect(daemon)
        self.expect_served(node, "before")
        before, unfinished = most_resident(daemon), b"x" * (6 * MIB)
        for _ in range(30):
            self.connect(daemon).sendall(unfinished)
        self.expect_served(node, "behind them")
        self.expect_flat(daemon, before, (64 + 32) * MIB)
        self.assertGreater(daemon.stop()("malformed", "memory"), 15)

    def test_a_long_record_without_a_line_feed(self):
        daemon = self.daemon()
        node, slow = self.connect(daemon), self.connect(daemon)
        slow.sendall(record(self.root + "/" + "/".join(["n" * 250] * 80), now()))
        self.expect_served(node, "meanwhile")
        open_before = descriptors(daemon)
        slow.close()
        wait_until(lambda: descriptors(daemon) < open_before, "its end to be seen")
        wait_until_settled(daemon)
        counters = daemon.stop()
        self.assertEqual(counters("received_messages", "tcp"), 2)
        self.assertEqual(counters("accepted"), 2)
        self.assertEqual(counters("failed", "noent"), 1)
        counters.check_sums()

    def test_many_connections_that_send_nothing_make_room(self):
        self.allow_descriptors(SILENT + 200)
        daemon = self.daemon()
        node = self.connect(daemon)
        self.expect_served(node, "before")
        for _ in range(DEFAULT_CONNECTIONS):
            self.connect(daemon)
        wait_until(lambda: descriptors(daemon) >= DEFAULT_CONNECTIONS, "the connections")
        before = most_resident(daemon)
        for _ in range(SILENT - DEFAULT_CONNECTIONS):
            self.connect(daemon)
        self.expect_served(node, "an old node")
        self.expect_served(self.connect(daemon), "a new node")
        self.expect_flat(daemon, before, MIB)
        self.assertLess(descriptors(daemon), DEFAULT_CONNECTIONS + 100)
        counters = daemon.stop()
        self.assertEqual(counters("connections_refused", "displaced"), SILENT + 2 - DEFAULT_CONNECTIONS)
        self.assertEqual(counters("connections_refused", "full"), 0)
        counters.check_sums()

    def test_many_connections_that_send_nothing_cost_little(self):
        self.allow_descriptors(SILENT + 200)
        daemon = self.daemon(syslog__max_connections=2 * SILENT)
        node = self.connect(daemon)
        self.expect_served(node, "before")
        before = most_resident(daemon)
        for _ in range(SILENT):
            self.connect(daemon)
        wait_until(lambda: descriptors(daemon) > SILENT, "the connections")
        self.expect_flat(daemon, before, SILENT * 2048)
        self.expect_served(node, "an old node")
        self.expect_served(self.connect(daemon), "a new node")
        counters = daemon.stop()
        self.assertEqual(counters("connections_refused"), 0)
        counters.check_sums()

    def test_peers_that_stop_in_the_middle_of_a_frame(self):
        each = 50
        wholes, times = {}, {}
        for kind in ("goes on", "ends", "resets", "waits"):
            for path in self.make_files(*(f"{kind} {number}" for number in range(each))):
                when = now()
                line = record(path, when)
                counted = len(wholes.setdefault(kind, [])) % 2 == 0
                wholes[kind].append(b"%d %s" % (len(line), line) if counted else line + b"\n")
                if kind == "goes on":
                    times[path] = when
        daemon = self.daemon()
        halves = [(kind, self.connect(daemon), whole) for kind, many in wholes.items() for whole in many]
        for _, connection, whole in halves:
            connection.sendall(whole[: len(whole) // 2])
        node = self.connect(daemon)
        self.expect_served(node, "node")
        for kind, connection, whole in halves:
            if kind == "goes on":
                connection.sendall(whole[len(whole) // 2:])
            elif kind == "ends":
                connection.close()
            elif kind == "resets":
                reset(connection)
        self.expect_atimes(times)
        self.expect_served(node, "node again")
        wait_until(lambda: descriptors(daemon) < 2 * each + 50, "the others to be closed")
        counters = daemon.stop()
        self.assertEqual(counters("received_messages", "tcp"), 2 * each + 2)
        self.assertEqual(counters("malformed"), each)
        self.assertEqual(counters("malformed", "framing"), each // 2)
        self.assertEqual(counters("applied"), each + 2)
        counters.check_sums()

    def test_nodes_of_a_large_cluster_at_once_cut_anywhere(self):
        per_node, shuffle, base = 20, random.Random(SEED), now()
        paths = self.make_files(*map(str, range(100)))
        newest, streams = {}, []
        for _ in range(NODES):
            stream = b""
            for _ in range(per_node):
                path, when = shuffle.choice(paths), base + 1000 * shuffle.randrange(10**6)
                newest[path] = max(when, newest.get(path, 0))
                line = record(path, when)
                stream += b"%d %s" % (len(line), line) if shuffle.random() < 0.5 else line + b"\n"
            streams.append(stream)
        daemon = self.daemon()
        left = [(self.connect(daemon), stream) for stream in streams]
        while left:
            number = shuffle.randrange(len(left))
            connection, stream = left[number]
            size = shuffle.choice((1, 10, 100, 1000))
            connection.sendall(stream[:size])
            left[number] = connection, stream[size:]
            if not stream[size:]:
                del left[number]
        self.expect_atimes(newest)
        counters = daemon.stop()
        self.assertEqual(counters("received_messages", "tcp"), NODES * per_node)
        self.assertEqual(counters("accepted"), NODES * per_node)
        counters.check_sums()

    def test_without_descriptors_accepting_pauses_and_recovers(self):
        daemon = self.daemon()
        if lab.is_sanitized(daemon.program):
            self.skipTest("without descriptors UBSan takes any object for a bad one: it opens a pipe to look at memory")
        node = self.connect(daemon)
        self.expect_served(node, "before")
        limit_descriptors(daemon, descriptors(daemon) + 10)
        paths = self.make_files(*map(str, range(100)))
        times = {path: now() for path in paths}
        for path, when in times.items():
            self.connect(daemon).sendall(record(path, when) + b"\n")
        wait_until(lambda: "cannot accept connections" in daemon.log, "the pause")
        self.expect_served(node, "meanwhile")
        limit_descriptors(daemon, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        self.expect_atimes(times)
        counters = daemon.stop()
        self.assertEqual(counters("received_messages", "tcp"), len(times) + 2)
        self.assertEqual(counters("connections_refused"), 0)
        counters.check_sums()
