# SPDX-License-Identifier: MIT
"""Tests in a network of their own, where nobody else is disturbed by what they do to it."""

import os
import pathlib
import subprocess
import sys
import unittest

import lab

INSIDE = "QATIME_TEST_INSIDE_NETWORK"

can_be_made = unittest.skipUnless(
    lab.ROOT and subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode == 0,
    "only root makes a network namespace, and not in every container")


def command(*words):
    subprocess.run(words, check=True, capture_output=True)


def run_inside(test, name):
    """Has `test` fail unless all tests of the class `name` succeed in a new network namespace, where loopback is up.

    nfs-ganesha resolves 127.0.0.1 only where there are addresses of both families beyond loopback.
    """
    setup = """ip link set lo up && ip address add 203.0.113.1 dev lo &&
      ip address add 2001:db8:ffff::1 dev lo nodad && exec "$@" """
    inside = ["sh", "-c", setup, "sh", sys.executable, str(pathlib.Path(__file__).parent), "-k", f"*.{name}.*"]
    done = subprocess.run(["unshare", "--net", *inside], env={**os.environ, INSIDE: "1"}, capture_output=True,
                          timeout=600)
    test.assertEqual(done.returncode, 0, os.fsdecode(done.stdout + done.stderr))
    test.assertRegex(done.stderr, rb"Ran [1-9]")
    sys.stdout.write(os.fsdecode(done.stdout))


def chosen(loader, outside, inside):
    """For load_tests() of a module: the tests of one class, or in the namespace those of the other."""
    return loader.loadTestsFromTestCase(inside if INSIDE in os.environ else outside)
