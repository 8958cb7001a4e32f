# SPDX-License-Identifier: MIT
"""The system tests: the real program as an ordinary user against a real NFSv3 server.

    QATIME=BUILD/src/qatime QATIME_NFS_FILES=BUILD/tests/nfs_files python3 tests/system [-v] [-k PATTERN] [TEST...]

QATIME_TEST_NFS="host:port:mountport:/export" runs them against another server than an nfs-ganesha of their own (which
some need: they are skipped then); they make and remove directories of their own there. KEEP=1 keeps those, and the logs.
QATIME_TEST_QUICK=1 leaves out what waits for a minute, QATIME_TEST_LONG=1 takes longer over what wants endurance.
QATIME may be built with sanitizers: a word of theirs in a log fails the test.

They run several at once, since most of them wait: -j 1 runs one after the other. What failed is printed last.
"""

import argparse
import io
import multiprocessing
import os
import pathlib
import sys
import unittest

import lab

TOGETHER = 4  # tests of a class, at most, that one process runs, on one server


def tests_of(suite):
    for item in suite:
        yield from tests_of(item) if isinstance(item, unittest.TestSuite) else [item]


def shares_of(suite):
    """The tests in lists, each to be run by one process."""
    classes = {}
    for test in tests_of(suite):
        classes.setdefault(type(test), []).append(test)
    return [tests[begin:begin + TOGETHER] for tests in classes.values() for begin in range(0, len(tests), TOGETHER)]


def chosen(options):
    loader = unittest.TestLoader()
    if options.patterns:
        loader.testNamePatterns = [pattern if "*" in pattern else f"*{pattern}*" for pattern in options.patterns]
    if options.tests:
        return loader.loadTestsFromNames(options.tests)
    return loader.discover(pathlib.Path(__file__).parent)


def take_ports(numbers, jobs):
    """Of the ports that may be free, a process tries only its own: none is taken between being found and being used."""
    with numbers.get_lock():
        lab.PORTS = lab.PORTS[numbers.value::jobs]
        numbers.value += 1


def run(number):
    """Whether this share succeeded, and what unittest says about it."""
    output = io.StringIO()
    result = unittest.TextTestRunner(output, verbosity=options.verbosity).run(unittest.TestSuite(shares[number]))
    return result.wasSuccessful(), output.getvalue()


if __name__ == "__main__":
    lab.binary("QATIME"), lab.binary("QATIME_NFS_FILES")
    parser = argparse.ArgumentParser(prog="tests/system", description=__doc__.splitlines()[0])
    parser.add_argument("-v", dest="verbosity", action="store_const", const=2, default=1, help="name each test")
    parser.add_argument("-k", dest="patterns", action="append", metavar="PATTERN", help="only tests with such names")
    parser.add_argument("-j", dest="jobs", type=int, default=2 * os.cpu_count(), metavar="JOBS")
    parser.add_argument("tests", nargs="*", metavar="TEST")
    options = parser.parse_args()
    shares = shares_of(chosen(options))
    failures = []
    context = multiprocessing.get_context("fork")  # which inherits the shares
    with context.Pool(options.jobs, take_ports, (context.Value("i", 0), options.jobs)) as pool:
        for succeeded, output in pool.imap_unordered(run, range(len(shares))):
            if succeeded:
                sys.stderr.write(output)
            else:
                failures.append(output)
    sys.stderr.write("".join(failures))
    sys.exit(1 if failures or not shares else 0)
