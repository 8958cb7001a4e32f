# SPDX-License-Identifier: MIT
"""What the benchmarks share: the programs, CPU time, how a figure is printed."""

import os
import pathlib
import statistics
import sys

for folder in ("system", "deploy"):
    sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / folder))

PROGRAMS = pathlib.Path(os.environ["QATIME_BENCH"]).resolve()
RUNS = 5


def thread_seconds(pid):
    """CPU seconds of each thread of a process so far, by name; of the same name together (proc(5), schedstat)."""
    seconds = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        name = (task / "comm").read_text().strip()
        used = int((task / "schedstat").read_text().split()[0]) / 1e9
        seconds[name] = seconds.get(name, 0) + used
    return seconds


def report(name, unit, ours, theirs, what):
    ours, theirs = statistics.median(ours), statistics.median(theirs)
    print(f"{name}: qatime {ours:,.2f} {unit}, {what} {theirs:,.2f} {unit}: ratio {ours / theirs:.2f}", flush=True)
