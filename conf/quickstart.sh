#!/bin/sh
# SPDX-License-Identifier: MIT
# See qatime at work, without a cluster and without a mount:
#
#   sh conf/quickstart.sh
#
# builds qatime, starts an NFS server on this machine with a few files in its memory, starts qatime, sends it audit
# records as a cluster would, and shows the access times before and after. Then it stops what it started. It needs
# Debian 12 and installs the packages that are missing, with sudo when not root; nothing else here needs root.
# It ends in error if an access time is not what was sent.

set -eu
cd "$(dirname "$0")/.."
. tests/packages.sh

say() { printf '\n== %s\n' "$*"; }

# Waits for what a command says, 20 s at most.
wait_for() {
  for _ in $(seq 200); do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.1
  done
  echo "waited in vain for: $*" >&2
  tail -n 20 "$work"/*.log >&2
  return 1
}

say "Build (build/static)"
# shellcheck disable=SC2086
need $BUILD_PACKAGES $SERVER_PACKAGES python3
[ -f build/static/build.ninja ] ||
  meson setup build/static -Dstatic=true -Dtests=false --unity=on --wrap-mode=nodownload
meson compile -C build/static
PATH=$PWD/build/static/src:$PATH

# Whatever happens from here on, what was started is stopped and nothing is left behind.
work=$(mktemp -d)
pids=
trap 'kill $pids 2>/dev/null || true; wait; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

say "Start an NFS server"
# An address of the loopback that no other process has for its own, so that its ports are free.
address=127.$((64 + $$ / 65536)).$(($$ / 256 % 256)).$(($$ % 256))
cat >"$work/ganesha.conf" <<EOF
NFS_CORE_PARAM {
  Protocols = 3; NFS_Port = 12049; MNT_Port = 12050; Bind_addr = $address; mount_path_pseudo = false;
  Enable_UDP = false; Enable_NLM = false; Enable_RQUOTA = false; Clustered = false;
}
NFSv4 { Graceless = true; RecoveryRoot = $work; }
NFS_KRB5 { Active_krb5 = false; }
EXPORT {
  Export_Id = 1; Path = /files; Pseudo = /files; Access_Type = RW; Squash = no_root_squash; SecType = sys;
  Protocols = 3; Transports = TCP; Attr_Expiration_Time = 0; FSAL { Name = MEM; }
}
EOF
# An NFS server wants to register with a portmapper; this one believes that it did.
cc -shared -fPIC -o "$work/no_rpcbind.so" tests/system/no_rpcbind.c
(cd "$work" && LD_PRELOAD=$work/no_rpcbind.so exec ganesha.nfsd -F -f ganesha.conf -L server.log -p pid) &
pids="$pids $!"
wait_for grep "NFS SERVER INITIALIZED" "$work/server.log"

# Some files. (This small program makes them over NFS, since nothing is mounted; commands and names end in NUL.)
c++ -std=c++20 -o "$work/nfs_files" tests/system/nfs_files.cc -lnfs
printf '%s\0' mkdir /projects create "/projects/plan.txt" create "/projects/prices, final.csv" create "/projects/untouched" |
  "$work/nfs_files" $address 12049 12050 /files
echo "nfs-ganesha serves /files on port 12049 of $address"

say "Start qatime"
cat >"$work/qatime.toml" <<EOF
[syslog]
listen = ["tcp://127.0.0.1:0"]  # a port that is free; the log says which one

[backlog]
directory = "$work/backlog"

[admin]
listen = "127.0.0.1:0"

[nfs]
servers    = ["$address"]
port       = 12049       # a real server has a portmapper and needs neither
mount_port = 12050

[[nfs.exports]]
path   = "/"             # what the paths of audit records begin with
export = "/files"        # what is mounted for it
EOF
cat "$work/qatime.toml"
qatime run -c "$work/qatime.toml" >"$work/qatime.log" 2>&1 &
daemon=$!
pids="$pids $daemon"
wait_for grep "ready" "$work/qatime.log"
syslog=$(sed -n 's|.*listening on \(tcp://.*\)|\1|p' "$work/qatime.log")
admin=$(sed -n 's|.*listening on \(http://.*\)|\1|p' "$work/qatime.log")

stat_all() {
  qatime stat -c "$work/qatime.toml" /projects /projects/plan.txt "/projects/prices, final.csv" /projects/untouched |
    awk -F '\t' '{ printf "%-30s %s\n", $1, $3 }'
}

say "Access times before"
stat_all | tee "$work/before"

say "Send audit records: a directory is listed, two files are read"
# What a cluster sends; the time of a record is when the operation ended. Here, a minute from now.
minute=$(date -u -d '+1 minute' +%Y-%m-%dT%H:%M)
listed=$minute:00.250000000Z read=$minute:01.123456000Z
cat >"$work/audit.log" <<EOF
<14>1 $listed qatime-1 qumulo - - - 192.0.2.7,"alice",nfs3,fs_list_directory,ok,3,"/projects/",""
<14>1 $read qatime-2 qumulo - - - 192.0.2.8,"AD\bob",smb2,fs_read_data,ok,4,"/projects/prices, final.csv",""
<14>1 $read qatime-2 qumulo - - - 192.0.2.8,"AD\bob",smb2,fs_read_metadata,ok,5,"/projects/untouched",""
EOF
cat "$work/audit.log"
qatime send --to "$syslog" --file "$work/audit.log"
# It makes records, too:
qatime send --to "$syslog" --time "$read" /projects/plan.txt

# expect TIME PATH: that the server has it
expect() { qatime stat -c "$work/qatime.toml" "$2" | cut -f 3 | grep -qxF "$1"; }
wait_for expect "$listed" /projects
wait_for expect "$read" /projects/plan.txt
wait_for expect "$read" "/projects/prices, final.csv"

say "Access times after"
stat_all | tee "$work/after"
[ "$(tail -n 1 "$work/before")" = "$(tail -n 1 "$work/after")" ] || { echo "/projects/untouched was touched" >&2; exit 1; }

say "Look at the daemon"
qatime status --admin "$admin"

say "Stop qatime: what it says"
kill $daemon
wait $daemon
cut -c -200 "$work/qatime.log"

say "Done: every access time is what was sent"
