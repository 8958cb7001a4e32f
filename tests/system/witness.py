# SPDX-License-Identifier: MIT
"""The witness: it stands between qatime and a real server, hears every call and reply, and does harm on the way.

    witness = Witness(server, Judge(max_in_flight, timeout), Faults(seed))
    ... nfs.servers = [witness.host], nfs.port = witness.port, nfs.mount_port = witness.mount_port ...
    witness.stop()
    witness.judge.violations

It runs in a thread of its own. The next records overtake one that is delayed, so that delay is disorder, too.
"""

import asyncio
import collections
import contextlib
import functools
import random
import select
import socket
import struct
import threading
import traceback

from nfs_messages import LAST, NULL, read_call, read_reply, xid_of

# Of 10,000 calls or replies, how many meet what.
CALL_RATES = {
    "delay a call": 200,
    "swallow a call": 5,
    "hold a call": 5,  # beyond its timeout; then the server gets it all the same
    "cut before a call": 6,
}
REPLY_RATES = {
    "delay a reply": 200,
    "swallow a reply": 5,
    "cut within a reply": 6,
    "double a reply": 6,  # at which libnfs gives up the connection
}
# These end a connection. qatime waits longer and longer before it connects again, unless one was good for a second.
CUTS = {"cut before a call", "cut within a reply", "double a reply"}
GOOD = 1.2  # seconds
DELAY = 0.02  # seconds at most


class Faults:
    """The dice. `counts` tells what was done."""

    def __init__(self, seed, calls=CALL_RATES, replies=REPLY_RATES):
        self.random = random.Random(seed)
        self.calls, self.replies = self._weighed(calls), self._weighed(replies)
        self.counts = collections.Counter()

    @staticmethod
    def _weighed(rates):
        """[(the sum of the rates so far, its name)]"""
        total, weighed = 0, []
        for name, rate in rates.items():
            total += rate
            weighed.append((total, name))
        return weighed

    def are_met(self):
        """Whether each kind was."""
        return all(self.counts[name] for _, name in self.calls + self.replies)

    def of_call(self, age):
        """The name of a fault or None, like of_reply(). `age` is that of the connection, in seconds."""
        return self._choose(self.calls, age)

    def of_reply(self, age):
        return self._choose(self.replies, age)

    def _choose(self, weighed, age):
        number = self.random.randrange(10_000)
        name = next((name for limit, name in weighed if number < limit), None)
        if name is None or name in CUTS and age < GOOD:
            return None
        self.counts[name] += 1
        return name

    def delay(self):
        return self.random.uniform(0, DELAY)


async def read_record(reader):
    """A record without its marks; None at the end."""
    parts = []
    while True:
        try:
            mark, = struct.unpack(">I", await reader.readexactly(4))
            parts.append(await reader.readexactly(mark & ~LAST))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        if mark & LAST:
            return b"".join(parts)


def marked(record):
    return struct.pack(">I", LAST | len(record)) + record


class Relay:
    """One connection of the client, and the one to the server for it."""

    def __init__(self, witness, number, client, server):
        self.witness, self.judge, self.faults, self.now = witness, witness.judge, witness.faults, witness.now
        self.number, self.began = number, witness.now()
        self.client_reader, self.client = client
        self.server_reader, self.server = server
        self.asked = {}  # by xid

    def __str__(self):
        return str(self.number)

    async def run(self):
        replies = asyncio.ensure_future(self._take_replies())
        await self._take_calls()
        self._close()
        await asyncio.sleep(self._longest_hold())  # what is held is for the server
        self.server.close()
        await replies

    def is_closed(self):
        """Whether one side has closed it, although there may be something to be read before that."""
        if self.client.is_closing():
            return True
        poll = select.poll()
        poll.register(self.client.get_extra_info("socket").fileno(), select.POLLRDHUP)
        return bool(poll.poll(0))

    def _close(self):
        """Towards the client alone."""
        self.judge.lost(self)
        self.client.close()

    def _longest_hold(self):
        return 2 * self.judge.timeout

    async def _take_calls(self):
        while (record := await read_record(self.client_reader)) is not None:
            self._take_call(record)

    def _take_call(self, record):
        call = read_call(record)
        asked = self.asked[call.xid] = self.judge.called(call, self, self.now())
        match self._fault(call, self.faults.of_call):
            case "delay a call":
                self._later(self.faults.delay(), self._forward, asked, record)
            case "hold a call":
                self._later(self._longest_hold() * self.faults.random.uniform(0.5, 0.9), self._forward, asked, record)
            case "swallow a call":
                del self.asked[call.xid]
            case "cut before a call":
                self._close()
            case _:
                self._forward(asked, record)

    def _fault(self, call, choose):
        """A connection must come into being before it can be harmed."""
        return choose(self.now() - self.began) if call.procedure != NULL else None

    def _later(self, delay, function, *arguments):
        def run():
            self.witness.held -= 1
            function(*arguments)

        self.witness.held += 1
        self.witness.loop.call_later(delay, run)

    def _forward(self, asked, record):
        self.judge.forwarded(asked, self.now())
        self.server.write(marked(record))

    async def _take_replies(self):
        while (record := await read_record(self.server_reader)) is not None:
            self._take_reply(record)
        self._close()

    def _take_reply(self, record):
        asked = self.asked.pop(xid_of(record))
        reply = read_reply(record, asked.call)
        self.judge.answered(asked, reply, self.now())
        match self._fault(asked.call, self.faults.of_reply):
            case "delay a reply":
                self._later(self.faults.delay(), self._deliver, asked, reply, record)
            case "double a reply":
                self._deliver(asked, reply, record)
                self._later(self.faults.delay(), self._deliver, asked, reply, record)
            case "swallow a reply":
                pass
            case "cut within a reply":
                self.client.write(marked(record)[:self.faults.random.randrange(1, len(record))])
                self._close()
            case _:
                self._deliver(asked, reply, record)

    def _deliver(self, asked, reply, record):
        if self.client.is_closing():
            return
        self.judge.delivered(asked, reply, self.now())
        self.client.write(marked(record))


class Witness:
    """Runs from its construction until stop(). Counts of `judge` and `faults` may be read at any time."""

    host = "127.0.0.1"

    def __init__(self, server, judge, faults):
        self.server, self.judge, self.faults = server, judge, faults
        judge.is_closed = Relay.is_closed
        self.loop = asyncio.new_event_loop()
        self.now = self.loop.time
        self.relays = []  # their tasks; number N is the N-th connection
        self.held = 0  # calls and replies that go on later
        self.failures = []  # of our own
        self.loop.set_exception_handler(lambda _, context: self.failures.append(str(context)))
        self.nfs, self.mount = (socket.create_server((self.host, 0)) for _ in range(2))
        self.port, self.mount_port = (listener.getsockname()[1] for listener in (self.nfs, self.mount))
        self.end = asyncio.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def stop(self):
        """May be called again."""
        if self.thread.is_alive():
            self.loop.call_soon_threadsafe(self.end.set)
            self.thread.join()

    def _run(self):
        with contextlib.closing(self.loop):
            self.loop.run_until_complete(self._serve())

    async def _serve(self):
        servers = [await asyncio.start_server(functools.partial(self._accept, port), sock=listener)
                   for listener, port in ((self.nfs, self.server.port), (self.mount, self.server.mount_port))]
        await self.end.wait()
        for server in servers:
            server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self, port, *client):
        self.relays.append(asyncio.ensure_future(self._relay(port, client, len(self.relays) + 1)))

    async def _relay(self, port, client, number):
        try:
            server = await asyncio.open_connection(self.server.host, port)
            await Relay(self, number, client, server).run()
        except ConnectionError:  # the server is away
            client[1].close()
        except Exception:  # a record that cannot be read, say: for the test to tell
            self.failures.append(traceback.format_exc())
            client[1].close()
