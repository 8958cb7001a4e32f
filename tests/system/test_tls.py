# SPDX-License-Identifier: MIT
"""Records over TLS (RFC 5425), from a client that is not ours, and certificates that change."""

import signal
import socket
import ssl

import lab
from case import Case, now
from certificates import Authority
from lab import record, wait_until

NAME = "qatime.example"


class Tls(Case):
    def setUp(self):
        super().setUp()
        self.authority = Authority(self.scratch.fresh("certificates"))
        self.identity = self.authority.issue(NAME)

    def settings(self, **more):
        return {"syslog__listen": ["tls://127.0.0.1:0"],
                "syslog__tls__certificate": str(self.identity.certificate),
                "syslog__tls__key": str(self.identity.key), **more}

    def secure_daemon(self, **more):
        made = self.daemon(**self.settings(**more))
        self.port = made.tls_port
        return made

    def connect(self, identity=None):
        context = ssl.create_default_context(cafile=self.authority.certificate)
        if identity:
            context.load_cert_chain(identity.certificate, identity.key)
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        try:
            connection = context.wrap_socket(plain, server_hostname=NAME)
        except OSError:
            plain.close()
            raise
        self.addCleanup(connection.close)
        return connection

    def send(self, connection, records):
        connection.sendall(b"".join(b"%d %s" % (len(line), line) for line in records))

    def serial(self, connection):
        return connection.getpeercert()["serialNumber"]

    def hang_up(self, daemon, pattern):
        """SIGHUP; returns when the log has one more line with this."""
        seen = daemon.log.count(pattern)
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: daemon.log.count(pattern) > seen, pattern)

    def test_records_over_tls_set_their_times(self):
        paths = self.make_files(*map(str, range(200)))
        daemon = self.secure_daemon()
        times = {path: now() for path in paths}
        connection = self.connect()
        self.send(connection, [record(path, time) for path, time in times.items()])
        self.expect_atimes(times)
        connection.unwrap().close()  # it answers an orderly close
        counters = daemon.stop()
        self.assertEqual(counters("received_messages", "tls"), len(paths))
        self.assertEqual(counters("applied"), len(paths))
        counters.check_sums()

    def test_only_senders_with_a_permitted_certificate_are_heard(self):
        (path,) = self.make_files("file")
        daemon = self.secure_daemon(syslog__tls__client_ca=str(self.authority.certificate),
                                    syslog__tls__permitted_peers=["forwarder.example"])
        stranger = Authority(self.authority.directory, "stranger").issue("forwarder.example")
        for refused in (None, stranger, self.authority.issue("other.example")):
            with self.assertRaises(OSError):
                self.connect(refused).recv(1)  # with TLS 1.3 the client is done before it is refused
        time = now()
        self.send(self.connect(self.authority.issue("forwarder.example")), [record(path, time)])
        self.expect_atimes({path: time})
        self.assertIn("no TLS connection with 127.0.0.1: it has no certificate", daemon.log)
        counters = daemon.stop()
        self.assertEqual(counters("connections_refused", "certificate"), 3)
        self.assertEqual(counters("received_messages"), 1)
        counters.check_sums()

    def test_a_hangup_renews_the_certificate_and_a_broken_one_changes_nothing(self):
        first, second, third = self.make_files("first", "second", "third")
        daemon = self.secure_daemon()
        old = self.connect()
        renewed = self.authority.issue(NAME)
        self.identity.replace_with(renewed)
        self.hang_up(daemon, "SIGHUP: read again, no key has changed")
        new = self.connect()
        self.assertNotEqual(self.serial(new), self.serial(old))
        self.identity.key.write_bytes(self.authority.key.read_bytes())
        self.hang_up(daemon, f"SIGHUP changes nothing: {daemon.configuration}:")
        self.assertIn(f"{self.identity.key}: it is not the key of {self.identity.certificate}", daemon.log)
        daemon.configuration.write_text("nonsense = 1\n")
        self.hang_up(daemon, "SIGHUP changes nothing: ")
        newest = self.connect()
        self.assertEqual(self.serial(newest), self.serial(new))
        times = {first: now(), second: now(), third: now()}
        for connection, (path, time) in zip((old, new, newest), times.items()):
            self.send(connection, [record(path, time)])
        self.expect_atimes(times)
        daemon.stop().check_sums()

    def test_who_sends_without_tls_is_told_apart(self):
        daemon = self.secure_daemon()
        lab.send_tcp(self.port, [record("/plain", now())], wait=False)
        wait_until(lambda: "no TLS connection with 127.0.0.1: it does not speak TLS" in daemon.log, "a line")
        counters = daemon.stop()
        self.assertEqual(counters("connections_refused", "handshake"), 1)
        self.assertEqual(counters("received_messages"), 0)

    def test_wrong_files_are_said_with_their_place_before_anything_listens(self):
        qatime = self.qatime(**self.settings(syslog__tls__key="/nonexistent/key.pem"))
        line = [text.startswith("syslog.tls.key") for text in qatime.configuration.read_text().splitlines()].index(True)
        wanted = (f"qatime: {qatime.configuration}:{line + 1}:18: syslog.tls.key names /nonexistent/key.pem: "
                  "No such file or directory\n")
        for command in ("check", "run"):
            status, _, said = qatime.run(command, "-c", str(qatime.configuration))
            self.assertEqual((status, said.splitlines(True)[-1]), (2, wanted))

    def test_without_a_listener_of_tls_a_hangup_reads_no_certificate(self):
        daemon = self.daemon(syslog__tls__key="/nonexistent/key.pem")
        self.hang_up(daemon, "SIGHUP: read again, no key has changed")
        daemon.stop()
