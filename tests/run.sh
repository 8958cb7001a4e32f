#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds qatime and runs its tests, on Debian 12, as root or as a user with sudo:
#
#   sh tests/run.sh [OPTION...] [quick | all | SUITE...]
#
# Without an argument it runs what shows a stranger that a clone works: layering, style, format, headers, unit, system.
# `quick` is for every edit: the same, with a cut of the system tests. `all` adds everything else. tests/README.md says
# what each suite proves and how long it takes.
#
#   --long          gives the tests of endurance their long form; `all` has the suites `files` and `mutants`, too
#   --fail-fast     ends at the first failure
#   --behind        goes on behind the run before: leaves out the suites that it ran, and adds their counts
#   --since COMMIT  has `tidy` look only at what has changed since then
#
# Missing Debian packages are installed first. Everything is built in build/, and each suite leaves its log there.
# Suites that mostly wait run beside those that compile. Skipped tests are counted, with the reason. The last line is
# `N passed, N failed, N skipped`; exit status 1 if any failed.

cd "$(dirname "$0")/.." || exit 1
. tests/packages.sh
. tests/builds.sh

# The cheapest first. Those of the second line run beside those of the first, because most of them wait; tidy is there
# so that both lines take as long.
COMPILING="layering style format headers unit quickstart asan fuzz tsan static"
WAITING="system page deploy container knfsd system-asan system-tsan tidy"
STRANGER="layering style format headers unit system"
LONG="files mutants"
SUITES="$COMPILING $WAITING $LONG"

LOGS=build/logs
RESULTS=$LOGS/results  # of each suite that has ended a line: its name, how many tests passed, failed, were skipped

# --- suites ----------------------------------------------------------------------------------------------------------

suite_layering() { python3 tests/layering.py --self-test && python3 tests/layering.py src; }

suite_style() { python3 tests/style.py --self-test && python3 tests/style.py && python3 tests/mutate.py --self-test; }

suite_format() {
  status=0
  find src tests -name '*.h' -o -name '*.cc' | xargs clang-format-19 --dry-run -Werror || status=1
  for script in conf/*.sh tests/*.sh tests/*/*.sh; do sh -n "$script" || status=1; done
  python3 -m compileall -q -f tests || status=1
  return $status
}

suite_headers() { build_gcc qatime && meson_test gcc headers; }

suite_unit() { build_gcc && meson_test gcc unit; }

suite_asan() { sh tests/mutex.sh && build_asan && meson_test asan unit; }

# One thread that does something for long takes minutes there, and has nothing to show.
suite_tsan() { build_tsan && without_aslr && meson_test tsan threaded --test-args='~[one-thread]'; }

suite_fuzz() {
  sh tests/fuzz.sh -runs=50000 && { [ ! "$QATIME_TEST_LONG" ] || sh tests/fuzz.sh -runs=1000000 model; }
}

suite_tidy() {
  rm -rf build/tidy  # its units are changed
  # shellcheck disable=SC2086
  configure tidy $FOR_TESTS -Dtests=false -Dwerror=false && sh tests/tidy.sh build/tidy $QATIME_TIDY_SINCE
}

# clang-tidy's checks that a unit of several files cannot have, because they are of what one file includes and uses, and
# the one that takes an eighth of the time of all.
suite_files() {
  # shellcheck disable=SC2086
  configure files $FOR_TESTS --unity=off -Db_pch=false -Dwerror=false || return  # for its compile_commands.json
  check_files . 'misc-unused-*-decls,readability-duplicate-include' && check_files ^src/ performance-unnecessary-value-param
}

# check_files PATTERN CHECKS: each file by itself, if its path has the pattern.
check_files() {
  sed -n 's|.*"file": "../../\(.*\)".*|\1|p' build/files/compile_commands.json | grep "$1" | sort -u |
    xargs -P "$(nproc)" -n 8 clang-tidy-19 -p build/files --quiet --checks="-*,$2"
}

suite_mutants() { python3 tests/mutate.py --all; }

suite_system() {
  if [ "$QATIME_TEST_CUT" ]; then set -- -k EndToEnd. -k Commands -k Moves -k Reload; fi
  build_gcc && system_tests gcc "$@"
}

suite_system_asan() {
  export QATIME_TEST_QUICK=1
  build_asan && system_tests asan
}

suite_system_tsan() { build_tsan && without_aslr && system_tests tsan -k Load -k Faults -k EndToEnd.; }

suite_knfsd() { build_gcc qatime nfs_files && use gcc && python3 tests/servers; }

suite_page() { build_gcc && python_tests page test_page; }

suite_quickstart() { sh conf/quickstart.sh; }

suite_deploy() {
  build_gcc && python_tests deploy test_service test_forwarders test_balancers test_nginx test_wraps test_monitoring \
    test_qq test_man
}

suite_static() { build_gcc && python_tests deploy test_static; }

suite_container() { build_gcc && python_tests deploy test_container test_units; }

# ThreadSanitizer of gcc 12 cannot live with as much address randomisation as newer kernels do.
without_aslr() { setarch -R true 2>/dev/null && prefix="setarch -R" || prefix=; }

# meson_test BUILD SUITE [OPTION...]: our log has all that the tests print.
meson_test() {
  build=$1 suite=$2
  shift 2
  $prefix meson test -C "build/$build" --suite "$suite" --no-rebuild --timeout-multiplier 5 "$@"
  status=$?
  cat "build/$build/meson-logs/testlog.txt"
  return $status
}

# use BUILD: tests of the real program take it from there.
use() { export QATIME="$PWD/build/$1/src/qatime" QATIME_NFS_FILES="$PWD/build/$1/tests/nfs_files"; }

# system_tests BUILD [OPTION...]
system_tests() {
  use "$1"
  shift
  $prefix python3 tests/system -v "$@"
}

# python_tests FOLDER TEST...
python_tests() {
  use gcc
  (cd "tests/$1" && shift && python3 -m unittest -v "$@")
}

packages_of() {
  case $1 in
    format) echo clang-format-19 ;;
    tidy | files) echo clang-tidy-19 ;;
    asan | fuzz | system-asan) echo clang-19 libclang-rt-19-dev ;;
  esac
  case $1 in
    system* | knfsd) echo rpcbind iproute2 iptables openssl prometheus redis-server redis-tools ;;
    page) echo chromium ;;
    deploy) echo haproxy nginx-light mandoc systemd python3-yaml util-linux openssl prometheus redis-server redis-tools ;;
    container) echo podman podman-compose buildah crun uidmap slirp4netns debootstrap catatonit passwd python3-yaml \
      util-linux redis-server redis-tools ;;
  esac
}

# Without these a suite is skipped.
wanted_by() { case $1 in knfsd) [ "$(uname -m)" != x86_64 ] || echo qemu-system-x86 ;; esac; }

# --- running them ----------------------------------------------------------------------------------------------------

# Seconds that a suite may take, its builds included: some four times what it takes on two cores beside another.
budget() { echo $((2400 * ${QATIME_TEST_LONG:-1})); }

# count LOG STATUS: prints how many tests passed, failed and were skipped, by the summaries of Catch2 and unittest; a
# suite without any counts as one. Tests that unittest skips by class (setUpClass) is not among those that ran.
count() {
  awk -v status="$2" '
    /All tests passed \(.* in [0-9]+ test case/ { sub(/.* in /, ""); passed += $1 }
    /^ *test cases: / { n = split($0, part, "|"); for (i = 2; i <= n; i++) { split(part[i], word, " ");
                        if (word[2] == "passed") passed += word[1]; else failed += word[1] } }
    /^setUpClass .* \.\.\. (skipped|ERROR)/ { classes++ }
    /^Ran [0-9]+ tests? in/ { ran = $2 + classes; classes = 0 }
    /^(OK|FAILED)( \(|$)/ { gsub(/[(),]/, ""); bad = left = 0
                            for (i = 2; i <= NF; i++) { split($i, word, "="); if (word[1] == "skipped") left = word[2];
                                                        else bad += word[2] }
                            failed += bad; skipped += left; passed += ran > bad + left ? ran - bad - left : 0 }
    END { if (status != 0 && failed == 0) failed = 1
          if (status == 0 && passed + skipped == 0) passed = 1
          print passed + 0, failed + 0, skipped + 0 }' "$1"
}

# reasons LOG: why what was skipped was skipped, and how often.
reasons() { sed -n "s/^.* \.\.\. skipped ['\"]\(.*\)['\"]$/\1/p" "$1" | sort | uniq -c; }

run_suite() {
  log=$LOGS/$1.log
  started=$(date +%s)
  timeout -k 10 "$(budget)" sh tests/run.sh --inside "$1" >"$log" 2>&1 &
  echo $! >"$LOGS/$1.pid"
  wait $!
  status=$?
  rm -f "$LOGS/$1.pid"
  [ ! -f $LOGS/ended ] || return
  # shellcheck disable=SC2046
  set -- "$1" $(count "$log" $status) $(($(date +%s) - started))
  echo "$1 $2 $3 $4" >>$RESULTS
  report "$@" $status
  [ $status = 0 ] || [ ! "$fail_fast" ] || end_all
}

# failure LOG: what failed, by Catch2 and the sanitizers, and how it ended.
failure() {
  grep -E -B 10 -A 10 '^[^ ]*: FAILED:$|ERROR: [A-Za-z]*Sanitizer|WARNING: ThreadSanitizer|: runtime error: ' "$1" |
    head -n 60
  echo "--- the end of $1"
  tail -n 60 "$1"
  echo "---"
}

# report SUITE PASSED FAILED SKIPPED SECONDS STATUS: in one piece, since another suite may report, too.
report() {
  text=$(
    echo "$1: $2 passed, $3 failed, $4 skipped ($5 s)"
    reasons "$LOGS/$1.log"
    [ "$6" != 124 ] || echo "$1: took too long"
    [ "$6" = 0 ] || failure "$LOGS/$1.log"
  )
  echo "$text"
}

# Ends what runs, and nothing else begins.
end_all() {
  touch $LOGS/ended
  for pid in "$LOGS"/*.pid; do [ ! -f "$pid" ] || kill "$(cat "$pid")" 2>/dev/null; done
}

# run_those_of SUITES: what of them was asked for, one after the other.
run_those_of() {
  for suite in $1; do
    case " $asked " in *" $suite "*) [ -f $LOGS/ended ] || run_suite "$suite" ;; esac
  done
}

# choose [quick | all | SUITE...]: sets `asked`.
choose() {
  [ $# -gt 0 ] || set -- $STRANGER
  case $1 in
    quick) export QATIME_TEST_CUT=1 && set -- $STRANGER ;;
    all) set -- $COMPILING $WAITING ${QATIME_TEST_LONG:+$LONG} ;;
  esac
  asked=
  for suite; do
    case " $SUITES " in *" $suite "*) ;; *) echo "no such suite: $suite (there are: $SUITES)" && exit 2 ;; esac
    [ "$behind" ] && grep -q "^$suite " $RESULTS || asked="$asked $suite"
  done
}

main() {
  fail_fast='' behind=''
  while :; do
    case $1 in
      --long) export QATIME_TEST_LONG=10 ;;
      --fail-fast) fail_fast=1 ;;
      --behind) behind=1 ;;
      --since) export QATIME_TIDY_SINCE="$2" && shift ;;
      -*) echo "no such option: $1" && exit 2 ;;
      *) break ;;
    esac
    shift
  done
  mkdir -p $LOGS
  rm -f $LOGS/ended "$LOGS"/*.pid
  [ "$behind" ] || : >$RESULTS
  # shellcheck disable=SC2086
  choose "$@"
  # shellcheck disable=SC2046,SC2086
  need $BUILD_PACKAGES $SERVER_PACKAGES python3 $(for suite in $asked; do packages_of "$suite"; done) || exit 1
  # shellcheck disable=SC2046
  need $(for suite in $asked; do wanted_by "$suite"; done) || echo "some packages are not to be had"
  # Its sudo cannot ask for a password: `timeout` keeps it from the terminal.
  case " $asked " in *" container "*) [ "$(id -u)" = 0 ] || sudo true ;; esac
  trap 'end_all; exit 1' INT TERM
  run_those_of "$WAITING" &
  run_those_of "$COMPILING $LONG"
  wait
  awk '{ passed += $2; failed += $3; skipped += $4 }
       END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped; exit failed > 0 }' $RESULTS
}

if [ "$1" = --inside ]; then
  "suite_$(echo "$2" | tr - _)"
else
  main "$@"
fi
