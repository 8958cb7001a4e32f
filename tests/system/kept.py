# SPDX-License-Identifier: MIT
"""Daemons that keep what waits in one directory, one after the other."""

import contextlib
import itertools
import os
import shutil
import sqlite3
import tempfile

import lab
from case import Case, now
from lab import record, send_tcp, wait_until

NUMBER = itertools.count()
# The names of the server's files in records, and a place whose accesses wait for ever.
HERE, NOWHERE = "/here", "/nowhere"


def access(path, when):
    return record(os.fsencode(HERE) + os.fsencode(path), when)


def rows(directory):
    """[(changes, accesses)] in the log of a daemon that may run: it locks the file, so a copy is read. None if that was
    made in the middle of something."""
    with tempfile.TemporaryDirectory() as copy:
        for name in ("backlog.db", "backlog.db-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copy(directory / name, copy)
        with contextlib.closing(sqlite3.connect(f"{copy}/backlog.db")) as database:
            try:
                return list(database.execute("SELECT changes, entries FROM batch"))
            except sqlite3.DatabaseError:
                return None


def wait_until_settled(daemon):
    """Until nothing waits: what is not there is looked up again after two seconds."""
    wait_until(lambda: daemon.metrics()("pending_entries") == 0, "all to have an outcome")


class KeptCase(Case):
    def setUp(self):
        super().setUp()
        self.state = self.scratch.fresh("state", lab.NOBODY)
        self.here = {"path": HERE, "export": self.server.export}
        self.marks = 0

    def qatime(self, away=False, **settings):
        """One whose server is there, or away."""
        settings = {"backlog__directory": str(self.state), "backlog__commit": "20ms",
                    "nfs__exports": [self.here, {"path": NOWHERE, "export": "/not there"}], **settings}
        if away:
            settings["nfs__port"] = lab.own_port()
        return super().qatime(**settings)

    def wait_until_kept(self, daemon):
        """Until all that this daemon had received before is in the log, or applied."""
        mark = f"mark {next(NUMBER)}."
        send_tcp(daemon.port, [record(f"{NOWHERE}/{mark}", now())])
        wait_until(lambda: any(mark.encode() in accesses for _, accesses in rows(self.state) or ()), "the log to be written")
        self.marks += 1

    def expect_all_applied(self, times):
        """A daemon that does not know NOWHERE any more applies all that is left. Returns its counters."""
        daemon = self.daemon(nfs__exports=[self.here])
        self.expect_atimes(times, limit=180)
        wait_until(lambda: rows(self.state) is not None and not any(accesses for _, accesses in rows(self.state)),
                   "nothing to be left")
        counters = daemon.stop()
        counters.check_sums()
        self.assertEqual(counters("failed") + counters("pending_entries"), 0, counters.values)
        self.assertEqual(counters("dropped", "export"), counters("dropped"), counters.values)
        return counters
