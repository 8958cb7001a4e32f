# SPDX-License-Identifier: MIT
"""Where many names of one directory wait, pages of it replace the LOOKUPs. Counts of requests are no matter of speed."""

import os
import signal
import tempfile
import unittest

import lab
from case import OwnServerCase, now
from lab import record, send_tcp


def moves_atimes(place):
    """Whether the file system there moves the atime of a directory that is read."""
    with tempfile.TemporaryDirectory(dir=place) as made:
        os.utime(made, (1, 1))
        os.listdir(made)
        return os.stat(made).st_atime != 1


class Listings(OwnServerCase):
    FSAL = "MEM"
    MOVES_ATIMES = False  # of directories, when they are read
    seconds = 4

    @classmethod
    def make_server(cls):
        return lab.Ganesha(cls.scratch, fsal=cls.FSAL)

    def make_files_in(self, directory, count):
        paths = [f"{self.root}/{directory}/file {number}" for number in range(count)]
        self.make_tree(paths)
        return paths

    def apply(self, paths, **settings):
        """The counters of a daemon for which all these paths waited before the server said a word."""
        when = now()
        self.server.process.send_signal(signal.SIGSTOP)
        try:
            daemon = self.daemon(**settings)
            send_tcp(daemon.port, [record(path, when) for path in paths])
        finally:
            self.server.process.send_signal(signal.SIGCONT)
        self.expect_atimes({path: when for path in paths})
        counters = daemon.stop()
        self.assertEqual(counters("applied"), len(paths))
        counters.check_sums()
        return counters

    def test_a_whole_directory_costs_little_more_than_its_setattrs(self):
        paths = self.make_files_in("whole", 2000)
        before = self.files.atimes([f"{self.root}/whole"])
        counters = self.apply(paths)
        self.assertEqual(self.files.atimes([f"{self.root}/whole"]), before)
        self.assertGreater(counters("rpcs", "readdirplus"), 0)
        if self.MOVES_ATIMES:  # then the directory gets its own back, and is hardly read further
            self.assertLessEqual(counters("rpcs", "readdirplus"), 2)
            self.assertEqual(counters("rpcs", "setattr"), len(paths) + 1)
        else:
            self.assertLessEqual(counters("rpcs"), 1.1 * len(paths))
            self.assertEqual(counters("rpcs", "setattr"), len(paths))

    def test_few_names_of_a_large_directory_are_looked_up(self):
        paths = self.make_files_in("large", 5000)
        counters = self.apply(paths[2000:2005])
        self.assertEqual(counters("rpcs", "readdirplus"), 0)
        counters = self.apply(paths[::50])
        self.assertLessEqual(counters("rpcs", "readdirplus"), 1)
        self.assertEqual(counters("rpcs", "setattr"), 100 + self.MOVES_ATIMES)
        self.assertLessEqual(counters("rpcs", "lookup"), 100 + 2)

    def test_it_can_be_switched_off(self):
        paths = self.make_files_in("off", 500)
        counters = self.apply(paths, nfs__readdirplus=False)
        self.assertEqual(counters("rpcs", "readdirplus"), 0)
        self.assertGreaterEqual(counters("rpcs", "lookup"), len(paths))

    def test_our_own_listings_are_no_accesses(self):
        paths = self.make_files_in("own", 500)
        daemon = self.daemon()
        when = now()
        send_tcp(daemon.port, [record(path, when) for path in paths])
        self.expect_atimes({path: when for path in paths})
        (before,) = self.files.atimes([f"{self.root}/own"])
        send_tcp(daemon.port, [record(f"{self.root}/own/", when, "fs_list_directory", client="127.0.0.1")])
        counters = daemon.stop()
        self.assertEqual(counters("ignored", "self"), 1)
        self.assertEqual(self.files.atimes([f"{self.root}/own"]), [before])
        counters.check_sums()


@unittest.skipUnless(lab.FSAL == "VFS", "needs root, and a file system with handles")
class ListingsOfLocalFiles(Listings):
    FSAL = "VFS"
    MOVES_ATIMES = bool(lab.PLACES) and moves_atimes(lab.PLACES[0])
