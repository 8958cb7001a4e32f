# SPDX-License-Identifier: MIT
"""Podman as an ordinary user, where the tests run as root, too; on a machine without systemd with root or sudo."""

import json
import os
import pathlib
import pwd
import shutil
import subprocess
import unittest

import lab

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Things that rootless podman needs and a test machine may lack, in a mount namespace that ends with its input: crun
# refuses cgroups of both versions at once, and slirp4netns opens /dev/net/tun.
BOTH_CGROUPS = "/sys/fs/cgroup/unified"
PREPARE = f"""
  if mountpoint -q {BOTH_CGROUPS}; then umount {BOTH_CGROUPS}; fi
  mknod -m 0666 "$1" c 10 200 && mount --bind "$1" /dev/net/tun
  mount --make-rshared /
  echo $$
  read -r _ || true
"""
STORAGE = '[storage]\ndriver = "overlay"\n'
CONTAINERS = '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'


def sudo():
    """What is put before a command for root; at a terminal it may ask for the password."""
    if lab.ROOT:
        return []
    reachable = shutil.which("sudo") and subprocess.run(["sudo", "true"], stdin=subprocess.DEVNULL).returncode == 0
    assert reachable, "needs root, or sudo that asks for no password or has a terminal to ask at"
    return ["sudo"]


class Rootless:
    """The ordinary user: made for the test where it runs as root. Where he may have no user namespaces, it skips."""

    def __init__(self, scratch, test):
        self.home, self.runtime = scratch.directory("home"), scratch.directory("runtime")
        self.uid, self.gid, self.prefix = os.getuid(), os.getgid(), []
        if lab.ROOT:
            self._make_user(test)
        if lab.ROOT or os.path.ismount(BOTH_CGROUPS) or not os.access("/dev/net/tun", os.R_OK | os.W_OK):
            self._make_namespace(scratch, test)
        self.runtime.chmod(0o700)
        if self.run("unshare", "--user", "true", check=False).returncode != 0:
            raise unittest.SkipTest("an ordinary user may not make user namespaces here")
        test.addClassCleanup(self._remove_everything)
        self.write(".config/containers/storage.conf", STORAGE)
        self.write(".config/containers/containers.conf", CONTAINERS)

    def _make_user(self, test):
        name = f"qatime-test-{os.getpid()}"
        subprocess.run(["useradd", "--home-dir", self.home, "--no-create-home", name], check=True)
        userdel = ["userdel", name]
        test.addClassCleanup(lab.wait_until, lambda: subprocess.run(userdel, stderr=subprocess.DEVNULL).returncode == 0,
                             "the last of his processes to be gone")
        user = pwd.getpwnam(name)
        self.uid, self.gid = user.pw_uid, user.pw_gid
        for directory in (self.home, self.runtime):
            os.chown(directory, self.uid, self.gid)

    def _make_namespace(self, scratch, test):
        root = sudo()
        holder = subprocess.Popen([*root, "unshare", "--mount", "--propagation", "private", "sh", "-ec", PREPARE, "sh",
                                   scratch.path / "tun"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        test.addClassCleanup(holder.communicate)
        process = holder.stdout.readline().strip()
        assert process, "the machine could not be prepared for podman"
        self.prefix = [*root, "nsenter", "-t", process, "--mount", "setpriv", f"--reuid={self.uid}",
                       f"--regid={self.gid}", "--init-groups", "--inh-caps=-all"]

    def _remove_everything(self):
        self.run("podman", "system", "reset", "--force")  # also ends the process that keeps his namespaces

    def run(self, *command, check=True, stdin=subprocess.DEVNULL, timeout=600, **environment):
        environment = {"HOME": self.home, "XDG_RUNTIME_DIR": self.runtime, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                       "DISABLE_HC_SYSTEMD": "true",  # health checks are run by hand: there may be no systemd for timers
                       **environment}
        words = ["env", "-i", *(f"{name}={value}" for name, value in environment.items()), *command]
        done = subprocess.run([*self.prefix, *words], text=True, stdin=stdin, capture_output=True, timeout=timeout)
        if check and done.returncode != 0:
            raise AssertionError(f"{command}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def pending(self, container):
        """How many accesses wait there."""
        status = json.loads(self.run("podman", "exec", container, "/qatime", "status", "--json").stdout)
        return status["metrics"]["qatime_pending_entries"]

    def write(self, name, text):
        """A file below his home, readable by everybody."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        for made in [path.relative_to(self.home), *path.relative_to(self.home).parents]:
            os.chown(self.home / made, self.uid, self.gid)
        return path


def build_image(user, name):
    """An image like that of the Containerfile, of the program under test and the libraries that it needs."""
    program = lab.binary("QATIME")
    context = user.home / "context"
    libraries = subprocess.run(["ldd", program], capture_output=True, text=True).stdout.split()
    for file in [program, *(word for word in libraries if word.startswith("/"))]:
        place = context / "root" / ("qatime" if file == program else file.lstrip("/"))
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, place)
    shutil.copy2(ROOT / "LICENSE", context)
    stage = "FROM scratch" + (ROOT / "Containerfile").read_text().partition("FROM scratch")[2]
    assert "COPY --from=build /root-of-image /" in stage
    (context / "Containerfile").write_text(stage.replace("COPY --from=build /root-of-image /", "COPY root /"))
    user.run("buildah", "build", "--isolation", "chroot", "--pull-never", "--format", "docker", "-t", name, context)
