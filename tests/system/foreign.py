# SPDX-License-Identifier: MIT
"""A server that is not ours: a directory of our own there, and what it does with times.

The server is asked for that by requests of our own, because libnfs sets no atime alone, no nanoseconds and no times of
a symlink. RFC 5531 says how they look, and RFC 1813.
"""

import contextlib
import os
import secrets
import socket
import struct

import lab
from lab import SECOND

PLACE = os.environ.get("QATIME_TEST_NFS")  # "host:port:mountport:/export"; none if there is no such server
ASKED = 1_600_000_000 * SECOND + 123_456_789  # a time with all its digits
LATE = 2_200_000_000 * SECOND  # of 2039, which not every file system reaches
STEPS = (1, 100, 1000, 10**6, 10**7, SECOND, 2 * SECOND)  # nanoseconds that times are cut to on some server


def opaque(data):
    return struct.pack(">I", len(data)) + data + bytes(-len(data) % 4)


class Program:
    """A program of a server, called by root over TCP."""

    PORTMAPPER, NFS, MOUNT = (100000, 2), (100003, 3), (100005, 3)  # and their versions
    TCP = 6
    SYS, ROOT = 1, bytes(20)  # a flavor, and its body: no machine's name, uid and gid 0, no groups
    CALL, RPC_VERSION, LAST_FRAGMENT = 0, 2, 1 << 31

    def __init__(self, host, port, program):
        if port == 0:
            with contextlib.closing(Program(host, 111, self.PORTMAPPER)) as portmapper:
                (port,) = struct.unpack(">I", portmapper.call(3, struct.pack(">IIII", *program, self.TCP, 0)))
        self.program = program
        self.connection = socket.create_connection((host, port), timeout=60)

    def close(self):
        self.connection.close()

    def call(self, procedure, arguments):
        """The results."""
        credentials = struct.pack(">I", self.SYS) + opaque(self.ROOT) + bytes(8)
        call = struct.pack(">6I", 1, self.CALL, self.RPC_VERSION, *self.program, procedure) + credentials + arguments
        self.connection.sendall(struct.pack(">I", self.LAST_FRAGMENT | len(call)) + call)
        reply = self._receive()
        verifier = struct.unpack_from(">I", reply, 16)[0]
        states, results = reply[8:12] + reply[20 + verifier:24 + verifier], reply[24 + verifier:]
        assert states == bytes(8), f"the server refuses a call: {reply}"
        return results

    def _receive(self):
        reply, head = b"", 0
        with self.connection.makefile("rb") as stream:
            while not head & self.LAST_FRAGMENT:
                (head,) = struct.unpack(">I", stream.read(4))
                reply += stream.read(head & ~self.LAST_FRAGMENT)
        return reply


class Times:
    """Sets access times of what is in the root of an export, and nothing else of it."""

    MNT, SETATTR, LOOKUP = 1, 2, 3
    TO_CLIENT_TIME, KEEP = 2, 0

    def __init__(self, server):
        with contextlib.closing(Program(server.host, server.mount_port, Program.MOUNT)) as mount:
            self.root = self._handle(mount.call(self.MNT, opaque(server.export.encode())))
        self.nfs = Program(server.host, server.port, Program.NFS)

    def close(self):
        self.nfs.close()

    @staticmethod
    def _handle(results):
        status, length = struct.unpack_from(">II", results)
        assert status == 0, f"status {status}"
        return opaque(results[8:8 + length])

    def set(self, name, time):
        """Sets the atime alone, without a guard. Only a look shows whether the server did."""
        handle = self._handle(self.nfs.call(self.LOOKUP, self.root + opaque(name.encode())))
        attributes = bytes(16) + struct.pack(">4I", self.TO_CLIENT_TIME, *divmod(time, SECOND), self.KEEP)
        no_guard = bytes(4)
        self.nfs.call(self.SETATTR, handle + attributes + no_guard)


class ForeignServer(lab.Server):
    """Its directory of ours takes the export's place, so that several runs can share the export."""

    def __init__(self, place):
        host, port, mount_port, export = place.rsplit(":", 3)
        super().__init__(host, int(port), int(mount_port), export)
        self.above = lab.Server(host, self.port, self.mount_port, export)
        self.name = f"/qatime-test-{secrets.token_hex(4)}"
        with self.above.files() as files:
            files.do("mkdir", self.name)
        self.export = export.rstrip("/") + self.name
        with contextlib.closing(Times(self)) as times:
            self._ask(times)

    def _ask(self, times):
        files = self.files()
        with files:
            files.do("create", "/file")
            files.do("symlink", "file", "/link")
        ((_, before),) = files.times(["/file"])
        times.set("file", ASKED)
        ((atime, mtime),) = files.times(["/file"])
        self.granularity = next((step for step in STEPS if atime == ASKED - ASKED % step), None)
        assert self.granularity, f"this server keeps no access times: {ASKED} became {atime}"
        self.keeps_mtime = mtime == before
        times.set("link", ASKED + 2 * SECOND)
        self.sets_symlinks = files.atimes(["/link", "/file"]) == [self.kept(ASKED + 2 * SECOND), atime]
        times.set("file", LATE)
        (late,) = files.atimes(["/file"])
        if late != LATE:
            self.latest = late
        with files:
            files.do("remove", "/link")
            files.do("remove", "/file")

    def stop(self):
        if os.environ.get("KEEP") != "1":
            with self.above.files() as files:
                files.do("remove", self.name)


def server(scratch, fsal=lab.FSAL):
    """The server that QATIME_TEST_NFS names, or one of our own."""
    return ForeignServer(PLACE) if PLACE else lab.Ganesha(scratch, fsal)
