# SPDX-License-Identifier: MIT
"""A server whose lists have no bounds costs its connection, and neither the daemon nor what other servers do. No reply
ends the daemon."""

import os
import re
import signal
import socket
import struct
import threading
import unittest

import lab
from case import OwnServerCase, now
from kept import wait_until_settled
from lab import record, send_tcp, wait_until
from mutating_server import NAMES, MutatingServer

NFS, READDIRPLUS = 100003, 17
LAST = 0x80000000  # fragment of a record
DIRECTORIES, FILES = 20, 50
MUTATED = 1_000_000 if "QATIME_TEST_LONG" in os.environ else 20_000  # replies
SEED = int(os.environ.get("SEED", "1"))


def read_record(connection):
    """A record with its mark; all that we meet are one fragment. b"" at the end."""
    mark = connection.recv(4, socket.MSG_WAITALL)
    if len(mark) < 4:
        return b""
    size = struct.unpack(">I", mark)[0] & ~LAST
    rest = connection.recv(size, socket.MSG_WAITALL)
    return mark + rest if len(rest) == size else b""


def crowd(xid, entries):
    """A reply to READDIRPLUS with so many entries of 32 bytes, in fragments of 1 MiB."""
    head = struct.pack(">6I2I8x", xid, 1, 0, 0, 0, 0, 0, 0)
    body = head + b"".join(struct.pack(">IQIQII", 1, at, 0, at, 0, 0) for at in range(1, entries + 1))
    body += struct.pack(">II", 0, 1)
    parts = [body[at:at + (1 << 20)] for at in range(0, len(body), 1 << 20)]
    marks = [len(part) for part in parts[:-1]] + [LAST | len(parts[-1])]
    return b"".join(struct.pack(">I", mark) + part for mark, part in zip(marks, parts))


class Middle:
    """Passes on what comes for `server`, on the same ports of another address, but answers READDIRPLUS itself."""

    host = "127.0.0.3"

    def __init__(self, server, entries):
        self.server, self.entries, self.listings = server, entries, 0
        self.listeners = [self._listen(port) for port in {server.port, server.mount_port}]

    def _listen(self, port):
        listener = socket.create_server((self.host, port))
        threading.Thread(target=self._accept, args=(listener, port), daemon=True).start()
        return listener

    def close(self):
        for listener in self.listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _accept(self, listener, port):
        while True:
            try:
                client, _ = listener.accept()
                server = socket.create_connection((self.server.host, port))
            except OSError:
                return
            turn = threading.Lock()
            for work in (self._ask, self._answer):
                threading.Thread(target=work, args=(client, server, turn), daemon=True).start()

    def _ask(self, client, server, turn):
        try:
            while call := read_record(client):
                xid, program, procedure = struct.unpack_from(">I8xI4xI", call, 4)
                if (program, procedure) == (NFS, READDIRPLUS):
                    self.listings += 1
                    with turn:
                        client.sendall(crowd(xid, self.entries))
                else:
                    server.sendall(call)
        except OSError:
            pass
        server.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _answer(client, server, turn):
        try:
            while reply := read_record(server):
                with turn:
                    client.sendall(reply)
        except OSError:
            pass
        server.close()
        client.close()


class HostileServer(OwnServerCase):
    def middle(self, entries):
        middle = Middle(self.server, entries)
        self.addCleanup(middle.close)
        return middle

    def with_small_stacks(self, daemon, kibibytes):
        """`daemon`, where glibc gives a thread as little stack as musl does."""
        script = daemon.directory / "small-stacks"
        script.write_text(f'#!/bin/sh\nulimit -s {kibibytes}\nexec "{daemon.program}" "$@"\n')
        script.chmod(0o755)
        daemon.program = script
        return daemon

    def apply(self, daemon, *hosts):
        """All that waits in directories before the servers say a word more than that they are there."""
        paths = [f"{self.root}/{directory}/{name}" for directory in range(DIRECTORIES) for name in range(FILES)]
        with self.files as files:
            for directory in range(DIRECTORIES):
                files.do("mkdir", f"{self.root}/{directory}")
            for path in paths:
                files.do("create", path)
        when = now()
        daemon.start()
        wait_until(lambda: all(f"{host}:{self.server.port}: connected" in daemon.log for host in hosts), "all servers")
        self.server.process.send_signal(signal.SIGSTOP)
        try:
            send_tcp(daemon.port, [record(path, when) for path in paths])
            wait_until(lambda: daemon.metrics()("pending_entries") == len(paths), "all of them to wait")
        finally:
            self.server.process.send_signal(signal.SIGCONT)
        self.expect_atimes({path: when for path in paths})
        wait_until_settled(daemon)
        counters = daemon.stop()
        self.assertEqual(counters("applied") + counters("unchanged"), len(paths))  # what was set with its reply lost
        counters.check_sums()

    def test_a_list_that_does_not_end_beside_a_good_server(self):
        middle = self.middle(300_000)
        daemon = self.qatime(nfs__servers=[middle.host, self.server.host])
        self.apply(daemon, middle.host, self.server.host)
        self.assertGreater(middle.listings, 0)
        self.assertRegex(daemon.log, rf"warning.*{re.escape(middle.host)}.*: dropped: its reply grew beyond \d+ bytes")

    def test_a_list_that_does_not_end_of_the_only_server(self):
        middle = self.middle(300_000)
        self.apply(self.qatime(nfs__servers=[middle.host]), middle.host)
        self.assertGreater(middle.listings, 0)

    def test_a_list_within_bounds_on_small_stacks(self):
        middle = self.middle(2_000)  # some 190 KiB of stack
        daemon = self.qatime(nfs__servers=[middle.host])
        if lab.is_sanitized(daemon.program):
            self.skipTest("a sanitizer needs more stack than that")
        self.apply(self.with_small_stacks(daemon, 160), middle.host)
        self.assertGreater(middle.listings, 0)
        self.assertNotIn("dropped: ", daemon.log)


class MutatedReplies(unittest.TestCase):
    """With whatever libnfs the program has; one that is built with AddressSanitizer has more to say."""

    seconds = 20

    def test_replies_that_no_server_should_give(self):
        scratch = lab.Scratch()
        self.addCleanup(scratch.remove)
        server = MutatingServer(addresses=100, seed=SEED)
        self.addCleanup(server.stop)
        daemon = lab.Qatime(scratch, server, {"nfs.servers": server.hosts})
        self.addCleanup(daemon.kill)
        daemon.start()

        def is_enough():
            return server.replies >= MUTATED and server.wild > MUTATED // 1000

        rounds = 0
        while not is_enough():
            when = now()
            send_tcp(daemon.port, [record(f"/{rounds}-{directory}/{name}", when) for directory in range(200)
                                   for name in range(NAMES)])
            rounds += 1  # each access costs a reply at least
            wait_until(lambda: is_enough() or server.replies >= rounds * 200 * NAMES, "replies", 600)
            self.assertIsNone(daemon.process.poll(), daemon.log[-4000:])
        counters = daemon.stop()
        print(f"{server.replies} replies, {server.wild} of them with other words", flush=True)
        counters.check_sums()
        self.assertGreater(counters("applied"), 0)
        self.assertIn("dropped: its reply", daemon.log)
