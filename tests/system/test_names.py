# SPDX-License-Identifier: MIT
"""A name whose addresses come and go, and one of which nobody can reach from here: IPv6 on a host without it."""

import json
import os
import pathlib
import subprocess
import time
import unittest
from unittest import mock

import lab
import network
from case import OwnServerCase, now
from lab import record, send_tcp, wait_until

UNREACHABLE = "2001:db8::9"
LONG = "QATIME_TEST_LONG" in os.environ  # names are looked up every minute
LIMIT = 100  # seconds


@network.can_be_made
class Names(unittest.TestCase):
    def test_in_a_namespace_of_its_own(self):
        network.run_inside(self, "InsideNames")


class InsideNames(OwnServerCase):
    def setUp(self):
        super().setUp()
        library = self.scratch.path / "silent_names.so"
        source = pathlib.Path(__file__).with_name("silent_names.c")
        subprocess.run(["cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", library, source], check=True)
        self.addresses = self.scratch.path / "addresses"
        self.move(self.server.host, UNREACHABLE)
        sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        with mock.patch.dict(os.environ, LD_PRELOAD=str(library), ASAN_OPTIONS=sanitizer,
                             MOVING_NAME=str(self.addresses)):
            self.named = self.daemon(nfs__servers=["moving.test"])

    def move(self, *addresses):
        self.addresses.write_text(" ".join(addresses))
        self.addresses.chmod(0o644)

    def servers(self):
        """{address: whether it answers} as /status.json has them, which the page shows."""
        status = json.loads(self.named.get("/status.json")[2])
        servers = status["metrics"].get("qatime_server_up", [])
        return {each["server"].rpartition(":")[0]: each["value"] for each in servers}

    def expect_servers(self, *addresses):
        wait_until(lambda: self.servers() == dict.fromkeys(addresses, 1), f"{addresses} to answer", LIMIT)
        status = json.loads(self.named.get("/status.json")[2])
        self.assertEqual(status["troubles"], [])
        reconnects = [each["server"].rpartition(":")[0] for each in status["metrics"]["qatime_reconnects_total"]]
        self.assertEqual(sorted(reconnects), sorted(addresses))
        code, output, error = self.named.run("status", "--admin", f"http://127.0.0.1:{self.named.admin}")
        self.assertEqual(code, 0, error)
        self.assertRegex(output, rf"servers up +{len(addresses)} of {len(addresses)}\n")

    def expect_set(self, name):
        path, = self.make_files(name)
        when = now()
        send_tcp(self.named.port, [record(path, when)])
        self.expect_atimes({path: when})

    def test_an_address_without_a_route_is_no_trouble(self):
        self.expect_servers(self.server.host)
        self.expect_set("file")
        self.assertEqual(self.named.metrics()("degraded"), 0)
        log = [line for line in self.named.log.splitlines() if UNREACHABLE in line]
        self.assertEqual(len(log), 1, log)
        self.assertIn(" info nfs: moving.test: no route leads to 1 of its addresses", log[0])

    @unittest.skipUnless(LONG and lab.FSAL == "VFS", "takes minutes, and two servers of the same files")
    def test_a_new_address_is_used_and_one_that_left_disappears(self):
        other = lab.Ganesha(self.scratch, beside=self.server)
        self.addCleanup(other.stop)
        self.expect_servers(self.server.host)
        time.sleep(15)  # until the looks are over that it takes while a server is away, as in the beginning
        self.move(self.server.host, other.host)
        self.expect_servers(self.server.host, other.host)
        self.move(other.host)
        self.expect_servers(other.host)
        self.expect_set("file")


def load_tests(loader, *_):
    return network.chosen(loader, Names, InsideNames)
