#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Compares qatime with its model, record by record: model.py reads what random_records.py makes, and so does qatime.

    compare.py [--seed N] [--records N | --seconds N] [--jobs N] PROGRAM

PROGRAM is read_records, the built read_records.cc. A tenth of the records comes as streams. The same seed makes the
same records. Each difference is printed with the shortest message found that shows it, as text for a test in C++; the
exit status is 1 then.
"""

import argparse
import collections
import json
import multiprocessing
import os
import pathlib
import random
import re
import struct
import subprocess
import sys
import time
import zoneinfo

import model
import random_records

DATA = pathlib.Path(__file__).parent.parent / "data"
BATCH = 2000  # records, in streams of some four
SOME = 32     # batches
COUNTED = 20  # batches, to show what the records are
SHOWN = 5     # kinds of differences, then it gives up
NOWS = ("2026-01-28T00:00:00Z", "2024-03-01T12:00:00Z", "2027-12-31T23:59:30Z", "2025-03-30T01:30:00Z",
        "2026-10-25T00:40:00Z")
ZONES = ("UTC", "UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia")
LIMITS = (1024, 120, 300, 40, 90_000)  # syslog.max_message of streams; with the last one, buffers grow

# Two configurations: that of a new installation, and one in which every rule of the policy has something to do.
FILTERED = {
    "clusters": ["store", "cs-fil-q-k144", "Q"], "include_paths": ["/d", "/data", "/a"], "exclude_paths": ["/d/x"],
    "include_users": ["alice", "AD\\ALICE", "ad\\bob", "root", "1000", "AD\\Müller", "SYSTEM", "s-1-5-21-1", "A,B"],
    "exclude_users": ["ROOT"],
    "include_clients": ["192.0.2.0/24", "::/0", "10.0.0.0/8"], "exclude_clients": ["10.1.0.0/16", "::1"],
    "include_protocols": ["NFS3", "smb2", "api"], "exclude_protocols": ["api"], "self": ["192.0.2.1"],
    "future_limit": "1h",
}
EXPORTS = ["/d", "/data", "/exports/one"]


def setting(value):
    return json.dumps(value, ensure_ascii=False)


def encoded(value):
    return [one.encode() for one in value] if isinstance(value, list) else value


def filtered():
    """The settings of qatime, and the same for the model."""
    settings = [f"policy.{key}={setting(value)}" for key, value in FILTERED.items()]
    settings.append("nfs.exports=[" + ",".join(f'{{path="{path}",export="{path}"}}' for path in EXPORTS) + "]")
    known = {key: encoded(value) for key, value in FILTERED.items() if not key.endswith("clients")}
    known |= {key: value for key, value in FILTERED.items() if key.endswith("clients")}
    known |= {"own": known.pop("self"), "future_limit": model.HOUR, "exports": tuple(encoded(EXPORTS))}
    return settings, model.Policy(**known)


POLICIES = (([], model.Policy()), filtered())


class Subject:
    """Texts of one kind, and what they are."""

    def kinds(self, difference):
        """What is different: two differences of the same kinds are taken for one."""
        _, answer, expected = difference
        return self.kind(answer), self.kind(expected)


class Records(Subject):
    """Messages, each read by itself."""

    def __init__(self, source):
        self.now_text, self.zone_name = source.choice(NOWS), source.choice(ZONES)
        self.settings, self.policy = source.choice(POLICIES)
        self.now = model.iso_time(self.now_text.encode())
        self.zone = zoneinfo.ZoneInfo(self.zone_name)
        self.headers = model.HeaderReader(self.zone, self.now, self.policy.future_limit)
        self.arguments = ["records", self.now_text, self.zone_name, *self.settings]

    def make(self, source, count):
        maker = random_records.Maker(source, self.now // model.SECOND, self.zone)
        return [maker.message() for _ in range(count)]

    def expected(self, message):
        try:
            header = self.headers.read(message)
            record = model.parse_body(header.body)
        except model.Malformed as reason:
            return row(b"malformed", str(reason).encode())
        decision = self.policy.decide(header, record, self.now)
        cluster = model.cluster_of(header.host)
        return row(b"record", model.format_time(header.time), header.host, cluster, *record, *decision)

    def parts(self, program, message):
        """The same as something of which slices make sense."""
        return message

    @staticmethod
    def packed(message):
        return struct.pack("<I", len(message)) + message

    @staticmethod
    def rows(output):
        return output.split(b"\n")[:-1]

    @staticmethod
    def kind(answer):
        """Words for the summary: the verdict, or the decision and its reason."""
        cells = answer.split(b"\t")
        verdict = cells[13:] if cells[0] == b"record" else cells
        return b" ".join(verdict[:2] if verdict[0] in (b"ignored", b"malformed") else verdict[:1]).decode()


class Streams(Subject):
    """Streams as a list of what each read gives, or as the bytes of a single one."""

    def __init__(self, source):
        self.limit = source.choice(LIMITS)
        self.arguments = ["streams", str(self.limit)]

    def make(self, source, count):
        maker = random_records.Maker(source, 1769558400, zoneinfo.ZoneInfo("UTC"))
        return [maker.stream(self.limit) for _ in range(min(count, 10**7 // self.limit))]

    def expected(self, pieces):
        frames = model.frames(pieces if isinstance(pieces, bytes) else b"".join(pieces), self.limit)
        return b"\n".join([*(row(kind.encode(), text) for kind, text in frames), b"end"])

    def parts(self, program, pieces):
        """Bytes, unless the difference comes only with these reads."""
        whole = b"".join(pieces)
        return whole if any(differences(program, self, [whole])) else pieces

    @staticmethod
    def packed(pieces):
        pieces = [pieces] if isinstance(pieces, bytes) else pieces
        return b"".join(Records.packed(piece) for piece in pieces if piece) + Records.packed(b"")

    @staticmethod
    def rows(output):
        return [rows.rstrip(b"\n") for rows in re.findall(rb"(?:(?!end\n).*\n)*end\n", output)]

    @staticmethod
    def kind(answer):
        return "stream"


def escape(cell):
    return cell.replace(b"\\", b"\\\\").replace(b"\t", b"\\t").replace(b"\n", b"\\n")


def row(*cells):
    return b"\t".join(map(escape, cells))


def ask(program, subject, texts):
    """The answers of qatime, up to the text at which it dies."""
    packed = b"".join(map(subject.packed, texts))
    done = subprocess.run([program, *subject.arguments], input=packed, capture_output=True, check=False)
    answers = subject.rows(done.stdout)
    if done.returncode == 0:
        return answers
    if len(texts) == 1:
        return [b"died with status %d: %s" % (done.returncode, done.stderr.strip())]
    half = len(texts) // 2
    answers = ask(program, subject, texts[:half])
    return answers if answers[-1].startswith(b"died ") else answers + ask(program, subject, texts[half:])


def differences(program, subject, texts):
    """Each text that the two read differently, with the answer of qatime and that of the model."""
    answers = ask(program, subject, texts)
    found = ((text, answer, subject.expected(text)) for text, answer in zip(texts, answers))
    return (one for one in found if one[1] != one[2])


def shortest(program, subject, text, kinds):
    """`text` without what a difference of the same kinds does not need."""
    size = len(text)
    while size > 0:
        shorter = [text[:at] + text[at + size:] for at in range(0, len(text), size)]
        found = next((one for one in differences(program, subject, shorter) if subject.kinds(one) == kinds), None)
        text = found[0] if found else text
        size = min(size, len(text)) if found else size // 2
    return text


def literal(text):
    """As a string_view of C++."""
    shown = "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\{b:03o}" for b in text)
    return f'"{shown}"sv'


def shown(text):
    return literal(text) if isinstance(text, bytes) else "{" + ", ".join(map(literal, text)) + "}"


def report(program, subject, text, kinds):
    text = shortest(program, subject, subject.parts(program, text), kinds)
    _, answer, expected = next(differences(program, subject, [text]))
    return (f"{shown(text)}\n  ({' '.join(subject.arguments)})\n"
            f"  qatime: {literal(answer)}\n  model:  {literal(expected)}")


def run_batch(task):
    """The differences of one batch, as text, and how often the first batches have each kind of answer."""
    program, seed, index = task
    source = random.Random(f"{seed} {index}")
    subject = (Streams if index % 10 == 9 else Records)(source)
    texts = subject.make(source, BATCH // 4 if isinstance(subject, Streams) else BATCH)
    reports, seen = [], set()
    for found in differences(program, subject, texts):
        kinds = subject.kinds(found)
        if kinds not in seen and len(seen) < SHOWN:
            seen.add(kinds)
            reports.append(report(program, subject, found[0], kinds))
    return reports, collections.Counter(subject.kind(subject.expected(text)) for text in texts if index < COUNTED)


def check_samples():
    """The model reads the published lines as tests/data/expected.tsv says."""
    headers = model.HeaderReader(zoneinfo.ZoneInfo("UTC"), model.iso_time(b"2024-12-01T00:00:00Z"))
    for expected in (DATA / "expected.tsv").read_bytes().splitlines()[1:]:
        name, number, verdict, *cells = expected.split(b"\t")
        line = (DATA / name.decode()).read_bytes().split(b"\n")[int(number) - 1]
        try:
            header = headers.read(line)
            record = model.parse_body(header.body)
            read = [model.format_time(header.time), header.host, record.operation, record.status, record.file_id,
                    record.path, record.target]
            made = [b"record", *(cell or b"-" for cell in read)]
        except model.Malformed:
            made = [b"malformed", *[b"-"] * 7]
        wanted = [verdict, *(cell.replace(b"YYYY", b"2024") for cell in cells)]
        if made != wanted:
            sys.exit(f"the model reads line {number.decode()} of {name.decode()} as {made}, not {wanted}")


def batches(options, pool):
    """The results of all batches. Some at a time are under way, so that it can end in time."""
    end = time.monotonic() + options.seconds if options.seconds else None
    total = sys.maxsize if end else -(-options.records // BATCH)
    for first in range(0, total, SOME):
        if end and time.monotonic() > end:
            return
        indices = range(first, min(first + SOME, total))
        yield from pool.imap(run_batch, [(options.program, options.seed, index) for index in indices])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("program")
    options = parser.parse_args()
    check_samples()
    failed = records = 0
    counts = collections.Counter()
    with multiprocessing.Pool(options.jobs) as pool:
        for reports, seen in batches(options, pool):
            records += BATCH
            counts.update(seen)
            for text in reports:
                print(text)
            failed += len(reports)
            if failed >= SHOWN:
                break
    print(f"seed {options.seed}, {records} records, {failed or 'no'} difference{'s'[:failed > 1]}")
    print("of the first:", ", ".join(f"{kind} {count}" for kind, count in counts.most_common()))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
