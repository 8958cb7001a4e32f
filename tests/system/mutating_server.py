# SPDX-License-Identifier: MIT
"""An NFSv3 server whose replies are never the right ones: values are random, and after a while words are, too.

A connection that is refused at once is not tried again for long, so each is good for some time: all of its replies are
sound, with values, statuses and fragments that no server has. Then words are changed, lost and doubled, until qatime
closes it.
"""

import random
import struct
import time

from nfs_messages import DIRECTORY, GETATTR, LAST, LOOKUP, NFS, NULL, READDIRPLUS, SETATTR
from record_server import RecordConnection, RecordServer

MOUNT, PORTMAPPER, MNT = 100005, 100000, 1
GOOD = 1.2  # seconds; after one qatime thinks well of a connection
WORDS = (0, 1, 2, 3, 5, 64, 65, 400, 401, 0x10000, 0x3fffffff, 0x40000001, 0x7fffffff, LAST, 0xffffffdc, 0xffffffff)
FAILURES = (2, 5, 22, 70, 10002, 10004, 10006, 4711)  # but for those that say that all of an export is denied
NAMES = 50  # of a directory: numbers


def attributes(kind):
    """fattr3, with an atime in the past; that of a directory stays, so that qatime goes on reading directories."""
    atime = 1 if kind == DIRECTORY else random.randrange(1 << 30)
    return struct.pack(">I", kind) + random.randbytes(56) + struct.pack(">II", atime, 0) + random.randbytes(16)


def optional_attributes(kind):
    return b"\0\0\0\1" + attributes(kind) if random.random() < 0.9 else b"\0\0\0\0"


def handle():
    size = random.choice((1, 28, 63, 64))
    return struct.pack(">I", size) + random.randbytes(size) + bytes(-size % 4)


def page():
    out = [optional_attributes(DIRECTORY), random.randbytes(8)]
    for number in range(NAMES):
        name = str(number).encode()
        out += (struct.pack(">IQI", 1, number, len(name)), name + bytes(-len(name) % 4), struct.pack(">Q", number + 1),
                optional_attributes(1), b"\0\0\0\1" + handle() if random.random() < 0.9 else b"\0\0\0\0")
    return b"".join(out) + struct.pack(">II", 0, 1)


def results(program, procedure):
    """Sound ones, behind the words that say that the call was executed."""
    if procedure == NULL:
        return b""
    if program == MOUNT:
        return struct.pack(">I", 0) + handle() + struct.pack(">II", 1, 1)
    status = 0 if procedure == READDIRPLUS or random.random() < 0.95 else random.choice(FAILURES)
    head = struct.pack(">I", status)
    if procedure == GETATTR:
        return head if status else head + attributes(DIRECTORY)
    if procedure == SETATTR:
        before = b"\0\0\0\1" + random.randbytes(24) if random.random() < 0.5 else b"\0\0\0\0"
        return head + before + optional_attributes(1)
    if procedure == LOOKUP:
        found = b"" if status else handle() + optional_attributes(random.choice((1, DIRECTORY)))
        return head + found + optional_attributes(DIRECTORY)
    return head + page()


def message(program, procedure):
    """Sound, without its xid."""
    verifier = random.randbytes(4 * random.randrange(101)) if random.random() < 0.05 else b""
    head = struct.pack(">IIII", 1, 0, random.getrandbits(32), len(verifier)) + verifier
    if random.random() < 0.01:
        return head + struct.pack(">I", random.choice((1, 3, 4, 5)))
    return head + struct.pack(">I", 0) + results(program, procedure)


def change_words(data):
    data = bytearray(data)
    for _ in range(random.randrange(1, 4)):
        at = 4 * random.randrange(len(data) // 4 + 1)
        size = 4 * random.randrange(1, 16)
        how = random.randrange(5)
        if how == 0:
            data[at:at + 4] = struct.pack(">I", random.choice(WORDS))
        elif how == 1:
            del data[at:at + size]
        elif how == 2:
            data[at:at] = data[at:at + size]
        elif how == 3:
            del data[at:]
        elif at < len(data):
            data[at + random.randrange(min(4, len(data) - at))] ^= 1 << random.randrange(8)
    return bytes(data)


def record(data):
    if random.random() < 0.9 or len(data) < 16:
        return struct.pack(">I", LAST | len(data)) + data
    cut = random.randrange(4, len(data))
    return struct.pack(">I", cut) + data[:cut] + struct.pack(">I", LAST | len(data) - cut) + data[cut:]


class Connection(RecordConnection):
    def __init__(self, server):
        super().__init__(server)
        self.wild_after = time.monotonic() + GOOD

    def take(self, call):
        self.server.replies += 1
        return self.reply(*struct.unpack_from(">I8xI4xI", call))

    def reply(self, xid, program, procedure):
        data = message(program, procedure)
        is_wild = random.random() < (0.5 if program == NFS and procedure != NULL else 0.02)
        if is_wild and time.monotonic() > self.wild_after - (0 if program == NFS else GOOD):
            self.server.wild += 1
            if random.random() < 0.02:
                xid ^= 1 << random.randrange(32)
            data = change_words(data)
            if random.random() < 0.02:
                return struct.pack(">I", random.choice(WORDS)) + struct.pack(">I", xid) + data
        return record(struct.pack(">I", xid) + data)


class MutatingServer(RecordServer):
    """On some addresses. `replies` are those that it gave, `wild` those whose words were changed."""

    def __init__(self, addresses, seed):
        self.replies = self.wild = 0
        random.seed(seed)
        super().__init__([f"127.0.1.{number}" for number in range(1, addresses + 1)], Connection)
