# SPDX-License-Identifier: MIT
"""Being watched: what a scrape of a thousand nodes takes, and what scrapes cost the thread that receives."""

import statistics
import threading
import time

from ingest import Receiver, away, send_log
from lab import Qatime, quoted, rfc3339
from measure import RUNS, report

NODES, RECORDS = 1000, 1_000_000
SCRAPES = 50
INTERVAL = 0.1  # seconds between two scrapes while records come; Prometheus asks every 15 or 60


def make_log(file):
    base = time.time_ns() - RECORDS * 1000
    with open(file, "wb") as log:
        for n in range(RECORDS):
            log.write(f"<14>1 {rfc3339(base + n * 1000)} cluster-{n // 100 % NODES} qumulo - - - 192.168.240.{n % 250},"
                      f'"AD\\user{n % 1000}",smb2,fs_read_data,ok,{n},'.encode()
                      + quoted(f"/projects/{n % 1000:05}/report {n % 100_000 // 1000:02}.dat") + b',""\n')


def scrapes(daemon):
    """Milliseconds until all of it is here, and of CPU of the thread that answers."""
    receiver, took = Receiver(daemon.process), []
    for _ in range(SCRAPES):
        begin = time.monotonic()
        text = daemon.get("/metrics")[2]
        took.append((time.monotonic() - begin) * 1000)
    receiver.sample()
    assert text.count(b"\nqatime_node_lag_seconds{") == NODES
    return statistics.median(took), receiver.seconds("qatime") / SCRAPES * 1000, len(text)


def watched(scratch, log, is_watched):
    """Microseconds of CPU per record of the thread that receives, and what scrapes() says."""
    daemon = Qatime(scratch, away()).start()
    is_over = threading.Event()

    def watch():
        while not is_over.wait(INTERVAL):
            daemon.get("/metrics")

    watcher = threading.Thread(target=watch)
    if is_watched:
        watcher.start()
    receiver = Receiver(daemon.process)
    send_log(daemon.port, log)
    receiver.sample()
    is_over.set()
    if is_watched:
        watcher.join()
    one = scrapes(daemon)
    daemon.stop().check_sums()
    return receiver.seconds("intake") / RECORDS * 1e6, one


def run(scratch):
    log = scratch.path / "nodes.log"
    make_log(log)
    alone, seen = [], []
    for _ in range(RUNS):
        alone.append(watched(scratch, log, False))
        seen.append(watched(scratch, log, True))
    took, cpu, size = zip(*(each[1] for each in alone))
    print(f"A scrape of {NODES:,} nodes, {size[0]:,} bytes: {statistics.median(took):.1f} ms, "
          f"{statistics.median(cpu):.1f} ms CPU, medians of {RUNS} x {SCRAPES}")
    report(f"The intake thread, a scrape every {INTERVAL} s", "us CPU/record", [each[0] for each in seen],
           [each[0] for each in alone], "without any")
