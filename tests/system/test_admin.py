# SPDX-License-Identifier: MIT
"""What the daemon says about itself over HTTP."""

import json
import os
import pathlib
import re
import resource
import socket
import subprocess
import threading

import lab
from case import Case, now
from lab import Counters, record, send_tcp, send_udp, wait_until

NODES = 1000  # that are told apart
INTAKE = ("malformed", "ignored", "moves", "removals", "accepted")
OUTCOMES = ("coalesced", "cancelled", "applied", "unchanged", "failed", "dropped", "pending_entries")
WINDOWS = b'<14>1 2026-01-27T14:12:23Z q-1 other - - - it is another program'
NAMES = ["plain", 'with "quotes"', "with \x1b[2J\x1b]0;title\x07", "with\nline\r\nbreaks", "with </script><b>tags</b>",
         "with \\back\\slashes", "with \u202e an override", b"with \xff bytes"]


def promtool(*arguments, text=None):
    return subprocess.run(["promtool", *arguments], input=text, capture_output=True)


class Admin(Case):
    def send_something_of_everything(self, daemon):
        """Records of every outcome, over TCP and UDP; the paths that get a time."""
        paths = self.make_files(*(f"file-{index}" for index in range(20)))
        when = now()
        records = [record(path, when + index) for index, path in enumerate(paths)]
        records += [record(paths[0], when - 5), record(f"{self.root}/none", when), WINDOWS,
                    record(paths[1], when, operation="fs_open"), record(paths[1], when, status="failed"),
                    record(f"{self.root}/a", when, "fs_rename", target=f"{self.root}/b"),
                    record(f"{self.root}/c", when, "fs_delete"), b"no record at all"]
        send_tcp(daemon.port, records)
        send_udp(daemon.udp_port, [record(paths[2], when + 1000), WINDOWS, record(paths[3], when, status="failed")])
        wait_until(lambda: daemon.metrics()("received_messages", "udp") == 3, "the datagrams")
        wait_until(lambda: daemon.metrics()("pending_entries") == 0, "all to have an outcome")

    def test_the_metrics_are_valid_and_add_up_for_each_transport(self):
        daemon = self.daemon()
        self.send_something_of_everything(daemon)
        status, headers, body = daemon.get("/metrics")
        self.assertEqual((status, headers["Content-Type"]), (200, "text/plain; version=0.0.4; charset=utf-8"))
        checked = promtool("check", "metrics", text=body)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, b""))
        counters = daemon.metrics()
        counters.check_sums()
        for transport, count in (("tcp", 28), ("udp", 3), ("tls", 0)):
            self.assertEqual(counters("received_messages", transport), count)
            self.assertEqual(sum(counters(name, transport) for name in INTAKE), count)
        self.assertEqual(sum(value for (name, labels), value in counters.values.items()
                             if name == "qatime_node_records_total"), 28)  # all that have a header of ours
        self.assertEqual(counters("node_records", "removal"), 1)
        self.assertEqual(counters("failed", "noent"), 1)
        self.assertGreater(counters("rpc_seconds_count", "setattr"), 0)
        self.assertEqual(counters("server_seconds_count"), sum(counters("rpcs", procedure) for procedure in
                                                               ("lookup", "getattr", "setattr", "readdirplus")))
        for outcome in ("applied", "unchanged", "failed"):
            self.assertEqual(counters("access_delay_seconds_count", outcome), counters(outcome))
        self.assertEqual(counters("server_retries"), 0)
        self.assertGreater(counters("node_last_seen_timestamp_seconds", "qumulo-1"), now() / 1e9 - 600)
        self.assertLess(counters("node_lag_seconds", "qumulo-1"), 600)
        self.assertGreater(counters("udp_buffer_bytes"), 0)
        self.assertEqual(counters("udp_buffer_used_bytes"), 0)
        logged = daemon.stop()
        logged.check_sums()
        for name in (*INTAKE, *OUTCOMES, "rpcs"):
            self.assertEqual(logged(name), counters(name), name)

    def test_every_metric_is_there_from_the_beginning(self):
        daemon = self.daemon()
        told = {re.sub("_(total|count|sum|bucket)$", "", name) for name, _ in daemon.metrics().values}
        for name in """received_messages received_bytes malformed ignored moves removals accepted repeated_changes recovered
                       coalesced cancelled applied unchanged failed dropped pending_entries pending_oldest_seconds in_flight
                       backlog_committed backlog_bytes backlog_commit_seconds connections connections_refused
                       udp_kernel_drops udp_buffer_bytes rpcs rpc_seconds server_up reconnects handle_cache_hits
                       handle_cache_misses degraded build_info server_seconds server_retries
                       access_delay_seconds""".split():
            self.assertIn(f"qatime_{name}", told)

    def test_what_has_an_outcome_never_runs_ahead_of_what_came_in(self):
        daemon = self.daemon()
        paths = self.make_files(*(f"file-{index}" for index in range(50)))
        begin, is_over = now(), threading.Event()

        def send():
            number = 0
            while not is_over.is_set():
                send_tcp(daemon.port, [record(paths[n % len(paths)], begin + 1000 * n) for n in range(number, number + 2000)])
                number += 2000

        sender = threading.Thread(target=send)
        sender.start()
        try:
            for _ in range(200):
                counters = daemon.metrics()
                received, accepted = counters("received_messages"), counters("accepted") + counters("recovered")
                self.assertLessEqual(sum(counters(name) for name in INTAKE), received)
                self.assertLessEqual(sum(counters(name) for name in OUTCOMES), accepted)
        finally:
            is_over.set()
            sender.join()
        self.assertGreater(received, 0)

    def test_a_thousand_nodes_are_told_apart_and_the_rest_is_other(self):
        daemon = self.daemon()
        path, = self.make_files("file")
        begin = now()
        send_tcp(daemon.port, [record(path, begin + n, host=f"node-{n}") for n in range(NODES + 7)])
        counters = daemon.metrics()
        hosts = {labels[0]: value for (name, labels), value in counters.values.items()
                 if name == "qatime_node_records_total" and labels[1] == "accepted"}
        self.assertEqual(len(hosts), NODES + 1)
        self.assertEqual((hosts["node-0"], hosts[f"node-{NODES - 1}"], hosts["other"]), (1, 1, 7))

    def test_names_cannot_leave_their_place(self):
        daemon = self.daemon()
        when = now()
        hosts = ['"}\\', "\x1b[2J", "q\x00-1"]
        send_tcp(daemon.port, [record(f"{self.root}/x", when, host=host) for host in hosts])
        body = daemon.get("/metrics")[2]
        self.assertEqual(promtool("check", "metrics", text=body).returncode, 0)
        self.assertNotIn(b"\x1b", body)

    def test_servers_that_are_away_are_degraded_and_neither_dead_nor_unready(self):
        daemon = self.daemon(nfs__port=lab.own_port(), nfs__mount_port=lab.own_port())
        wait_until(lambda: daemon.metrics()("degraded", "unreachable") == 1, "the server to be missed")
        for path, word in (("/healthz", "alive"), ("/readyz", "ready")):
            status, headers, body = daemon.get(path)
            self.assertEqual((status, headers["Content-Type"]), (200, "application/json"))
            self.assertEqual(json.loads(body), {word: True, "reasons": []})

    def test_what_is_not_there_or_not_allowed(self):
        daemon = self.daemon()
        self.assertEqual(daemon.get("/nothing")[0], 404)
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            status, headers, _ = daemon.get("/metrics", method)
            self.assertEqual((status, headers["Allow"]), (405, "GET, HEAD"))
        status, headers, body = daemon.get("/metrics", "HEAD")
        self.assertEqual((status, body), (200, b""))
        self.assertGreater(int(headers["Content-Length"]), 1000)

    def test_a_thousand_clients_that_stall_do_not_matter(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        daemon = self.daemon()
        path, = self.make_files("file")
        request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n"
        for number in range(1000):
            client = socket.create_connection(("127.0.0.1", daemon.admin))
            self.addCleanup(client.close)
            client.sendall([b"", b"GET", request, request + b"\r\n" + request + b"\r\n"][number % 4])
        when = now()
        send_tcp(daemon.port, [record(path, when)])
        self.expect_atimes({path: when})
        counters = daemon.metrics()
        self.assertEqual(counters("applied"), 1)
        self.assertLess(counters("process_open_fds"), 100)

    def test_a_port_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            listener = f"127.0.0.1:{taken.getsockname()[1]}"
            qatime = self.qatime(admin__listen=listener)
            status, _, error = qatime.run("run", "-c", qatime.configuration)
        self.assertEqual(status, 2)
        self.assertIn(f"qatime: cannot listen on {listener} (admin.listen): Address already in use\n", error)

    def test_it_can_be_switched_off(self):
        daemon = self.daemon(admin__listen="")
        self.assertEqual(lab.listening_ports(daemon.process.pid), {daemon.port})
        self.assertNotIn("http://", daemon.log)
