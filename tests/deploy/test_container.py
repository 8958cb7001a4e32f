# SPDX-License-Identifier: MIT
"""The container image: built from Containerfile and run by an ordinary user, against an NFS server on the host.

    QATIME_NFS_FILES=BUILD/tests/nfs_files python3 -m unittest discover -s tests/deploy -p test_container.py

The base image is made by debootstrap, since not every machine reaches a registry, and kept in build/; that needs root,
or sudo. Debian packages: podman buildah crun uidmap slirp4netns debootstrap.
"""

import http.client
import itertools
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "system"), str(pathlib.Path(__file__).parent)]

import lab
import readme
import rootless
from case import Case, now
from lab import record, send_tcp, send_udp, wait_until

BASE = ROOT / "build" / "base-image.tar"
BASE_NAME = "docker.io/library/debian:bookworm-slim"  # what `debian:bookworm-slim` is short for
USER = 65532  # in the container
HARDENED = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
NETWORK = "--network=slirp4netns:allow_host_loopback=true"
PUBLISHED, PORTS = lab.own_address(), itertools.count(10000)  # since a port for UDP cannot be held
HOST = "10.0.2.2"  # the host's loopback, as slirp4netns shows it
BUILD, RUN = readme.commands(readme.FRONT, "### Container")
_, REMOVE = readme.commands(readme.MANUAL, "## Upgrade")
REMOVE_VOLUME = re.search(r"`(podman volume rm .*?)`", readme.MANUAL)[1].split()


def as_root(*command):
    done = subprocess.run([*rootless.sudo(), *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    assert done.returncode == 0, f"{command}: {done.stdout.decode(errors='backslashreplace')[-4000:]}"


def make_base_image():
    """A minimal Debian in BASE, if it is not there yet."""
    if BASE.exists():
        return
    BASE.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        tree = pathlib.Path(directory) / "tree"
        try:
            as_root("debootstrap", "--variant=minbase", "bookworm", tree)
            as_root("tar", "-C", tree, "--exclude=./dev/*", "--exclude=./var/cache/apt/archives/*.deb", "-cf",
                    f"{BASE}.new", ".")
        finally:
            as_root("rm", "-rf", tree)
    as_root("mv", f"{BASE}.new", BASE)


class Container(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.user = rootless.Rootless(cls.scratch, cls)
        make_base_image()
        with BASE.open("rb") as image:  # its place need not be open to the user
            cls.user.run("podman", "import", "-", BASE_NAME, stdin=image)
        assert (BUILD[:2], BUILD[-1]) == (["podman", "build"], "."), BUILD
        # It takes the same options and asks less of the machine.
        cls.user.run("buildah", "build", "--isolation=chroot", "--pull-never", *cls.ccache(), *BUILD[2:-1],
                     cls.context(), timeout=1500)

    @classmethod
    def podman(cls, *arguments):
        return cls.user.run("podman", *arguments).stdout.strip()

    @classmethod
    def context(cls):
        """A copy of the sources where the user can read them."""
        made = cls.scratch.directory("context")
        for name in ("Containerfile", "LICENSE", "meson.build", "meson_options.txt"):
            shutil.copy(ROOT / name, made)
        for folder in ("src", "conf"):
            shutil.copytree(ROOT / folder, made / folder)
        return made

    @classmethod
    def ccache(cls):
        """Options by which the build finds what ccache knows of build/static, in a copy that the user can read."""
        if not shutil.which("ccache"):
            return []
        known = pathlib.Path(subprocess.run(["ccache", "--get-config=cache_dir"], check=True, capture_output=True,
                                            text=True).stdout.strip())
        copy, settings = cls.scratch.directory("ccache"), cls.scratch.path / "ccache.conf"
        if known.is_dir():
            shutil.copytree(known, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns("tmp"))
        settings.write_text("base_dir = /source\nhash_dir = false\nread_only = true\ntemporary_dir = /tmp\n"
                            "sloppiness = pch_defines,time_macros,locale\n")
        subprocess.run(["chmod", "-R", "a+rX", copy, settings], check=True)
        return [f"--volume={copy}:/root/.cache/ccache:ro", f"--volume={settings}:/etc/ccache.conf:ro"]

    def settings(self):
        local = self.server.host.startswith("127.")
        return {"nfs.servers": [HOST if local else self.server.host], "nfs.port": self.server.port,
                "nfs.mount_port": self.server.mount_port, "nfs.exports": [{"path": "/", "export": self.server.export}]}

    def start(self, options=(), arguments=()):
        """A container that is ready, and its port on the host."""
        port = next(PORTS)
        name = f"qatime-{port}"
        self.podman("run", "--detach", f"--name={name}", *HARDENED, NETWORK, f"--publish={PUBLISHED}:{port}:1514/tcp",
                    f"--publish={PUBLISHED}:{port}:1514/udp", *options, "qatime", *arguments)
        self.addCleanup(self.podman, "rm", "--force", name)
        wait_until(lambda: "ready:" in self.log(name) or self.state(name)["Status"] == "exited", "qatime to be ready")
        self.assertEqual(self.state(name)["Status"], "running", self.log(name))
        return name, port

    def log(self, name):
        return self.user.run("podman", "logs", name).stderr

    def state(self, name):
        return json.loads(self.podman("inspect", "--format={{json .State}}", name))

    def check_applies_and_stops(self, name, port):
        by_tcp, by_udp = self.make_files("tcp", "udp")
        time = now()
        send_tcp(port, [record(by_tcp, time)], host=PUBLISHED)
        send_udp(port, [record(by_udp, time + 1000)], host=PUBLISHED)
        self.expect_atimes({by_tcp: time, by_udp: time + 1000})
        self.podman("stop", "--time=10", name)  # SIGKILL after that, and another exit status
        self.assertEqual(self.state(name)["ExitCode"], 0, self.log(name))
        counters = lab.Counters(self.log(name))
        self.assertEqual(counters("applied"), 2)
        counters.check_sums()

    def test_it_is_configured_by_arguments_alone(self):
        sets = [word for key, value in self.settings().items() for word in ("--set", f"{key}={lab.toml(value)}")]
        self.check_applies_and_stops(*self.start(arguments=["run", *sets]))

    def test_it_is_configured_by_a_mounted_file(self):
        file = self.scratch.path / "qatime.toml"
        file.write_text("".join(f"{key} = {lab.toml(value)}\n" for key, value in self.settings().items()))
        self.check_applies_and_stops(*self.start([f"--volume={file}:/etc/qatime/qatime.toml:ro"]))

    def run_as_in_readme(self, port, server=None):
        """The container of README's command, and whatever it names; on a free port, and with that server's settings."""
        command = [word.replace("1514:1514", f"{PUBLISHED}:{port}:1514") for word in RUN]
        self.assertEqual(sum(here != there for here, there in zip(command, RUN)), 2, RUN)
        if server:
            command = command[:command.index("--set")]
            command += [word for key, value in server.items() for word in ("--set", f"{key}={lab.toml(value)}")]
        self.user.run(*command[:2], NETWORK, *command[2:])
        wait_until(lambda: "ready:" in self.log("qatime"), "qatime to be ready")

    def test_what_waits_outlives_its_container_and_goes_with_its_volume(self):
        """By the commands of the documents as they are there; their server is nowhere, so everything waits."""
        self.addCleanup(self.podman, "rm", "--force", "--ignore", "qatime")
        volumes = self.podman("volume", "ls", "--quiet")
        paths, time, port = self.make_files("one", "two"), now(), next(PORTS)
        self.run_as_in_readme(port)
        send_tcp(port, [record(path, time) for path in paths], host=PUBLISHED)
        wait_until(lambda: self.user.pending("qatime") == 2, "both to have come")
        self.user.run(*REMOVE)
        self.run_as_in_readme(port, self.settings())
        self.expect_atimes(dict.fromkeys(paths, time))
        self.user.run(*REMOVE)
        self.user.run(*REMOVE_VOLUME)
        self.assertEqual(self.podman("volume", "ls", "--quiet"), volumes)

    def test_it_runs_without_any_privilege(self):
        name, _ = self.start()
        process = pathlib.Path(f"/proc/{self.state(name)['Pid']}")
        facts = dict(re.findall(r"^(\w+):\t(.*)$", (process / "status").read_text(), re.MULTILINE))
        ranges = [map(int, line.split()) for line in (process / "uid_map").read_text().splitlines()]
        expected = {outside + USER - inside for inside, outside, count in ranges if inside <= USER < inside + count}
        self.assertEqual(set(map(int, facts["Uid"].split())), expected)
        self.assertNotIn(0, expected)
        self.assertEqual({int(facts[key], 16) for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}, {0})
        self.assertEqual(facts["NoNewPrivs"], "1")

    def test_its_health_is_that_of_the_daemon(self):
        name, _ = self.start()  # whose server is away: that is no reason to restart it
        self.podman("healthcheck", "run", name)
        self.assertEqual("ready", self.podman("exec", name, "/qatime", "status", "--ready"))
        off, _ = self.start(arguments=["run", "--set", "admin.listen="])
        failed = self.user.run("podman", "healthcheck", "run", off, check=False)
        self.assertEqual(failed.returncode, 1, failed.stdout)

    def test_its_page_can_be_published_by_its_address_and_under_a_name(self):
        admin = next(PORTS)
        settings = ("admin.listen=0.0.0.0:9514", 'admin.hosts=["qatime.example.com"]')
        self.start([f"--publish={PUBLISHED}:{admin}:9514"], ["run", *(f"--set={setting}" for setting in settings)])
        connection = http.client.HTTPConnection(PUBLISHED, admin, timeout=60)
        self.addCleanup(connection.close)
        for path in ("/", "/metrics", "/healthz"):
            for host, status in (("qatime.example.com", 200), (f"{PUBLISHED}:{admin}", 200), ("example.com", 421)):
                connection.request("GET", path, headers={"Host": host})
                response = connection.getresponse()
                self.assertEqual(response.status, status)
                response.read()

    def test_the_image_says_what_it_is(self):
        image = json.loads(self.podman("image", "inspect", "qatime"))[0]
        config = image["Config"]
        self.assertLessEqual(image["Size"], 15_000_000)
        self.assertEqual(config["User"], f"{USER}:{USER}")
        self.assertEqual((config["Entrypoint"], config["Cmd"]), (["/qatime"], ["run"]))
        self.assertEqual(config["StopSignal"], "SIGTERM")
        self.assertEqual(set(config["ExposedPorts"]), {"1514/tcp", "1514/udp", "9514/tcp"})
        version = self.podman("run", "--rm", *HARDENED, "--network=none", "qatime", "version")
        self.assertEqual("qatime " + config["Labels"]["org.opencontainers.image.version"], version)

    def test_the_image_holds_the_program_and_what_it_reads(self):
        exported = self.user.home / "exported.tar"
        self.podman("export", f"--output={exported}", self.podman("create", "qatime"))
        with tarfile.open(exported) as archive:
            files = {member.name: member for member in archive if member.isfile()}
            passwd = archive.extractfile(files["etc/passwd"]).read().decode()
        self.assertEqual([line.split(":")[2] for line in passwd.splitlines()], [str(USER)])
        zones = "usr/share/zoneinfo/"
        self.assertIn(zones + "Europe/Zurich", files)
        self.assertEqual({name for name, file in files.items() if file.size and not name.startswith(zones)},
                         {"qatime", "LICENSE", "etc/passwd", "etc/group", "etc/ssl/certs/ca-certificates.crt"})
        forbidden = 0o6022  # setuid, setgid, writable by others
        self.assertEqual([name for name, file in files.items() if file.mode & forbidden], [])


if __name__ == "__main__":
    unittest.main()
