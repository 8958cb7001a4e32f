# SPDX-License-Identifier: MIT
"""conf/qatime.service, and what qatime tells a service manager."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "system"))

import lab
from case import Case, now
from certificates import Authority
from lab import record, send_tcp
from service_manager import ServiceManager

UNIT = ROOT / "conf" / "qatime.service"


class UnitFile(unittest.TestCase):
    def setUp(self):
        scratch = lab.Scratch()
        self.addCleanup(scratch.remove)
        self.unit = scratch.path / "qatime.service"
        # The program need not be installed for this.
        self.unit.write_text(UNIT.read_text().replace("/usr/local/bin/qatime", lab.binary("QATIME")))

    def analyze(self, *arguments):
        done = subprocess.run(["systemd-analyze", *arguments, self.unit], text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout

    def test_systemd_has_nothing_to_say_about_it(self):
        self.assertEqual(self.analyze("verify"), (0, ""))

    def test_it_is_locked_down(self):
        status, report = self.analyze("security", "--offline=true", "--threshold=20", "--no-pager")
        self.assertEqual(status, 0, report)
        self.assertLessEqual(float(re.search(r"Overall exposure level.*: ([0-9.]+)", report)[1]), 2.0)


class Journal(Case):
    """A journald of our own, in a mount namespace with a /run of its own."""

    SCRIPT = """
        mount -t tmpfs tmpfs /run || exit 75
        mkdir -p /run/systemd/journal
        /usr/lib/systemd/systemd-journald & journald=$!
        trap 'kill $journald' EXIT
        until [ -S /run/systemd/journal/stdout ]; do kill -0 $journald || exit 75; sleep 0.1; done
        systemd-cat -t qatime sh -c 'JOURNAL_STREAM=$(stat -Lc %d:%i /dev/stderr) exec "$@"' - "$@"
        journalctl --sync && journalctl --no-pager -t qatime -o json --all
    """

    def messages(self, *command):
        done = subprocess.run(["unshare", "-m", "sh", "-c", self.SCRIPT, "-", *map(str, command)], capture_output=True,
                              text=True, timeout=120)
        if done.returncode == 75 or "unshare" in done.stderr:
            self.skipTest(f"no journald here: {done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_lines_have_their_priority_and_no_time_of_their_own(self):
        for form in ("text", "json"):
            with self.subTest(form):
                qatime = self.qatime(log__format=form, nfs__servers=["127.0.0.1"], nfs__port=1)
                lines = self.messages("timeout", "-s", "TERM", "3", qatime.program, "run", "-c", qatime.configuration,
                                      "--set", "log.level=debug")
                self.assertTrue(lines)
                words = {"7": "debug", "6": "info", "4": "warning", "3": "error"}
                for line in lines:
                    word = words[line["PRIORITY"]]
                    if form == "text":
                        self.assertRegex(line["MESSAGE"], rf"^{word} [a-z]+: ")
                    else:
                        self.assertEqual(json.loads(line["MESSAGE"])["level"], word)
                self.assertLess({"6"}, {line["PRIORITY"] for line in lines})

    def test_another_stream_than_the_journals_gets_times(self):
        qatime = self.qatime()
        with mock.patch.dict(os.environ, JOURNAL_STREAM="1:2"):
            qatime.start()
        self.assertRegex(qatime.log, r"^\d{4}-\d\d-\d\dT")
        qatime.stop()


class Notifications(Case):
    def start(self, **environment):
        self.manager = ServiceManager(self)
        daemon = self.qatime()
        with mock.patch.dict(os.environ, NOTIFY_SOCKET=self.manager.name, **environment):
            daemon.start()
        return daemon

    def test_ready_then_status_then_stopping_and_no_watchdog_that_nobody_asked_for(self):
        daemon = self.start()
        self.assertEqual(self.manager.receive(), "READY=1")
        self.assertTrue(lab.accepts(daemon.port))
        daemon.stop()
        self.assertEqual(self.manager.receive_until("STOPPING=1"), ["STATUS=0 pending, 0 applied", "STOPPING=1"])

    def test_the_status_says_what_was_done(self):
        (path,) = self.make_files("file")
        daemon, accessed = self.start(), now()
        send_tcp(daemon.port, [record(path, accessed)])
        self.expect_atimes({path: accessed})
        self.manager.receive_until("STATUS=0 pending, 1 applied")
        daemon.stop()

    def test_a_reload_is_told_with_its_time_and_its_end(self):
        daemon = self.start()
        self.manager.receive_until("STATUS=0 pending, 0 applied")
        before = time.monotonic_ns() // 1000
        daemon.process.send_signal(signal.SIGHUP)
        said = self.manager.receive()
        self.assertRegex(said, r"\ARELOADING=1\nMONOTONIC_USEC=\d+\Z")
        self.assertGreaterEqual(int(said.rpartition("=")[2]), before)
        self.assertEqual(self.manager.receive(), "READY=1")
        daemon.stop()

    def test_the_watchdog_hears_of_it_for_as_long_as_it_works(self):
        daemon = self.start(WATCHDOG_USEC="400000")
        for _ in range(5):
            self.manager.receive_until("WATCHDOG=1")
        daemon.process.send_signal(signal.SIGSTOP)
        self.manager.socket.settimeout(1)
        with self.assertRaises(TimeoutError):
            self.manager.receive_until("a message that never comes")
        daemon.process.send_signal(signal.SIGCONT)
        self.manager.socket.settimeout(60)
        self.manager.receive_until("WATCHDOG=1")
        daemon.stop()


class Systemd:
    """A systemd of our own with the unit as it is in conf/, but for drop-ins."""

    # The files that the unit refers to, and systemd itself.
    TARGETS = ("basic", "sysinit", "shutdown", "multi-user", "network-online")

    def __init__(self, scratch, qatime, **settings):
        self.directory = scratch.fresh("systemd")
        units, program, configuration, self.state = (scratch.directory(f"{self.directory.name}/{name}")
                                                     for name in ("units", "bin", "etc", "lib"))
        for target in self.TARGETS:
            (units / f"{target}.target").write_text("[Unit]\nDefaultDependencies=no\n")
        shutil.copy2(UNIT, units)
        shutil.copy2(qatime.program, program)
        self.configuration = configuration / "qatime.toml"
        shutil.copy2(qatime.configuration, self.configuration)
        self.log = self.directory / "log"
        drop_in = {"StandardError": f"append:{self.log}", **settings}
        scratch.directory(f"{self.directory.name}/units/qatime.service.d")
        (units / "qatime.service.d" / "test.conf").write_text(
            "[Service]\n" + "".join(f"{key}={value}\n" for key, value in drop_in.items()))
        self.process = None

    def start(self):
        command = ["sh", pathlib.Path(__file__).with_name("boot_systemd.sh"), self.directory]
        self.process = lab.start(command, self.directory / "output")
        lab.wait_until(lambda: self.process.poll() is not None or self.run("is-system-running").stdout.strip() in
                       ("running", "degraded"), "systemd to start")
        assert self.process.poll() is None, (self.directory / "output").read_text()
        return self

    def stop(self):
        self.process.kill()
        self.process.wait()
        cgroup = pathlib.Path((self.directory / "cgroup").read_text().strip())
        lab.wait_until(lambda: "populated 0" in (cgroup / "cgroup.events").read_text(), "the services to be gone")
        for group in [*sorted(cgroup.rglob("*/"), key=lambda path: -len(path.parts)), cgroup]:
            group.rmdir()

    def pid(self):
        """0 as long as there is none."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return (children or ["0"])[0]

    def run(self, *arguments):
        """systemctl."""
        return subprocess.run(["nsenter", "-t", self.pid(), "-m", "-p", "systemctl", *arguments], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=120)

    def configure(self, qatime):
        """For the next start."""
        pathlib.Path(f"/proc/{self.pid()}/root/etc/qatime/qatime.toml").write_bytes(qatime.configuration.read_bytes())

    def port(self, transport="tcp"):
        """Where the daemon listens, as its log says."""
        return int(dict(lab.Qatime.LISTENING.findall(self.log.read_text()))[transport])

    def show(self, name):
        return self.run("show", "-P", name, "qatime").stdout.strip()

    def outcome(self):
        return tuple(self.show(name) for name in ("Result", "ExecMainStatus", "NRestarts"))


def reason_to_skip():
    if not lab.ROOT:
        return "needs root, as systemd does"
    if not any(line.split()[2] == "cgroup2" for line in open("/proc/mounts")):
        return "no cgroup2 is mounted here"
    if subprocess.run(["unshare", "--mount", "--pid", "--uts", "--ipc", "--cgroup", "--fork", "true"]).returncode != 0:
        return "this root may not make namespaces"
    return None


@unittest.skipIf(reason_to_skip(), reason_to_skip())
class UnderSystemd(Case):
    def qatime(self, **settings):
        """Its state is where systemd says."""
        return super().qatime(backlog__directory="", **settings)

    def boot(self, qatime=None, **settings):
        made = Systemd(self.scratch, qatime or self.qatime(), **settings)
        self.addCleanup(made.stop)
        return made.start()

    def test_it_works_locked_up_and_stops_in_order(self):
        (path,) = self.make_files("file")
        qatime, time = self.qatime(), now()
        systemd = self.boot(qatime)
        self.assertEqual(systemd.show("ActiveState"), "active")
        self.assertRegex(systemd.show("StatusText"), r"\d+ pending, \d+ applied")
        send_tcp(systemd.port(), [record(path, time)])
        self.expect_atimes({path: time})
        self.assertNotIn(systemd.show("UID"), ("0", "[not set]"))
        self.assertEqual(systemd.run("stop", "qatime").returncode, 0)
        self.assertEqual(systemd.outcome(), ("success", "0", "0"))
        counters = lab.Counters(systemd.log.read_text())
        self.assertEqual(counters("applied"), 1)
        counters.check_sums()

    def test_what_waits_is_kept_in_its_state_directory(self):
        (path,) = self.make_files("file")
        time, away, there = now(), self.qatime(nfs__port=lab.own_port()), self.qatime()
        systemd = self.boot(away)
        user = int(systemd.show("UID"))
        send_tcp(systemd.port(), [record(path, time)])
        self.assertEqual(systemd.run("stop", "qatime").returncode, 0)
        self.assertIn("1 accesses wait in /var/lib/qatime", systemd.log.read_text())
        kept = systemd.state / "private" / "qatime"
        self.assertEqual([(file.stat().st_uid, file.stat().st_mode & 0o777) for file in (kept, kept / "backlog.db")],
                         [(user, 0o700), (user, 0o600)])
        systemd.configure(there)
        self.assertEqual(systemd.run("start", "qatime").returncode, 0)
        self.expect_atimes({path: time})

    def test_it_resolves_names(self):
        qatime = self.qatime(nfs__servers=["localhost"])
        (path,) = self.make_files("file")
        systemd, time = self.boot(qatime), now()
        send_tcp(systemd.port(), [record(path, time)])
        self.expect_atimes({path: time})

    def test_a_reload_reads_certificates_whose_key_only_a_group_may_read(self):
        identity = Authority(self.scratch.fresh("certificates")).issue("qatime.example")
        qatime = self.qatime(
            syslog__listen=["tls://127.0.0.1:0"], syslog__tls__certificate="/etc/qatime/certificate.pem",
            syslog__tls__key="/etc/qatime/key.pem")
        made = Systemd(self.scratch, qatime, SupplementaryGroups="www-data")
        shutil.copy2(identity.certificate, made.configuration.with_name("certificate.pem"))
        key = made.configuration.with_name("key.pem")
        shutil.copy2(identity.key, key)
        shutil.chown(key, "root", "www-data")
        key.chmod(0o640)
        self.addCleanup(made.stop)
        made.start()
        self.assertTrue(lab.accepts(made.port("tls")))
        self.assertEqual(made.run("reload", "qatime").returncode, 0)
        lab.wait_until(lambda: "SIGHUP: read again" in made.log.read_text(), "the configuration to be read")
        self.assertEqual(made.log.read_text().count("the certificate for TLS is"), 2)
        self.assertEqual(made.show("ActiveState"), "active")

    def test_it_is_started_again_when_it_hangs(self):
        systemd = self.boot(WatchdogSec="2s", TimeoutAbortSec="1s")
        self.assertEqual(systemd.run("kill", "--kill-who=main", "--signal=STOP", "qatime").returncode, 0)
        lab.wait_until(lambda: systemd.show("NRestarts") == "1", "systemd to start it again")
        lab.wait_until(lambda: systemd.show("ActiveState") == "active", "it to be ready again")

    def test_it_is_not_ended_while_it_only_waits(self):
        systemd = self.boot(WatchdogSec="1s")
        process, begin = systemd.show("MainPID"), int(systemd.show("ActiveEnterTimestampMonotonic"))
        lab.wait_until(lambda: int(systemd.show("WatchdogTimestampMonotonic")) > begin + 3_000_000,  # microseconds
                       "the watchdog to hear of it three times over")
        self.assertEqual((systemd.show("MainPID"), systemd.show("NRestarts")), (process, "0"))

    def test_a_wrong_configuration_is_not_tried_again(self):
        qatime = self.qatime(nfs__prot=2049)
        systemd = self.boot(qatime, RestartSec="100ms")
        lab.wait_until(lambda: systemd.show("ActiveState") == "failed", "it to fail")
        self.assertEqual(systemd.outcome(), ("exit-code", "2", "0"))
        self.assertIn("nfs.prot", systemd.log.read_text())

    def test_a_full_disk_at_the_start_is_no_end(self):
        made = Systemd(self.scratch, self.qatime())
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k,mode=755", "tmpfs", made.state], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", made.state], check=True)
        ballast = made.state / "ballast"
        with self.assertRaises(OSError), open(ballast, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        self.addCleanup(made.stop)
        made.start()
        self.assertEqual(made.show("ActiveState"), "active")
        self.assertIn("the backlog cannot be written, what comes waits in memory: /var/lib/qatime", made.log.read_text())
        pathlib.Path(f"/proc/{made.pid()}/root/var/lib/ballast").unlink()
        lab.wait_until(lambda: "the backlog is written again" in made.log.read_text(), "it to have its disk")
        self.assertEqual(made.outcome(), ("success", "0", "0"))
