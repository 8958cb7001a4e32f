# SPDX-License-Identifier: MIT
"""Several qatimes share a backlog in Redis."""

import os
import pathlib
import random
import re
import signal
import struct
import time
import unittest
import unittest.mock

import lab
from case import Case, now
from certificates import Authority
from kept import rows
from lab import record, send_tcp, wait_until
from redis_lab import IN_CLUSTERS, Cluster, Redis, Replicated, user_of_readme

LONG = "QATIME_TEST_LONG" in os.environ
AWAY = 60 if LONG else 3  # seconds
SEED = int(os.environ.get("SEED", "1"))
SHARDS = re.compile(r"works on .* shards")


class SharedCase(Case):
    redis_options = {}
    user = {}

    def setUp(self):
        super().setUp()
        self.redis = self.make_redis()
        self.addCleanup(self.redis.stop)

    def make_redis(self):
        return Redis(self.scratch, **self.redis_options)

    def where(self):
        return {"redis__url": self.redis.url}

    def use_user_of_readme(self, *servers):
        """From now on; returns the commands that he may use."""
        command, allowed = user_of_readme("secret")
        for server in servers:
            self.assertEqual(server.cli(*command), "OK\n")
        file = self.scratch.path / f"password-{servers[0].port}"
        file.write_text("secret\n")
        file.chmod(0o644)
        self.user = {"redis__user": "qatime", "redis__password_file": str(file)}
        return allowed

    def shared(self, **settings):
        return self.qatime(**{"backlog__kind": "redis", "backlog__commit": "20ms", "nfs__timeout": "500ms",
                              "redis__lease": "2s", **self.where(), **self.user, **settings})


class Shared(SharedCase):
    seconds = 60

    def changes(self):
        """How many entries the log of changes has."""
        return int(self.redis.cli("xlen", "{qatime}:changes"))

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

    def test_each_instance_knows_the_listings_of_the_others(self):
        self.shared(nfs__servers=[self.server.host, "127.0.0.1", "::1"]).start()
        other = self.shared().start()

        def is_own():
            """Whether the other takes a listing by the first for one of our own."""
            send_tcp(other.port, [record("/", now(), "fs_list_directory", client="::1")])
            return other.metrics()("ignored", "self") > 0

        wait_until(is_own, "the other to know the address")
        other.stop().check_sums()

    def test_a_rename_that_another_instance_heard_of(self):
        self.make_directory(f"{self.root}/new")
        paths = self.make_files(*(f"new/{index}" for index in range(50)))
        daemons = [self.shared().start() for _ in range(2)]
        base = now()
        old = [f"{self.root}/old/{index}" for index in range(50)]
        move = record(f"{self.root}/old/", base + 10**6, "fs_rename", target=f"{self.root}/new/")
        send_tcp(daemons[0].port, [move])
        wait_until(lambda: self.changes() > 0, "the move to be in Redis")
        send_tcp(daemons[1].port, [record(path, base) for path in old])
        self.expect_atimes(dict.fromkeys(paths, base))
        for daemon in daemons:
            daemon.stop().check_sums()

    def test_a_rename_that_two_instances_heard_of_is_one(self):
        self.make_directory(f"{self.root}/new")
        paths = self.make_files(*(f"new/{index}" for index in range(50)))
        daemons, base = [self.shared(nfs__port=lab.own_port()).start() for _ in range(2)], now()
        send_tcp(daemons[0].port, [record(f"{self.root}/old/{index}", base) for index in range(50)])
        move = record(f"{self.root}/old/", base + 10**6, "fs_rename", target=f"{self.root}/new/")
        forged = record("/", base + 10**6, "fs_tree_delete")
        for daemon in daemons:
            send_tcp(daemon.port, [move, forged])
        wait_until(lambda: self.redis.pending() == 50, "all to be in Redis")
        for daemon in daemons:
            wait_until(lambda: daemon.metrics()("repeated_changes") == 1, "the second of the renames")
            counters = daemon.stop()
            counters.check_sums()
            self.assertEqual(counters("ignored", "protected"), 1)
        last = self.shared().start()  # which reads both
        self.expect_atimes(dict.fromkeys(paths, base))
        counters = last.stop()
        counters.check_sums()
        self.assertEqual(counters("cancelled"), 0)

    @unittest.skipIf("QATIME_TEST_QUICK" in os.environ, "it would wait for a minute")
    def test_changes_are_forgotten_when_all_that_waits_has_been_through_them(self):
        self.make_directory(f"{self.root}/new")
        paths = self.make_files(*(f"new/{index}" for index in range(50)))
        first, base = self.shared(nfs__port=lab.own_port()).start(), now()
        send_tcp(first.port, [record(f"{self.root}/old/{index}", base) for index in range(50)])
        wait_until(lambda: self.redis.pending() == 50, "all to be in Redis")
        changes = [record(f"{self.root}/none/{index}", base + 1, "fs_delete") for index in range(100)]
        changes.append(record(f"{self.root}/old/", base + 10**6, "fs_rename", target=f"{self.root}/new/"))
        send_tcp(first.port, changes)
        wait_until(lambda: self.changes() > 0, "the changes to be in Redis")
        wait_until(lambda: self.changes() == 0, "the changes to be forgotten", 240)  # they are remembered for a minute
        first.stop()
        second = self.shared().start()  # which never hears of them
        self.expect_atimes(dict.fromkeys(paths, base))
        second.stop().check_sums()

    def test_an_instance_that_is_killed(self):
        """Its shards have another owner within the lease, and what it had is applied."""
        paths = self.make_files(*map(str, range(300)))
        first, second = (self.shared(redis__lease="4s").start() for _ in range(2))
        wait_until(lambda: "works on 32 of 64 shards" in second.log, "the shards to be divided")
        times = {path: now() + 1000 * index for index, path in enumerate(paths)}
        send_tcp(first.port, [record(path, when) for path, when in times.items()])
        wait_until(lambda: first.metrics()("backlog_committed") == len(times), "all to be on disk")
        first.kill()
        wait_until(lambda: "works on 64 of 64 shards" in SHARDS.findall(second.log)[-1], "all shards to have an owner", 30)
        first.start()
        self.expect_atimes(times)
        for daemon in (first, second):
            daemon.stop().check_sums()

    def test_redis_is_away_for_a_while(self):
        """Records are received and kept meanwhile as ever, and handed over when it is back."""
        paths = self.make_files(*map(str, range(200)))
        daemon = self.shared().start()
        self.redis.kill()
        times, sent, end = {}, 0, time.monotonic() + AWAY
        while time.monotonic() < end:
            times.update({path: now() for path in paths})
            send_tcp(daemon.port, [record(path, when) for path, when in times.items()])
            sent += len(paths)
            wait_until(lambda: daemon.metrics()("backlog_committed") == sent, "what came to be on disk", 10)
        wait_until(lambda: "Redis cannot be used" in daemon.log, "the log to say so")
        self.redis.start()
        self.expect_atimes(times)
        wait_until(lambda: self.redis.pending() == 0, "nothing to be left in Redis")
        counters = daemon.stop()
        counters.check_sums()
        self.assertEqual(counters("received_messages", "tcp"), sent)
        self.assertEqual(counters("dropped"), 0)


class Kills(SharedCase):
    """Whoever dies, every access that was committed ends at the server with its newest time."""

    seconds = 10

    ROUNDS = 50 if LONG else 10

    def commit(self, daemon, records):
        """Returns when what this daemon got is in its outbox, which it keeps for a minute."""
        when = now()
        send_tcp(daemon.port, [*records, record(self.mark, when)])
        name = b"\x04mark" + struct.pack("<q", when)
        directory = pathlib.Path(daemon.settings["backlog.directory"])
        wait_until(lambda: any(name in accesses for _, accesses in rows(directory) or ()), "the outbox to be written")

    def test_at_random(self):
        chance = random.Random(SEED)
        with self.files as files:
            files.do("mkdir", f"{self.root}/a")
        paths = self.make_files(*map(str, range(60)), *(f"a/{index}" for index in range(60)))
        self.mark, = self.make_files("mark")
        names = {path: path for path in paths}  # by how it was called at first
        times = {}
        daemons = [self.shared().start() for _ in range(3)]
        for number in range(self.ROUNDS):
            records = {daemon: [] for daemon in daemons}
            for _ in range(300):
                path = chance.choice(paths)
                times[path] = max(now(), times.get(path, 0) + 1000)
                records[chance.choice(daemons)].append(record(names[path], times[path]))
            for daemon in daemons:
                self.commit(daemon, records[daemon])
            if number % 3 == 1:  # the records of a move come late, to anybody
                when = now()
                old, new = (f"{self.root}/a", f"{self.root}/b") if number % 6 == 1 else (f"{self.root}/b", f"{self.root}/a")
                with self.files as files:
                    files.do("rename", old, new)
                names = {path: name.replace(os.fsencode(old) + b"/", os.fsencode(new) + b"/") for path, name in names.items()}
                self.commit(chance.choice(daemons), [record(f"{old}/", when, "fs_rename", target=f"{new}/")])
            victim = chance.choice([*daemons, self.redis])
            time.sleep(chance.random() * 0.1)
            victim.kill()
            time.sleep(chance.random() * 0.3)
            victim.start()
        self.expect_atimes({names[path]: when for path, when in times.items()}, limit=120)
        wait_until(lambda: self.redis.pending() == 0, "nothing to be left in Redis")
        for daemon in daemons:
            counters = daemon.stop()
            counters.check_sums()
            self.assertEqual(counters("dropped") + counters("failed"), 0, counters.values)


class Sentinel(SharedCase):
    seconds = 10

    def make_redis(self):
        return Replicated(self.scratch)

    def where(self):
        return {"redis__sentinels": [f"127.0.0.1:{sentinel.port}" for sentinel in self.redis.sentinels]}

    def test_a_failover_loses_nothing(self):
        """Not even what the master alone had acknowledged: that is handed over again."""
        paths = self.make_files(*map(str, range(200)))
        daemon = self.shared().start()
        times = {}
        for phase in range(6):
            if phase == 2:
                wait_until(lambda: daemon.metrics()("pending_entries") == 0, "what came before to be done")
                master = self.redis.master()
                replica, = (server for server in self.redis.servers if server is not master)
                replica.process.send_signal(signal.SIGSTOP)  # it gets nothing of what comes now
                times.update({path: now() for path in paths[:100]})
                acknowledged = daemon.metrics()("handed_over") + 100
                send_tcp(daemon.port, [record(path, times[path]) for path in paths[:100]])
                wait_until(lambda: daemon.metrics()("handed_over") == acknowledged, "the master to acknowledge them")
                master.kill()
                replica.process.send_signal(signal.SIGCONT)
            times.update({path: now() for path in paths[100:]})
            send_tcp(daemon.port, [record(path, times[path]) for path in paths[100:]])
            time.sleep(0.3)
        wait_until(lambda: self.redis.master() is not master, "a failover")
        self.expect_atimes(times, limit=120)
        wait_until(lambda: self.redis.pending() == 0, "nothing to be left in Redis")
        master.start()  # and becomes a replica
        counters = daemon.stop()
        counters.check_sums()
        self.assertEqual(counters("dropped") + counters("failed"), 0, counters.values)

    def test_replicas_must_have_it_where_that_is_wanted(self):
        paths = self.make_files("x")
        master = self.redis.master()
        replica, = (server for server in self.redis.servers if server is not master)
        daemon = self.shared(redis__wait_replicas=1).start()
        replica.kill()
        when = now()
        send_tcp(daemon.port, [record(paths[0], when)])
        wait_until(lambda: "0 of 1 replicas" in daemon.log, "the log to say so", 120)
        self.expect_atimes({paths[0]: when})
        replica.start()
        wait_until(lambda: "master_link_status:up" in replica.cli("info", "replication"), "the replica to follow")
        wait_until(lambda: daemon.metrics()("pending_entries") == 0, "nothing to be left")
        counters = daemon.stop()
        counters.check_sums()
        self.assertEqual(counters("pending_entries"), 0)


class InCluster(SharedCase):
    seconds = 10

    def make_redis(self):
        return Cluster(self.scratch)

    def test_three_masters(self):
        paths = self.make_files(*map(str, range(50)))
        for directory in range(10):
            self.make_directory(f"{self.root}/d{directory}")
        paths += self.make_files(*(f"d{index % 10}/{index}" for index in range(200)))
        daemons = [self.shared().start() for _ in range(2)]
        times = {path: now() + 1000 * index for index, path in enumerate(paths)}
        for number, daemon in enumerate(daemons):
            send_tcp(daemon.port, [record(path, when) for path, when in list(times.items())[number::2]])
        self.expect_atimes(times)
        wait_until(lambda: self.redis.pending() == 0, "nothing to be left in Redis")
        for daemon in daemons:
            daemon.stop().check_sums()

    def test_slots_that_move_and_a_master_that_is_away(self):
        self.use_user_of_readme(*self.redis.servers)
        paths = self.make_files(*map(str, range(100)))
        daemon = self.shared().start()
        first, second, third = self.redis.servers
        times, finish = {}, []
        for phase in range(8):
            if phase == 2:  # ASK
                for shard in range(64):
                    slot = self.redis.slot(f"{{qatime:{shard}}}")
                    if slot <= 5460:
                        finish.append(self.redis.move(slot, first, second))
            if phase == 4:  # MOVED
                for each in finish:
                    each()
            if phase == 5:
                third.kill()
            if phase == 6:
                third.start()
                self.use_user_of_readme(third)  # which it has forgotten
            times = {path: now() for path in paths}
            send_tcp(daemon.port, [record(path, when) for path, when in times.items()])
            time.sleep(0.3)
        self.expect_atimes(times, limit=120)
        counters = daemon.stop()
        counters.check_sums()
        self.assertEqual(counters("dropped") + counters("failed"), 0, counters.values)
        self.assertEqual(IN_CLUSTERS - set.union(*(server.called() for server in self.redis.servers)), set())


class Permissions(SharedCase):
    def test_the_user_of_readme_may_do_what_qatime_does_and_nothing_else(self):
        allowed = self.use_user_of_readme(self.redis) - IN_CLUSTERS
        self.make_directory(f"{self.root}/new")
        paths, base = self.make_files("new/file", "other"), now()
        settings = {"redis__url": f"{self.redis.url}/1"}
        daemon = self.shared(nfs__port=lab.own_port(), **settings).start()
        wait_until(lambda: "works on 64 of 64 shards" in daemon.log, "the shards to have an owner")
        self.redis.cli("script", "flush")
        # It waits while the log of changes is swept. One change would not be worth it where both are in one shard.
        send_tcp(daemon.port, [record(f"{self.root}/old/file", base), record(paths[1], base),
                               record(f"{self.root}/old/", base + 10**6, "fs_rename", target=f"{self.root}/new/"),
                               record(f"{self.root}/a", base + 10**6, "fs_rename", target=f"{self.root}/b")])
        wait_until(lambda: {"eval", "xadd", "zscan", "xtrim"} <= self.redis.called(), "a sweep")
        daemon.stop()
        daemon = self.shared(**settings).start()
        self.expect_atimes(dict.fromkeys(paths, base))
        daemon.stop()
        status, output, error = (qatime := self.shared(redis__wait_replicas=1, **settings)).run(
            "check", "--connect", "-c", qatime.configuration)
        self.assertIn("0 of 1 replicas", output + error)
        self.assertEqual(allowed - self.redis.called(), set())
        self.assertEqual(self.redis.cli("acl", "log").strip(), "")


class Refusals(SharedCase):
    def check(self, **settings):
        qatime = self.shared(**settings)
        status, output, error = qatime.run("check", "--connect", "-c", qatime.configuration)
        return status, output + error

    def test_what_check_says(self):
        status, text = self.check()
        self.assertEqual(status, 0, text)
        self.assertRegex(text, rf"ok +127.0.0.1:{self.redis.port}: Redis 7.*, master, maxmemory-policy noeviction, appendonly yes")

    def test_a_policy_that_would_lose_what_waits(self):
        self.redis.cli("config", "set", "maxmemory-policy", "allkeys-lru")
        status, text = self.check()
        self.assertEqual(status, 1)
        self.assertRegex(text, "failed .*maxmemory-policy is allkeys-lru, .*set it to noeviction")
        daemon = self.shared().start()
        wait_until(lambda: "set it to noeviction" in daemon.log, "the log to say so")
        paths = self.make_files("x")
        when = now()
        send_tcp(daemon.port, [record(paths[0], when)])
        self.redis.cli("config", "set", "maxmemory-policy", "noeviction")
        self.expect_atimes({paths[0]: when})

    def test_passwords(self):
        password = self.scratch.path / f"password-{self.redis.port}"
        password.write_text("secret\n")
        password.chmod(0o644)
        self.redis.cli("acl", "setuser", "qatime", "on", ">secret", "~{qatime*", "+@all", "-@dangerous", "+info")
        self.redis.cli("config", "set", "requirepass", "other")
        self.assertRegex(self.check()[1], "failed .*NOAUTH.*redis.password_file")
        self.assertRegex(self.check(redis__password_file=str(password))[1], "failed .*WRONGPASS.*redis.password_file")
        settings = {"redis__user": "qatime", "redis__password_file": str(password)}
        status, text = self.check(**settings)
        self.assertEqual(status, 0, text)
        paths = self.make_files("x")
        daemon = self.shared(**settings).start()
        when = now()
        send_tcp(daemon.port, [record(paths[0], when)])
        self.expect_atimes({paths[0]: when})
        daemon.stop().check_sums()

    def test_databases(self):
        paths = self.make_files("x")
        daemon = self.shared(redis__url=f"{self.redis.url}/3").start()
        when = now()
        send_tcp(daemon.port, [record(paths[0], when)])
        self.expect_atimes({paths[0]: when})
        self.assertIn("db3:", self.redis.cli("info", "keyspace"))
        self.assertRegex(self.check(redis__url=f"{self.redis.url}/99")[1], "failed .*DB index.*redis.url")

    def test_tls_or_a_line_that_says_what_to_do(self):
        status, text = self.check(redis__url=f"rediss://127.0.0.1:{self.redis.port}")
        self.assertIn(status, (1, 2), text)
        self.assertRegex(text, "redis.url is rediss://.*hiredis 1.0|failed .*TLS")

    def test_tls_with_a_certificate_for_the_host_alone(self):
        if "hiredis 1.0" in self.check(redis__url=f"rediss://127.0.0.1:{self.redis.port}")[1]:
            self.skipTest("qatime was built with a hiredis that has no TLS")
        authority = Authority(self.scratch.path)
        servers = {}
        for name, identity in (("right", authority.issue("localhost", "127.0.0.1")),
                               ("other", authority.issue("other"))):
            servers[name] = Redis(self.scratch, tls_port=lab.own_port(), tls_cert_file=identity.certificate,
                                  tls_key_file=identity.key, tls_ca_cert_file=authority.certificate,
                                  tls_auth_clients="no")
            self.addCleanup(servers[name].stop)

        def url(name, host):
            return f"rediss://{host}:{servers[name].options['tls_port']}"

        self.assertRegex(self.check(redis__url=url("right", "127.0.0.1"))[1], "TLS: .*certificate")  # by nobody known
        with unittest.mock.patch.dict(os.environ, SSL_CERT_FILE=str(authority.certificate)):
            for host in ("127.0.0.1", "localhost"):
                self.assertEqual(self.check(redis__url=url("right", host))[0], 0)
                self.assertRegex(self.check(redis__url=url("other", host))[1], "TLS: .*mismatch")
            path, = self.make_files("x")
            daemon = self.shared(redis__url=url("right", "localhost")).start()
            when = now()
            send_tcp(daemon.port, [record(path, when)])
            self.expect_atimes({path: when})
            daemon.stop().check_sums()

    def test_redis_that_is_full(self):
        paths = self.make_files("x")
        daemon = self.shared().start()
        wait_until(lambda: "works on 64 of 64 shards" in daemon.log, "the shards to have an owner")
        self.redis.cli("config", "set", "maxmemory", "1")
        when = now()
        send_tcp(daemon.port, [record(paths[0], when)])
        wait_until(lambda: "OOM" in daemon.log and "maxmemory" in daemon.log, "the log to say so")
        self.redis.cli("config", "set", "maxmemory", "0")
        self.expect_atimes({paths[0]: when})
        daemon.stop().check_sums()

    def test_who_disagrees_about_the_shards(self):
        daemon = self.shared().start()
        wait_until(lambda: "works on 64 of 64 shards" in daemon.log, "the shards to have an owner")
        other = self.shared(redis__shards=32).start()
        wait_until(lambda: "has 64 shards, redis.shards says 32" in other.log, "the log to say so")
