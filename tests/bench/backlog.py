# SPDX-License-Identifier: MIT
"""The backlog: what its log costs, what it carries, and rsyslog's disk queue beside it.

backlog.cc measures qatime's, each case in a process of its own. rsyslog gets the same number of records of the same size
over TCP, and keeps them in a queue on disk, synced, while its only action is suspended.
"""

import shutil
import statistics
import subprocess
import time

from measure import PROGRAMS, RUNS, report
from ingest import away, send_log
import lab
import test_forwarders

ACCESSES, PATHS = 2_000_000, 1_000_000
SIZES = (10_000, 1_000_000, 10_000_000)
QUEUED = 100_000  # records for rsyslog


def measure(scratch, *arguments, keep=False):
    """One run of backlog.cc on an empty directory, or the one that the last run has left; {name: value}."""
    directory = scratch.exports / "backlog"
    if not keep:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
    done = subprocess.run([PROGRAMS / "backlog", directory, *map(str, arguments)], stdout=subprocess.PIPE, text=True,
                          check=True)
    return {name: float(value) for name, value in (line.split() for line in done.stdout.splitlines())}


def median(runs, name):
    return statistics.median(run[name] for run in runs)


def cost(scratch):
    for distribution, case, unit in (("zipf", "receive", "record"), ("zipf", "take-in", "access"),
                                     ("uniform", "take-in", "access")):
        runs = {log: [] for log in ("on", "off")}
        for _ in range(RUNS):
            for log, results in runs.items():
                results.append(measure(scratch, case, log, distribution, ACCESSES, PATHS))
        for what in ("intake", "process"):
            ours, theirs = ([run[f"{what}_seconds"] / ACCESSES * 1e6 for run in runs[log]] for log in ("on", "off"))
            report(f"{distribution}: CPU of the {what} per {unit}, with the log", "us", ours, theirs, "without")
        print(f"  {median(runs['on'], 'written_bytes') / ACCESSES:.0f} bytes written per {unit}, "
              f"{median(runs['on'], 'dropped'):.0f} dropped")


def sizes(scratch):
    runs = {pending: [] for pending in SIZES}
    for _ in range(RUNS):
        for pending, results in runs.items():
            results.append(measure(scratch, "uniform", pending, ACCESSES))
    for pending, results in runs.items():
        print(f"{pending:,} pending: {median(results, 'per_second'):,.0f} accesses/s to any of them, "
              f"{median(results, 'intake_seconds') / ACCESSES * 1e6:.2f} us CPU of intake each, at most "
              f"{max(run['resident_mebibytes'] for run in results):.0f} MiB resident and "
              f"{max(run['dropped'] for run in results):.0f} dropped", flush=True)
    rates = [[run["per_second"] for run in runs[pending]] for pending in SIZES[1:]]
    print(f"  rate at {SIZES[2]:,} / at {SIZES[1]:,}: {statistics.median(b / a for a, b in zip(*rates)):.2f}")


def flow(scratch):
    settled, recovered, committed = [], [], []
    for _ in range(RUNS):
        settled.append(measure(scratch, "settle", ACCESSES))
        measure(scratch, "take-in", "on", "uniform", ACCESSES, PATHS)
        recovered.append(measure(scratch, "recover", keep=True))
        committed.append(measure(scratch, "commit", 300))
    print(f"{ACCESSES:,} distinct accesses that are settled by directory: {median(settled, 'per_second'):,.0f}/s, "
          f"{median(settled, 'written_bytes') / ACCESSES:.0f} bytes written each")
    print(f"read back: {median(recovered, 'accesses'):,.0f} accesses, {median(recovered, 'per_second'):,.0f}/s, "
          f"{statistics.median(run['process_seconds'] / run['accesses'] for run in recovered) * 1e6:.2f} us CPU each")
    print(f"a transaction of 10,000 accesses: p50 {median(committed, 'p50_milliseconds'):.1f} ms, "
          f"p99 {median(committed, 'p99_milliseconds'):.1f} ms, "
          f"{median(committed, 'written_bytes') / 3e6:.0f} bytes written per access", flush=True)


class Rsyslog(test_forwarders.Rsyslog):
    """With all that it receives in a queue on disk, which nobody takes."""

    CONFIGURATION = """
        module(load="imptcp")
        global(workDirectory="{directory}")
        main_queue(queue.type="Disk" queue.filename="queue" queue.maxDiskSpace="4g" queue.size="{size}"
                   queue.syncQueueFiles="on" queue.checkpointInterval="10000" queue.timeoutShutdown="10")
        input(type="imptcp" address="127.0.0.1" port="{port}")
        action(type="omfwd" target="127.0.0.1" port="{closed}" protocol="tcp" action.resumeRetryCount="-1")
    """

    def configure(self):
        text = self.CONFIGURATION.format(directory=self.directory, port=self.port, closed=lab.own_port(),
                                         size=2 * QUEUED)
        (self.directory / "main.conf").write_text(text)


def peer(scratch):
    """Records of some 200 bytes until rsyslog has them in its queue, and until qatime has them in its log."""
    log = scratch.directory("queue") / "log"
    with open(log, "wb") as file:
        for number in range(QUEUED):
            file.write(lab.record(f"/projects/{number // 100:05}/some-department-and-its-work/report {number:08}.dat",
                                  time.time_ns()) + b"\n")
    theirs, ours = [], []
    for _ in range(RUNS):
        rsyslog = Rsyslog(scratch, 0).start()
        try:
            begin = time.monotonic()
            send_log(rsyslog.port, log)
            theirs.append(QUEUED / (time.monotonic() - begin))
        finally:
            rsyslog.stop()
        daemon = lab.Qatime(scratch, away()).start()
        begin = time.monotonic()
        send_log(daemon.port, log)
        counters = daemon.stop()  # which ends when all is committed
        ours.append(QUEUED / (time.monotonic() - begin))
        assert counters("backlog_committed") == QUEUED, counters.values
    report("records received and on disk", "per s", ours, theirs, "rsyslog's disk queue")


def run(scratch):
    cost(scratch)
    flow(scratch)
    peer(scratch)
    sizes(scratch)
