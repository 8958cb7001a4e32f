# SPDX-License-Identifier: MIT
"""What file names and records can do to the log: nothing."""

import json
import os
import re

import lab
from case import Case, now
from lab import record, send_udp, wait_until

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
            self.assertEqual((one["level"], one["count"]), ("warning", 1))
            self.assertIn(unescaped(one["example"]), [b"<14>1 - " + name for name in NAMES])

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
