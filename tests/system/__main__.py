# SPDX-License-Identifier: MIT
"""The system tests: the real program as an ordinary user against a real NFSv3 server.

    QATIME=BUILD/src/qatime QATIME_NFS_FILES=BUILD/tests/nfs_files python3 tests/system [-v] [-k PATTERN] [TEST...]

QATIME_TEST_NFS="host:port:mountport:/export" runs them against another server than an nfs-ganesha of their own (which
some need: they are skipped then); they make and remove directories of their own there. KEEP=1 keeps those, and the logs.
QATIME_TEST_QUICK=1 leaves out what waits for a minute, QATIME_TEST_LONG=1 takes longer over what wants endurance.
QATIME may be built with sanitizers: a word of theirs in a log fails the test.

They run several at once, since most of them wait: -j 1 runs one after the other. Failures are printed last, and with
-v behind it what took longest.
"""

import argparse
import collections
import io
import multiprocessing
import os
import pathlib
import signal
import sys
import time
import unittest

import lab

TOGETHER = 4  # seconds of tests of a class, more or less, that one process runs on one server
SLOWEST = 15


def tests_of(suite):
    for item in suite:
        yield from tests_of(item) if isinstance(item, unittest.TestSuite) else [item]


def seconds(test):
    """About how long it takes, as its class says."""
    return getattr(test, "seconds", 1)


def shares_of(suite):
    """The tests in lists, each to be run by one process. The longest come first, so that none of them is waited for."""
    classes = {}
    for test in tests_of(suite):
        classes.setdefault(type(test), []).append(test)
    shares = []
    for tests in classes.values():
        size = max(1, TOGETHER // seconds(tests[0]))
        shares += [tests[begin:begin + size] for begin in range(0, len(tests), size)]
    return sorted(shares, key=lambda tests: seconds(tests[0]), reverse=True)


def chosen(options):
    loader = unittest.TestLoader()
    if options.patterns:
        loader.testNamePatterns = [pattern if "*" in pattern else f"*{pattern}*" for pattern in options.patterns]
    if options.tests:
        return loader.loadTestsFromNames(options.tests)
    return loader.discover(pathlib.Path(__file__).parent)


class Result(unittest.TextTestResult):
    """With the time that each test took."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.took = []

    def startTest(self, test):
        super().startTest(test)
        self.begin = time.monotonic()

    def stopTest(self, test):
        self.took.append((time.monotonic() - self.begin, test.id()))
        super().stopTest(test)


def run(number):
    """What unittest says about this share, but for its summary, the numbers of that, and how long each test took."""
    output = io.StringIO()
    runner = unittest.TextTestRunner(output, verbosity=options.verbosity, resultclass=Result)
    result = runner.run(unittest.TestSuite(shares[number]))
    said = output.getvalue().rpartition(f"{result.separator2}\nRan ")[0]
    counts = {"failures": len(result.failures), "errors": len(result.errors), "skipped": len(result.skipped)}
    return said, result.testsRun, counts, result.took


def run_all(jobs):
    """Whether all succeeded. Failures are shown last, before a summary like unittest's."""
    begin, ran, total, failed, durations = time.monotonic(), 0, collections.Counter(), [], []
    context = multiprocessing.get_context("fork")  # which inherits the shares
    with context.Pool(jobs) as pool:
        for said, count, counts, took in pool.imap_unordered(run, range(len(shares))):
            ran, durations = ran + count, durations + took
            total.update(counts)
            if counts["failures"] + counts["errors"]:
                failed.append(said)
            else:
                sys.stderr.write(said)
    sys.stderr.write("".join(failed))
    if options.verbosity > 1:
        slowest = sorted(durations, reverse=True)[:SLOWEST]
        sys.stderr.write("\n" + "".join(f"{took:6.1f} s {test}\n" for took, test in slowest))
    parts = ", ".join(f"{what}={count}" for what, count in total.items() if count)
    sys.stderr.write(f"{unittest.TextTestResult.separator2}\nRan {ran} tests in {time.monotonic() - begin:.3f}s\n\n"
                     f"{'FAILED' if failed else 'OK'}{f' ({parts})' if parts else ''}\n")
    return not failed


if __name__ == "__main__":
    lab.binary("QATIME"), lab.binary("QATIME_NFS_FILES")
    # A shell that starts us in the background has it ignored, and all that we start would ignore it, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parser = argparse.ArgumentParser(prog="tests/system", description=__doc__.splitlines()[0])
    parser.add_argument("-v", dest="verbosity", action="store_const", const=2, default=1, help="name each test")
    parser.add_argument("-k", dest="patterns", action="append", metavar="PATTERN", help="only tests with such names")
    parser.add_argument("-j", dest="jobs", type=int, default=4 * os.cpu_count(), metavar="JOBS")
    parser.add_argument("tests", nargs="*", metavar="TEST")
    options = parser.parse_args()
    shares = shares_of(chosen(options))
    lab.Scratch.common = lab.Scratch()
    try:
        lab.Ganesha.interposer(lab.Scratch.common)  # before there are several that would make it
        succeeded = run_all(options.jobs)
    finally:
        lab.Scratch.common.remove()
    sys.exit(0 if succeeded and shares else 1)
