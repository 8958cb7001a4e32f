# SPDX-License-Identifier: MIT
"""Receiving: qatime with its server away, rsyslog with a filter on the operation, and programs that only read.

All get the same log of two million records. CPU time is that of the process from before the first record until the last
one has been worked off, so start and end of the programs are left out where they can be; throughput is that of a sender
who has the records in memory and shares the machine.
"""

import bisect
import itertools
import os
import random
import signal
import socket
import statistics
import subprocess
import time

from measure import PROGRAMS, RUNS, report, thread_seconds
import lab
from lab import Qatime, quoted, rfc3339
import test_forwarders

RECORDS, PATHS = 2_000_000, 1_000_000
QUALIFYING = 0.6
RATES = (50_000, 100_000, 200_000)
UDP_SECONDS = 4
BUFFER = 4 << 20  # what net.core.rmem_max may grant


def make_log(file):
    """Paths of 60 to 150 bytes, a hundred to a directory, drawn by Zipf's law; returns how many records are accesses."""
    pick = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    directories = [f"/projects/{n:05}/" + "".join(pick.choices(letters, k=pick.randrange(24, 110)))
                   for n in range(PATHS // 100)]
    weights = list(itertools.accumulate(1 / rank for rank in range(1, PATHS + 1)))
    shuffled = list(range(PATHS))
    pick.shuffle(shuffled)
    base, accesses = time.time_ns() - RECORDS * 1000, 0
    others = ("fs_read_metadata", "fs_open", "fs_write_metadata", "fs_list_metadata")
    with open(file, "wb") as log:
        for n in range(RECORDS):
            path = shuffled[bisect.bisect(weights, pick.random() * weights[-1])]
            is_access = pick.random() < QUALIFYING
            accesses += is_access
            operation = ("fs_read_data", "fs_write_data")[n & 1] if is_access else others[n & 3]
            log.write(f"<14>1 {rfc3339(base + n * 1000)} cluster-{n % 8} qumulo - - - 192.168.240.{n % 250},"
                      f'"AD\\user{n % 1000}",smb2,{operation},ok,{path},"'.encode()
                      + f'{directories[path // 100]}/report {path % 100:02}.dat",""\n'.encode())
    return accesses


class Receiver:
    """A process that receives; its CPU time by thread."""

    def __init__(self, process):
        self.process = process
        self.before = thread_seconds(process.pid)
        self.after = None

    def sample(self):
        self.after = thread_seconds(self.process.pid)

    def seconds(self, thread=None):
        return sum(used - self.before.get(name, 0) for name, used in self.after.items() if thread in (None, name))


class Rsyslog(test_forwarders.Rsyslog):
    """With a filter on the field of the operation; writes a short line for each record that passes."""

    CONFIGURATION = """
        module(load="imptcp")
        module(load="imudp")
        global(maxMessageSize="64k")
        main_queue(queue.timeoutShutdown="60000")
        template(name="short" type="string" string="%msg:F,44:4%\\n")
        input(type="imptcp" address="127.0.0.1" port="{port}")
        input(type="imudp" address="127.0.0.1" port="{port}" rcvbufSize="{buffer}")
        set $.operation = field($msg, 44, 4);
        if ($.operation == "fs_read_data" or $.operation == "fs_write_data" or $.operation == "fs_list_directory") then
          action(type="omfile" file="{file}" template="short")
    """

    def configure(self):
        text = self.CONFIGURATION.format(port=self.port, file=self.file, buffer=BUFFER)
        (self.directory / "main.conf").write_text(text)

    def passed(self):
        """The records that passed so far, once nothing more comes."""
        lines = 0
        while True:
            time.sleep(0.5)
            with open(self.file, "rb") if self.file.exists() else open(os.devnull, "rb") as file:
                now = sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
            if now == lines:
                return lines
            lines = now


# --- TCP -------------------------------------------------------------------------------------------------------------


def send_log(port, log):
    """Returns when the receiver has read all: it closes then."""
    with socket.create_connection(("127.0.0.1", port)) as connection, open(log, "rb") as file:
        connection.sendfile(file)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass


def away():
    return lab.Server("127.0.0.1", lab.own_port(), lab.own_port(), "/")


def tcp_qatime(scratch, log, accesses):
    daemon = Qatime(scratch, away()).start()
    receiver = Receiver(daemon.process)
    begin = time.monotonic()
    send_log(daemon.port, log)
    took = time.monotonic() - begin
    receiver.sample()
    counters = daemon.stop()
    counters.check_sums()
    assert counters("received_messages", "tcp") == RECORDS and counters("accepted") == accesses, counters.values
    return took, receiver.seconds(), receiver.seconds("intake")


def tcp_rsyslog(scratch, log, accesses):
    rsyslog = Rsyslog(scratch, 0).start()
    try:
        receiver = Receiver(rsyslog.process)
        begin = time.monotonic()
        send_log(rsyslog.port, log)
        lab.wait_until(lambda: rsyslog.passed() == accesses, "rsyslog to filter all")
        took = time.monotonic() - begin
        receiver.sample()
    finally:
        rsyslog.stop()
    return took, receiver.seconds(), None


def tcp_least(log):
    port = lab.own_port()
    counter = subprocess.Popen([PROGRAMS / "count_lines", str(port)], stdout=subprocess.PIPE, text=True)
    begin = time.monotonic()
    while True:
        try:
            send_log(port, log)
            break
        except ConnectionRefusedError:
            time.sleep(0.01)
            begin = time.monotonic()
    took = time.monotonic() - begin
    _, _, usage = os.wait4(counter.pid, 0)
    with counter.stdout as output:
        assert int(output.read()) == RECORDS
    counter.returncode = 0
    return took, usage.ru_utime + usage.ru_stime, None


def tcp(scratch, log, accesses):
    runs = {"qatime": [], "rsyslog": [], "read+memchr": []}
    for _ in range(RUNS):
        runs["qatime"].append(tcp_qatime(scratch, log, accesses))
        runs["rsyslog"].append(tcp_rsyslog(scratch, log, accesses))
        runs["read+memchr"].append(tcp_least(log))

    def cpu(name, column=1):
        return [run[column] / RECORDS * 1e6 for run in runs[name]]

    print(f"TCP, {RECORDS:,} records of {log.stat().st_size // RECORDS} bytes, server away, medians of {RUNS} runs:")
    for name, all_runs in runs.items():
        print(f"  {name}: {statistics.median(RECORDS / run[0] for run in all_runs):,.0f} records/s, "
              f"{statistics.median(cpu(name)):.3f} us CPU/record")
    print(f"  qatime's intake thread alone: {statistics.median(cpu('qatime', 2)):.3f} us CPU/record")
    report("  CPU", "us/record", cpu("qatime"), cpu("rsyslog"), "rsyslog")
    report("  CPU", "us/record", cpu("qatime"), cpu("read+memchr"), "read+memchr")


# --- UDP -------------------------------------------------------------------------------------------------------------


def flood(port, rate, log):
    """Sends UDP_SECONDS of the log; returns how many datagrams."""
    with subprocess.Popen(["head", "-n", str(rate * UDP_SECONDS), log], stdout=subprocess.PIPE) as head:
        done = subprocess.run([PROGRAMS / "flood", str(port), str(rate)], stdin=head.stdout, capture_output=True,
                              text=True, check=True)
    sent, took = done.stdout.split()
    return int(sent), int(sent) / float(took)


def udp_qatime(scratch, rate, log):
    daemon = Qatime(scratch, away(), {"syslog.udp_receive_buffer": f"{BUFFER >> 20} MiB"}).start()
    receiver = Receiver(daemon.process)
    sent, real = flood(daemon.udp_port, rate, log)
    time.sleep(0.5)
    receiver.sample()
    counters = daemon.stop()
    counters.check_sums()
    lost = sent - counters("received_messages", "udp")
    assert lost == counters("udp_kernel_drops"), (lost, counters.values)
    return sent, lost, real, receiver.seconds(), receiver.seconds("intake")


def udp_rsyslog(scratch, rate, log, accesses):
    rsyslog = Rsyslog(scratch, 0).start()
    try:
        receiver = Receiver(rsyslog.process)
        sent, real = flood(rsyslog.port, rate, log)
        passed = rsyslog.passed()
        receiver.sample()
    finally:
        rsyslog.stop()
    # Records that did not qualify left no trace: as much of it is lost as of the rest.
    lost = sent - round(passed / accesses * sent)
    return sent, lost, real, receiver.seconds()


def udp_least(rate, log):
    port = lab.own_port()
    counter = subprocess.Popen([PROGRAMS / "count_datagrams", str(port), str(BUFFER)], stdout=subprocess.PIPE,
                               text=True)
    time.sleep(0.3)
    receiver = Receiver(counter)
    sent, real = flood(port, rate, log)
    time.sleep(0.5)
    receiver.sample()
    counter.send_signal(signal.SIGTERM)
    with counter.stdout as output:
        count, drops = map(int, output.read().split())
    counter.wait()
    assert sent - count == drops
    return sent, drops, real, receiver.seconds()


def accesses_of(log, rate):
    """The accesses among the records of a flood."""
    with open(log, "rb") as file:
        return sum(b",fs_read_data," in line or b",fs_write_data," in line
                   for line in itertools.islice(file, rate * UDP_SECONDS))


def granted_buffer():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        return probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2


def udp(scratch, log):
    for rate in RATES:
        accesses = accesses_of(log, rate)
        runs = {"qatime": [], "rsyslog": [], "recvmmsg": []}
        for _ in range(RUNS):
            runs["qatime"].append(udp_qatime(scratch, rate, log))
            runs["rsyslog"].append(udp_rsyslog(scratch, rate, log, accesses))
            runs["recvmmsg"].append(udp_least(rate, log))
        print(f"UDP, {rate:,} records/s for {UDP_SECONDS} s, receive buffer {granted_buffer():,} bytes, "
              f"medians of {RUNS} runs:")

        def cpu(name, column=3):
            return [run[column] / (run[0] - run[1]) * 1e6 for run in runs[name]]

        for name, all_runs in runs.items():
            print(f"  {name}: lost {statistics.median(run[1] / run[0] for run in all_runs):.3%} "
                  f"(sent at {statistics.median(run[2] for run in all_runs):,.0f}/s), "
                  f"{statistics.median(cpu(name)):.3f} us CPU/record")
        print(f"  qatime's intake thread alone: {statistics.median(cpu('qatime', 4)):.3f} us CPU/record")
        report("  CPU", "us/record", cpu("qatime"), cpu("rsyslog"), "rsyslog")
        report("  CPU", "us/record", cpu("qatime"), cpu("recvmmsg"), "recvmmsg")


def run(scratch):
    log = scratch.path / "audit.log"
    accesses = make_log(log)
    tcp(scratch, log, accesses)
    udp(scratch, log)
    log.unlink()
