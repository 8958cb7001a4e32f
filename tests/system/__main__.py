# SPDX-License-Identifier: MIT
"""The system tests: the real program as an ordinary user against a real NFSv3 server.

    QATIME=BUILD/src/qatime QATIME_NFS_FILES=BUILD/tests/nfs_files python3 tests/system [-v] [-k PATTERN] [TEST...]

QATIME_TEST_NFS="host:port:mountport:/export" runs them against another server than an nfs-ganesha of their own (which
some need: they are skipped then); they make and remove directories of their own there. KEEP=1 keeps those, and the logs.
QATIME_TEST_QUICK=1 leaves out what waits for a minute, QATIME_TEST_LONG=1 takes longer over what wants endurance.
QATIME may be built with sanitizers: a word of theirs in a log fails the test.
"""

import pathlib
import sys
import unittest

import lab

if __name__ == "__main__":
    lab.binary("QATIME"), lab.binary("QATIME_NFS_FILES")
    if any(not argument.startswith("-") for argument in sys.argv[1:]) and "-k" not in sys.argv:
        unittest.main(module=None)
    sys.argv[1:1] = ["discover", "-s", str(pathlib.Path(__file__).parent)]
    unittest.main(module=None)
