#!/bin/sh
# SPDX-License-Identifier: MIT
# Feeds bytes that libFuzzer makes up to what reads a cluster's bytes, and compares qatime with a model of it; Debian 12,
# as root or as a user with sudo:
#
#   sh tests/fuzz.sh SECONDS [TARGET...]        so long each, going on from where the last such run ended
#   sh tests/fuzz.sh -runs=NUMBER [TARGET...]   so many executions each, the same every time
#
#   framing   a stream to messages
#   proxy     the PROXY header in front of a stream
#   header    the syslog header of a message
#   csv       a body of comma-separated fields
#   json      a JSON body
#   record    a message to its event and its counter
#   reply     a reply of an NFS server, through what checks it to libnfs
#   model     records and streams, random and damaged: what qatime makes of them is what tests/fuzz/model.py does
#
# Without a TARGET it runs all. tests/fuzz/TARGET_fuzz.cc says which properties hold for any bytes; memory, undefined
# behaviour, leaks and hangs are watched, too. The seeds are the samples of tests/data; `reply` has its own. Bytes for
# which something does not hold are printed and kept in build/fuzz/findings; the exit status is 1. An execution of
# `model`, which needs no clang, is a record; in SECONDS it begins with a new seed. It prints the shortest record found
# of each difference.

cd "$(dirname "$0")/.." || exit 1
. tests/packages.sh
. tests/builds.sh

TARGETS="framing proxy header csv json record reply model"
WORK=build/fuzz

case $1 in
  -runs=[0-9]*) limit="$1 -seed=1" keep=false records="--seed 1 --records ${1#-runs=}" ;;
  "" | *[!0-9]*) sed -n '/^#   sh/s/^#   //p' "$0" && exit 2 ;;
  *) limit=-max_total_time=$1 keep=true records="--seed $(date +%s) --seconds $1" ;;
esac
shift
# shellcheck disable=SC2086
[ $# -gt 0 ] || set -- $TARGETS
for target; do
  case " $TARGETS " in *" $target "*) ;; *) echo "no such target: $target (there are: $TARGETS)" && exit 2 ;; esac
done

# seeds TARGET: one a line. The beginnings of records will do for framing, which gets it in three forms.
seeds() {
  bodies='s/^[^"{]*qumulo:\{0,1\} *\(- - - \)\{0,1\}//p'
  case $1 in
    framing) cut -c 1-30 tests/data/*.log ;;
    proxy)
      printf '%s\r\n' 'PROXY TCP4 192.0.2.1 192.0.2.2 50000 1514' 'PROXY TCP6 2001:db8::1 ::1 0 65535' 'PROXY UNKNOWN'
      ;;
    csv)
      sed -n "$bodies" tests/data/*.log | grep -v '^{'
      printf '%s\n' '::1,"AD\u",nfs3,fs_rename,ok,7,"/a""b","/c"' '::1,"AD\u",nfs3,fs_rename,ok,7,"/a\"b","/c"'
      ;;
    json)
      sed -n "$bodies" tests/data/*.log | grep '^{'
      printf '%s\n' '{"operation":"fs_rename","status":"ok","details":{"path":"/a\"b\\","target":"/\ud83d\ude00"}}'
      ;;
    reply) ;;
    *) cat tests/data/*.log ;;
  esac
}

# write_seeds TARGET DIRECTORY: a file for each, with one byte more for what the target may choose.
write_seeds() {
  seeds "$1" | awk -v target="$1" -v directory="$2" '{
    file = directory "/" NR
    if (target == "framing") printf "%s\n%d %s%d %s\n", $0, length($0), $0, length($0) + 1, $0 >file
    else if (target == "proxy") printf "%s\n", $0 >file
    else printf "%s", $0 >file
    printf "x" >file
    close(file) }'
}

# length TARGET: the most bytes of an execution; framing reads a stream over and over, and its messages are short.
length() { case $1 in framing) echo 160 ;; reply) echo 1024 ;; *) echo 512 ;; esac; }

# shellcheck disable=SC2086
run_model() { python3 tests/fuzz/compare.py $records build/gcc/tests/read_records; }

run_fuzzer() {
  samples=$work/$1
  corpus=$work/$1-new
  ! $keep || corpus=$WORK/corpus/$1
  findings=$WORK/findings/$1-$(date +%s)-
  mkdir -p "$samples" "$corpus" $WORK/findings
  write_seeds "$1" "$samples"
  # shellcheck disable=SC2086
  ASAN_OPTIONS=quarantine_size_mb=1 build/asan/tests/fuzz_"$1" $limit -max_len="$(length "$1")" -timeout=20 \
    -dict=tests/fuzz/words.dict -verbosity=0 -print_final_stats=1 -artifact_prefix="$findings" \
    "$corpus" "$samples" && return
  for file in "$findings"*; do [ ! -f "$file" ] || { echo "$file:" && od -A d -t x1z -v "$file"; }; done
  return 1
}

run() {
  echo "--- $1"
  if [ "$1" = model ]; then run_model; else run_fuzzer "$1"; fi
}

fuzzers=
for target; do [ "$target" = model ] || fuzzers="$fuzzers fuzz_$target"; done
# shellcheck disable=SC2086
need $BUILD_PACKAGES python3 ${fuzzers:+clang-19 libclang-rt-19-dev} || exit 1
# shellcheck disable=SC2086
[ ! "$fuzzers" ] || build_asan $fuzzers || exit 1
case " $* " in *" model "*) build_gcc read_records || exit 1 ;; esac
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
for target; do
  if run "$target"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
echo "test cases: $((passed + failed)) | $passed passed | $failed failed"
[ $failed = 0 ]
