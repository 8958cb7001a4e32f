#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds qatime and runs its tests, on Debian 12, as root or as a user with sudo:
#
#   sh tests/run.sh [--long] [SUITE...]
#
#   style        clang-format, clang-tidy; the syntax of the scripts
#   layering     who includes whom
#   headers      each header compiles alone
#   unit         unit tests
#   asan, tsan   the same under AddressSanitizer and UndefinedBehaviorSanitizer, under ThreadSanitizer
#   clang        each file compiles with clang, too
#   fuzz         what reads a cluster's bytes, with bytes that libFuzzer makes up (tests/fuzz.sh says more)
#   system       the real program against a real NFS server (tests/system says more)
#   system-asan  the same under AddressSanitizer and UndefinedBehaviorSanitizer
#   system-tsan  a part of it under ThreadSanitizer
#   page         the page of the daemon in a real browser
#   quickstart   conf/quickstart.sh works
#   deploy       the unit under systemd, the forwarders, the wraps, alerts and dashboard, README's commands for a cluster
#   static       the static program, built twice, in an empty root
#   container    the image, built and run by an ordinary user, and its units
#
# Without a SUITE it runs all. --long gives the tests of endurance their long form. Missing Debian packages are
# installed first. Everything is built in build/, and each suite leaves its log there. What was skipped is counted with
# its reason. The last line is `N passed, N failed, N skipped`; exit status 1 if any failed.

cd "$(dirname "$0")/.." || exit 1
. tests/packages.sh

SUITES="style layering headers unit asan tsan clang fuzz system system-asan system-tsan page quickstart deploy static container"
LOGS=build/logs

# --- builds, in build/NAME; what is there already is only brought up to date -----------------------------------------

# build NAME [MESON OPTION...]
build() {
  directory=build/$1
  shift
  configure "$directory" "$@" && meson compile -C "$directory" -j "$(nproc)"
}

configure() {
  directory=$1
  shift
  [ -f "$directory/build.ninja" ] && return
  rm -rf "$directory"
  meson setup "$directory" --wrap-mode=nodownload -Dwerror=true -Db_ndebug=false "$@"
}

# As few compilations of the large headers as can be: that every file compiles alone is what the suites clang and
# quickstart see. Of the symbols for a debugger what backtraces need: the others take a quarter of the time.
GCC="-Dbuildtype=debug -Doptimization=1 --unity=on"
SYMBOLS=-g1

build_gcc() { build gcc $GCC -Dcpp_args=$SYMBOLS; }
build_asan() {
  build asan $GCC -Db_sanitize=address,undefined -Db_lundef=false \
    -Dcpp_args="$SYMBOLS -fno-sanitize-recover=all"
}
# ThreadSanitizer knows no fences; what Asio uses them for is ordered by its locks as well.
build_tsan() {
  build tsan $GCC -Db_sanitize=thread -Db_lundef=false \
    -Dcpp_args="$SYMBOLS -DBOOST_ASIO_DISABLE_FENCED_BLOCK"
}

# --- suites ----------------------------------------------------------------------------------------------------------

suite_style() {
  rm -rf build/tidy
  configure build/tidy $GCC -Dtests=false -Dwerror=false || return
  status=0
  find src tests -name '*.h' -o -name '*.cc' | xargs clang-format-19 --dry-run -Werror || status=1
  sh tests/tidy.sh build/tidy || status=1
  for script in conf/*.sh tests/*.sh tests/*/*.sh; do sh -n "$script" || status=1; done
  python3 -m compileall -q -f tests || status=1
  return $status
}

suite_layering() { python3 tests/layering.py --self-test && python3 tests/layering.py src; }

suite_headers() { configure build/gcc $GCC -Dcpp_args=$SYMBOLS && meson_test gcc headers; }

suite_unit() { build_gcc && meson_test gcc unit; }

suite_asan() { build_asan && meson_test asan unit; }

# What one thread does for long takes minutes there, and has nothing to show.
suite_tsan() { build_tsan && without_aslr && meson_test tsan unit --test-args='~[one-thread]'; }

# Each file of a build alone, with clang's warnings, and what clang-tidy sees only then.
suite_clang() {
  checks='-*,clang-diagnostic-*,-clang-diagnostic-deprecated-declarations'
  configure build/files $GCC --unity=off -Dwerror=false || return  # for its compile_commands.json
  sed -n 's|.*"file": "../../\(.*\)".*|\1|p' build/files/compile_commands.json | sort -u |
    xargs -P "$(nproc)" -n 8 clang-tidy-19 -p build/files --quiet \
      --checks="$checks,misc-unused-*-decls,readability-duplicate-include"
}

suite_fuzz() { sh tests/fuzz.sh -runs=50000; }

suite_system() { build_gcc && system_tests gcc; }

suite_system_asan() {
  export QATIME_TEST_QUICK=1
  build_asan && system_tests asan
}

suite_system_tsan() { build_tsan && without_aslr && system_tests tsan -k Load -k Faults -k EndToEnd.; }

suite_page() {
  build_gcc || return
  QATIME=$PWD/build/gcc/src/qatime QATIME_NFS_FILES=$PWD/build/gcc/tests/nfs_files
  export QATIME QATIME_NFS_FILES
  python3 -m unittest discover -v -s tests/page
}

suite_quickstart() { sh conf/quickstart.sh; }

suite_deploy() { build_gcc && deploy_tests test_service test_forwarders test_wraps test_monitoring test_qq; }

suite_static() { build_gcc && deploy_tests test_static; }

suite_container() { build_gcc && deploy_tests test_container test_units; }

# ThreadSanitizer of gcc 12 cannot live with as much address randomisation as newer kernels do.
without_aslr() { setarch -R true 2>/dev/null && prefix="setarch -R" || prefix=; }

# meson_test BUILD SUITE [OPTION...]: what the tests print goes to our log, too.
meson_test() {
  build=$1 suite=$2
  shift 2
  $prefix meson test -C "build/$build" --suite "$suite" --no-rebuild --timeout-multiplier 5 "$@"
  status=$?
  cat "build/$build/meson-logs/testlog.txt"
  return $status
}

# system_tests BUILD [OPTION...]
system_tests() {
  QATIME=build/$1/src/qatime QATIME_NFS_FILES=build/$1/tests/nfs_files
  export QATIME QATIME_NFS_FILES
  shift
  $prefix python3 tests/system -v "$@"
}

# deploy_tests TEST...
deploy_tests() {
  QATIME=$PWD/build/gcc/src/qatime QATIME_NFS_FILES=$PWD/build/gcc/tests/nfs_files
  export QATIME QATIME_NFS_FILES
  (cd tests/deploy && python3 -m unittest -v "$@")
}

packages_of() {
  case $1 in
    style) echo clang-tidy-19 clang-format-19 ;;
    clang) echo clang-tidy-19 ;;
    fuzz) echo clang-16 libclang-rt-16-dev ;;
    system*) echo rpcbind iproute2 openssl prometheus redis-server redis-tools ;;
    page) echo chromium ;;
    deploy) echo systemd python3-yaml util-linux openssl prometheus redis-server redis-tools ;;
    container) echo podman podman-compose buildah crun uidmap slirp4netns debootstrap catatonit passwd python3-yaml \
      util-linux redis-server redis-tools ;;
  esac
}

# Seconds that a suite may take, its builds included: some four times what it takes on two cores.
budget() {
  case $1 in
    layering | headers) seconds=600 ;;
    *) seconds=1800 ;;
  esac
  echo $((seconds * ${QATIME_TEST_LONG:-1}))
}

# --- running them ----------------------------------------------------------------------------------------------------

# count LOG STATUS: prints how many tests passed, failed and were skipped, by the summaries of Catch2 and unittest; a
# suite without any counts as one. What unittest skips by class (setUpClass) is not among those that ran.
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
  # Its sudo cannot ask for a password: `timeout` keeps it from the terminal.
  [ "$1" != container ] || [ "$(id -u)" = 0 ] || sudo true
  started=$(date +%s)
  timeout -k 10 "$(budget "$1")" sh tests/run.sh --inside "$1" >"$log" 2>&1
  status=$?
  # shellcheck disable=SC2046
  set -- "$1" $(count "$log" $status) $(($(date +%s) - started))
  passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
  echo "$1: $2 passed, $3 failed, $4 skipped ($5 s)"
  reasons "$log"
  [ $status = 0 ] && return
  [ $status != 124 ] || echo "$1: took too long"
  echo "--- the end of $log"
  tail -n 60 "$log"
  echo "---"
}

main() {
  [ "$1" != --long ] || { QATIME_TEST_LONG=10 && export QATIME_TEST_LONG && shift; }
  [ $# -gt 0 ] || set -- $SUITES
  for suite; do
    case " $SUITES " in *" $suite "*) ;; *) echo "no such suite: $suite (there are: $SUITES)" && exit 2 ;; esac
  done
  # shellcheck disable=SC2086
  need $BUILD_PACKAGES $SERVER_PACKAGES python3 $(for suite; do packages_of "$suite"; done) || exit 1
  mkdir -p $LOGS
  passed=0 failed=0 skipped=0
  for suite; do run_suite "$suite"; done
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" = 0 ]
}

if [ "$1" = --inside ]; then
  "suite_$(echo "$2" | tr - _)"
else
  main "$@"
fi
