# SPDX-License-Identifier: MIT
"""The ground that every system test stands on: a server, a directory on it, a daemon."""

import itertools
import os
import shutil
import signal
import time
import unittest

import foreign
import lab
from lab import SECOND, toml, wait_until

OLD = 1_000_000_000 * SECOND  # when the files of a test were last accessed and modified before it
NUMBER = itertools.count()
TAKEN = "SIGHUP: read again, "
needs_own_server = unittest.skipIf(foreign.PLACE, "needs a server that may be killed and changed")


class Case(unittest.TestCase):
    """Each test has a directory of its own, self.root, on a server that the tests of its class share.

    `seconds` is about what the longest of them takes. It only says which ones are to start first.
    """

    seconds = 1

    @classmethod
    def setUpClass(cls):
        cls.scratch = lab.Scratch()
        cls.addClassCleanup(cls.scratch.remove)
        cls.server = cls.make_server()
        cls.addClassCleanup(cls.server.stop)

    @classmethod
    def make_server(cls):
        return foreign.server(cls.scratch)

    def setUp(self):
        self.programs = []
        self.files = self.server.files()
        self.root = f"/qatime-test-{os.getpid()}-{next(NUMBER)}"
        self.make_directory(self.root)

    def _callTestMethod(self, method):
        try:
            super()._callTestMethod(method)
        except unittest.SkipTest:
            raise
        except Exception as error:
            for note in map(lab.Qatime.last_words, self.programs):
                error.add_note(note)
            raise

    def make_directory(self, path):
        with self.files as files:
            files.do("mkdir", path)
        if os.environ.get("KEEP") != "1":
            self.addCleanup(self.remove, path)

    def tree(self):
        """Where the files of the server lie, if we can get there, which takes a tenth of the time of requests; or None."""
        return self.server.tree if getattr(self.server, "fsal", None) == "VFS" else None

    def remove(self, path):
        if self.tree() and path.startswith(self.root):  # names that are not used again, which the server might remember
            return shutil.rmtree(f"{self.tree()}{path}")
        with self.files as files:
            files.do("remove", path)

    def make_files(self, *names, root=None):
        """Old files below the root of the test; returns their paths."""
        root = os.fsencode(root or self.root)
        paths = [root + b"/" + os.fsencode(name) for name in names]
        with self.files as files:
            for path in paths:
                files.do("create", path)
                files.do("age", path, OLD // SECOND)
        return paths

    def make_tree(self, paths):
        """Many new files, and their directories."""
        directories = sorted({path.rpartition("/")[0] for path in paths} - {self.root})
        if self.tree():
            for directory in directories:
                os.mkdir(f"{self.tree()}{directory}")
            for path in paths:
                open(f"{self.tree()}{path}", "x").close()
            return
        with self.files as files:
            for directory in directories:
                files.do("mkdir", directory)
            for path in paths:
                files.do("create", path)

    def qatime(self, **settings):
        """The program, configured; keys with `__` for the dot. A daemon that still runs at the end is killed."""
        made = lab.Qatime(self.scratch, self.server, {key.replace("__", "."): value for key, value in settings.items()})
        self.addCleanup(made.kill)
        self.programs.append(made)
        return made

    def daemon(self, **settings):
        return self.qatime(**settings).start()

    def expect_atimes(self, expected, limit=60):
        """Waits until every path of {path: atime} has its atime, as the server keeps it."""
        left = {path: self.server.kept(atime) for path, atime in expected.items()}

        def arrived():
            """Looks at some first: as long as they are wrong, the others are not worth a look."""
            size = 50
            while left:
                some = list(itertools.islice(left, size))
                right = [path for path, atime in zip(some, self.files.atimes(some)) if atime == left[path]]
                for path in right:
                    del left[path]
                if len(right) < len(some):
                    return False
                size *= 10
            return True

        try:
            lab.wait_until(arrived, f"{len(expected)} atimes", limit)
        except AssertionError:
            path, wanted = next(iter(left.items()))
            self.fail(f"{len(left)} of {len(expected)} atimes are wrong, the first is {path}: "
                      f"{self.files.atimes([path])[0]}, not {wanted}")

    def check_atimes(self, paths, atimes):
        """They have them already, as the server keeps them."""
        self.assertEqual(self.files.atimes(paths), [self.server.kept(atime) for atime in atimes])

    @property
    def tick(self):
        """Records whose times differ by so much get other times on the server. Records have microseconds."""
        return max(1000, self.server.granularity)

    def expect_mtimes(self, expected):
        """Of {path: mtime}, where the server can be asked for it."""
        if self.server.keeps_mtime:
            self.assertEqual({path: mtime for path, (_, mtime) in zip(expected, self.files.times(expected))}, expected)

    def expect_untouched(self, paths):
        for path, times in zip(paths, self.files.times(paths)):
            self.assertEqual(times, (OLD, OLD), path)


class OwnServerCase(Case):
    """For what is done to the server itself."""

    @classmethod
    def setUpClass(cls):
        if foreign.PLACE:
            raise unittest.SkipTest("needs a server that may be killed and changed")
        super().setUpClass()

    def setUp(self):
        if self.server.process.poll() is not None:
            self.server.start()
        super().setUp()


def started_after(daemon, how):
    """The daemon, whose shell does `how` before it becomes qatime; a failure ends it. Not for sanitizers, which take
    descriptors and memory of their own."""
    if lab.is_sanitized(daemon.program):
        raise unittest.SkipTest("a sanitizer needs more than such a limit leaves")
    script = daemon.directory / "limited"
    script.write_text(f'#!/bin/sh\n{how} || exit 7\nexec {daemon.program} "$@"\n')
    script.chmod(0o755)
    daemon.program = script
    return daemon


def now():
    return time.time_ns() // 1000 * 1000  # as precise as a cluster's records


def later():
    """A time after those that a server has just given to new files: its clock may be ahead, and may cut to two seconds."""
    return now() + 5 * SECOND


class Hangup(Case):
    def write(self, daemon, **changes):
        """Gives the daemon another configuration: of single keys, with `__` for the dot."""
        settings = {**daemon.settings, **{key.replace("__", "."): value for key, value in changes.items()}}
        daemon.configuration.write_text("".join(f"{key} = {toml(value)}\n" for key, value in settings.items()))

    def hang_up(self, daemon, said):
        """SIGHUP; returns the line about it."""
        seen = daemon.log.count(said)
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: daemon.log.count(said) > seen, said)
        return [line for line in daemon.log.splitlines() if said in line][-1]

    def reload(self, daemon, **changes):
        self.write(daemon, **changes)
        return self.hang_up(daemon, TAKEN)
