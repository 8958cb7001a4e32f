# SPDX-License-Identifier: MIT
"""What the build takes from the system and what it would download: by the text of the files, nothing is downloaded."""

import configparser
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FROM_THE_SYSTEM = {"threads", "boost", "openssl", "libnfs", "zlib", "libutf8proc", "sqlite3"}
LEFT_OUT_WITHOUT = {"hiredis", "hiredis_ssl"}


def numbers(version):
    return tuple(map(int, re.findall(r"\d+", version)))


def dependencies():
    """{name: lowest version that serves} of every dependency() of the build, lower-case as in wrap files."""
    text = "".join((ROOT / part / "meson.build").read_text() for part in ("src", "tests"))
    found = re.findall(r"\bdependency\(\s*'([\w+-]+)'([^)]*)\)", text)
    return {name.lower(): (re.findall(r"version: '>=([\d.]+)'", rest) or ["0"])[0] for name, rest in found}


class Wraps(unittest.TestCase):
    def setUp(self):
        self.wraps = {}
        for path in (ROOT / "subprojects").glob("*.wrap"):
            self.wraps[path.stem] = configparser.ConfigParser(interpolation=None)
            self.wraps[path.stem].read_string(path.read_text())

    def test_each_is_pinned_by_hashes(self):
        for name, wrap in self.wraps.items():
            with self.subTest(name):
                file = wrap["wrap-file"]
                kinds = ("source", "patch") if "patch_url" in file else ("source",)
                for kind in kinds:
                    self.assertRegex(file[f"{kind}_hash"], "^[0-9a-f]{64}$")
                    self.assertRegex(file[f"{kind}_url"], "^https://")
                    self.assertIn(f"{kind}_filename", file)
                version, revision = file["wrapdb_version"].rsplit("-", 1)
                self.assertTrue(file["directory"].endswith("-" + version), file["directory"])
                self.assertGreater(int(revision), 0)

    def test_each_dependency_that_the_system_may_lack_has_one_that_is_new_enough(self):
        provided = {name: file["wrap-file"]["directory"].rsplit("-", 1)[1]
                    for file in self.wraps.values() for name in file["provide"]}
        others = FROM_THE_SYSTEM | LEFT_OUT_WITHOUT
        asked = {name: version for name, version in dependencies().items() if name not in others}
        self.assertGreater(len(asked), 4)
        for name, version in asked.items():
            with self.subTest(name):
                self.assertIn(name, provided)
                self.assertGreaterEqual(numbers(provided[name]), numbers(version))
        self.assertLessEqual(set(provided), set(asked), "a wrap that nothing asks for")


class Missing(unittest.TestCase):
    """Setting up without a library that only the system can have names its packages."""

    def setup(self, *options, **environment):
        with tempfile.TemporaryDirectory() as directory:
            command = ["meson", "setup", directory, ROOT, "--wrap-mode=nodownload", "-Dtests=false", *options]
            done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
        self.assertNotEqual(done.returncode, 0)
        return done.stdout

    def test_libnfs(self):
        self.assertRegex(self.setup(PKG_CONFIG_LIBDIR="/nonexistent", CMAKE_PREFIX_PATH="/nonexistent"),
                         r"ERROR:.* no libnfs .*libnfs-dev.*Debian.*Alpine.*libnfs-devel.*Fedora")

    def test_boost(self):
        self.assertRegex(self.setup(BOOST_ROOT="/nonexistent"),
                         r"ERROR:.* no Boost .*libboost1.81-dev.*Debian.*boost-devel.*Fedora.*boost-dev.*Alpine")

    def test_a_static_libnfs(self):
        with tempfile.TemporaryDirectory() as directory:
            pathlib.Path(directory, "libnfs.pc").write_text(
                "Name: libnfs\nDescription: of nothing\nVersion: 4.0.0\nLibs: -lmissing\n")
            self.assertRegex(self.setup("-Dstatic=true", PKG_CONFIG_PATH=directory),
                             r"ERROR:.*libnfs\.a.*libnfs-dev.*Debian.*libnfs-static.*Alpine.*Fedora")


if __name__ == "__main__":
    unittest.main()
