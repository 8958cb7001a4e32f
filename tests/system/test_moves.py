# SPDX-License-Identifier: MIT
"""Two nodes report independently: names that have moved are understood whatever comes first."""

import signal
import unittest

import lab
from case import OwnServerCase, now
from lab import record, send_tcp

# The events, in this order.
HISTORY = [
    # Two files swapped their names, and were both accessed before and one after.
    ("access", "swap/a"), ("access", "swap/b"), ("rename", "swap/a", "swap/t"), ("rename", "swap/b", "swap/a"),
    ("rename", "swap/t", "swap/b"), ("access", "swap/a"),
    # A log was rotated and begun anew.
    ("access", "log"), ("rename", "log", "log.1"), ("access", "log"),
    # A directory was moved twice, and then one of its files.
    ("access", "d/x"), ("access", "d/y"), ("rename", "d/", "e/"), ("access", "e/x"), ("rename", "e/", "f/"),
    ("rename", "f/y", "y"),
    # A file was replaced by another.
    ("access", "file"), ("access", "file.new"), ("rename", "file.new", "file"),
    # A tree was moved away before its place was deleted and used again.
    ("access", "tree/x"), ("rename", "tree/", "kept/"), ("access", "tree/x"), ("tree_delete", "tree/"),
]
# Where the newest access of each object, by its place in HISTORY, belongs in the end.
ACCESSED = {"swap/b": 0, "swap/a": 5, "log.1": 6, "log": 8, "f/x": 12, "y": 10, "file": 16, "kept/x": 18}
# New files under the old names.
DECOYS = ["swap/t", "d/x", "d/y", "e/x", "e/y", "f/y", "file.new", "tree/x"]


@unittest.skipUnless(lab.FSAL == "VFS", "only root has a server whose files survive its end")
class Moves(OwnServerCase):
    def setUp(self):
        super().setUp()
        for directory in ("swap", "d", "e", "f", "kept", "tree"):
            self.make_directory(f"{self.root}/{directory}")
        self.paths = dict(zip(ACCESSED, self.make_files(*ACCESSED)))
        self.decoys = self.make_files(*DECOYS)

    def records(self, begin):
        for place, (what, path, *target) in enumerate(HISTORY):
            target = f"{self.root}/{target[0]}" if target else ""
            operation = "fs_read_data" if what == "access" else f"fs_{what}"
            yield record(f"{self.root}/{path}", begin + place * 1000, operation, target=target, host=f"q-{place % 2 + 1}")

    def check(self, arrange, repeated=0):
        """Nothing is applied before all has come, since the server is away."""
        begin = now()
        self.server.stop(signal.SIGKILL)
        daemon = self.daemon()
        for records in arrange(list(self.records(begin))):
            send_tcp(daemon.port, records)
        self.server.start()
        self.expect_atimes({path: begin + ACCESSED[name] * 1000 for name, path in self.paths.items()}, limit=180)
        self.expect_untouched(self.decoys)
        counters = daemon.stop()
        self.assertEqual(counters("failed") + counters("pending_entries"), 0)
        self.assertEqual(counters("applied"), len(ACCESSED))
        self.assertEqual(counters("repeated_changes"), repeated)
        counters.check_sums()

    def test_in_order(self):
        self.check(lambda records: [records])

    def test_one_node_after_the_other(self):
        self.check(lambda records: [records[0::2], records[1::2]])

    def test_the_other_node_first(self):
        self.check(lambda records: [records[1::2], records[0::2]])

    def test_backwards(self):
        self.check(lambda records: [records[::-1]])

    def test_each_record_twice(self):
        """A forwarder sends its last batch again."""
        self.check(lambda records: [records, records], repeated=10)

    def test_two_connections_at_once(self):
        self.check(lambda records: [records[place:place + 3] for place in (9, 0, 12, 3, 18, 6, 15, 21)])
