# SPDX-License-Identifier: MIT
"""Our own addresses follow the kernel's routes to servers, in a network of the test's own."""

import unittest

import lab
import network
from case import now
from lab import SECOND, record, send_tcp, wait_until

FIRST, OTHER, THIRD = "192.0.2.1", "198.51.100.1", "2001:db8::1"
OURS, NEXT, OTHERS = "192.0.2.7", "192.0.2.8", ["198.51.100.7", "2001:db8:1::7"]
HOUR = 3600 * SECOND


def ip(*words):
    network.command("ip", *words)


@network.can_be_made
class Routes(unittest.TestCase):
    def test_in_a_namespace_of_its_own(self):
        network.run_inside(self, "InsideNetwork")


class InsideNetwork(unittest.TestCase):
    """Two networks of IPv4 and one of IPv6, with servers that take no connections: only routes tell an address."""

    def setUp(self):
        scratch = lab.Scratch()
        self.addCleanup(scratch.remove)
        for address in [FIRST, OTHER, OURS, NEXT, *OTHERS]:
            ip("address", "add", address, "dev", "lo", *(["nodad"] if ":" in address else []))
        self.route(FIRST, OURS)
        self.route(OTHER, OTHERS[0])
        ip("-6", "route", "add", THIRD, "dev", "lo", "src", OTHERS[1])
        server = lab.Server(FIRST, lab.own_port(), lab.own_port(), "/")
        self.daemon = lab.Qatime(scratch, server, {"nfs.servers": [FIRST, OTHER, THIRD], "policy.future_limit": "24h"})
        self.addCleanup(self.daemon.kill)

    @staticmethod
    def route(server, source):
        ip("route", "replace", "local", server, "dev", "lo", "table", "local", "src", source)

    def ignored(self, client, ahead=0):
        """Whether a listing from there was one of our own."""
        before = self.daemon.metrics()
        send_tcp(self.daemon.port, [record("/d/", now() + ahead, "fs_list_directory", client=client)])
        after = self.daemon.metrics()
        self.assertEqual(after("received_messages") - before("received_messages"), 1)
        return after("ignored", "self") - before("ignored", "self") == 1

    def test_each_server_has_its_route_and_a_changed_one_is_followed(self):
        self.daemon.start()
        for client in [OURS, *OTHERS]:
            self.assertTrue(self.ignored(client, ahead=2 * HOUR), client)
        self.assertFalse(self.ignored(NEXT))

        self.route(FIRST, NEXT)  # at the next attempt to connect it is seen
        wait_until(lambda: self.ignored(NEXT), "the new address to be known")
        self.assertTrue(self.ignored(OURS))
        self.assertFalse(self.ignored(OURS, ahead=2 * HOUR))
        self.daemon.stop().check_sums()


def load_tests(loader, *_):
    return network.chosen(loader, Routes, InsideNetwork)
