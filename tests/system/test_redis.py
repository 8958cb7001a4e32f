# SPDX-License-Identifier: MIT
"""Several qatimes share a backlog in Redis."""

import os
import random
import threading
import time
import unittest

import lab
from case import Case, now
from lab import record, send_tcp, wait_until
from redis_lab import Redis

LONG = "QATIME_TEST_LONG" in os.environ
SEED = int(os.environ.get("SEED", "1"))


class SharedCase(Case):
    redis_options = {}

    def setUp(self):
        super().setUp()
        self.redis = self.make_redis()
        self.addCleanup(self.redis.stop)

    def make_redis(self):
        return Redis(self.scratch, **self.redis_options)

    def where(self):
        return {"redis__url": self.redis.url}

    def shared(self, **settings):
        return self.qatime(**{"backlog__kind": "redis", "backlog__commit": "20ms", "nfs__timeout": "500ms",
                              "redis__lease": "2s", **self.where(), **settings})

    def access(self, path, when):
        return record(path, when)


class Shared(SharedCase):
    def test_one_instance(self):
        paths = self.make_files(*map(str, range(200)))
        times = {path: now() + 1000 * index for index, path in enumerate(paths)}
        daemon = self.shared().start()
        send_tcp(daemon.port, [record(path, time - 5000) for path, time in times.items()])
        send_tcp(daemon.port, [record(path, time) for path, time in times.items()])
        self.expect_atimes(times)
        wait_until(lambda: self.redis.pending() == 0, "nothing to be left in Redis")
        counters = daemon.stop()
        counters.check_sums()
        self.assertEqual(counters("handed_over"), counters("claimed"))

    def test_two_instances_share_the_work(self):
        paths = self.make_files(*(f"{index}" for index in range(20)))
        for directory in range(20):
            self.make_directory(f"{self.root}/d{directory}")
        paths += self.make_files(*(f"d{index % 20}/{index}" for index in range(400)))
        daemons = [self.shared().start() for _ in range(2)]
        for daemon in daemons:
            wait_until(lambda: "works on 32 of 64 shards, one of 2 instances" in daemon.log, "the shards to be divided")
        times = {path: now() + 1000 * index for index, path in enumerate(paths)}
        lists = [[], []]  # each hears of half of them, and of an older access of the others
        for index, (path, when) in enumerate(times.items()):
            lists[index % 2].append(record(path, when))
            lists[1 - index % 2].append(record(path, when - 7000))
        for daemon, records in zip(daemons, lists):
            send_tcp(daemon.port, records)
        self.expect_atimes(times)
        wait_until(lambda: self.redis.pending() == 0, "nothing to be left in Redis")
        counters = [daemon.stop() for daemon in daemons]
        for each in counters:
            each.check_sums()
            self.assertGreater(each("applied") + each("unchanged"), 50)
        self.assertEqual(sum(each("handed_over") for each in counters), sum(each("claimed") for each in counters))

    def test_a_rename_that_another_instance_heard_of(self):
        self.make_directory(f"{self.root}/new")
        paths = self.make_files(*(f"new/{index}" for index in range(50)))
        daemons = [self.shared().start() for _ in range(2)]
        base = now()
        old = [f"{self.root}/old/{index}" for index in range(50)]
        move = record(f"{self.root}/old/", base + 10**6, "fs_rename", target=f"{self.root}/new/")
        send_tcp(daemons[0].port, [move])
        time.sleep(0.3)
        send_tcp(daemons[1].port, [record(path, base) for path in old])
        self.expect_atimes(dict.fromkeys(paths, base))
        for daemon in daemons:
            daemon.stop().check_sums()

    def test_an_instance_that_is_killed(self):
        """Its shards have another owner within the lease, and what it had is applied."""
        paths = self.make_files(*map(str, range(300)))
        first, second = (self.shared(redis__lease="4s").start() for _ in range(2))
        wait_until(lambda: "works on 32 of 64 shards" in second.log, "the shards to be divided")
        times = {path: now() + 1000 * index for index, path in enumerate(paths)}
        send_tcp(first.port, [record(path, when) for path, when in times.items()])
        time.sleep(0.1)
        begin = time.monotonic()
        first.kill()
        wait_until(lambda: "works on 64 of 64 shards" in second.log.splitlines()[-1], "all shards to have an owner", 30)
        took = time.monotonic() - begin
        self.assertLess(took, 4 + 2)  # the lease, and what this machine is late
        first.start()
        self.expect_atimes(times)
        for daemon in (first, second):
            daemon.stop().check_sums()

    def test_redis_is_away_for_a_while(self):
        paths = self.make_files(*map(str, range(200)))
        daemon = self.shared().start()
        self.redis.kill()
        times = {}
        for burst in range(20):
            times.update({path: now() for path in paths})
            send_tcp(daemon.port, [record(path, when) for path, when in times.items()])
        wait_until(lambda: "Redis cannot be used" in daemon.log, "the log to say so")
        self.redis.start()
        self.expect_atimes(times)
        wait_until(lambda: self.redis.pending() == 0, "nothing to be left in Redis")
        counters = daemon.stop()
        counters.check_sums()
        self.assertEqual(counters("dropped"), 0)
