# SPDX-License-Identifier: MIT
"""The figures that tests/bench.sh prints, measured with the servers of the system tests."""

import os
import pathlib
import random
import socket
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "system"))
import apply
import lab
from lab import Ganesha, Qatime, Scratch, cpu_seconds, record, send_tcp

PROGRAMS = pathlib.Path(os.environ["QATIME_BENCH"]).resolve()
RUNS = 5


def report(name, unit, ours, theirs, what):
    ours, theirs = statistics.median(ours), statistics.median(theirs)
    print(f"{name}: qatime {ours:,.2f} {unit}, {what} {theirs:,.2f} {unit}: ratio {ours / theirs:.2f}", flush=True)


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


# --- CPU per record --------------------------------------------------------------------------------------------------

RECORDS, BLOCK = 1_000_000, 50_000


def mixed_records():
    """One in four is an access, of one of 10,000 files."""
    base, pick = time.time_ns(), random.Random(1)
    operations = ["fs_read_data", "fs_read_metadata", "fs_open", "fs_write_metadata"]
    return b"".join(record(f"/projects/department {index % 97}/report {pick.randrange(10_000)}.dat", base + index,
                           operations[index % 4]) + b"\n" for index in range(BLOCK))


def send_blocks(port, block):
    """Returns when the receiver has read all: it closes then."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for _ in range(RECORDS // BLOCK):
            connection.sendall(block)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass


def qatime_intake(scratch, server, block):
    daemon = Qatime(scratch, server).start()
    before = cpu_seconds(daemon.process.pid)
    send_blocks(daemon.port, block)
    used = cpu_seconds(daemon.process.pid) - before
    counters = daemon.stop()
    assert counters("received_messages", "tcp") == RECORDS, counters.values
    counters.check_sums()
    return used / RECORDS * 1e6


def least_intake(block):
    port = lab.free_port()
    counter = subprocess.Popen([PROGRAMS / "count_lines", str(port)], stdout=subprocess.PIPE, text=True)
    while True:
        try:
            send_blocks(port, block)
            break
        except ConnectionRefusedError:
            time.sleep(0.01)
    _, _, usage = os.wait4(counter.pid, 0)
    with counter.stdout as output:
        assert int(output.read()) == RECORDS
    counter.returncode = 0
    return (usage.ru_utime + usage.ru_stime) / RECORDS * 1e6


def intake(scratch):
    away = lab.Server("127.0.0.1", lab.free_port(), lab.free_port(), "/")
    block = mixed_records()
    ours, least = [], []
    for _ in range(RUNS):
        ours.append(qatime_intake(scratch, away, block))
        least.append(least_intake(block))
    report(f"CPU per record of {len(block) // BLOCK} bytes over TCP, server away", "us", ours, least, "read and memchr")


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
    daemon = Qatime(scratch, lab.Server("127.0.0.1", lab.free_port(), lab.free_port(), "/"))

    def start(*command):
        return lambda: subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listens(process):
        while not lab.accepts(daemon.port):
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
    known = {"updates": updates, "apply": apply.run, "intake": intake, "startup": startup}
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
