# SPDX-License-Identifier: MIT
"""Many records at once, in any order."""

import os
import random
import threading

from case import Case, later
from lab import record, send_tcp, send_udp

FILES = 10_000
RECORDS = 1_000_000 if "QATIME_TEST_LONG" in os.environ else 100_000
SEED = int(os.environ.get("SEED", "1"))


class Load(Case):
    seconds = 20

    def make(self, directories, each):
        paths = [f"{self.root}/{directory}/{name}" for directory in range(directories) for name in range(each)]
        self.make_tree(paths)
        return paths

    def test_shuffled_duplicated_records_over_tcp_and_udp_leave_the_newest_times(self):
        paths = self.make(100, FILES // 100)
        mtimes = {path: mtime for path, (_, mtime) in zip(paths, self.files.times(paths))}
        shuffle, base = random.Random(SEED), later()
        accesses = [(path, base + 1000 * shuffle.randrange(1, 10**8)) for path in paths * (RECORDS * 9 // 10 // FILES)]
        newest = {}
        for path, time in accesses:
            newest[path] = max(time, newest.get(path, 0))
        accesses += shuffle.sample(accesses, RECORDS - len(accesses))
        shuffle.shuffle(accesses)
        records = [record(path, time) for path, time in accesses]
        spare = shuffle.sample(records, RECORDS // 10)  # over UDP: what the kernel loses of it came over TCP, too

        daemon = self.daemon()
        senders = [threading.Thread(target=send_tcp, args=(daemon.port, records[part::4])) for part in range(4)]
        senders.append(threading.Thread(target=send_udp, args=(daemon.udp_port, spare)))
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        self.expect_atimes(newest, limit=300)
        self.expect_mtimes(mtimes)

        counters = daemon.stop()
        self.assertEqual(counters("received_messages", "tcp"), RECORDS)
        self.assertEqual(counters("received_messages", "udp") + counters("udp_kernel_drops"), len(spare))
        self.assertEqual(counters("accepted"), counters("received_messages"))
        self.assertEqual(counters("failed") + counters("dropped") + counters("pending_entries"), 0)
        self.assertGreaterEqual(counters("applied"), FILES)
        counters.check_sums()

    def test_paced_datagrams_all_arrive(self):
        paths = self.make(1, 2000)
        base = later()
        times = {path: base + 1000 * index for index, path in enumerate(paths)}
        daemon = self.daemon()
        send_udp(daemon.udp_port, [record(path, time) for path, time in times.items()])
        self.expect_atimes(times)
        counters = daemon.stop()
        self.assertEqual(counters("udp_kernel_drops"), 0)
        self.assertEqual(counters("applied"), len(paths))
        counters.check_sums()

    def test_a_termination_loses_nothing_that_was_received(self):
        paths = self.make(10, 100)
        base = later()
        times = {path: base + 1000 * index for index, path in enumerate(paths)}
        daemon = self.daemon()
        send_tcp(daemon.port, [record(path, time) for path, time in times.items()], wait=False)
        counters = daemon.stop()
        self.assertEqual(counters("received_messages", "tcp"), len(paths))
        counters.check_sums()
        waited = counters("pending_entries")
        self.assertEqual(counters("applied") + waited, len(paths))
        daemon.start()
        self.expect_atimes(times)
        counters = daemon.stop()
        self.assertGreaterEqual(counters("recovered"), waited)
        counters.check_sums()
