# SPDX-License-Identifier: MIT
"""The figures that tests/bench.sh prints, measured with the servers of the system tests."""

import pathlib
import random
import statistics
import subprocess
import sys
import time

from measure import PROGRAMS, RUNS, report  # which finds the lab
import admin
import apply
import backlog
import ingest
import lab
import shared
from lab import Ganesha, Qatime, Scratch, record, send_tcp


# --- updates per second ----------------------------------------------------------------------------------------------

DIRECTORIES, FILES = 100, 20_000
NAIVE = 4000  # paths of a run of the one that takes longer


def make_tree(server):
    with server.files() as files:
        files.do("mkdir", "/bench")
        files.do("mkdir", "/bench/deep")
        for directory in range(DIRECTORIES):
            files.do("mkdir", f"/bench/deep/{directory}")
            for name in range(FILES // DIRECTORIES):
                files.do("create", f"/bench/deep/{directory}/{name}")
    return [f"/bench/deep/{directory}/{name}" for directory in range(DIRECTORIES)
            for name in range(FILES // DIRECTORIES)]


def qatime_updates(scratch, server, paths):
    """From the first record sent until the daemon, asked to stop, has set the last access time."""
    daemon = Qatime(scratch, server).start()
    base = time.time_ns()
    records = [record(path, base) for path in paths]
    start = time.monotonic()
    send_tcp(daemon.port, records)
    counters = daemon.stop()
    took = time.monotonic() - start
    assert counters("applied") == len(paths), counters.values
    return len(paths) / took, counters("rpcs") / len(paths)


def naive_updates(server, paths):
    command = [PROGRAMS / "naive", server.host, str(server.port), str(server.mount_port), server.export]
    done = subprocess.run(command, input="\n".join(paths), capture_output=True, text=True, check=True)
    return len(paths) / float(done.stdout)


def updates(scratch):
    server = Ganesha(scratch)
    try:
        paths = make_tree(server)
        random.Random(1).shuffle(paths)
        ours, rpcs, naive = [], [], []
        for _ in range(RUNS):
            rate, calls = qatime_updates(scratch, server, paths)
            ours.append(rate)
            rpcs.append(calls)
            naive.append(naive_updates(server, paths[:NAIVE]))
    finally:
        server.stop()
    report(f"updates of {FILES:,} files in random order (nfs-ganesha, FSAL {server.fsal})", "per second", ours, naive,
           "one nfs_utimes after the other")
    print(f"requests per update: {statistics.median(rpcs):.3f}")


# --- time to start ---------------------------------------------------------------------------------------------------

STARTS = 21
STATIC = pathlib.Path(__file__).parents[2] / "build" / "static" / "src" / "qatime"


def milliseconds(start, ended):
    """Wall time from before start() makes a process until ended(process)."""
    time.sleep(0.02)  # who has just been busy waits longer for a processor
    begin = time.perf_counter()
    process = start()
    ended(process)
    took = time.perf_counter() - begin
    process.kill()
    process.wait()
    return took * 1000


def startup(scratch):
    """Of the static program, if it was built."""
    program = STATIC if STATIC.exists() else lab.binary("QATIME")
    port = lab.own_port()
    daemon = Qatime(scratch, lab.Server("127.0.0.1", lab.own_port(), lab.own_port(), "/"),
                    {"syslog.listen": [f"tcp://127.0.0.1:{port}"]})

    def start(*command):
        return lambda: subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listens(process):
        while not lab.accepts(port):
            assert process.poll() is None, "it does not start"

    version, run, least = [], [], []
    for _ in range(STARTS):
        version.append(milliseconds(start(program, "version"), subprocess.Popen.wait))
        run.append(milliseconds(start(program, "run", "-c", daemon.configuration), listens))
        least.append(milliseconds(start("/bin/true"), subprocess.Popen.wait))
    kind = "static" if program == STATIC else "dynamic"
    report(f"start and end of `qatime version` ({kind} program)", "ms", version, least, "/bin/true")
    report(f"start of `qatime run` until it listens ({kind} program)", "ms", run, least, "/bin/true")


def main():
    known = {"updates": updates, "apply": apply.run, "ingest": ingest.run, "backlog": backlog.run,
             "redis": shared.run, "admin": admin.run, "startup": startup}
    wanted = sys.argv[1:] or list(known)
    if not set(wanted) <= set(known):
        sys.exit(f"there are: {' '.join(known)}")
    scratch = Scratch()
    try:
        for name in wanted:
            known[name](scratch)
    finally:
        scratch.remove()


if __name__ == "__main__":
    main()
