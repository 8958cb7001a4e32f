# SPDX-License-Identifier: MIT
"""The commands that end by themselves, and what they say when something has to be put right."""

import os
import re
import signal
import socket
import subprocess
import unittest

import lab
from case import OLD, Case, OwnServerCase, now
from lab import SECOND, record, rfc3339, wait_until


class Commands(Case):
    def succeed(self, qatime, *arguments):
        status, output, error = qatime.run(*arguments)
        self.assertEqual((status, error), (0, ""))
        return output

    def configured(self, qatime, command, *arguments):
        return self.succeed(qatime, command, "-c", qatime.configuration, *arguments)

    def test_version(self):
        self.assertRegex(self.succeed(self.qatime(), "version"), r"^qatime \d+\.\d+\.\d+\S*\n$")

    def test_every_command_has_its_help_and_a_wrong_one_is_a_usage_error(self):
        for command in ("run", "check", "send", "replay", "stat", "touch", "status", "version"):
            self.assertIn(command, self.succeed(self.qatime(), command, "--help"))
        for wrong in ([], ["fly"], ["run", "--fly"], ["stat"], ["send", "/x"], ["send", "--to", "nowhere", "/x"]):
            self.assertEqual(self.qatime().run(*wrong)[0], 2, wrong)

    def test_stat_prints_what_another_client_sees(self):
        paths = self.make_files("a", "b c", "d,e")
        lines = self.configured(self.qatime(), "stat", *paths, self.root + "/", "/").splitlines()
        self.assertEqual(len(lines), 5)
        for line, path, times in zip(lines, paths, self.files.times(paths)):
            name, file_id, atime, mtime, ctime = line.split("\t")
            self.assertEqual(name.encode(), path)
            self.assertGreater(int(file_id), 0)
            self.assertEqual((atime, mtime), tuple(map(rfc3339, times)))
            self.assertRegex(ctime, r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$")
        self.assertTrue(lines[3].startswith(self.root))

    def test_stat_of_what_is_not_there_fails_and_names_it(self):
        (path,) = self.make_files("there")
        qatime = self.qatime()
        status, output, error = qatime.run("stat", "-c", qatime.configuration, self.root + "/missing", path)
        self.assertEqual(status, 1)
        self.assertIn("missing", error)
        self.assertIn("there", output)

    def test_a_setting_takes_one_word_and_leaves_the_paths_behind_it(self):
        paths = self.make_files("a", "b", "c")
        qatime, moment = self.qatime(), 1_589_720_400 * SECOND
        self.configured(qatime, "touch", "--time", rfc3339(moment), "--set", "log.level=error", *paths)
        self.assertEqual(self.files.atimes(paths), [moment] * 3)
        settings = ("--set", "log.level=error", "--set", "nfs.connections=2")
        self.assertEqual(self.configured(qatime, "stat", *settings, *paths).count("\n"), 3)
        logs = [qatime.directory / name for name in ("first.log", "second.log")]
        for log, path in zip(logs, paths):
            log.write_bytes(record(path, moment + SECOND) + b"\n")
        self.configured(qatime, "replay", *settings, *logs)
        self.assertEqual(self.files.atimes(paths), [moment + SECOND, moment + SECOND, moment])

    def test_touch_sets_atime_alone_and_goes_back_only_by_force(self):
        (path,) = self.make_files("file")
        qatime = self.qatime()
        self.configured(qatime, "touch", "--time", "2020-05-17T13:00:00.123456789Z", path)
        newer = 1_589_720_400 * SECOND + 123456789
        self.check_atimes([path], [newer])
        qatime.run("touch", "-c", qatime.configuration, "--time", "2010-01-01T00:00:00Z", path)
        self.check_atimes([path], [newer])
        self.configured(qatime, "touch", "--force", "--time", "2010-01-01T00:00:00Z", path)
        self.check_atimes([path], [1_262_304_000 * SECOND])
        self.expect_mtimes({path: OLD})

    def test_send_makes_records(self):
        paths = self.make_files("a", "b,c", 'd"e', b"\xfc")
        for transport in ("tcp", "udp"):
            daemon, time = self.daemon(), now()
            port = daemon.port if transport == "tcp" else daemon.udp_port
            self.succeed(daemon, "send", "--to", f"{transport}://127.0.0.1:{port}", "--time", rfc3339(time), *paths)
            self.expect_atimes({path: time for path in paths})
            self.assertEqual(daemon.stop()("received_messages", transport), len(paths))

    def test_send_repeats_paths_up_to_a_count_and_passes_the_operation_on(self):
        (path,) = self.make_files("a")
        daemon = self.daemon()
        to = f"tcp://127.0.0.1:{daemon.port}"
        self.succeed(daemon, "send", "--to", to, "--count", "1000", path)
        self.succeed(daemon, "send", "--to", to, "--count", "20", "--rate", "1000", "--op", "fs_read_metadata", path)
        counters = daemon.stop()
        self.assertEqual(counters("accepted"), 1000)
        self.assertEqual(counters("ignored", "operation"), 20)
        counters.check_sums()

    def test_send_replays_a_recorded_log(self):
        paths = self.make_files("a", "b")
        daemon, time = self.daemon(), now()
        log = daemon.directory / "recorded.log"
        log.write_bytes(b"".join(record(path, time) + b"\n" for path in paths))
        self.succeed(daemon, "send", "--to", f"tcp://127.0.0.1:{daemon.port}", "--file", log)
        self.expect_atimes({path: time for path in paths})
        daemon.stop().check_sums()

    def test_send_to_a_port_that_nobody_listens_on_fails(self):
        status, _, error = self.qatime().run("send", "--to", f"tcp://127.0.0.1:{lab.own_port()}", "/x")
        self.assertEqual(status, 1)
        self.assertRegex(error, "(?i)refused")

    def test_check_accepts_a_configuration_and_a_server_that_work(self):
        qatime = self.qatime()
        self.configured(qatime, "check")
        ((atime, mtime),) = self.files.times(["/"])
        self.configured(qatime, "check", "--connect")
        self.assertEqual(self.files.atimes(["/"]), [atime])
        self.expect_mtimes({"/": mtime})

    def test_check_record_says_what_would_become_of_a_line(self):
        qatime = self.qatime()
        for line, words in ((record("/d/a,b", now()), "/d/a,b"), (record("/d/f", now(), "fs_open"), "operation"),
                            (record("/.snapshot/f", now()), "snapshot"), (b"hello", "malformed")):
            self.assertIn(words, self.configured(qatime, "check", "--record", line))

    def test_settings_on_the_command_line_replace_those_of_the_file(self):
        (path,) = self.make_files("file")
        daemon = self.qatime(policy__operations=["fs_nothing"]).start("--set", 'policy.operations=["fs_open"]')
        time = now()
        lab.send_tcp(daemon.port, [record(path, time, "fs_open")])
        self.expect_atimes({path: time})
        daemon.stop()


    def test_every_command_runs_with_each_of_its_options(self):
        """Under AddressSanitizer, too. That a daemon is not ready is a matter of test_disk."""
        (path,) = self.make_files("file")
        idle, daemon, time = self.qatime(), self.daemon(), rfc3339(now())
        log = idle.directory / "recorded.log"
        log.write_bytes(record(path, now()) + b"\n")
        configured = ("--config", idle.configuration, "--set", "log.level=error")
        to, url = ("--to", f"tcp://127.0.0.1:{daemon.port}"), ("--admin", f"http://127.0.0.1:{daemon.admin}")
        ways = [("check", *configured), ("check", *configured, "--connect"), ("check", *configured, "--record", "x"),
                ("stat", *configured, path), ("touch", *configured, "--force", "--time", time, path),
                ("send", *to, path), ("send", *to, "--file", log),
                ("send", *to, "--rate", "1000", "--count", "3", "--op", "fs_write_data", "--time", time, path),
                ("replay", *configured, "--dry-run", "--patience", "1m", "--since", "1970-01-01T00:00:00Z",
                 "--until", time, log), ("replay", *configured, log),
                ("status", *url), ("status", *url, "--json"), ("status", *url, "--ready"), ("version",)]
        for way in ways:
            with self.subTest(way):
                self.succeed(idle, *way)
        running = ("run", *configured, "--set", "log.level=info")
        endless = [("status", *url, "--watch"), running, (*running, "--dry-run")]
        for way in endless:
            output = idle.directory / "output"
            output.unlink(missing_ok=True)
            process = lab.start([idle.program, *way], output, **lab.as_nobody())
            self.addCleanup(process.kill)
            said = "applied" if way[0] == "status" else "ready: qatime"
            wait_until(lambda: process.poll() is not None or said in output.read_text(), f"{way} to work")
            self.assertIsNone(process.poll(), output.read_text())
            self.assertEqual(lab.stop(process), -signal.SIGTERM if way[0] == "status" else 0, output.read_text())
            self.assertIsNone(lab.SANITIZER.search(output.read_text()))
        daemon.stop()
        for command in re.findall(r"^  ([a-z]+)  ", self.succeed(idle, "--help"), re.MULTILINE):
            options = re.findall(r"^  (?:-\w,)?(--[a-z-]+)", self.succeed(idle, command, "--help"), re.MULTILINE)
            had = {way[0]: set() for way in ways + endless}
            for way in ways + endless:
                had[way[0]].update(word for word in way if str(word).startswith("--"))
            self.assertEqual(had.get(command), set(options) - {"--help"}, command)


class WhatToPutRight(OwnServerCase):
    """One clear line each, and the exit status of its kind."""

    @classmethod
    def make_server(cls):
        return lab.Ganesha(cls.scratch, krb5="true")  # else it tells no flavors of an export of krb5 alone

    def fails(self, qatime, status, pattern, *arguments):
        done, output, error = qatime.run(*arguments, "-c", qatime.configuration)
        said = (error + output).strip()
        self.assertEqual(done, status, said)
        self.assertRegex(said, re.compile(pattern, re.IGNORECASE))
        return said

    def test_a_wrong_configuration_names_file_line_key_and_the_nearest_key(self):
        for wrong, pattern in (
            ({"nfs.timeuot": "1s"}, r"qatime\.toml.*\b8\b.*nfs\.timeuot.*nfs\.timeout"),
            ({"nfs.timeout": "soon"}, r"qatime\.toml.*\b8\b.*nfs\.timeout"),
            ({"nfs.timeout": 7}, r"qatime\.toml.*\b8\b.*nfs\.timeout"),
            ({"syslog.listen": ["tcp://x"]}, r"qatime\.toml.*\b1\b.*syslog\.listen"),
            ({"policy.self": ["x"]}, r"qatime\.toml.*policy\.self"),
        ):
            with self.subTest(wrong):
                qatime = lab.Qatime(self.scratch, self.server, wrong)
                for command in ("check", "run"):
                    said = self.fails(qatime, 2, pattern, command)
                    self.assertEqual(len(said.splitlines()), 1, said)

    def test_an_odd_number_is_refused_by_the_name_of_its_option(self):
        qatime = self.qatime()
        odd = ("", "-1", "+1", " 1", "1 ", "0x50", "1e400", "nan", "inf", "-inf", "99999999999999999999")
        configured, to = ("-c", qatime.configuration), "tcp://127.0.0.1:"
        for command, option, values, allowed in (
            (("send", "--to", to + "1", "/x"), "--count", (*odd, "0", "1.5", "1e3", "18446744073709551615"),
             "must be a number of records from 1 to 1000000000000"),
            (("send", "--to", to + "1", "/x"), "--rate", (*odd, "1e-9", "fast"),
             "must be a number of records per second from 0.001 to 1000000000, or 0 for no limit"),
            (("send", "/x"), "--to", [
                *(to + port for port in (*odd, "0", "65536", "4294967297", "http", "1.5")), "http://127.0.0.1:1", "tcp://:1",
                "tcp://u@127.0.0.1:1", "tcp://[::1:1", "tcp://::1:1", "tcp://127.0.0.1:1/x"],
             "must be tcp://HOST:PORT or udp://HOST:PORT, with a port from 1 to 65535"),
            (("send", "--to", to + "1", "/x"), "--time", (*odd, "0", "1969-12-31T23:59:59Z", "9999-01-01T00:00:00Z",
                                                          "2026-01-27T14:12:23"),
             "must be a time of RFC 3339 from 1970 to 2106, "),
            (("touch", *configured, "/x"), "--time", (*odd, "0", "1969-12-31T23:59:59Z", "9999-01-01T00:00:00Z"),
             "must be a time of RFC 3339 from 1970 to 2106, "),
            *((("replay", *configured, "/dev/null"), option, (*odd, "0", "1969-12-31T23:59:59Z", "9999-01-01T00:00:00Z",
                                                              "2026-01-27", "2026-01-27T14:12:23", "yesterday",
                                                              "2026-01-27 14:12:23Z", "1769523143"),
               "must be a time of RFC 3339 from 1970 to 2106, like 2026-01-27T14:12:23.5Z")
              for option in ("--since", "--until")),
            (("replay", *configured, "/dev/null"), "--patience", (*odd, "-1s", "+1s", "1", "1.5m", "1e3s", "200000d"),
             "must be a duration, like 10m, or 0s to wait for ever"),
            (("status",), "--admin", [
                *("http://127.0.0.1:" + port for port in (*odd, "0", "65536", "4294967297", "http")),
                "https://127.0.0.1:1", "http://:1", "http://u@127.0.0.1:1", "http://[::1:1", "http://::1:1"],
             ".* is no URL of a daemon, like http://127.0.0.1:9514, with a port from 1 to 65535"),
            (("check", *configured), "--set", ["nfs.port=" + number for number in ("-1", "65536", "1e3", "nan", "1e400")],
             r"nfs\.port=\S+: nfs\.port must be a port, or 0"),
        ):
            for value in values:
                with self.subTest(command=command[0], option=option, value=value):
                    status, output, error = qatime.run(*command, option, value)
                    self.assertEqual((status, output), (2, ""))
                    self.assertRegex(error, rf"^qatime: {option}:? {allowed}[^\n]*\n$")

    def test_a_flag_takes_no_number(self):
        qatime = self.qatime()
        for command, flag in (("run", "--dry-run"), ("replay", "--dry-run"), ("touch", "--force"), ("status", "--ready"),
                              ("status", "--watch"), ("check", "--connect")):
            for value in ("-1", "0", "2", "nan", "false"):
                status, output, error = qatime.run(command, f"{flag}={value}", *(["/x"] if command != "status" else []))
                self.assertEqual((status, output), (2, ""), error)
                self.assertIn(flag.strip("-") + " was given", error)

    def test_a_named_file_that_is_missing_or_no_toml(self):
        qatime = self.qatime()
        qatime.configuration.write_text("[nfs\n")
        self.fails(qatime, 2, r"qatime\.toml", "check")
        qatime.configuration.unlink()
        self.fails(qatime, 2, r"qatime\.toml", "check")

    def test_a_port_in_use(self):
        for kind, name in ((socket.SOCK_STREAM, "tcp"), (socket.SOCK_DGRAM, "udp")):
            with self.subTest(name), socket.socket(socket.AF_INET, kind) as taken:
                taken.bind(("127.0.0.1", 0))
                if name == "tcp":
                    taken.listen()
                port = taken.getsockname()[1]
                qatime = self.qatime(syslog__listen=[f"{name}://127.0.0.1:{port}"])
                said = self.fails(qatime, 2, rf"{name}.*{port}.*in use", "run")
                self.assertEqual(len([line for line in said.splitlines() if "in use" in line]), 1, said)

    def test_a_server_that_is_unreachable(self):
        port = lab.own_port()
        qatime = self.qatime(nfs__port=port)
        self.fails(qatime, 1, rf"127\.0\.0\.1.*{port}.*refused", "check", "--connect")
        self.fails(qatime, 1, rf"127\.0\.0\.1.*{port}.*refused", "stat", "/")

    def test_a_server_without_a_portmapper(self):
        qatime = self.qatime(nfs__servers=["127.0.0.9"], nfs__port=0, nfs__mount_port=0)
        self.fails(qatime, 1, r"127\.0\.0\.9.*nfs\.port", "check", "--connect")

    def test_ports_of_each_other(self):
        """NFS at the port of MOUNT, and the other way round."""
        for key, port in (("mount_port", self.server.port), ("port", self.server.mount_port)):
            qatime = self.qatime(**{f"nfs__{key}": port})
            self.fails(qatime, 1, rf"correct nfs\.{key}", "check", "--connect")

    def test_an_export_that_is_not_there(self):
        qatime = self.qatime(nfs__exports=[{"path": "/", "export": "/not there"}])
        self.fails(qatime, 1, r"/not there.*export", "check", "--connect")

    def change(self, **options):
        before = {key: self.server.options[key] for key in options}
        self.server.change(**options)
        self.addCleanup(self.server.change, **before)

    def test_root_squash(self):
        self.change(squash="root_squash")
        said = self.fails(self.qatime(), 1, "squash", "check", "--connect")
        self.assertIn(self.server.export, said)

    def test_a_read_only_export(self):
        self.change(access="RO")
        self.fails(self.qatime(), 1, "read.only", "check", "--connect")

    def test_an_export_that_wants_a_privileged_port(self):
        self.change(privileged="true")
        self.fails(self.qatime(), 1, "allow source ports above 1023", "check", "--connect")

    def test_an_export_of_krb5_alone(self):
        self.change(sec="krb5")
        self.fails(self.qatime(), 1, "krb5 alone: let it take AUTH_SYS", "check", "--connect")

    @unittest.skipUnless(lab.FSAL == "VFS", "only root gives a file to another user")
    def test_a_user_who_does_not_own_the_root(self):
        self.make_files("file")
        os.chown(f"{self.server.tree}{self.root}", 12345, 12345)
        for user, words in ((12345, "an object of nfs.uid 12345 can be set"), (12346, "not known whether")):
            qatime = self.qatime(nfs__uid=user)
            status, output, error = qatime.run("check", "--connect", "-c", qatime.configuration)
            self.assertEqual((status, error), (0, ""), output)
            self.assertIn(words, output)

    def test_a_daemon_says_each_thing_once_and_goes_on(self):
        port = lab.own_port()
        for settings, pattern in (({"nfs__port": port}, rf"127\.0\.0\.1.*{port}.*refused"),
                                  ({"nfs__exports": [{"path": "/", "export": "/not there"}]}, "/not there")):
            with self.subTest(settings):
                daemon = self.daemon(**settings)
                line = re.compile(rf"(?:warning|error) (\w+): .*{pattern}", re.MULTILINE)
                wait_until(lambda: line.search(daemon.log), pattern)
                stages = line.findall(daemon.log)
                self.assertEqual(len(stages), len(set(stages)), daemon.log)
                lab.send_tcp(daemon.port, [record("/x", now())])
                counters = daemon.stop()
                self.assertEqual(counters("pending_entries"), 1)
                counters.check_sums()

    def test_a_second_signal_ends_it_at_once(self):
        daemon = self.daemon(nfs__port=lab.own_port())
        lab.send_tcp(daemon.port, [record("/x", now())])
        os.kill(daemon.process.pid, signal.SIGTERM)
        os.kill(daemon.process.pid, signal.SIGINT)
        self.assertEqual(daemon.process.wait(30), 1, daemon.log)
        self.assertIn("stopped at once by a second signal", daemon.log)  # the first alone lets it end with status 0


class ClosedDescriptors(Case):
    """Some supervisors start a program without standard input, output or error: no file or socket gets what is for them."""

    COMBINATIONS = [[number for number in range(3) if mask >> number & 1] for mask in range(1, 8)]
    LOG_LINE = re.compile(rb"\d\d:\d\d:\d\d\S* (debug|info|warning|error) \w+: ")

    def without(self, closed, qatime):
        script = qatime.directory / "qatime"
        script.write_text(f'#!/bin/sh\nexec {qatime.program} "$@" {" ".join(f"{number}>&-" for number in closed)}\n')
        script.chmod(0o755)
        qatime.program = script
        return qatime

    def test_a_daemon_keeps_its_log_out_of_its_files(self):
        (path,) = self.make_files("file")
        for closed in self.COMBINATIONS:
            with self.subTest(closed=closed):
                ports = {"syslog__listen": [f"tcp://127.0.0.1:{lab.own_port()}"],
                         "admin__listen": f"127.0.0.1:{lab.own_port()}"}  # a log that is closed tells none
                daemon, time = self.without(closed, self.qatime(log__level="debug", **ports)).start(), now()
                for number in closed:
                    self.assertEqual(os.readlink(f"/proc/{daemon.process.pid}/fd/{number}"), "/dev/null")
                lab.send_tcp(daemon.port, [record(path, time), b"no record"])
                self.expect_atimes({path: time})
                pid = daemon.process.pid
                daemon.stop()
                self.assertEqual("stopped: " in daemon.log, 2 not in closed, daemon.log)
                files = {file.name: file.read_bytes() for file in (daemon.directory / "state").iterdir()}
                self.assertEqual(files["lock"].decode(errors="backslashreplace"), f"{pid}\n")
                for name, content in files.items():
                    self.assertIsNone(self.LOG_LINE.search(content), name)

    def test_a_command_says_nothing_to_a_server(self):
        paths = self.make_files(*(f"{index}" for index in range(200)))
        missing = [f"{self.root}/missing-{index}" for index in range(3)]
        daemon = self.daemon()
        for closed in self.COMBINATIONS:
            with self.subTest(closed=closed):
                qatime = self.without(closed, self.qatime())
                status, output, error = qatime.run("stat", "-c", qatime.configuration, *missing, *paths)
                self.assertEqual(status, 1)
                self.assertEqual(output.count("\n"), 0 if 1 in closed else len(paths))
                self.assertEqual(error.count("noent"), 0 if 2 in closed else len(missing), error)
                for way, shown in (((), "qatime"), (("--ready",), "ready\n"), (("--json",), "{")):
                    status, output, error = qatime.run("status", "--admin", f"http://127.0.0.1:{daemon.admin}", *way)
                    self.assertEqual((status, error), (0, ""))
                    self.assertTrue(output.startswith("" if 1 in closed else shown))
                self.assertEqual(qatime.run("status", "--admin", "x")[0], 2)
        daemon.stop()

    def test_what_takes_nothing_changes_no_exit_status(self):
        qatime = self.qatime()
        with open("/dev/full", "w") as full:
            done = subprocess.run([qatime.program, "status", "--admin", "x"], stderr=full, timeout=120, **lab.as_nobody())
        self.assertEqual(done.returncode, 2)
