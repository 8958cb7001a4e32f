# SPDX-License-Identifier: MIT
"""Records of qatime's own listings that come before it has a connection: they are no accesses, from the first one on."""

import contextlib
import os
import pathlib
import signal
import socket
import stat
import subprocess
import threading
import unittest
from unittest import mock

import lab
from case import OwnServerCase, now
from lab import SECOND, record, send_tcp, wait_until
from service_manager import ServiceManager

HOUR = 3600 * SECOND
RESTARTS = 10
ATTEMPTS = 5
SILENT = "silent.test"
NOT_YET = "names among nfs.servers are not looked up yet"


def has_ipv6():
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


class OwnListings(OwnServerCase):
    seconds = 4

    def setUp(self):
        super().setUp()
        self.state = self.scratch.fresh("state", lab.NOBODY)
        self.port = lab.own_port()
        self.before = self.files.atimes([self.root])

    def silence(self):
        """From now on the server answers nobody, so no connection tells an address."""
        self.server.process.send_signal(signal.SIGSTOP)
        self.addCleanup(self.server.process.send_signal, signal.SIGCONT)

    def qatime(self, **settings):
        return super().qatime(**{"syslog__listen": [f"tcp://127.0.0.1:{self.port}"],
                                 "backlog__directory": str(self.state), **settings})

    def listing(self, client="127.0.0.1", ahead=0):
        return record(f"{self.root}/", now() + ahead, "fs_list_directory", client=client)

    def start(self, daemon, *records, when_sent=lambda: None):
        """Starts it while somebody sends these as soon as there is a socket. Returns the counters when they are read."""
        def send():
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port)) as to:
                to.sendall(b"".join(line + b"\n" for line in records))
                when_sent()
                return True
        sender = threading.Thread(target=wait_until, args=(send, "a listener"))
        sender.start()
        daemon.start()
        sender.join()
        outcomes = "ignored", "accepted", "malformed"  # a record is counted as received before it has one
        return wait_until(lambda: sum(map(counters := daemon.metrics(), outcomes)) == len(records) and counters,
                          "the records to be counted")

    def expect_own(self, counters, count=1):
        self.assertEqual(counters("ignored", "self"), count, counters.values)
        self.assertEqual(counters("accepted"), 0, counters.values)

    def file(self):
        return self.state / "addresses"

    def wait_for_file(self, address):
        wait_until(lambda: self.file().exists() and f"\n{address} " in self.file().read_text(), "the file to be written")

    def preloaded(self, **environment):
        """An environment in which nobody says where SILENT is."""
        library = self.scratch.path / "silent_names.so"
        if not library.exists():
            source = pathlib.Path(__file__).with_name("silent_names.c")
            subprocess.run(["cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", library, source], check=True)
        sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        return mock.patch.dict(os.environ, LD_PRELOAD=str(library), ASAN_OPTIONS=sanitizer, **environment)

    def test_not_one_is_an_access_however_often_it_is_restarted(self):
        self.silence()
        for restart in range(1 + RESTARTS):  # the first start has no file
            daemon = self.qatime()
            self.expect_own(self.start(daemon, self.listing()))
            if restart % 2 == 0:
                daemon.kill()
            else:
                daemon.stop().check_sums()
        self.server.process.send_signal(signal.SIGCONT)
        daemon = self.daemon()
        path, = self.make_files("f")
        when = now()
        send_tcp(self.port, [record(path, when)])
        self.expect_atimes({path: when})  # so the server is there, and what waited is set
        daemon.stop().check_sums()
        self.assertEqual(self.files.atimes([self.root]), self.before)

    def test_a_first_start_looks_up_the_names_of_servers_before_it_reads(self):
        self.silence()
        late = self.state / "late"
        for _ in range(ATTEMPTS):
            os.mkfifo(late)
            late.chmod(0o666)
            with self.preloaded(LATE_NAME=str(late)):
                daemon = self.qatime(nfs__servers=["late.test"])
                counters = self.start(daemon, self.listing(), when_sent=lambda: late.write_text("now"))
            daemon.kill()
            if NOT_YET not in daemon.log:  # as below
                return self.expect_own(counters)
            self.file().unlink(missing_ok=True)
            late.unlink()
        self.fail("it does not wait for names")

    def test_name_servers_that_keep_silent_hold_nobody_up(self):
        manager = ServiceManager(self)
        with self.preloaded(NOTIFY_SOCKET=manager.name):
            daemon = self.qatime(nfs__servers=[SILENT])
            counters = self.start(daemon, self.listing(client="192.0.2.7"))
        manager.receive_until("READY=1")
        self.assertEqual(counters("accepted"), 1, counters.values)
        self.assertEqual(daemon.log.count(NOT_YET), 1)
        daemon.stop()

    def test_a_stop_waits_for_no_name(self):
        for _ in range(ATTEMPTS):
            with self.preloaded():
                daemon = self.qatime(nfs__servers=[SILENT]).start()
            daemon.stop()
            if NOT_YET not in daemon.log:  # a machine that is busy may take longer than the daemon waits
                return self.assertNotIn("ready: qatime", daemon.log)
        self.fail("it waits for names before it stops")

    def test_addresses_of_the_last_run_count_while_names_are_looked_up(self):
        self.silence()
        daemon = self.qatime(nfs__servers=["localhost"]).start()
        self.wait_for_file("127.0.0.1")
        self.assertEqual(stat.S_IMODE(self.file().stat().st_mode), 0o600)
        daemon.kill()
        with self.preloaded():
            self.expect_own(self.start(self.qatime(nfs__servers=[SILENT]), self.listing()))

    @unittest.skipUnless(has_ipv6(), "needs IPv6")
    def test_an_address_of_the_last_run_is_another_machines_later(self):
        daemon = self.qatime(nfs__servers=["::1"]).start()
        self.wait_for_file("::1")
        daemon.stop()
        daemon = self.qatime(policy__future_limit="24h")
        counters = self.start(daemon, self.listing("::1"), self.listing("::1", ahead=2 * HOUR))
        self.assertEqual((counters("ignored", "self"), counters("accepted")), (1, 1), counters.values)
        daemon.kill()

    @unittest.skipUnless(has_ipv6(), "needs IPv6")
    def test_replay_knows_the_addresses_of_the_last_run_of_the_daemon(self):
        daemon = self.qatime(nfs__servers=["::1"]).start()
        self.wait_for_file("::1")
        daemon.stop()
        log = daemon.directory / "audit.log"
        log.write_bytes(b"".join(line + b"\n" for line in (self.listing("::1"), self.listing(), self.listing("::2"))))
        status, output, error = self.qatime(policy__self=["::2"]).run("replay", "-c", "qatime.toml", log)
        self.assertEqual(status, 0, error)
        self.assertRegex(output, r"(?m)^  ignored +3  self 3$")

    def test_a_damaged_file_costs_one_line(self):
        self.file().write_text("nonsense\n")
        daemon = self.daemon()
        self.wait_for_file("127.0.0.1")
        self.assertEqual(daemon.log.count("is damaged, or another version wrote it"), 1)
        daemon.stop()

    def test_a_reload_changes_the_configured_addresses(self):
        daemon = self.daemon(policy__self=["192.0.2.7"])
        send_tcp(self.port, [self.listing("192.0.2.7")])
        text = daemon.configuration.read_text().replace("192.0.2.7", "192.0.2.8")
        daemon.configuration.write_text(text)
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "changed from now on: policy.self" in daemon.log, "the reload")
        send_tcp(self.port, [self.listing("192.0.2.8"), self.listing("192.0.2.8"), self.listing("192.0.2.7")])
        counters = daemon.stop()
        self.assertEqual((counters("ignored", "self"), counters("accepted")), (3, 1), counters.values)
