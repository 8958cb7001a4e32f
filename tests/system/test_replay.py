# SPDX-License-Identifier: MIT
"""Recorded logs, through `qatime replay`."""

import bz2
import datetime
import gzip
import os
import pathlib
import pty
import random
import re
import signal
import subprocess
import unittest

import lab
from case import OLD, Case, needs_own_server, now
from lab import SECOND, record, rfc3339, wait_until

DATA = pathlib.Path(__file__).parent.parent / "data"
RECORDS = 10_000_000 if "QATIME_TEST_LONG" in os.environ else 200_000
TOKYO = datetime.timezone(datetime.timedelta(hours=9))
SEED = int(os.environ.get("SEED", "1"))


class Summary:
    """What replay prints at its end."""

    LINE = re.compile(r"^ *(\w+) +(\d+)((?:,? +[\w-]+ \d+)*)$")

    def __init__(self, output):
        self.output, self.values, self.parts = output, {}, {}
        for line in output.splitlines()[:-1]:
            name, value, parts = self.LINE.match(line).groups()
            self.values[name] = int(value)
            self.parts[name] = {part.split()[0]: int(part.split()[1]) for part in parts.split(",") if part.strip()}

    def __getitem__(self, name):
        return self.values[name]

    def check_sums(self):
        records = sum(self[name] for name in ("malformed", "ignored", "moves", "removals", "accepted"))
        assert self["records"] == records, self.output
        outcomes = ("coalesced", "cancelled", "applied", "unchanged", "failed", "dropped", "pending")
        assert self["accepted"] + self["recovered"] == sum(self[name] for name in outcomes), self.output
        for name in ("malformed", "ignored", "failed", "dropped"):
            assert self[name] == sum(self.parts[name].values()), self.output


class Replay(Case):
    seconds = 2

    def start(self, qatime, *arguments, **options):
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        process = subprocess.Popen([qatime.program, "replay", "-c", qatime.configuration, *arguments],
                                   cwd=qatime.directory, **lab.as_nobody(), **options)
        self.addCleanup(self.discard, process)
        return process

    @staticmethod
    def discard(process):
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()

    def end(self, process, status, data=None):
        """Its summary, if it has one, and what it says on standard error."""
        output, error = (stream.decode() for stream in process.communicate(data, timeout=1200))
        self.assertNotRegex(error, lab.SANITIZER)
        self.assertEqual(process.returncode, status, output + error)
        if not output:
            return None, error
        summary = Summary(output)
        summary.check_sums()
        return summary, error

    def replay(self, *logs, status=0, data=None, **settings):
        stdin = subprocess.DEVNULL if data is None else subprocess.PIPE
        return self.end(self.start(self.qatime(**settings), *logs, stdin=stdin), status, data)

    def write(self, records, name="recorded.log"):
        path = self.scratch.path / name
        path.write_bytes(b"".join(line + b"\n" for line in records))
        self.addCleanup(path.unlink)
        return path

    def test_the_newest_time_wins_and_renames_late_in_the_log_are_known(self):
        (new, kept) = self.make_files("new", "kept")
        time, old, gone = now(), self.root + "/old", self.root + "/gone"
        lines = [record(kept, time - offset * SECOND) for offset in (5, 1, 3)]
        lines += [record(old, time - 4 * SECOND), record(gone, time)]
        lines += [record("/elsewhere", time, "fs_open")] * 200_000  # several reads
        lines += [record(gone, time + 1000, "fs_delete"), record(old, time - 2 * SECOND, "fs_rename", target=new)]
        summary, error = self.replay(self.write(lines))
        self.assertEqual(error, "")
        self.check_atimes([kept, new], [time - SECOND, time - 4 * SECOND])
        self.expect_mtimes({kept: OLD, new: OLD})
        for name, value in {"moves": 1, "removals": 1, "accepted": 5, "coalesced": 2, "cancelled": 1, "applied": 2,
                            "failed": 0, "pending": 0}.items():
            self.assertEqual(summary[name], value, name)
        self.assertEqual(summary.parts["ignored"], {"operation": 200_000})

    def test_renames_that_two_logs_have_are_one_and_exports_stay(self):
        (path,) = self.make_files("new")
        time, old = now() - SECOND, self.root + "/old"
        renamed = [record(old, time), record(old, time + 1000, "fs_rename", target=path)]
        forged = [record("/", time + 2000, "fs_tree_delete"), record("/", 2**33 * SECOND, "fs_tree_delete"),
                  record(self.root, now() + 2 * 86400 * SECOND, "fs_tree_delete"),
                  record(self.root, time + 2000, "fs_rename", target="/")]
        summary, _ = self.replay(self.write(renamed + forged), self.write(renamed, "other.log"))
        self.check_atimes([path], [time])
        for name, value in {"moves": 2, "repeated": 1, "coalesced": 1, "cancelled": 0, "applied": 1}.items():
            self.assertEqual(summary[name], value, name)
        self.assertEqual(summary.parts["ignored"], {"protected": 2, "range": 1, "future": 1})

    def test_packed_logs_and_standard_input_in_one_go(self):
        paths = self.make_files("plain", "packed", "piped")
        times = {path: now() + index for index, path in enumerate(paths)}
        plain, packed, piped = ([record(path, time)] for path, time in times.items())
        gz = self.write([], "misnamed.log")
        gz.write_bytes(gzip.compress(packed[0] + b"\n" + plain[0][:20]) + gzip.compress(plain[0][20:]))
        summary, error = self.replay(self.write(plain), gz, "-", data=gzip.compress(piped[0]))
        self.assertEqual((error, summary["applied"], summary["coalesced"]), ("", 3, 1))
        self.check_atimes(times, times.values())

    def test_every_sample(self):
        logs = sorted(DATA.glob("*.log"))
        lines = sum(bool(line.strip()) for log in logs for line in log.read_bytes().splitlines())
        self.make_directory("/Demo")  # else the export looks like another than the records speak of
        places = [self.write(log.read_bytes().splitlines(), log.name) for log in logs]
        summary, _ = self.replay(*places)
        self.assertEqual(summary["records"], lines)
        malformed = (DATA / "expected.tsv").read_text().count("\tmalformed\t")
        self.assertEqual(summary["malformed"], malformed)
        self.assertGreater(summary["accepted"], 3)

    def test_a_time_without_a_year_is_of_when_the_log_was_written(self):
        (path,) = self.make_files("file")
        line = b'Jun  6 14:52:28 q-1 qumulo 192.0.2.1,"u",nfs3,fs_read_data,ok,7,%s,""' % lab.quoted(path)
        log = self.write([line])
        os.utime(log, (0, 1_560_000_000))  # 2019-06-08
        self.replay(log)
        self.check_atimes([path], [1_559_832_748 * SECOND])

    def test_in_a_log_a_local_time_is_ahead_of_when_it_was_written(self):
        early, late, iso, zoned = paths = self.make_files("early", "late", "iso", "zoned")
        written = 1_560_000_000  # 2019-06-08T13:20:00Z
        lines = [b'%s store-1 qumulo 192.0.2.1,"u",nfs3,fs_read_data,ok,7,%s,""' % (time, lab.quoted(path))
                 for time, path in ((b"Jun  8 13:24:00", early), (b"Jun  8 22:20:00", late),
                                    (b"2019-06-08T22:20:00", iso), (b"2019-06-08T22:20:00Z", zoned))]
        log = self.write(lines)
        os.utime(log, (0, written))
        summary, error = self.replay(log)
        self.assertEqual(summary.parts["ignored"], {"future": 2})
        self.assertRegex(error, r"of node store-1, by 9 h 0 min: .*syslog\.rfc3164_timezone")
        self.check_atimes(paths, [(written + 240) * SECOND, OLD, OLD, (written + 9 * 3600) * SECOND])
        self.replay(log, syslog__rfc3164_timezone="Asia/Tokyo")
        self.check_atimes([late, iso], [written * SECOND] * 2)

    def test_a_log_that_grows_is_read_by_now(self):
        first, last = self.make_files("first", "last")
        body = b'q-1 qumulo 192.0.2.1,"u",nfs3,fs_read_data,ok,7,%s,""\n'
        fifo = self.scratch.path / "fifo"
        os.mkfifo(fifo)
        self.addCleanup(fifo.unlink)
        log = self.write([])
        log.write_bytes(b"2019-06-08T13:20:00 " + body % lab.quoted(first))
        os.utime(log, (0, 1_560_000_000))
        process = self.start(self.qatime(), fifo, log)  # the log is looked at, and then the fifo holds it up
        with open(fifo, "wb") as pipe:
            pipe.write(record("/x", now()) + b"\n")
            wait_until(lambda: lab.has_socket(process.pid), "a connection")
            with open(log, "ab") as file:
                file.write(b"2020-01-01T00:00:00 " + body % lab.quoted(last))
        summary, _ = self.end(process, 0)
        self.assertEqual(summary["ignored"], 0)
        self.check_atimes([last], [1_577_836_800 * SECOND])

    def test_only_records_of_the_period_count(self):
        before, first, middle, end, moved, kept, gone = paths = self.make_files("before", "first", "middle", "end",
                                                                                  "moved", "kept", "gone")
        since = (now() // SECOND - 7200) * SECOND
        until = since + 3600 * SECOND
        log = self.write([
            record(before, since - 1000), record(kept, since - 1000, "fs_rename", target=moved), record(first, since),
            record(middle, since + 1000), record(kept, since + 1000), record(gone, since + 2000),
            record(gone, until, "fs_delete"), record(end, until), record(self.root, until + 1000, "fs_open")])
        process = self.start(self.qatime(), "--since", rfc3339(since)[:-4] + "Z", "--until",
                             datetime.datetime.fromtimestamp(until // SECOND, TOKYO).isoformat(), log)
        summary, error = self.end(process, 0)
        self.assertEqual(error, "")
        self.assertEqual(summary.parts["ignored"], {"period": 4, "operation": 1})
        self.assertEqual((summary["accepted"], summary["moves"], summary["removals"]), (4, 0, 0))
        self.check_atimes(paths, [OLD, since, since + 1000, OLD, OLD, since + 1000, since + 2000])

    def test_one_end_of_the_period_will_do(self):
        early, late = self.make_files("early", "late")
        time = now() - 60 * SECOND
        log = self.write([record(early, time - 1000), record(late, time)])
        for option, path, atime in (("--until", early, time - 1000), ("--since", late, time)):
            summary, _ = self.end(self.start(self.qatime(), option, rfc3339(time), log), 0)
            self.assertEqual((summary["applied"], summary.parts["ignored"]), (1, {"period": 1}))
            self.check_atimes([path], [atime])

    def test_a_period_that_holds_nothing_is_refused(self):
        (path,) = self.make_files("file")
        log, time = self.write([record(path, now())]), "2026-01-27T14:12:23Z"
        for since, until in ((time, time), ("2026-01-27T14:12:23+00:00", "2026-01-27T15:12:23+01:00"),
                             (time, "2026-01-27T14:12:22.9Z")):
            _, error = self.end(self.start(self.qatime(), "--since", since, "--until", until, log), 2)
            self.assertEqual(error, "qatime: --since must be before --until\n")
        self.expect_untouched([path])

    def test_a_dry_run_sets_nothing(self):
        paths = self.make_files("a", "b")
        log = self.write([record(path, now()) for path in paths])
        summary, _ = self.end(self.start(self.qatime(), "--dry-run", log), 0)
        self.assertEqual(summary["applied"], 2)
        self.expect_untouched(paths)

    def test_a_denied_access_fails_and_the_others_do_not(self):
        if not self.tree():
            self.skipTest("needs files whose owner can be changed")
        paths = self.make_files(*map(str, range(1000)))
        denied = paths[500]  # in the middle: where nothing succeeds behind it, it is tried again after a minute
        for path in set(paths) - {denied}:
            os.chown(str(self.tree()) + os.fsdecode(path), 12345, 12345)
        time = now()
        summary, error = self.replay(self.write([record(path, time) for path in paths]), status=1, nfs__uid=12345,
                                     nfs__gid=12345)
        self.assertEqual((summary["applied"], summary["failed"]), (999, 1))
        self.assertIn(next(iter(summary.parts["failed"])), ("perm", "acces"))
        self.assertIn(os.fsdecode(denied), error)

    def test_what_comes_before_the_damage_counts(self):
        paths = self.make_files(*map(str, range(100)))
        time = now()
        whole = gzip.compress(b"".join(record(path, time) + b"\n" for path in paths), compresslevel=0)
        log = self.write([])
        log.write_bytes(whole[:len(whole) // 2])
        summary, error = self.replay(log, status=1)
        self.assertRegex(error, r"recorded\.log: .*cut off; what was read before counts")
        self.assertTrue(30 < summary["applied"] < 60, summary.output)
        self.assertEqual(summary["malformed"], 0)
        self.check_atimes(paths[:30], [time] * 30)

    def test_nothing_is_applied_when_a_log_is_not_there(self):
        (path,) = self.make_files("file")
        log = self.write([record(path, now())])
        for wrong, pattern in ((["/not/there"], "/not/there: No such file"), (["/"], "/: is a directory"),
                               (["-", "-"], "once"), (["--fly"], "fly")):
            _, error = self.replay(log, *wrong, status=2)
            self.assertRegex(error, pattern)
        self.expect_untouched([path])

    def test_nothing_is_applied_when_a_log_is_packed_otherwise(self):
        (path,) = self.make_files("file")
        log = self.write([record(path, now())])
        other = self.write([], "other.log")
        other.write_bytes(bz2.compress(log.read_bytes()))
        _, error = self.replay(log, other, status=2)
        self.assertIn(f"is packed by bzip2: use `bzcat {other} | qatime replay -`", error)
        _, error = self.replay(log, "-", status=2, data=other.read_bytes())
        self.assertIn("is packed by bzip2", error)
        self.expect_untouched([path])

    def test_a_log_without_any_record_fails_and_the_others_count(self):
        (path,) = self.make_files("file")
        time = now()
        log = self.write([record(path, time)])
        foreign = self.write([b"Jun  6 14:52:28 host cron: started"] * 11, "foreign.log")
        summary, error = self.replay(foreign, log, status=1)
        self.assertRegex(error, r"foreign\.log: none of its 11 lines is an audit record")
        self.assertEqual((summary["malformed"], summary["applied"]), (11, 1))
        self.check_atimes([path], [time])

    @needs_own_server
    def test_it_fails_at_once_when_nothing_can_be_applied(self):
        log = self.write([record("/x", now())])
        port = lab.own_port()
        _, error = self.replay(log, status=1, nfs__port=port)
        self.assertRegex(error, rf"127\.0\.0\.1.*{port}.*refused")
        self.server.change(access="RO")
        self.addCleanup(self.server.change, access="RW")
        _, error = self.replay(log, status=1)
        self.assertRegex(error, "(?i)read.only")

    def test_a_signal_while_it_reads_leaves_everything_as_it_was(self):
        (path,) = self.make_files("file")
        for start_of_log in (record(path, now()) + b"\n", b"<", gzip.compress(record(path, now()))[:20]):
            process = self.start(self.qatime(), "-", stdin=subprocess.PIPE)
            process.stdin.write(start_of_log)
            process.stdin.flush()
            # Its signals are handled once it has a socket, which is when it connects.
            wait_until(lambda: lab.has_socket(process.pid), "a connection")
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(60), 1)  # its standard input stays open
            _, error = self.end(process, 1)
            self.assertIn("nothing was applied", error)
        self.expect_untouched([path])

    @needs_own_server
    def test_a_signal_while_it_applies_tells_what_is_left(self):
        process, terminal = self.halted(self.make_files("a", "b", "c"))
        process.send_signal(signal.SIGTERM)
        summary, shown = self.end_on(terminal, process, 1)
        self.assertIn("3 accesses are left", shown)
        self.assertEqual((summary["applied"], summary["pending"]), (0, 3))

    @needs_own_server
    def test_it_ends_when_nothing_gets_done(self):
        process, terminal = self.halted(self.make_files("a", "b", "c"), "--patience", "1s")
        summary, shown = self.end_on(terminal, process, 1)
        self.assertIn("nothing was done for 1 s", shown)
        self.assertIn("3 accesses are left", shown)
        self.assertEqual((summary["applied"], summary["pending"]), (0, 3))

    def test_patience_is_a_duration(self):
        _, error = self.replay("--patience", "soon", self.write([]), status=2)
        self.assertIn("--patience must be a duration, like 10m", error)

    @needs_own_server
    def test_an_outage_while_it_applies_is_waited_out(self):
        process, terminal = self.halted(self.make_files("a", "b", "c"))
        self.server.stop(signal.SIGKILL)
        self.server.start()
        summary, _ = self.end_on(terminal, process, 0)
        self.assertEqual(summary["applied"], 3)

    def halted(self, paths, *arguments):
        """A replay on a terminal that has begun to apply accesses to these paths to a server that hangs."""
        terminal = Terminal()
        self.addCleanup(terminal.close)
        process = self.start(self.qatime(), *arguments, "-", stdin=subprocess.PIPE, stderr=terminal.end)
        terminal.attached()
        terminal.wait_for("reading: ")
        self.server.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: lab.is_stopped(self.server.process.pid), "all its threads to stop")
        self.addCleanup(self.server.process.send_signal, signal.SIGCONT)
        process.stdin.write(b"".join(record(path, now()) + b"\n" for path in paths))
        process.stdin.close()
        terminal.wait_for("applying: 0 of 3 accesses done, 0 applied")
        return process, terminal

    def end_on(self, terminal, process, status):
        shown = terminal.rest()
        output = process.stdout.read().decode()
        self.assertEqual(process.wait(60), status, output + shown)
        summary = Summary(output)
        summary.check_sums()
        return summary, shown

    def test_progress_is_shown_on_a_terminal_and_cleared(self):
        (path,) = self.make_files("file")
        log = self.write([record(path, now())] * 100_000)
        terminal = Terminal()
        self.addCleanup(terminal.close)
        process = self.start(self.qatime(), log, stderr=terminal.end)
        terminal.attached()
        _, shown = self.end_on(terminal, process, 0)
        self.assertRegex(shown, r"\r\x1b\[Kreading: \d+ of 1\d MiB, \d+ records/s, \d+ accesses waiting, \d+:\d\d left")
        self.assertRegex(shown, r"\r\x1b\[K$")

    @unittest.skipIf("QATIME_TEST_QUICK" in os.environ, "waits for 10 s")
    def test_progress_is_told_line_by_line_where_there_is_no_terminal(self):
        (path,) = self.make_files("file")
        process = self.start(self.qatime(), "-", stdin=subprocess.PIPE)
        process.stdin.write(record(path, now()) + b"\n")
        process.stdin.flush()
        self.assertRegex(process.stderr.readline(), rb"^reading: 0 MiB, \d+ records/s, 1 accesses waiting\n$")
        summary, _ = self.end(process, 0)
        self.assertEqual(summary["applied"], 1)

    def test_many_records_all_have_their_outcome(self):
        names = [f"{directory}/{name}" for directory in range(100) for name in range(20)]
        with self.files as files:
            for directory in range(100):
                files.do("mkdir", f"{self.root}/{directory}")
        paths = self.make_files(*names)
        chance, base, newest = random.Random(SEED), now(), {}
        log = self.scratch.path / "many.log"
        self.addCleanup(log.unlink)
        with open(log, "wb") as file:
            for index in range(RECORDS):
                path, time = chance.choice(paths), base - chance.randrange(10**12)
                kind = index % 10
                if kind == 0:
                    file.write(record(path, time, "fs_open") + b"\n")
                elif kind == 1:
                    file.write(record(b"%s-gone-%d" % (path, index % 1000), time) + b"\n")
                else:
                    file.write(record(path, time) + b"\n")
                    newest[path] = max(time, newest.get(path, 0))
        summary, _ = self.replay(log)
        self.assertEqual(summary["records"], RECORDS)
        self.assertEqual(summary["ignored"], RECORDS // 10)
        self.assertEqual(summary["applied"], len(newest))
        self.assertEqual(summary["failed"], summary.parts["failed"]["noent"])
        self.check_atimes(newest, newest.values())


class Terminal:
    """A pseudo-terminal: what is shown on it."""

    def __init__(self):
        self.master, self.end = pty.openpty()
        self.shown = b""

    def attached(self):
        """The program has it now; ours would keep it open."""
        os.close(self.end)
        self.end = None

    def read(self):
        try:
            return os.read(self.master, 4096)
        except OSError:  # the last program that had it has closed it
            return b""

    def wait_for(self, text):
        while text.encode() not in self.shown:
            more = self.read()
            assert more, f"{text} is not in {self.shown}"
            self.shown += more

    def rest(self):
        while more := self.read():
            self.shown += more
        return self.shown.decode()

    def close(self):
        os.close(self.master)
        if self.end is not None:
            os.close(self.end)
