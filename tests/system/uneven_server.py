# SPDX-License-Identifier: MIT
"""An NFSv3 server whose exports differ in how they answer. It keeps nothing but when each name got its last atime."""

import struct
import time

from nfs_messages import DIRECTORY, GETATTR, LAST, LOOKUP, NFS, NULL, SETATTR, Reader, read_call
from record_server import RecordConnection, RecordServer

MOUNT, MNT, JUKEBOX, NOTSUPP = 100005, 1, 10008, 10004
FATTR = struct.Struct(">5I4Q Q6I")
FILE = 1


def attributes(handle):
    kind = FILE if handle.count(b"/") > 2 else DIRECTORY
    return FATTR.pack(kind, 0o755, 1, 0, 0, 0, 0, 0, 1, hash(handle) & 0xffffffff, 1, 0, 1, 0, 1, 0)


def opaque(data):
    return struct.pack(">I", len(data)) + data + bytes(-len(data) % 4)


def reply(xid, results):
    """Of success, as it goes on the wire."""
    record = struct.pack(">6I", xid, 1, 0, 0, 0, 0) + results
    return struct.pack(">I", LAST | len(record)) + record


class UnevenServer(RecordServer):
    """`manners` are by export path: seconds until it answers (None: never), or "jukebox", its answer to everything."""

    def __init__(self, manners):
        self.manners = manners
        self.calls = dict.fromkeys(manners, 0)  # by export
        self.set_at = {}  # handle: (atime, when it was set, by the monotonic clock)
        self.connections = 0  # that have carried NFS calls
        super().__init__(["127.0.0.1"], _Connection)


class _Connection(RecordConnection):
    is_known = False

    def take(self, record):
        xid, program, procedure = struct.unpack_from(">I8xI4xI", record)
        if program != NFS or procedure == NULL:
            return reply(xid, self.mount(record) if program == MOUNT and procedure == MNT else b"")
        if not self.is_known:
            self.is_known = True
            self.server.connections += 1
        call = read_call(record)
        export = b"/".join(call.handle.split(b"/")[:2]).decode()
        self.server.calls[export] += 1
        manner = self.server.manners[export]
        if manner is None:
            return b""
        if manner == "jukebox":
            return reply(xid, struct.pack(">I", JUKEBOX) + bytes(8 if procedure == SETATTR else 4))
        if manner == 0:
            return reply(xid, self.results(call))
        self.server.loop.call_later(manner, lambda: self.transport.write(reply(xid, self.results(call))))
        return b""

    @staticmethod
    def mount(record):
        reader = Reader(record, 24)
        for _ in ("credentials", "verifier"):
            reader.word()
            reader.opaque()
        return struct.pack(">I", 0) + opaque(reader.opaque()) + struct.pack(">II", 1, 1)

    def results(self, call):
        if call.procedure == GETATTR:
            return struct.pack(">I", 0) + attributes(call.handle)
        if call.procedure == LOOKUP:
            found = call.handle + b"/" + call.name
            return struct.pack(">I", 0) + opaque(found) + struct.pack(">I", 1) + attributes(found) + bytes(4)
        if call.procedure == SETATTR:
            self.server.set_at[call.handle] = call.atime, time.monotonic()
            return struct.pack(">III", 0, 0, 1) + attributes(call.handle)
        return struct.pack(">II", NOTSUPP, 0)
