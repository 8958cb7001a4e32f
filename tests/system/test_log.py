# SPDX-License-Identifier: MIT
"""What file names and records can do to the log: nothing."""

import contextlib
import fcntl
import json
import os
import re
import subprocess

import lab
from case import Case, now
from lab import record, send_tcp, send_udp, wait_until

NAMES = [b"plain", b"line\nfeed 2026-01-01T00:00:00.000000Z error daemon: forged", b"return\rhome",
         b"escape\x1b[2J\x1b]0;x\x07", b"quote\"s'", b"back\\slash\\x0a", b"bad\xff\xc3(\xed\xa0\x80", b"c1\xc2\x9b31m",
         "rtl\u202e\u2066txt".encode(), "lines\u2028and\u2029".encode(), "fine grüß €".encode(), b"tab\tdel\x7f",
         b'"},{"level":"error"}', b"%n%s{}"]
LINE = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z (debug|info|warning|error) [a-z]+: ")
WRONG = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def unescaped(text):
    """The bytes that were meant."""
    return re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), text.encode())


class Log(Case):
    def lines_of(self, form):
        """The lines, without their end, that a daemon logs of files with such names that are not there, and of records
        with such bytes that are none."""
        daemon = self.daemon(log__format=form, log__level="debug")
        paths = [os.fsencode(self.root) + b"/" + name for name in NAMES]
        # Over TCP a line feed would end them.
        send_udp(daemon.udp_port, [record(path, now()) for path in paths] + [b"<14>1 - " + name for name in NAMES])
        wait_until(lambda: daemon.log.count("given up") >= len(NAMES), "a line for each file")
        wait_until(lambda: "malformed messages" in daemon.log, "a line of what is malformed")
        daemon.stop()
        lines = daemon.output.read_bytes().split(b"\n")
        self.assertEqual(lines.pop(), b"")
        for line in lines:
            self.assertIsNone(WRONG.search(line.decode()), line)  # and it is UTF-8
        said = "\n".join(json.loads(line)["message"] if form == "json" else line.decode() for line in lines)
        counters = lab.Counters(said)
        self.assertEqual(counters("failed", "noent"), len(NAMES))
        counters.check_sums()
        return paths, lines

    def test_no_name_can_forge_a_line_of_text(self):
        paths, lines = self.lines_of("text")
        for line in lines:
            self.assertRegex(line, LINE)
        given_up = re.compile(r" debug apply: (/.*): noent: given up$")
        found = [match[1] for line in lines if (match := given_up.search(line.decode()))]
        self.assertCountEqual(map(unescaped, found), paths)

    def test_no_name_can_forge_a_line_of_json(self):
        paths, lines = self.lines_of("json")
        objects = [json.loads(line) for line in lines]
        for one in objects:
            self.assertEqual(list(one)[:4], ["time", "level", "stage", "message"])
            self.assertRegex(one["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
            self.assertIn(one["level"], ("debug", "info", "warning", "error"))
            for value in one.values():
                self.assertIsNone(WRONG.search(str(value)), one)
        given_up = [one for one in objects if one["stage"] == "apply" and "path" in one]
        self.assertCountEqual([unescaped(one["path"]) for one in given_up], paths)
        self.assertEqual({one["status"] for one in given_up}, {"noent"})
        malformed = [one for one in objects if "example" in one]
        self.assertGreater(len(malformed), 0)
        for one in malformed:
            self.assertEqual(one["level"], "warning")
            self.assertGreaterEqual(one["count"], 1)
            self.assertIn(unescaped(one["example"]), [b"<14>1 - " + name for name in NAMES])

    def hung(self, **settings):
        """A daemon whose standard error is full and not read, with the end of it."""
        daemon = self.qatime(syslog__listen=[f"tcp://127.0.0.1:{lab.own_port()}"],
                             admin__listen=f"127.0.0.1:{lab.own_port()}", log__level="debug", **settings)
        pipe, script = daemon.directory / "pipe", daemon.directory / "hung"
        os.mkfifo(pipe)
        pipe.chmod(0o666)
        end = os.open(pipe, os.O_RDWR)
        self.addCleanup(os.close, end)
        fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, 4096)
        os.write(end, bytes(4096))
        script.write_text(f'#!/bin/sh\nexec {daemon.program} "$@" 2>{pipe}\n')
        script.chmod(0o755)
        daemon.program = script
        return daemon.start(), end

    def test_nobody_waits_for_a_reader_that_hangs(self):
        daemon, end = self.hung()
        paths = self.make_files(*map(str, range(300)))  # a line each, and more
        when = now()
        send_tcp(daemon.port, [record(path, when) for path in paths] + [b"no record"] * 100)
        self.expect_atimes(dict.fromkeys(paths, when))
        self.assertEqual(daemon.get("/")[0], 200)
        daemon.process.terminate()
        self.assertEqual(daemon.process.wait(60), 0)
        self.assertEqual(len(os.read(end, 1 << 16)), 4096)  # nothing of the daemon

    def test_a_reader_that_goes_on_is_told_what_it_missed(self):
        daemon, end = self.hung()
        paths = self.make_files("file")
        send_tcp(daemon.port, [record(f"{self.root}/gone-{number}", now()) for number in range(20_000)])
        wait_until(lambda: daemon.metrics()("failed", "noent") == 20_000, "all that is gone")
        os.read(end, 4096)
        text = b""
        while b" lines are lost, because standard error took none for too long" not in text:
            text += os.read(end, 1 << 16)
        os.set_blocking(end, False)
        daemon.process.terminate()
        while daemon.process.poll() is None:
            with contextlib.suppress(BlockingIOError):
                text += os.read(end, 1 << 16)
        self.assertEqual(daemon.process.returncode, 0)
        self.assertTrue(paths)

    def test_a_count_is_told_when_its_interval_ends(self):
        daemon = self.daemon()
        send_tcp(daemon.port, [b"no record"] * 100)
        wait_until(lambda: "malformed messages" in daemon.log, "the first")
        wait_until(lambda: re.search(r"malformed messages.*\(\d+ times more\)", daemon.log), "the others", 60)
        said = sum(int(count or 1) for count in re.findall(r"malformed messages.*?(?: \((\d+) times(?: more)?\))?$",
                                                           daemon.log, re.MULTILINE))
        self.assertEqual(said, 100, daemon.log)
        daemon.stop()

    def test_a_standard_error_that_cannot_be_written_ends_nothing(self):
        newer, older = self.make_files("newer", "older")
        qatime = self.qatime()
        command = [qatime.program, "touch", "-c", qatime.configuration, "--time"]
        self.assertEqual(subprocess.run([*command, "2020-01-01T00:00:00Z", newer], **lab.as_nobody()).returncode, 0)
        with open("/dev/full", "w") as full:
            done = subprocess.run([*command, "2010-01-01T00:00:00Z", newer, older], stderr=full, timeout=120,
                                  **lab.as_nobody())
        self.assertEqual(done.returncode, 0)
        self.expect_atimes({newer: 1577836800 * lab.SECOND, older: 1262304000 * lab.SECOND})

    def test_a_standard_output_that_cannot_be_written_is_a_failure(self):
        qatime = self.qatime()
        for command in (["version"], ["check", "-c", qatime.configuration], ["--help"]):
            with self.subTest(command), open("/dev/full", "w") as full:
                done = subprocess.run([qatime.program, *command], stdout=full, stderr=subprocess.PIPE, timeout=120,
                                      **lab.as_nobody())
                self.assertEqual(done.returncode, 1)
                self.assertIn(b"standard output cannot be written: No space left on device", done.stderr)

    def test_what_ends_the_daemon_is_an_object_too(self):
        daemon = self.daemon()
        other = self.qatime(log__format="json", syslog__listen=[f"tcp://127.0.0.1:{daemon.port}"])
        status, _, said = other.run("run", "-c", str(other.configuration))
        self.assertEqual(status, 2)
        self.assertIn("Address already in use", json.loads(said.splitlines()[-1])["message"])

    def test_passwords_are_in_no_message(self):
        qatime = self.qatime()
        status, _, said = qatime.run("check", "--set", "nfs.port=redis://user:Geheim@127.0.0.1/0")
        self.assertEqual(status, 2)
        self.assertIn("--set nfs.port=redis://***@127.0.0.1/0: nfs.port must be", said)
        self.assertNotIn("Geheim", said)
