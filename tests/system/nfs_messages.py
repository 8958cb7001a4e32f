# SPDX-License-Identifier: MIT
"""RPC and NFSv3 as they come over the wire: RFC 5531, RFC 1813.

They are read word by word, so that another hand checks what qatime and libnfs encode. Times are integers, nanoseconds
since the epoch.
"""

import dataclasses
import struct
from typing import NamedTuple

NFS = 100003
NULL, GETATTR, SETATTR, LOOKUP, READDIRPLUS = 0, 1, 2, 3, 17
NAMES = {NULL: "NULL", GETATTR: "GETATTR", SETATTR: "SETATTR", LOOKUP: "LOOKUP", READDIRPLUS: "READDIRPLUS"}
OK, INVAL, NOT_SYNC, NOTSUPP = 0, 22, 10002, 10004
LAST = 0x80000000  # fragment of a record
DIRECTORY = 2  # ftype3

DONT_CHANGE, SET_TO_SERVER_TIME, SET_TO_CLIENT_TIME = 0, 1, 2  # time_how

ATTRIBUTES = struct.Struct(">I56xII8xII")  # fattr3: type, atime, ctime
SECOND = 10**9


@dataclasses.dataclass(slots=True, eq=False)
class Call:
    xid: int
    procedure: int
    handle: bytes = b""  # of the directory for LOOKUP and READDIRPLUS
    name: bytes = b""
    atime: int | None = None  # SETATTR with SET_TO_CLIENT_TIME
    sets_more: tuple = ()  # names of what a SETATTR sets beside that
    guard: int | None = None


class Attributes(NamedTuple):
    """The fields of fattr3 that matter here."""

    is_directory: bool
    atime: int
    ctime: int


@dataclasses.dataclass(slots=True, eq=False)
class Reply:
    status: int | None  # nfsstat3; None: RPC did not succeed
    attributes: list  # [(handle, Attributes)] as reported, in their order
    found: list  # [(directory, name, handle)]


class Reader:
    """XDR, RFC 4506. Raises struct.error or IndexError when nothing is left."""

    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def word(self):
        value, = struct.unpack_from(">I", self.data, self.at)
        self.at += 4
        return value

    def skip(self, size):
        self.at += size

    def opaque(self):
        size = self.word()
        begin, end = self.at, self.at + size
        if end > len(self.data):
            raise struct.error(f"an opaque of {size} bytes is cut short")
        self.at = end + -size % 4
        return self.data[begin:end]

    def time(self):
        seconds, nanoseconds = struct.unpack_from(">II", self.data, self.at)
        self.at += 8
        return seconds * SECOND + nanoseconds

    def attributes(self):
        kind, atime, atime_ns, ctime, ctime_ns = ATTRIBUTES.unpack_from(self.data, self.at)
        self.at += ATTRIBUTES.size
        return Attributes(kind == DIRECTORY, atime * SECOND + atime_ns, ctime * SECOND + ctime_ns)

    def optional_attributes(self):
        return self.attributes() if self.word() else None


def read_call(record):
    """Of a record without its mark. Programs other than NFS are taken for NULL: nobody asks for more than their xid."""
    xid, _, _, program, _, procedure = struct.unpack_from(">6I", record)
    call = Call(xid, procedure if program == NFS else NULL)
    if call.procedure == NULL:
        return call
    reader = Reader(record, 24)
    for _ in ("credentials", "verifier"):
        reader.word()
        reader.opaque()
    call.handle = reader.opaque()
    if procedure == LOOKUP:
        call.name = reader.opaque()
    elif procedure == SETATTR:
        _read_setattr(reader, call)
    return call


def _read_setattr(reader, call):
    more = []
    for name, size in (("mode", 4), ("uid", 4), ("gid", 4), ("size", 8)):
        if reader.word():
            more.append(name)
            reader.skip(size)
    for name in ("atime", "mtime"):
        how = reader.word()
        when = reader.time() if how == SET_TO_CLIENT_TIME else None
        if name == "atime" and when is not None:
            call.atime = when
        elif how != DONT_CHANGE:
            more.append(name if when is not None else f"{name} of the server")
    call.sets_more = tuple(more)
    if reader.word():
        call.guard = reader.time()
    if reader.at != len(reader.data):
        raise struct.error(f"{len(reader.data) - reader.at} bytes after a SETATTR")


def xid_of(record):
    return struct.unpack_from(">I", record)[0]


def read_reply(record, call):
    """The reply to `call`, a record without its mark."""
    reader = Reader(record, 8)
    reply = Reply(None, [], [])
    if call.procedure == NULL or reader.word() != 0:  # MSG_ACCEPTED
        return reply
    reader.word()
    reader.opaque()
    if reader.word() != 0:  # SUCCESS
        return reply
    reply.status = reader.word()
    if of_procedure := RESULTS.get(call.procedure):
        of_procedure(reader, call, reply)
    return reply


def _add(reply, handle, attributes):
    if attributes is not None:
        reply.attributes.append((handle, attributes))


def _read_getattr_results(reader, call, reply):
    if reply.status == OK:
        _add(reply, call.handle, reader.attributes())


def _read_setattr_results(reader, call, reply):
    if reader.word():  # wcc_attr
        reader.skip(24)
    _add(reply, call.handle, reader.optional_attributes())


def _read_lookup_results(reader, call, reply):
    if reply.status == OK:
        handle = reader.opaque()
        _add(reply, handle, reader.optional_attributes())
        reply.found.append((call.handle, call.name, handle))
    _add(reply, call.handle, reader.optional_attributes())


def _read_page(reader, call, reply):
    _add(reply, call.handle, reader.optional_attributes())
    if reply.status != OK:
        return
    reader.skip(8)  # cookieverf
    while reader.word():
        reader.skip(8)  # fileid
        name = reader.opaque()
        reader.skip(8)  # cookie
        attributes = reader.optional_attributes()
        if not reader.word():
            continue
        handle = reader.opaque()
        _add(reply, handle, attributes)
        if name not in (b".", b".."):
            reply.found.append((call.handle, name, handle))


RESULTS = {GETATTR: _read_getattr_results, SETATTR: _read_setattr_results, LOOKUP: _read_lookup_results,
           READDIRPLUS: _read_page}
