# SPDX-License-Identifier: MIT
"""The rooms of src, and who may include whom.

`layering.py SRC` ends with status 1 and every include, folder and line of SRC/README.md that is against the tables
below. `layering.py --map` prints the map of rooms that SRC/README.md has. `layering.py --self-test` shows that wrong
includes are found and right ones are not.
"""

import itertools
import pathlib
import re
import sys
import tempfile

# Each room with what it holds and what it may include besides itself: rooms, or single headers of them. From the
# bottom to the top: a room includes nothing of those behind it.
ROOMS = {
    "base": ("Values and tools without a policy: paths, times, addresses, events, the log.", set()),
    "libraries": ("Code of header-only libraries, compiled once, and the precompiled header.", {"base/loop.h"}),
    "config": ("The configuration: its keys, their values, what a file says.", {"base"}),
    "telemetry": ("Metrics, alerts, statistics of each cluster node.", {"base"}),
    "ingest/parse": ("Bytes to records: framing, headers of balancers and syslog, CSV, JSON, recorded logs.", {"base"}),
    "ingest": ("Records to events: the policy, and which accesses are our own.",
               {"base", "config", "telemetry", "ingest/parse"}),
    "listen": ("Sockets to bytes: TCP, TLS, UDP.", {"base", "config", "telemetry", "ingest/parse", "ingest"}),
    "pending/container": ("Containers that count their bytes: slabs, sets, queues.", {"base"}),
    "pending": ("The index of the accesses that wait, by export and directory.", {"base", "pending/container"}),
    "store": ("The log on disk: SQLite, salvage, verification.", {"base", "config"}),
    "backlog": ("The backlog, and its local form: the index in memory with the log behind it.",
                {"base", "config", "telemetry", "pending", "store"}),
    "redis": ("The shared backlog, in Redis.",
              {"base", "config", "telemetry", "pending", "pending/container/hash.h", "store", "backlog/backlog.h",
               "backlog/durability.h", "store/logger.h", "backlog/shutdown.h"}),
    "nfs/reply": ("Replies of servers, before libnfs has them: whole, bounded and sound.", set()),
    "nfs/names": ("Host names to addresses, in the background.", {"base"}),
    "nfs": ("NFSv3 to servers, through libnfs.", {"base", "config", "telemetry", "nfs/reply", "nfs/names"}),
    "atime": ("How one atime is set: guards, granularity, further attempts; and the probes of `check`.",
              {"nfs/names", "base", "config", "nfs"}),
    "apply": ("Slices of the backlog to requests, and their outcome.",
              {"base", "config", "telemetry", "pending/slice.h", "backlog/backlog.h", "nfs/client.h", "nfs/status.h",
               "atime/update.h"}),
    "admin": ("HTTP for administrators: page, status, metrics.", {"base", "config", "telemetry", "version.h"}),
    "app": ("Who starts and stops what: the daemon, replay, the service manager.",
            {"base", "config", "telemetry", "ingest", "listen", "ingest/parse/recorded_log.h", "store",
             "backlog", "redis/shared.h", "nfs", "atime/probe.h", "apply", "admin", "version.h"}),
    "commands": ("The commands of the program, one file each.",
                 {"base", "config", "ingest/explain.h", "listen/tls.h", "ingest/parse/recorded_log.h",
                  "store/state_directory.h", "store/verify.h", "redis/shared.h", "nfs", "atime", "admin/client.h",
                  "app/daemon.h", "app/replay.h", "version.h"}),
    "main": ("The command line.", {"base/log.h", "commands/commands.h"}),
}

# Foreign headers, by how their names begin, and their homes: a room, or files without their extension. Where a header
# is named with a longer beginning, that one counts.
HOMES = {
    "nfsc/": {"nfs"},
    "spdlog/": {"base/log"},
    "toml++/": {"config", "libraries"},
    "CLI/": {"main"},
    "openssl/": {"listen/tls", "redis/tls"},
    "boost/asio/ssl": set(),
    "zlib.h": {"ingest/parse/recorded_log", "store/checksum"},
    "utf8proc.h": {"base/log", "ingest/names"},
    "sqlite3.h": {"store/sqlite"},
    "boost/beast": {"admin", "libraries"},
    "hiredis/": {"redis/connection", "redis/tls"},
    "boost/json": {"ingest/parse", "admin", "commands", "base/log", "libraries"},
    "boost/asio": {"libraries", "base/loop", "base/deferred", "listen", "nfs", "nfs/names", "atime", "admin", "commands",
                   "app"},
    "boost/asio/ip/address": {"base/address", "ingest", "listen", "nfs", "nfs/names", "atime", "admin", "commands", "app",
                              "config"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def room_of(path):
    """The room of a file of src: its folder, or its bare name in src itself."""
    path = pathlib.PurePath(path)
    return str(path.parent) if len(path.parts) > 1 else path.stem


def allowed(path, header):
    """Whether the file `path` may include our `header`; both are relative to src."""
    here, there = room_of(path), room_of(header)
    return here == there or bool({there, header} & ROOMS[here][1])


def at_home(path, header):
    known = [beginning for beginning in HOMES if header.startswith(beginning)]
    return not known or HOMES[max(known, key=len)] & {room_of(path), str(path.with_suffix(""))}


def circles(includes):
    """The headers that include themselves, by way of others; `includes` has what each includes."""
    for start in includes:
        seen, ahead = set(), list(includes[start])
        while ahead:
            header = ahead.pop()
            if header not in seen:
                seen.add(header)
                ahead += includes.get(header, [])
        if start in seen:
            yield start


def violations(src):
    includes = {}
    for file in sorted([*src.rglob("*.h"), *src.rglob("*.cc")]):
        path = file.relative_to(src)
        if room_of(path) not in ROOMS:
            yield f"{path}: a room that the table does not know"
            continue
        found = INCLUDE.findall(file.read_text())
        includes[str(path)] = [header for kind, header in found if kind == '"']
        for kind, header in found:
            if not (allowed if kind == '"' else at_home)(path, header):
                yield f"{path}: may not include {header}"
    for header in circles(includes):
        yield f"{header}: includes itself"


def rooms_map():
    lines = ["| room | holds | may include |", "|---|---|---|"]
    for room, (holds, edges) in ROOMS.items():
        name = "main.cc" if room == "main" else f"{room}/"
        lines.append(f"| `{name}` | {holds} | {', '.join(sorted(edges - {'version.h'}))} |")
    return "\n".join(lines)


def wrong_map(src):
    """How the map of SRC/README.md differs from the table, and the table from the folders."""
    if rooms_map() not in (src / "README.md").read_text():
        yield "README.md: has another map than `python3 tests/layering.py --map` prints"
    folders = {str(file.parent.relative_to(src)) for file in src.rglob("*.h")}
    for room in ROOMS.keys() - {"main"} - folders:
        yield f"{room}: a room of the table that is not there"
    for file in src.iterdir():
        if file.is_file() and file.name not in {"main.cc", "meson.build", "README.md"}:
            yield f"{file.name}: belongs in a room"


def check(files):
    """The violations in a src of these files, each with what it includes."""
    with tempfile.TemporaryDirectory() as directory:
        for name, headers in files.items():
            file = pathlib.Path(directory, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("#pragma once\n" + "".join(f"#include {header}\n" for header in [*headers, "<vector>"]))
        return list(violations(pathlib.Path(directory)))


def self_test():
    # An edge allows its include, and the way back is wrong.
    for room, (_, edges) in ROOMS.items():
        for edge in edges:
            header = edge if edge.endswith(".h") else f"{edge}/a.h"
            assert not check({f"{room}/b.cc" if room != "main" else "main.cc": [f'"{header}"']}), (room, edge)
            if header != "version.h" and room != "main":
                assert check({header: [f'"{room}/b.h"']}), (edge, room)
    # A room includes nothing of those behind it.
    for above, below in itertools.combinations(reversed([room for room in ROOMS if room != "main"]), 2):
        assert check({f"{below}/a.h": [f'"{above}/b.h"']}), (below, above)
    right = [("nfs/a.cc", "<nfsc/libnfs.h>"), ("base/log.cc", "<spdlog/sinks/sink.h>"),
             ("config/a.cc", "<boost/asio/ip/address.hpp>"), ("listen/tls.cc", "<openssl/ssl.h>"),
             ("store/sqlite.cc", "<sqlite3.h>"), ("redis/connection.cc", "<hiredis/hiredis.h>")]
    wrong = [("apply/a.cc", '"nfs/connection.h"'), ("apply/a.cc", '"backlog/local.h"'), ("main.cc", '"nfs/client.h"'),
             ("redis/a.cc", '"backlog/local.h"'), ("other/a.cc", "<vector>"), ("a.h", "<vector>"),
             ("apply/a.cc", "<nfsc/libnfs.h>"), ("ingest/a.h", "  <spdlog/spdlog.h>"),
             ("app/daemon.cc", "<boost/beast/http.hpp>"), ("apply/a.cc", "<boost/asio/io_context.hpp>"),
             ("config/a.cc", "<boost/asio/io_context.hpp>"), ("ingest/a.cc", "<openssl/ssl.h>"),
             ("listen/tls.cc", "<boost/asio/ssl.hpp>"), ("store/store.cc", "<sqlite3.h>"),
             ("redis/servers.cc", "<hiredis/hiredis.h>")]
    for (name, header), expected in [(case, 0) for case in right] + [(case, 1) for case in wrong]:
        assert len(check({name: [header]})) == expected, (name, header)
    assert check({"base/a.h": ['"base/b.h"'], "base/b.h": ['"base/a.h"']})


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if sys.argv[1:] == ["--map"]:
        return print(rooms_map())
    src = pathlib.Path(sys.argv[1])
    found = [*violations(src), *wrong_map(src)]
    sys.exit("\n".join(found) if found else 0)


if __name__ == "__main__":
    main()
