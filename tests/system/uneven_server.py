# SPDX-License-Identifier: MIT
"""An NFSv3 server whose exports differ in how they answer. It keeps nothing but when each name got its last atime."""

import asyncio
import struct
import threading
import time

import lab
from nfs_messages import DIRECTORY, GETATTR, LAST, LOOKUP, NFS, NULL, SETATTR, Reader, read_call

MOUNT, MNT, JUKEBOX, NOTSUPP = 100005, 1, 10008, 10004
FATTR = struct.Struct(">5I4Q Q6I")
FILE = 1


def attributes(handle):
    kind = FILE if handle.count(b"/") > 2 else DIRECTORY
    return FATTR.pack(kind, 0o755, 1, 0, 0, 0, 0, 0, 1, hash(handle) & 0xffffffff, 1, 0, 1, 0, 1, 0)


def opaque(data):
    return struct.pack(">I", len(data)) + data + bytes(-len(data) % 4)


class UnevenServer(lab.Server):
    """`manners` are by export path: seconds until it answers (None: never), or "jukebox", its answer to everything."""

    def __init__(self, manners):
        port = lab.own_port()
        super().__init__("127.0.0.1", port, port, "/")
        self.manners = manners
        self.calls = dict.fromkeys(manners, 0)  # by export
        self.set_at = {}  # handle: (atime, when it was set, by the monotonic clock)
        self.connections = 0  # that have carried NFS calls
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        self.thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
        self.thread.start()
        ready.wait()

    def _serve(self, ready):
        self.loop.run_until_complete(self.loop.create_server(lambda: _Connection(self), self.host, self.port))
        ready.set()
        self.loop.run_forever()

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()


class _Connection(asyncio.Protocol):
    def __init__(self, server):
        self.server, self.received, self.is_known = server, b"", False

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.received += data
        while len(self.received) >= 4:
            end = 4 + (struct.unpack_from(">I", self.received)[0] & ~LAST)
            if len(self.received) < end:
                return
            record, self.received = self.received[4:end], self.received[end:]
            self.take(record)

    def take(self, record):
        xid, program, procedure = struct.unpack_from(">I8xI4xI", record)
        if program != NFS or procedure == NULL:
            return self.reply(xid, self.mount(record) if program == MOUNT and procedure == MNT else b"")
        if not self.is_known:
            self.is_known = True
            self.server.connections += 1
        call = read_call(record)
        export = b"/".join(call.handle.split(b"/")[:2]).decode()
        self.server.calls[export] += 1
        manner = self.server.manners[export]
        if manner is None:
            return None
        if manner == "jukebox":
            return self.reply(xid, struct.pack(">I", JUKEBOX) + bytes(8 if procedure == SETATTR else 4))
        if manner == 0:
            return self.reply(xid, self.results(call))
        return self.server.loop.call_later(manner, lambda: self.reply(xid, self.results(call)))

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

    def reply(self, xid, results):
        record = struct.pack(">6I", xid, 1, 0, 0, 0, 0) + results
        self.transport.write(struct.pack(">I", LAST | len(record)) + record)
