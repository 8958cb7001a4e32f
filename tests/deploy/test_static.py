# SPDX-License-Identifier: MIT
"""The static program: what it is made of, and that it runs where there is nothing else.

    QATIME_NFS_FILES=BUILD/tests/nfs_files python3 -m unittest discover -s tests/deploy -p test_static.py

It is built here, in build/static, with the options that a release has.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "system"))

import lab
from case import Case, now
from lab import NOBODY, record, send_tcp, send_udp, wait_until

BUILD = ROOT / "build" / "static"
PROGRAM = BUILD / "src" / "qatime"
HARDENING = {"-D_FORTIFY_SOURCE=2", "-fstack-protector-strong", "-fstack-clash-protection", "-fcf-protection"}
MIB = 1 << 20


def build(source, directory, **environment):
    environment = {**os.environ, **environment}
    if not (directory / "build.ninja").exists():
        run(["meson", "setup", directory, source, "--wrap-mode=nodownload", "-Dstatic=true", "-Dtests=false",
             "--unity=on"], env=environment)
    run(["meson", "compile", "-C", directory], env=environment)


def run(command, **options):
    """Its output, whatever its status says about it."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    output = done.stdout.decode(errors="backslashreplace")
    assert done.returncode == 0, f"{command}:\n{output[-8000:]}"
    return output


def setUpModule():
    build(ROOT, BUILD)


class Made(unittest.TestCase):
    def readelf(self, *options):
        return run(["readelf", "--wide", *options, PROGRAM])

    def test_it_is_one_file(self):
        self.assertIn("statically linked", run(["ldd", PROGRAM]))
        self.assertNotIn("NEEDED", self.readelf("--dynamic"))
        self.assertNotIn("INTERP", self.readelf("--segments"))

    def test_it_is_small(self):
        self.assertLessEqual(PROGRAM.stat().st_size, 12_000_000)

    def test_it_is_stripped_and_has_a_build_id(self):
        sections = self.readelf("--sections")
        self.assertNotRegex(sections, r" \.(symtab|debug_\w+) ")
        self.assertRegex(self.readelf("--notes"), r"Build ID: [0-9a-f]{40}")

    def test_it_is_position_independent(self):
        self.assertRegex(self.readelf("--file-header"), r"Type: +DYN ")
        self.assertRegex(self.readelf("--dynamic"), r"FLAGS_1\).*\bPIE\b")
        self.assertNotIn("TEXTREL", self.readelf("--dynamic"))

    def test_its_relocations_are_read_only(self):
        self.assertIn("GNU_RELRO", self.readelf("--segments"))
        self.assertRegex(self.readelf("--dynamic"), r"FLAGS\).*\bBIND_NOW\b")

    def test_no_memory_is_both_writable_and_executable(self):
        segments = re.findall(r"^  (\w+) +(?:0x\w+ +){5}([R ][W ][E ])", self.readelf("--segments"), re.MULTILINE)
        self.assertIn(("GNU_STACK", "RW "), segments)
        self.assertEqual([name for name, flags in segments if "W" in flags and "E" in flags], [])

    def test_every_source_is_compiled_with_the_hardening(self):
        commands = [entry["command"].split() for entry in json.loads((BUILD / "compile_commands.json").read_text())]
        self.assertGreater(len(commands), 1)
        for command in commands:
            self.assertLessEqual(HARDENING, set(command))

    @unittest.skipUnless(os.environ.get("QATIME_TEST_LONG"), "a second build takes minutes: with --long only")
    def test_it_is_the_same_wherever_it_is_built(self):
        scratch = lab.Scratch()
        self.addCleanup(scratch.remove)
        source = scratch.path / "another" / "place"
        source.mkdir(parents=True)
        for name in ("meson.build", "meson_options.txt"):
            shutil.copy2(ROOT / name, source)
        for folder in ("src", "conf"):
            shutil.copytree(ROOT / folder, source / folder)
        build(source, scratch.path / "of" / "objects", CCACHE_DISABLE="1", TZ="Asia/Tokyo", LC_ALL="C")
        self.assertEqual((scratch.path / "of" / "objects" / "src" / "qatime").read_bytes(), PROGRAM.read_bytes())


class Running(Case):
    """As an ordinary user, in a root directory that holds the program and a place for its backlog."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        shutil.copy2(PROGRAM, cls.scratch.path / "qatime")

    def confined(self, files=None, **settings):
        """A daemon whose root directory has only the program, an empty directory and these {path: text}."""
        daemon = self.qatime(**settings, backlog__directory="/state")
        root = daemon.directory / "root"
        (root / "state").mkdir(parents=True)
        if lab.ROOT:
            shutil.chown(root / "state", NOBODY, NOBODY)
        shutil.copy2(PROGRAM, root)
        for path, text in (files or {}).items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        enter = ["chroot", f"--userspec={NOBODY}:{NOBODY}", "--groups="] if lab.ROOT else ["unshare", "-r", "chroot"]
        if not lab.ROOT and subprocess.run(["unshare", "-r", "true"]).returncode != 0:
            self.skipTest("no user namespace for this user, and another root directory needs one")
        sets = [word for key, value in daemon.settings.items() for word in ("--set", f"{key}={lab.toml(value)}")]
        daemon.process = lab.start([*enter, root, "/qatime", "run", *sets], daemon.output)
        wait_until(lambda: daemon.process.poll() is not None or daemon.listens(daemon.log), "qatime to listen")
        return daemon

    def check_applies(self, daemon):
        by_tcp, by_udp = self.make_files("tcp", "udp")
        time = now()
        send_tcp(daemon.port, [record(by_tcp, time)])
        send_udp(daemon.udp_port, [record(by_udp, time + 1000)])
        self.expect_atimes({by_tcp: time, by_udp: time + 1000})
        counters = daemon.stop()
        self.assertEqual(counters("applied"), 2)
        counters.check_sums()

    def test_it_needs_no_file_for_numeric_addresses(self):
        self.check_applies(self.confined())

    def test_it_resolves_names(self):
        hosts = {"etc/hosts": f"{self.server.host} cluster\n"}
        self.check_applies(self.confined(hosts, nfs__servers=["cluster"]))

    def test_it_is_small_in_memory_when_idle(self):
        daemon = self.daemon()
        send_tcp(daemon.port, [record(self.root, now())])
        wait_until(lambda: self.files.atimes([self.root])[0] > 0, "the access to arrive")
        status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text()
        self.assertLess(int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024, 20 * MIB)
        daemon.stop()


if __name__ == "__main__":
    unittest.main()
