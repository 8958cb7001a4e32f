# SPDX-License-Identifier: MIT
"""Applying: qatime's engine with a backlog that was filled before, beside other ways to set access times.

The engine is that of the daemon with default settings (engine.cc). Its peers: `raw` sends SETATTRs that were encoded
before and counts the replies, `libnfs` is the plain loop of that library (setattrs.cc), both with the handles known and
as many requests in flight; `lookups` is the engine with nfs.readdirplus = false; `naive` calls nfs_utimes for one path
after the other (naive.cc). They run in turns; ratios are medians over the turns of what stands beside each other in one
turn. PAIRS in the environment is the number of turns: 15 if it says nothing.

`delay` makes the way to the server longer (delay.cc): then the window and not the processor is the limit.

Latency is that of the daemon, from a record sent over TCP until the file has its access time (latency.cc).
"""

import json
import os
import pathlib
import statistics
import subprocess

import lab
from lab import Ganesha, Qatime

PROGRAMS = pathlib.Path(os.environ["QATIME_BENCH"]).resolve()
PAIRS = int(os.environ.get("PAIRS", "15"))
UPDATES = 300_000  # of hot files, so that the start counts for little
NAIVE = 1000  # paths of a run of the one that takes longest

LARGE = 10_000
HOT = [f"/hot/{n}" for n in range(1000)]
RANDOM = [f"/random/{n % 10_000}/{n // 10_000}" for n in range(20_000)]
HUNDREDS = [f"/hundreds/{n // 100}/{n % 100}" for n in range(10_000)]
WHOLE = [f"/large/{n}" for n in range(LARGE)]
DEEP = [f"/deep/{n % 10}/{n // 10 % 10}/4/5/6/7/8/{n // 100}" for n in range(2000)]
# Each measurement: its paths, how many updates, and whether after a pass that left the handles in the cache.
WORKLOADS = {
    "hot files": (HOT, UPDATES, True),
    "files in 10,000 directories": (RANDOM, len(RANDOM), True),
    "whole directories of 100": (HUNDREDS, len(HUNDREDS), False),
    "a whole directory of 10,000": (WHOLE, len(WHOLE), False),
    "1 % of a directory of 10,000": (WHOLE[::100], LARGE // 100, False),
    "8 levels deep": (DEEP, len(DEEP), False),
}


class Trivial(lab.Server):
    """The server that costs next to nothing."""

    def __init__(self, scratch):
        port = lab.own_port()
        super().__init__("127.0.0.1", port, port, "/")
        self.process = lab.start([PROGRAMS / "trivial_server", str(port), str(LARGE)], scratch.path / "trivial")
        lab.wait_until(lambda: lab.accepts(port), "the trivial server to listen")

    def stop(self):
        lab.stop(self.process)


def make_tree(server, paths):
    directories = {}
    for path in paths:
        while path := path.rpartition("/")[0]:
            directories[path] = True
    if getattr(server, "fsal", None) == "VFS":
        for directory in directories:
            (server.tree / directory[1:]).mkdir(parents=True, exist_ok=True)
        for path in paths:
            (server.tree / path[1:]).touch()
        return
    with server.files() as files:
        for directory in sorted(directories):
            files.do("mkdir", directory)
        for path in paths:
            files.do("create", path)


# --- the runs --------------------------------------------------------------------------------------------------------


class Run:
    """What one run of one program came to."""

    def __init__(self, seconds, updates, cpu=None, rpcs=None):
        self.rate = updates / seconds
        self.cpu = cpu / updates * 1e6 if cpu is not None else None
        self.rpcs = sum(rpcs.values()) / updates if rpcs else None


def run_program(command, paths):
    done = subprocess.run(list(map(str, command)), input="".join(path + "\n" for path in paths), capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def engine(configuration, paths, updates, is_warm):
    command = [PROGRAMS / "engine", configuration, "warm" if is_warm else "cold", updates]
    result = json.loads(run_program(command, paths))
    assert result["updates"] >= updates, result
    return Run(**result)


def setattrs(kind, configuration, paths, updates):
    return Run(**json.loads(run_program([PROGRAMS / "setattrs", kind, configuration, updates], paths)))


def naive(server, paths):
    some = paths[:: max(1, len(paths) // NAIVE)]
    seconds = run_program([PROGRAMS / "naive", server.host, server.port, server.mount_port, server.export], some)
    return Run(float(seconds), len(some))


def turns(scratch, server, name):
    """The runs of every program, by its name, in the order of the turns."""
    configuration = Qatime(scratch, server).configuration
    without_pages = Qatime(scratch, server, {"nfs.readdirplus": False}).configuration
    paths, updates, is_warm = WORKLOADS[name]
    programs = {"qatime": lambda: engine(configuration, paths, updates, is_warm)}
    if name == "hot files":
        programs["raw"] = lambda: setattrs("raw", configuration, paths, updates)
        programs["libnfs"] = lambda: setattrs("libnfs", configuration, paths, updates)
    if "director" in name and not is_warm:
        programs["lookups"] = lambda: engine(without_pages, paths, updates, is_warm)
    if not isinstance(server, Trivial):
        programs["naive"] = lambda: naive(server, paths)
    runs = {program: [] for program in programs}
    for turn in range(PAIRS):
        order = list(programs) if turn % 2 == 0 else list(reversed(programs))
        for program in order:
            runs[program].append(programs[program]())
    return runs


def show(name, runs):
    ours = runs["qatime"]
    print(f"  {name}: {statistics.median(run.rate for run in ours):,.0f} updates/s, "
          f"{statistics.median(run.rpcs for run in ours):.3f} requests/update, "
          f"{statistics.median(run.cpu for run in ours):.2f} us CPU/update")
    for program, theirs in runs.items():
        if program == "qatime":
            continue
        pairs = list(zip(ours, theirs))
        line = (f"    {program}: {statistics.median(run.rate for run in theirs):,.0f} updates/s, "
                f"ratio {statistics.median(a.rate / b.rate for a, b in pairs):.2f}")
        if theirs[0].cpu is not None:
            line += (f"; {statistics.median(run.cpu for run in theirs):.2f} us CPU/update, "
                     f"ratio {statistics.median(a.cpu / b.cpu for a, b in pairs):.2f}")
        print(line, flush=True)


def rates(scratch, server, title):
    try:
        if not isinstance(server, Trivial):
            make_tree(server, [*HOT, *RANDOM, *HUNDREDS, *WHOLE, *DEEP])
        print(f"{title}, medians of {PAIRS} turns:", flush=True)
        for name in WORKLOADS:
            show(name, turns(scratch, server, name))
    finally:
        server.stop()


# --- round trips -----------------------------------------------------------------------------------------------------

WINDOW = 64  # requests in flight to one server: the default of nfs.max_in_flight
ROUND_TRIPS = (0.0005, 0.002, 0.01)  # seconds
ROUNDS = 1000  # windows of updates


class Far(lab.Server):
    """The server that costs next to nothing, at a distance."""

    def __init__(self, scratch, server, seconds):
        port = lab.own_port()
        super().__init__(server.host, port, port, server.export)
        command = [PROGRAMS / "delay", str(port), str(server.port), str(round(seconds * 1e6))]
        self.process = lab.start(command, scratch.path / "delay")
        lab.wait_until(lambda: lab.accepts(port), "the way to the server")

    def stop(self):
        lab.stop(self.process)


def round_trips(scratch):
    near = Trivial(scratch)
    print(f"hot files by a longer way to the server that costs next to nothing, medians of {PAIRS} turns:")
    try:
        for seconds in ROUND_TRIPS:
            server = Far(scratch, near, seconds)
            try:
                configuration = Qatime(scratch, server).configuration
                ours, raw = [], []
                for _ in range(PAIRS):
                    ours.append(engine(configuration, HOT, ROUNDS * WINDOW, is_warm=True))
                    raw.append(setattrs("raw", configuration, HOT, ROUNDS * WINDOW))
                most = WINDOW / seconds
                print(f"  {seconds * 1e3:g} ms: {statistics.median(run.rate for run in ours):,.0f} updates/s, "
                      f"{statistics.median(run.rate for run in ours) / most:.2f} of window / round trip "
                      f"(raw {statistics.median(run.rate for run in raw) / most:.2f}), ratio "
                      f"{statistics.median(a.rate / b.rate for a, b in zip(ours, raw)):.2f}", flush=True)
            finally:
                server.stop()
    finally:
        near.stop()


# --- latency ---------------------------------------------------------------------------------------------------------

RATES = (100, 5000)
SECONDS = 5


def latency(scratch):
    server = Ganesha(scratch, "VFS")
    try:
        make_tree(server, [f"/{n}" for n in range(max(RATES))])
        print(f"record sent until the access time is seen, nfs-ganesha, FSAL VFS, medians of {PAIRS} runs:")
        for rate in RATES:
            runs = []
            for _ in range(PAIRS):
                daemon = Qatime(scratch, server).start()
                command = [PROGRAMS / "latency", daemon.port, server.tree, max(RATES), rate, SECONDS]
                runs.append(json.loads(run_program(command, [])))
                daemon.stop()
            seen = sum(run["seen"] for run in runs) / sum(run["sent"] for run in runs)
            print(f"  {rate:,} records/s: p50 {statistics.median(run['p50'] for run in runs):.2f} ms, "
                  f"p99 {statistics.median(run['p99'] for run in runs):.2f} ms; {seen:.2%} of them seen", flush=True)
    finally:
        server.stop()


def run(scratch):
    rates(scratch, Trivial(scratch), "a server that costs next to nothing")
    round_trips(scratch)
    rates(scratch, Ganesha(scratch, "MEM"), "nfs-ganesha, FSAL MEM")
    if lab.FSAL == "VFS":
        rates(scratch, Ganesha(scratch, "VFS"), "nfs-ganesha, FSAL VFS")
        latency(scratch)
