# SPDX-License-Identifier: MIT
"""`qatime status` and /status.json."""

import json
import pathlib
import re
import signal
import socket
import subprocess
import time

import lab
from case import Case, now
from lab import record, send_tcp, wait_until

NAMES = ["with \x1b[2J\x1b]0;title\x07", 'with "quotes"', "with\u009b2J", b"with \xff bytes", "with \\ and 'both'"]


class Status(Case):
    def status(self, daemon, *arguments):
        """(exit status, output)."""
        status, output, _ = daemon.run("status", "--admin", f"http://127.0.0.1:{daemon.admin}", *arguments)
        return status, output

    def send_something(self, daemon):
        paths = self.make_files(*(f"file-{index}" for index in range(10)))
        when = now()
        send_tcp(daemon.port, [record(path, when + index) for index, path in enumerate(paths)]
                 + [record(paths[0], when, operation="fs_open"), record(f"{self.root}/none", when), b"no record"])
        wait_until(lambda: daemon.metrics()("pending_entries") == 0, "all to have an outcome")

    def test_it_shows_what_the_metrics_say(self):
        daemon = self.daemon()
        self.send_something(daemon)
        status, output = self.status(daemon)
        self.assertEqual(status, 0)
        self.assertRegex(output, r"^qatime \d+\.\d+\.\d+, running for .*: access times are true\n")
        counters = daemon.metrics()
        for name in ("received_messages", "accepted", "ignored", "malformed", "applied", "coalesced", "failed"):
            title = name.removesuffix("_messages")
            shown = re.search(rf"^{title} +([\d,]+)", output, re.MULTILINE)
            self.assertEqual(int(shown[1].replace(",", "")), counters(name), name)
        self.assertRegex(output, r"failed +1  \(noent 1\)")
        self.assertRegex(output, r"servers up +1 of 1")
        self.assertIn(f"{self.root}/none: noent", output)

    def test_the_document_has_the_numbers_of_the_metrics(self):
        daemon = self.daemon()
        self.send_something(daemon)
        status, output = self.status(daemon, "--json")
        self.assertEqual(status, 0)
        document, counters = json.loads(output), daemon.metrics()
        moving = re.compile("seconds|backlog|connections|in_flight|server_window|committed")
        told = {}
        for name, value in document["metrics"].items():
            for sample in value if isinstance(value, list) else [{"value": value}]:
                if "value" in sample:
                    told[name, tuple(sample[key] for key in sample if key != "value")] = sample["value"]
        self.assertGreater(len(told), 100)
        for key, value in told.items():
            if not moving.search(key[0]):
                self.assertEqual(counters.values[key], value, key)
        node, = document["nodes"]
        self.assertEqual((node["host"], node["records"]["accepted"], node["records"]["ignored"]), ("qumulo-1", 11, 1))
        self.assertTrue(document["ready"])
        self.assertEqual(document["troubles"], [])
        self.assertLess(abs(document["time"] - time.time()), 600)

    def test_no_name_can_alter_the_terminal_or_the_document(self):
        daemon = self.daemon()
        when = now()
        names = [name if isinstance(name, bytes) else name.encode() for name in NAMES]
        send_tcp(daemon.port, [record(self.root.encode() + b"/" + name, when, host=f"\x1b[2J{index}")
                               for index, name in enumerate(names)])
        wait_until(lambda: daemon.metrics()("failed", "noent") == len(NAMES), "the failures")
        for arguments in ((), ("--json",)):
            status, output = self.status(daemon, *arguments)
            self.assertEqual(status, 0)
            self.assertFalse(re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", output), output)
        failures = [failure["subject"] for failure in json.loads(output)["failures"]]
        self.assertIn(f"{self.root}/with \\x1b[2J\\x1b]0;title\\x07", failures)
        self.assertIn(f"{self.root}/with \\x22quotes\\x22", failures)
        self.assertIn(f"{self.root}/with \\xff bytes", failures)

    def test_what_answers_need_not_be_a_daemon(self):
        answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
                   b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\x1b[2Jx", b"SSH-2.0-x\r\n", b""]
        for answer in answers:
            with self.subTest(answer), socket.create_server(("127.0.0.1", 0)) as server:
                qatime = self.qatime()
                process = subprocess.Popen([qatime.program, "status", "--admin", "http://127.0.0.1:%d" % server.getsockname()[1]],
                                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **lab.as_nobody())
                with server.accept()[0] as peer:
                    peer.recv(4096)
                    peer.sendall(answer)
                output, error = process.communicate(timeout=60)
                self.assertEqual((process.returncode, output), (1, ""))
                self.assertRegex(error, r"^qatime: [^\x1b\n]+\n$")

    def test_an_answer_is_whole_by_its_length_whoever_closes(self):
        qatime = self.qatime()
        with socket.create_server(("127.0.0.1", 0)) as server:
            url = "http://127.0.0.1:%d" % server.getsockname()[1]
            process = subprocess.Popen([qatime.program, "status", "--json", "--admin", url], stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True, **lab.as_nobody())
            with server.accept()[0] as peer:
                peer.recv(4096)
                for piece in (b"HTTP/1.1 200 OK\r\nContent-Le", b'ngth: 2\r\n\r\n{', b"}"):
                    peer.sendall(piece)
                with server.accept()[0] as second:  # whether it is ready, while the first connection is open
                    second.recv(4096)
                    second.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    output, error = process.communicate(timeout=60)
            self.assertEqual((output.strip(), error), ("{}", ""))

    def test_where_nobody_answers_it_says_so(self):
        qatime = self.qatime()
        url = f"http://127.0.0.1:{lab.own_port()}"
        for arguments in ((), ("--json",), ("--ready",), ("--watch",)):
            status, output, error = qatime.run("status", "--admin", url, *arguments)
            self.assertEqual((status, output, error), (1, "", f"qatime: no daemon answers at {url}: Connection refused\n"))
        for wrong in ("127.0.0.1:9514", "https://x", "http://", "http://x:y"):
            status, _, error = qatime.run("status", "--admin", wrong)
            self.assertEqual(status, 2)
            self.assertRegex(error, "--admin: .* is no URL of a daemon, like http://127.0.0.1:9514")

    def test_servers_that_are_away_are_named_and_it_is_ready_nevertheless(self):
        daemon = self.daemon(nfs__port=lab.own_port(), nfs__mount_port=lab.own_port())
        wait_until(lambda: daemon.metrics()("degraded", "unreachable") == 1, "the server to be missed")
        self.assertEqual(self.status(daemon, "--ready"), (0, "ready\n"))
        status, output = self.status(daemon)
        self.assertEqual(status, 0)
        self.assertIn(": access times are not all true now\n", output)
        self.assertRegex(output, r"server 127\.0\.0\.1:\d+, for .*Connection refused")
        self.assertRegex(output, r"servers up +0 of 1  \(away: 127\.0\.0\.1:\d+\)")

    def test_it_watches(self):
        daemon = self.daemon()
        path, = self.make_files("file")
        output = self.scratch.fresh("watch") / "output"
        process = lab.start([daemon.program, "status", "--watch", "--admin", f"http://127.0.0.1:{daemon.admin}/"], output,
                            **lab.as_nobody())
        self.addCleanup(process.kill)
        wait_until(lambda: "applied" in output.read_text(), "the first view")
        send_tcp(daemon.port, [record(path, now())])
        wait_until(lambda: re.search("applied +1 ", output.read_text() + " "), "a view with the access time")
        self.assertNotIn("\x1b", output.read_text())  # it is no terminal
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        process.wait(60)
