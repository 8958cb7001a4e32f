# SPDX-License-Identifier: MIT
"""Records on their way through HAProxy, which names their senders in PROXY headers of both versions."""

import contextlib
import socket
import ssl
import unittest

import test_forwarders
from test_forwarders import lab
from case import Case, now
from certificates import Authority
from lab import record

SENDER, STRANGER, BALANCER = "127.0.0.5", "127.0.0.6", "127.0.0.1"
NAME = "qatime.example.com"
CHECK = "check inter 100ms"


class Haproxy(test_forwarders.Forwarder):
    """A port over TCP and one over TLS, which passes through, for each of its WAYS to name senders."""

    package, program = "haproxy", "haproxy"
    library_folders = ("usr/lib/x86_64-linux-gnu",)
    check_arguments = ("-c",)
    WAYS = ("send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id")
    MAIN = """
        defaults
          mode tcp
          unique-id-format %[uuid]
          timeout connect 5s
          timeout client 1m
          timeout server 1m
        frontend for-who-waits
          bind 127.0.0.1:{port}
          tcp-request connection reject
    """
    WAY = """
        listen {port}
          bind 127.0.0.1:{port}
          server qatime 127.0.0.1:{to} {way}
    """

    def __init__(self, scratch, to, options):
        super().__init__(scratch, to)
        self.ports = {(lab.own_port(), receiver): f"{way} {options}" for way in self.WAYS for receiver in to}

    def arguments(self):
        return ["-db", "-f", self.directory / "main.conf"]

    def configure(self):
        ways = (self.WAY.format(port=port, to=to, way=way) for (port, to), way in self.ports.items())
        (self.directory / "main.conf").write_text(self.MAIN.format(port=self.port) + "".join(ways) + "\n")

    @staticmethod
    def chatter(line):
        return line == "Configuration file is valid" or line.startswith("[NOTICE]")


class ThroughHaproxy(Case):
    def setUp(self):
        super().setUp()
        self.authority = Authority(self.scratch.fresh("certificates"))

    def balanced(self, options, **settings):
        """A daemon, and a balancer in front."""
        server = self.authority.issue(NAME)
        daemon = self.daemon(
            syslog__listen=["tcp://127.0.0.1:0", "tls://127.0.0.1:0"], log__level="debug",
            syslog__tls__certificate=str(server.certificate), syslog__tls__key=str(server.key), **settings)
        balancer = Haproxy(self.scratch, (daemon.port, daemon.tls_port), options)
        self.addCleanup(balancer.stop)
        return daemon, balancer.start()

    def connect(self, port, sender, is_tls):
        connection = socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(sender, 0))
        self.addCleanup(connection.close)
        if is_tls:
            settings = ssl.create_default_context(cafile=self.authority.certificate)
            connection = settings.wrap_socket(connection, server_hostname=NAME)
            self.addCleanup(connection.close)
        return connection

    def test_senders_are_judged_by_their_own_address_and_health_checks_are_quiet(self):
        daemon, balancer = self.balanced(CHECK, syslog__proxy_from=[BALANCER], syslog__allow=[SENDER])
        times = {}
        for number, (port, to) in enumerate(balancer.ports):
            plain, counted = self.make_files(f"{number} plain", f"{number} counted")
            times |= {plain: now(), counted: now()}
            lines = [record(path, times[path]) for path in (plain, counted)]
            sender = self.connect(port, SENDER, to == daemon.tls_port)
            sender.sendall(lines[0] + b"\n" + b"%d %b" % (len(lines[1]), lines[1]))
            with contextlib.suppress(OSError):  # it may be told before it has asked
                self.assertEqual(self.connect(port, STRANGER, to == daemon.tls_port).recv(1), b"")
        self.expect_atimes(times)
        checks = f"connection with {BALANCER} ends"
        lab.wait_until(lambda: daemon.log.count(checks) > 5 * len(balancer.ports), "health checks")
        balancer.stop()
        self.assertEqual(daemon.log.count(f"connection with {SENDER} comes through a balancer"), len(balancer.ports))
        self.assertIn(f"syslog.allow does not have {STRANGER}", daemon.log)
        self.assertNotIn(f"syslog.allow does not have {BALANCER}", daemon.log)
        self.assertNotIn("no PROXY header", daemon.log)
        self.assertNotIn("no TLS connection", daemon.log)
        counters = daemon.stop()
        self.assertEqual(counters("connections_refused"), len(balancer.ports))
        self.assertEqual(counters("connections_refused", "allow"), len(balancer.ports))
        self.assertEqual((counters("malformed"), counters("applied")), (0, len(times)))
        counters.check_sums()

    def test_headers_that_nobody_asked_for_cost_one_message_or_the_handshake(self):
        daemon, balancer = self.balanced("")
        times = {}
        for number, (port, to) in enumerate(balancer.ports):
            if to == daemon.tls_port:
                with self.assertRaises(OSError):
                    self.connect(port, SENDER, True).recv(1)
                continue
            plain, counted = self.make_files(f"{number} plain", f"{number} counted")
            times |= {plain: now(), counted: now()}
            lines = [record(path, times[path]) for path in (plain, counted)]
            self.connect(port, SENDER, False).sendall(b"%d %b" % (len(lines[1]), lines[1]) + lines[0] + b"\n")
        self.expect_atimes(times)
        self.assertIn("no TLS connection with 127.0.0.1: it sends a PROXY header, which syslog.proxy_from", daemon.log)
        self.assertIn("malformed messages (proxy): it is a PROXY header, which syslog.proxy_from does not expect; "
                      "the last is from 127.0.0.1", daemon.log)
        counters = daemon.stop()
        self.assertEqual(counters("malformed", "proxy"), len(times) // 2)
        self.assertEqual(counters("malformed"), len(times) // 2)
        self.assertEqual(counters("connections_refused", "handshake"), len(balancer.ports) - len(times) // 2)
        self.assertEqual(counters("applied"), len(times))
        counters.check_sums()


if __name__ == "__main__":
    unittest.main()
