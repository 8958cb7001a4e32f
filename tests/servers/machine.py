# SPDX-License-Identifier: MIT
"""A small machine with Linux's NFS server, under emulation: an ordinary user's qemu, on ports of 127.0.0.1."""

import pathlib
import platform
import shutil
import socket
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "system"))

import lab

IMAGE = HERE.parent.parent / "build" / "knfsd"
NOT_TO_BE_HAD = 77
# The file systems below /srv, and the bytes of the disks of those that have one, in the order of init.sh.
DISKS = {"ext4": 256 << 20, "seconds": 256 << 20, "xfs": 512 << 20}
EXPORTS = [*DISKS, "tmpfs"]


class Missing(Exception):
    """Why there can be no such machine here."""


def make_image():
    """Makes the kernel and what it starts with, unless they are there."""
    if platform.machine() != "x86_64":
        raise Missing(f"its packages are for x86_64, and this is {platform.machine()}")
    if not shutil.which("qemu-system-x86_64"):
        raise Missing("there is no qemu-system-x86_64")
    made = subprocess.run(["sh", HERE / "image.sh", IMAGE], capture_output=True, text=True)
    if made.returncode == NOT_TO_BE_HAD:
        raise Missing("its Debian packages are not to be had")
    if made.returncode != 0:
        raise AssertionError(f"image.sh: {made.stderr}")


def shell(port, commands):
    """The output of these commands of root, on the machine that has its shell there. It sees files without NFS."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(f"exec 2>&1\n{commands}\nexit\n".encode())
        return b"".join(iter(lambda: connection.recv(4096), b"")).decode()


class Machine:
    """It starts at once, and serves when wait() returns; stop() ends it, as a loss of power would."""

    def __init__(self, directory):
        self.console = directory / "console"
        self.port, self.mount_port, self.shell_port = (lab.own_port() for _ in range(3))
        self.process = lab.start(self._command(directory), self.console)

    def wait(self):
        lab.wait_until(lambda: self.process.poll() is not None or self.system, "the machine to start", limit=300)
        assert self.process.poll() is None, f"qemu ended:\n{self.console.read_text(errors='replace')}"

    def _command(self, directory):
        ports = {self.port: 2049, self.mount_port: 20048, self.shell_port: 23}
        forwards = "".join(f",hostfwd=tcp:127.0.0.1:{here}-:{there}" for here, there in ports.items())
        command = ["qemu-system-x86_64", "-accel", "tcg", "-m", "768", "-nodefaults", "-no-reboot", "-display", "none",
                   "-serial", "stdio", "-kernel", IMAGE / "vmlinuz", "-initrd", IMAGE / "initrd",
                   "-append", "console=ttyS0 quiet panic=-1 mitigations=off",
                   "-netdev", f"user,id=net,restrict=on{forwards}", "-device", "virtio-net-pci,netdev=net,romfile="]
        for name, size in DISKS.items():
            disk = directory / name
            with open(disk, "wb") as file:
                file.truncate(size)
            command += ["-drive", f"file={disk},format=raw,if=virtio,cache=unsafe"]
        return command

    @property
    def system(self):
        """The system that it says it runs, once it serves; else nothing."""
        lines = self.console.read_text(errors="replace").splitlines()
        return next((line.removeprefix("ready: ") for line in lines if line.startswith("ready: ")), "")

    def server(self, name):
        """Where an export is, as QATIME_TEST_NFS names it."""
        return f"127.0.0.1:{self.port}:{self.mount_port}:/srv/{name}"

    def stop(self):
        self.process.kill()
        self.process.wait()
