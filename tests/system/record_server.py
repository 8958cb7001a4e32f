# SPDX-License-Identifier: MIT
"""The ground of our own servers of ONC RPC: they take whole calls in a thread of their own (RFC 5531, section 11)."""

import asyncio
import struct
import threading

import lab
from nfs_messages import LAST


class RecordServer(lab.Server):
    """On `hosts`, with one port for all that it serves, until stop(). `connection(server)` makes an asyncio.Protocol
    for each that is accepted."""

    def __init__(self, hosts, connection):
        port = lab.own_port()
        super().__init__(hosts[0], port, port, "/")
        self.hosts = hosts
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        self.thread = threading.Thread(target=self._serve, args=(connection, ready), daemon=True)
        self.thread.start()
        ready.wait()

    def _serve(self, connection, ready):
        for host in self.hosts:
            self.loop.run_until_complete(self.loop.create_server(lambda: connection(self), host, self.port))
        ready.set()
        self.loop.run_forever()

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()


class RecordConnection(asyncio.Protocol):
    """Calls `take(record)` with each call that has arrived whole, in one fragment as libnfs sends it, and sends
    together what `take` gives."""

    def __init__(self, server):
        self.server, self.received = server, b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        data = self.received + data
        at, out = 0, []
        while len(data) - at >= 4:
            end = at + 4 + (struct.unpack_from(">I", data, at)[0] & ~LAST)
            if len(data) < end:
                break
            out.append(self.take(data[at + 4:end]))
            at = end
        self.received = data[at:]
        self.transport.write(b"".join(out))
