# SPDX-License-Identifier: MIT
"""The wire, call by call, while the network does harm and names change hands."""

import itertools
import os
import random

from case import OLD, Case, now
from kept import wait_until_settled
from lab import SECOND, record, send_tcp, wait_until
from nfs_messages import LOOKUP, READDIRPLUS, SETATTR
from witness import Faults, Witness
from witness_rules import Judge

LONG = "QATIME_TEST_LONG" in os.environ
UPDATES = 1_000_000 if LONG else 20_000  # that the server acknowledges
FILES, DIRECTORIES = (10_000, 100) if LONG else (2000, 20)
LINKED = 100  # files with a second name
HOT = 20  # files of each kind that are accessed all the time
BATCH = 500  # records
MOVES = 4  # in a batch
MAX_IN_FLIGHT = 16  # so few that qatime comes to use them all, although faults make it careful
TIMEOUT = 2  # seconds
SEED = int(os.environ.get("SEED", "1"))


class Names:
    """Which names there are, and the newest access of the file behind each."""

    def __init__(self):
        self.newest = {}  # {path: [time]}, one list for all names of a file

    def add(self, path):
        self.newest[path] = [0]

    def link(self, path, other):
        self.newest[other] = self.newest[path]

    def access(self, path, time):
        self.newest[path][0] = time

    def rename(self, path, target):
        self.newest[target] = self.newest.pop(path)

    def expected(self):
        return {path: time for path, (time,) in self.newest.items() if time}


class OnTheWire(Case):
    seconds = 30

    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        self.numbers = itertools.count()
        self.names = Names()
        self.last = 0

    def make(self):
        paths = [f"{self.root}/{number % DIRECTORIES}/{number}" for number in range(FILES)]
        self.make_tree(paths)
        for path in paths:
            self.names.add(path)
        with self.files as files:
            for path in paths:
                files.do("age", path, OLD // SECOND)
            for path in paths[:LINKED]:
                files.do("link", path, f"{path}.link")
                self.names.link(path, f"{path}.link")
        self.hot = [name for path in paths[:HOT] for name in (path, f"{path}.link")] + paths[LINKED:LINKED + HOT]
        self.movable = paths[LINKED + HOT:]

    def time(self):
        """Of an access or a change; each has its own."""
        self.last = max(now(), self.last + 1000)
        return self.last

    def access(self, path):
        time = self.time()
        self.names.access(path, time)
        return record(path, time)

    def accesses(self, paths):
        return [self.access(path) for path in paths if path in self.names.newest]  # else it has moved in between

    def moves(self):
        """Some files get other names or the places of other files. Returns the records, when the server has done it."""
        moves = [self.begin_move() for _ in range(MOVES)]
        self.files.run()
        return [line for source, target in moves for line in self.end_move(source, target)]

    def begin_move(self):
        place, number = self.random.randrange(len(self.movable)), next(self.numbers)
        path = self.movable[place]
        if number % 2:
            source, target = path, f"{path.partition('.')[0]}.{number}"
        else:
            source, target = f"{path}.new", path
            self.files.do("create", source)
            self.files.do("age", source, OLD // SECOND)
            if getattr(self.server, "fsal", None) == "MEM":  # which renames to no name that there is
                self.files.do("remove", target)
        self.files.do("rename", source, target)
        self.movable[place] = target
        return source, target

    def end_move(self, source, target):
        if source not in self.names.newest:
            self.names.add(source)
            yield self.access(source)
        self.names.rename(source, target)
        yield record(source, self.time(), "fs_rename", target=target)

    def feed(self, daemon, witness):
        """Until the server has acknowledged enough, and each fault was met. Names change while the accesses before that
        are under way."""
        judge = witness.judge
        while judge.acknowledged < UPDATES or not witness.faults.are_met():
            paths = list(self.names.newest)
            self.random.shuffle(paths)
            for at in range(0, len(paths), BATCH):
                send_tcp(daemon.port, self.accesses(self.hot + paths[at:at + BATCH]))
                send_tcp(daemon.port, self.moves() + self.accesses(self.hot))
                wait_until(lambda: judge.violations or daemon.metrics()("pending_entries") < BATCH, "most to be done")
                self.expect_promises_kept(witness)

    def expect_promises_kept(self, witness):
        self.assertEqual(witness.failures, [])
        self.assertEqual(witness.judge.violation_count, 0, "\n\n".join(witness.judge.violations))

    def test_every_call_keeps_the_promises(self):
        self.make()
        witness = Witness(self.server, Judge(MAX_IN_FLIGHT, TIMEOUT), Faults(SEED))
        self.addCleanup(witness.stop)
        daemon = self.daemon(nfs__servers=[witness.host], nfs__port=witness.port, nfs__mount_port=witness.mount_port,
                             nfs__max_in_flight=MAX_IN_FLIGHT, nfs__timeout=f"{TIMEOUT}s", nfs__connections=2)
        self.feed(daemon, witness)
        self.expect_atimes(self.names.expected(), limit=120)
        wait_until_settled(daemon)
        wait_until(lambda: witness.held == 0, "calls that are late")
        self.expect_atimes(self.names.expected(), limit=0)
        counters = daemon.stop()
        witness.stop()
        self.check(witness, counters)

    def check(self, witness, counters):
        self.expect_promises_kept(witness)
        counters.check_sums()
        self.assertEqual(counters("failed") + counters("dropped") + counters("pending_entries"), 0, counters.values)
        judge = witness.judge
        for procedure in (LOOKUP, READDIRPLUS, SETATTR):
            self.assertGreater(judge.calls[procedure], 0, judge.calls)
        self.assertGreater(judge.refused_guards, 0)
        self.assertEqual(judge.most_in_flight, MAX_IN_FLIGHT)
