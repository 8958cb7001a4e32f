# SPDX-License-Identifier: MIT
"""The system tests against Linux's own NFS server, on several file systems.

    QATIME=BUILD/src/qatime QATIME_NFS_FILES=BUILD/tests/nfs_files python3 tests/servers [-e EXPORT]... [-k PATTERN]...

It starts one small machine in qemu and runs a cut of tests/system against each export of it; those that a PATTERN
names, if there is one; all with QATIME_TEST_LONG=1. `--serve` starts the machine alone, says where its exports are, and
ends it on Ctrl-C.
"""

import argparse
import contextlib
import os
import subprocess
import sys

import machine
from machine import EXPORTS

import lab

ALL = os.environ.pop("QATIME_TEST_LONG", None)  # of them, each in its short form
# The tests that look at what a server does with files, and make few of them: an emulated machine makes 100 a second.
CUT = ["EndToEnd.", "end_to_end.Moves", "Symlinks", "SeveralExports", "Modes", "Commands."]
TOGETHER = "4"  # at once: one processor serves them


def place(made, name):
    """Where the tests find this export, in their environment."""
    return {"QATIME_TEST_NFS": made.server(name), "QATIME_TEST_SHELL": str(made.shell_port)}


def run(made, name, *arguments):
    """Whether these tests of an export succeed; they say so."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=machine.HERE, env={**os.environ, **place(made, name)}).returncode == 0


def serve(made):
    for name in EXPORTS:
        print(*(f"{key}={value}" for key, value in place(made, name).items()), flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        made.process.wait()
    return True


def test(made):
    """Whether all succeed."""
    patterns = options.patterns or ([] if ALL else CUT)
    chosen = [word for pattern in patterns for word in ("-k", pattern)]
    results = []
    for name in options.exports or EXPORTS:
        print(f"--- {made.system}, {name}", file=sys.stderr, flush=True)
        results.append(run(made, name, "../system", "-v", "-j", TOGETHER, *chosen))
        if not options.patterns:
            results.append(run(made, name, "-m", "unittest", "-v", "test_knfsd"))
    return all(results)


def main():
    """Whether all succeed, or nothing can be tried here."""
    try:
        machine.make_image()
    except machine.Missing as reason:
        print(f"Linux's NFS server ... skipped '{reason}'\nRan 1 test in 0s\n\nOK (skipped=1)")
        return True
    scratch = lab.Scratch()
    try:
        made = machine.Machine(scratch.path)
        try:
            made.wait()
            return serve(made) if options.serve else test(made)
        finally:
            made.stop()
    finally:
        scratch.remove()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="tests/servers", description=__doc__.splitlines()[0])
    parser.add_argument("-e", dest="exports", action="append", choices=EXPORTS, help="only this export")
    parser.add_argument("-k", dest="patterns", action="append", metavar="PATTERN", help="only tests with such names")
    parser.add_argument("--serve", action="store_true", help="run no tests")
    options = parser.parse_args()
    sys.exit(not main())
