# SPDX-License-Identifier: MIT
"""The servers' ports asked from a real portmapper: rpcbind on port 111 of a network of the test's own."""

import os
import pathlib
import subprocess
import sys
import unittest

import lab
from case import OwnServerCase, now
from lab import record, send_tcp

INSIDE = "QATIME_TEST_IN_NAMESPACE"


@unittest.skipUnless(lab.ROOT and subprocess.run(["unshare", "--net", "--mount", "true"]).returncode == 0,
                     "only root makes a network namespace, and not in every container")
class Portmapper(unittest.TestCase):
    def test_in_a_namespace_of_its_own(self):
        """Runs the class below with a fresh loopback and an empty /run, where rpcbind has its socket.

        The second address is there for nfs-ganesha, which resolves names only where there is more than 127.0.0.1.
        """
        script = 'mount -t tmpfs tmpfs /run && ip link set lo up && ip address add 192.0.2.1 dev lo && exec "$@"'
        inside = [sys.executable, str(pathlib.Path(__file__).parent), "-k", "InsideNamespace"]
        environment = {**os.environ, INSIDE: "1"}
        environment.pop("QATIME_TEST_NFS", None)  # no other server can be reached from there
        done = subprocess.run(["unshare", "--net", "--mount", "sh", "-c", script, "sh", *inside],
                              env=environment, capture_output=True, timeout=300)
        self.assertEqual(done.returncode, 0, os.fsdecode(done.stdout + done.stderr))
        self.assertRegex(done.stderr, rb"Ran [1-9]")


class InsideNamespace(OwnServerCase):
    @classmethod
    def make_server(cls):
        cls.rpcbind = lab.start(["rpcbind", "-f"], cls.scratch.path / "rpcbind.log")
        cls.addClassCleanup(lambda: lab.stop(cls.rpcbind))
        lab.wait_until(lambda: lab.accepts(111), "rpcbind to listen")
        return lab.Ganesha(cls.scratch, portmapper=True)

    def test_ports_are_asked_from_the_portmapper(self):
        (path,) = self.make_files("file")
        daemon, time = self.daemon(nfs__port=0, nfs__mount_port=0), now()
        send_tcp(daemon.port, [record(path, time)])
        self.expect_atimes({path: time})
        counters = daemon.stop()
        self.assertGreater(counters("rpcs", "getport"), 0)
        counters.check_sums()

    @unittest.skipUnless(lab.FSAL == "VFS", "its files would not survive it")
    def test_a_server_that_registers_late(self):
        (path,) = self.make_files("file")
        self.server.stop()
        daemon, time = self.daemon(nfs__port=0, nfs__mount_port=0), now()
        send_tcp(daemon.port, [record(path, time)])
        self.server.start()
        self.expect_atimes({path: time})
        daemon.stop().check_sums()


def load_tests(loader, *_):
    return loader.loadTestsFromTestCase(InsideNamespace if INSIDE in os.environ else Portmapper)
