# SPDX-License-Identifier: MIT
"""Who may include whom: `layering.py SRC` ends with status 1 and every include that is against the rules below.

`layering.py --self-test` shows that wrong includes are found and right ones are not.
"""

import pathlib
import re
import sys
import tempfile

# Everybody may include the headers in the root of src, which include nothing but each other. These are none:
ROOTS = {"applier.h", "daemon.h", "replay.h"}

# Who may include what besides the leaves and its own folder; a folder, or single headers of it.
EDGES = {
    "ingest": set(),
    "backlog": set(),
    "nfs": set(),
    "admin": set(),
    "apply": {"backlog/backlog.h", "nfs/client.h", "nfs/status.h"},
    "commands": {"admin/client.h", "daemon.h", "replay.h", "nfs", "ingest", "backlog/redis/shared.h",
                 "backlog/state_directory.h", "backlog/verify.h"},
    "applier": {"backlog/backlog.h", "nfs", "apply"},
    "daemon": {"applier.h", "ingest", "backlog", "admin"},
    "replay": {"applier.h", "ingest", "backlog", "nfs"},
    "main": {"commands"},
    "libraries": set(),
    "pch": set(),
}

# Foreign headers, by how their names begin, and their homes: a folder, or files without their extension. Where a
# header is named with a longer beginning, that one counts.
HOMES = {
    "nfsc/": {"nfs"},
    "spdlog/": {"log"},
    "toml++/": {"config", "config_keys", "libraries"},
    "CLI/": {"main"},
    "openssl/": {"ingest/tls", "backlog/redis/tls"},
    "boost/asio/ssl": set(),
    "zlib.h": {"ingest/recorded_log", "backlog/checksum"},
    "sqlite3.h": {"backlog/sqlite"},
    "boost/beast": {"admin", "libraries"},
    "hiredis/": {"backlog/redis/connection", "backlog/redis/tls"},
    "boost/json": {"ingest", "admin", "commands", "log", "libraries"},
    "boost/asio": {"libraries", "loop", "pch", "ingest", "nfs", "admin", "commands", "applier", "daemon", "replay"},
    "boost/asio/ip/address": {"ingest", "nfs", "admin", "commands", "daemon", "config"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def place(path):
    """The folder of a source file, or its bare name in the root."""
    return path.parts[0] if len(path.parts) > 1 else path.stem


def allowed(path, header):
    """Whether the file `path` may include our `header`; both are relative to src."""
    target = pathlib.PurePath(header)
    if len(target.parts) == 1 and header not in ROOTS:
        return True
    here = place(path)
    edges = EDGES.get(here, set())
    return here == place(target) or header in edges or target.parts[0] in edges


def at_home(path, header):
    known = [beginning for beginning in HOMES if header.startswith(beginning)]
    return not known or HOMES[max(known, key=len)] & {place(path), str(path.with_suffix(""))}


def violations(src):
    for file in sorted([*src.rglob("*.h"), *src.rglob("*.cc")]):
        path = file.relative_to(src)
        if len(path.parts) > 1 and path.parts[0] not in EDGES:
            yield f"{path}: a folder that the table of edges does not know"
        for kind, header in INCLUDE.findall(file.read_text()):
            if not (allowed if kind == '"' else at_home)(path, header):
                yield f"{path}: may not include {header}"


def self_test():
    right = [("ingest/a.cc", '"log.h"'), ("ingest/a.cc", '"ingest/b.h"'), ("apply/a.h", '"nfs/client.h"'),
             ("applier.cc", '"apply/engine.h"'), ("main.cc", '"commands/commands.h"'), ("nfs/a.cc", "<nfsc/libnfs.h>"),
             ("log.cc", "<spdlog/spdlog.h>"), ("config.cc", "<boost/asio/ip/address.hpp>"), ("path.cc", '"path.h"'),
             ("ingest/tls.cc", "<openssl/ssl.h>"), ("backlog/sqlite.cc", "<sqlite3.h>"),
             ("backlog/redis/connection.cc", "<hiredis/hiredis.h>")]
    wrong = [("ingest/a.cc", '"backlog/backlog.h"'), ("apply/a.cc", '"nfs/connection.h"'), ("log.h", '"daemon.h"'),
             ("path.cc", '"nfs/client.h"'), ("backlog/a.cc", '"daemon.h"'), ("main.cc", '"nfs/client.h"'),
             ("apply/a.cc", "<nfsc/libnfs.h>"), ("ingest/a.h", "  <spdlog/spdlog.h>"), ("other/a.cc", "<vector>"),
             ("admin/a.cc", '"ingest/b.h"'), ("daemon.cc", "<boost/beast/http.hpp>"),
             ("apply/a.cc", "<boost/asio/io_context.hpp>"), ("config.cc", "<boost/asio/io_context.hpp>"),
             ("ingest/a.cc", "<openssl/ssl.h>"), ("ingest/tls.cc", "<boost/asio/ssl.hpp>"),
             ("backlog/store.cc", "<sqlite3.h>"), ("backlog/redis/servers.cc", "<hiredis/hiredis.h>")]
    for (name, header), expected in [(case, 0) for case in right] + [(case, 1) for case in wrong]:
        with tempfile.TemporaryDirectory() as directory:
            file = pathlib.Path(directory, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"#pragma once\n#include {header}\n#include <vector>\n")
            found = list(violations(pathlib.Path(directory)))
            assert len(found) == expected, (name, header, found)


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    found = list(violations(pathlib.Path(sys.argv[1])))
    sys.exit("\n".join(found) if found else 0)


if __name__ == "__main__":
    main()
