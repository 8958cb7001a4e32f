# SPDX-License-Identifier: MIT
"""The shared backlog: what handing over and claiming cost, beside nothing but pipelined ZADDs and beside one SET for each
record, on a Redis without persistence, which all of them get empty."""

import shutil
import statistics
import subprocess
import time

from measure import PROGRAMS, RUNS, report
import lab
import redis_lab

ACCESSES = 1_000_000  # to as many paths
SETS = 50_000  # of the one that takes longer


class Run:
    """A process of redis_bench.cc with a directory of its own, beside others."""

    def __init__(self, scratch, redis, number, *arguments):
        directory = scratch.exports / f"shared-{number}"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        command = [PROGRAMS / "redis_bench", str(redis.port), directory, *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def results(self):
        output, _ = self.process.communicate()
        assert self.process.returncode == 0
        return {name: float(value) for name, value in (line.split() for line in output.splitlines())}


def used_memory(redis):
    lines = redis.cli("info", "memory").splitlines()
    return int(next(line.split(":")[1] for line in lines if line.startswith("used_memory:")))


def measure(scratch, redis, *arguments):
    redis.cli("flushall", "sync")
    before, begin = lab.cpu_seconds(redis.process.pid), used_memory(redis)
    results = Run(scratch, redis, 0, *arguments).results()
    results["redis_seconds"] = lab.cpu_seconds(redis.process.pid) - before
    results["memory"] = used_memory(redis) - begin
    return results


def median(runs, name):
    return statistics.median(run[name] for run in runs)


def add(scratch, redis):
    runs = {what: [] for what in ("add", "zadd", "set")}
    for _ in range(RUNS):
        for what, results in runs.items():
            count = SETS if what == "set" else ACCESSES
            results.append(measure(scratch, redis, what, count, count))
            results[-1]["count"] = count
    for what, name in (("zadd", "bare pipelined ZADDs of 100 members"), ("set", "one SET per record")):
        report("accesses handed over", "per s", [run["per_second"] for run in runs["add"]],
               [run["per_second"] for run in runs[what]], name)
        for who, field in (("client", "cpu_seconds"), ("Redis", "redis_seconds")):
            report(f"CPU of the {who} per access", "us", *([run[field] / run["count"] * 1e6 for run in runs[which]]
                                                          for which in ("add", what)), name)
    print(f"memory of Redis: {median(runs['add'], 'memory') / ACCESSES:.0f} bytes per path", flush=True)


def drain(scratch, redis):
    rates = {1: [], 2: []}
    for _ in range(RUNS):
        for instances, results in rates.items():
            measure(scratch, redis, "zadd", ACCESSES, ACCESSES)
            begin = time.monotonic()
            processes = [Run(scratch, redis, number, "drain") for number in range(instances)]
            while redis.pending() > 0:
                time.sleep(0.05)
            results.append(ACCESSES / (time.monotonic() - begin))
            assert sum(each.results()["count"] for each in processes) >= ACCESSES
    report("accesses claimed and settled by two instances", "per s", rates[2], rates[1], "by one")


def run(scratch):
    redis = redis_lab.Redis(scratch, appendonly="no")
    try:
        add(scratch, redis)
        drain(scratch, redis)
    finally:
        redis.stop()
