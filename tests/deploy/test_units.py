# SPDX-License-Identifier: MIT
"""The container units of conf/: what they say, and that containers made from them work.

podman 4.3 has no Quadlet. So the keys of qatime.container are checked against the documented ones, and its container is
run with the options that they are documented to be. compose.yaml must say the same; a podman that only writes down what
it is told shows what Debian's podman-compose makes of it. kube.yaml is played.
"""

import itertools
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "system"), str(pathlib.Path(__file__).parent)]

import lab
import rootless
from case import Case, now
from lab import record, send_tcp, send_udp, wait_until

CONF = ROOT / "conf"
SEEN_FROM_CONTAINER = "10.0.2.2"  # the loopback of the host, for slirp4netns
PUBLISHED, PORTS = lab.own_address(), itertools.count(20000)  # since a port for UDP cannot be held
NETWORK = "slirp4netns:allow_host_loopback=true"

# podman-systemd.unit(5) of podman 5 (containers/podman 00b40dba52da), its table of [Container] options.
DOCUMENTED = set("""
    AddCapability AddDevice AddHost Annotation AutoUpdate CgroupsMode ContainerName ContainersConfModule DNS DNSOption
    DNSSearch DropCapability Entrypoint Environment EnvironmentFile EnvironmentHost Exec ExposeHostPort GIDMap
    GlobalArgs Group GroupAdd HealthCmd HealthInterval HealthLogDestination HealthMaxLogCount HealthMaxLogSize
    HealthOnFailure HealthRetries HealthStartPeriod HealthStartupCmd HealthStartupInterval HealthStartupRetries
    HealthStartupSuccess HealthStartupTimeout HealthTimeout HostName Image IP IP6 Label LogDriver LogOpt Mask Memory
    Mount Network NetworkAlias NoNewPrivileges Notify PidsLimit Pod PodmanArgs PublishPort Pull ReadOnly ReadOnlyTmpfs
    ReloadCmd ReloadSignal Retry RetryDelay Rootfs RunInit SeccompProfile Secret SecurityLabelDisable
    SecurityLabelFileType SecurityLabelLevel SecurityLabelNested SecurityLabelType ShmSize StartWithPod StopSignal
    StopTimeout SubGIDMap SubUIDMap Sysctl Timezone Tmpfs UIDMap Ulimit Unmask User UserNS Volume WorkingDir
""".split())
# Of its section on [Install].
INSTALL = {"Alias", "WantedBy", "RequiredBy", "UpheldBy"}

# The options of `podman run` that the same table gives for the keys that we use.
OPTIONS = {
    "Volume": "--volume={}",
    "PublishPort": "--publish={}",
    "ReadOnly": "--read-only={}",
    "DropCapability": "--cap-drop={}",
    "NoNewPrivileges": "--security-opt=no-new-privileges",
    "Notify": "--sdnotify=container",
}


# Answers as far as podman-compose asks.
FAKE_PODMAN = """#!/bin/sh
echo "$*" >>"$LOG"
[ "$1" != --version ] || echo podman version 4.3.1
"""


def unit():
    """The unit as [(section, key, value)]."""
    section, found = None, []
    for line in (CONF / "qatime.container").read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            found.append((section, *line.split("=", 1)))
    return found


def values(section, key):
    return [value for of, name, value in unit() if (of, name) == (section, key)]


def healthcheck():
    """That of the Containerfile, as compose.yaml has it."""
    options, command = re.search(r"^HEALTHCHECK (.*) CMD (.*)$", (ROOT / "Containerfile").read_text(), re.M).groups()
    pairs = (option.removeprefix("--").replace("-", "_").split("=") for option in options.split())
    return {"test": ["CMD", *json.loads(command)], **dict(pairs)}


class Text(unittest.TestCase):
    def test_podman_knows_every_key_of_the_unit(self):
        keys = {key for section, key, _ in unit() if section == "Container"}
        self.assertEqual(keys - DOCUMENTED, set())
        self.assertEqual({key for section, key, _ in unit() if section == "Install"} - INSTALL, set())
        self.assertEqual({section for section, _, _ in unit()}, {"Unit", "Container", "Service", "Install"})

    def test_its_service_is_that_of_the_system_unit_which_systemd_has_checked(self):
        system_unit = (CONF / "qatime.service").read_text().splitlines()
        for section, key, value in unit():
            if section == "Service":
                self.assertIn(f"{key}={value}", system_unit)

    def test_compose_says_what_the_unit_says(self):
        compose = yaml.safe_load((CONF / "compose.yaml").read_text())
        self.assertEqual(set(compose), {"services", "volumes"})
        self.assertEqual(set(compose["services"]), {"qatime"})
        service = compose["services"]["qatime"]
        build, (volume, state) = service.pop("build"), service.pop("volumes")
        self.assertEqual(service, {
            "image": values("Container", "Image")[0],
            "ports": values("Container", "PublishPort"),
            "read_only": values("Container", "ReadOnly") == ["true"],
            "cap_drop": [name.upper() for name in values("Container", "DropCapability")],
            "security_opt": [f"no-new-privileges:{value}" for value in values("Container", "NoNewPrivileges")],
            "restart": "unless-stopped",  # systemd starts at boot what is enabled; Docker what did not fail, too
            "stop_grace_period": values("Service", "TimeoutStopSec")[0],
        })
        self.assertTrue((CONF / build.pop("context") / build.pop("dockerfile")).is_file())
        self.assertEqual(build, {})
        source, target, options = volume.split(":")
        self.assertTrue((CONF / source).is_file())
        unit_volume, unit_state = values("Container", "Volume")
        self.assertEqual(f"{pathlib.Path(target).parent}:{options}", unit_volume.split(":", 1)[1])
        name, _, place = state.partition(":")
        self.assertEqual(f"{compose['volumes'].pop(name)['name']}:{place}", unit_state)
        self.assertEqual(compose["volumes"], {})

    def podman_runs(self, *files):
        """The options that podman-compose gives to `podman run` for these files of conf/, for each container."""
        with tempfile.TemporaryDirectory() as directory:
            podman, log = pathlib.Path(directory, "podman"), pathlib.Path(directory, "log")
            podman.write_text(FAKE_PODMAN)
            podman.chmod(0o755)
            options = [word for file in files for word in ("-f", CONF / file)]
            subprocess.run(["podman-compose", "--podman-path", podman, *options, "up", "-d"], check=True, timeout=60,
                           env={**os.environ, "LOG": str(log)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            return [line.split()[1:] for line in log.read_text().splitlines() if line.startswith("run ")]

    def test_podman_compose_runs_qatime_and_a_redis_only_where_its_file_is_named(self):
        state, redis = values("Container", "Volume")[1], "qatime-redis:/data"
        for files, volumes in ((["compose.yaml"], [state]), (["compose.yaml", "compose.redis.yaml"], [state, redis])):
            runs = self.podman_runs(*files)
            self.assertEqual(len(runs), len(volumes), runs)
            for options, volume in zip(runs, volumes):
                self.assertIn(volume, options)
                self.assertIn("--restart unless-stopped", " ".join(options))
                # It would run one by a shell, and the image has none.
                self.assertNotIn("--healthcheck-command", options)

    def test_a_redis_of_compose_keeps_what_it_acknowledged(self):
        compose = yaml.safe_load((CONF / "compose.redis.yaml").read_text())
        redis = compose["services"]["redis"]
        self.assertEqual(compose["volumes"], {redis["volumes"][0].split(":")[0]: {"name": "qatime-redis"}})
        with tempfile.TemporaryDirectory() as directory:
            server = subprocess.Popen([*redis["command"], "--port", "0", "--dir", directory,
                                       "--unixsocket", f"{directory}/socket"], stdout=subprocess.DEVNULL)
            self.addCleanup(lab.stop, server, signal.SIGKILL)
            wait_until(lambda: pathlib.Path(directory, "socket").exists(), "Redis to listen")
            for key, wanted in (("appendonly", "yes"), ("appendfsync", "always"), ("maxmemory-policy", "noeviction")):
                answer = subprocess.run(["redis-cli", "-s", f"{directory}/socket", "config", "get", key],
                                        capture_output=True, text=True, check=True, timeout=60).stdout
                self.assertEqual(answer.split(), [key, wanted])

    def test_kube_says_what_the_unit_says(self):
        configuration, pod = yaml.safe_load_all((CONF / "kube.yaml").read_text())
        claim = yaml.safe_load((CONF / "kube.claim.yaml").read_text())
        (container,) = pod["spec"]["containers"]
        self.assertEqual([container["image"]], values("Container", "Image"))
        ports = [f"{port['hostPort']}:{port['containerPort']}/{port['protocol'].lower()}"
                 for port in container["ports"]]
        self.assertEqual(ports, values("Container", "PublishPort"))
        sources = [(volume.get("configMap", {}).get("name"), volume.get("persistentVolumeClaim", {}).get("claimName"))
                   for volume in pod["spec"]["volumes"]]
        self.assertEqual(sources, [(configuration["metadata"]["name"], None), (None, claim["metadata"]["name"])])
        self.assertEqual(claim["metadata"]["name"], values("Container", "Volume")[1].split(":")[0])
        self.assertEqual(pod["spec"]["restartPolicy"], "Always")  # as systemd starts at boot what is enabled
        places = [volume.split(":")[1] for volume in values("Container", "Volume")]
        self.assertEqual([mount["mountPath"] for mount in container["volumeMounts"]], places)
        self.assertEqual([mount["name"] for mount in container["volumeMounts"]],
                         [volume["name"] for volume in pod["spec"]["volumes"]])
        self.assertEqual(pod["spec"]["securityContext"]["fsGroup"], container["securityContext"]["runAsUser"])
        self.assertEqual(f"{pod['spec']['terminationGracePeriodSeconds']}s", values("Service", "TimeoutStopSec")[0])
        self.assertEqual(container["readinessProbe"]["exec"]["command"], [*healthcheck()["test"][1:], "--ready"])


class Containers(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.user = rootless.Rootless(cls.scratch, cls)
        rootless.build_image(cls.user, values("Container", "Image")[0])

    def setUp(self):
        super().setUp()
        self.port = next(PORTS)

    def configuration(self, **more):
        """Its lines, for the server of the test; keys with `__` for the dot."""
        host = self.server.host
        settings = {
            "nfs.servers": [SEEN_FROM_CONTAINER if host == "127.0.0.1" else host],
            "nfs.port": self.server.port,
            "nfs.mount_port": self.server.mount_port,
            "nfs.exports": [{"path": "/", "export": self.server.export}],
            **{key.replace("__", "."): value for key, value in more.items()},
        }
        return [f"{key} = {lab.toml(value)}" for key, value in settings.items()]

    def expect_work(self):
        """Records that are sent to the published ports have their effect. What publishes them accepts before qatime."""
        over_tcp, over_udp = self.make_files("tcp", "udp")
        time = now()
        send_tcp(self.port, [record(over_tcp, time)], host=PUBLISHED)
        send_udp(self.port, [record(over_udp, time)], host=PUBLISHED)
        self.expect_atimes({over_tcp: time, over_udp: time})

    def inspect(self, container):
        return yaml.safe_load(self.user.run("podman", "inspect", container).stdout)[0]

    def expect_locked_up(self, container):
        facts = self.inspect(container)
        self.assertEqual(facts["EffectiveCaps"] or [], [])
        self.assertEqual(facts["BoundingCaps"] or [], [])
        self.assertTrue(facts["HostConfig"]["ReadonlyRootfs"])
        self.assertIn("no-new-privileges", facts["HostConfig"]["SecurityOpt"])
        with open(f"/proc/{facts['State']['Pid']}/status") as status:
            status = dict(line.rstrip().split(":\t", 1) for line in status if ":\t" in line)
        self.assertEqual(status["NoNewPrivs"], "1")
        self.assertEqual({int(status[key], 16) for key in ("CapPrm", "CapEff", "CapBnd")}, {0})

    def run_unit(self, **settings):
        """The container of the unit, which says that it is ready. Returns its name."""
        self.user.write(".config/qatime/qatime.toml", "\n".join(self.configuration(**settings)))
        options = [OPTIONS[key].format(value) for section, key, value in unit()
                   if section == "Container" and key != "Image"]
        for old, new in (("%E", f"{self.user.home}/.config"), ("publish=1514:", f"publish={PUBLISHED}:{self.port}:")):
            self.assertIn(old, " ".join(options))
            options = [option.replace(old, new) for option in options]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            place = self.user.runtime / "notify"
            place.unlink(missing_ok=True)
            manager.bind(str(place))
            os.chmod(place, 0o666)
            manager.settimeout(60)
            name = f"qatime-{self.port}"
            self.user.run("podman", "run", "--detach", f"--name={name}", f"--network={NETWORK}", *options,
                          values("Container", "Image")[0], NOTIFY_SOCKET=str(place))
            self.addCleanup(self.user.run, "podman", "rm", "--force", "--ignore", name)
            while manager.recv(4096) != b"READY=1":
                pass
        return name

    def test_the_container_of_the_unit_works(self):
        name = self.run_unit()
        self.expect_locked_up(name)
        self.expect_work()
        self.user.run("podman", "stop", name)
        self.assertEqual(self.inspect(name)["State"]["ExitCode"], 0)

    def test_what_waits_outlives_the_container_of_the_unit(self):
        (path,) = self.make_files("file")
        name, time = self.run_unit(nfs__port=lab.own_port()), now()
        send_tcp(self.port, [record(path, time)], host=PUBLISHED)
        wait_until(lambda: self.user.pending(name) == 1, "the access to come")
        self.user.run("podman", "stop", name)
        self.assertIn("1 accesses wait in /var/lib/qatime", self.user.run("podman", "logs", name).stderr)
        self.user.run("podman", "rm", name)
        self.run_unit()
        self.expect_atimes({path: time})

    def play_kube_yaml(self, **settings):
        """Its file, and the container, which is ready."""
        text = (CONF / "kube.yaml").read_text()
        for old, new, count in (("hostPort: 1514", f"hostIP: {PUBLISHED}, hostPort: {self.port}", 2),
                                ('    [nfs]\n    servers = ["192.0.2.1"]\n    exports = [{path = "/", export = "/"}]\n',
                                 "".join(f"    {line}\n" for line in self.configuration(**settings)), 1)):
            self.assertEqual(text.count(old), count, old)
            text = text.replace(old, new)
        file, name = self.user.write("kube.yaml", text), "qatime-qatime"
        self.user.run("podman", "kube", "play", f"--network={NETWORK}", file)
        self.addCleanup(self.user.run, "podman", "pod", "rm", "--force", "--ignore", "qatime")
        wait_until(lambda: "ready:" in self.user.run("podman", "logs", name).stderr, "qatime's start")
        return file, name

    def test_kube_yaml_plays(self):
        _, name = self.play_kube_yaml()
        self.expect_locked_up(name)
        self.expect_work()
        self.user.run("podman", "stop", name)
        self.assertEqual(self.inspect(name)["State"]["ExitCode"], 0)

    def test_what_waits_outlives_the_pod_of_kube_yaml(self):
        (path,) = self.make_files("file")
        (file, name), time = self.play_kube_yaml(nfs__port=lab.own_port()), now()
        send_tcp(self.port, [record(path, time)], host=PUBLISHED)
        wait_until(lambda: self.user.pending(name) == 1, "the access to come")
        self.user.run("podman", "kube", "down", file)
        self.play_kube_yaml()
        self.expect_atimes({path: time})
