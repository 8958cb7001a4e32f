# SPDX-License-Identifier: MIT
"""Redis servers of our own: one, one with a replica and sentinels, or a Cluster."""

import subprocess

import lab
from lab import wait_until

# What is acknowledged is on disk; a replica and a Cluster notice within a second or two that somebody is gone.
OPTIONS = {"save": "", "appendonly": "yes", "appendfsync": "always", "bind": "127.0.0.1", "protected-mode": "no",
           "repl-diskless-sync-delay": "0", "repl-timeout": "5"}


def words(**options):
    return [word for key, value in options.items() for word in ("--" + key.replace("_", "-"), *str(value).split(" "))]


class Redis:
    """A redis-server in a directory of its own, on a port that stays the same."""

    def __init__(self, scratch, **options):
        self.port = options.pop("port", None) or lab.free_port()
        self.directory = scratch.directory(f"redis-{self.port}", lab.NOBODY)
        self.options = {**OPTIONS, "port": self.port, "dir": self.directory, **options}
        self.process = None
        self.start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def command(self):
        return ["redis-server", *words(**self.options)]

    def start(self):
        """Returns when it has read its files and answers."""
        self.process = lab.start(self.command(), self.directory / "log", cwd=self.directory, **lab.as_nobody())
        wait_until(lambda: self.process.poll() is not None or self.answers(), "Redis to answer")
        assert self.process.poll() is None, (self.directory / "log").read_text()[-2000:]
        return self

    def answers(self):
        return self.cli("ping", check=False).strip() in ("PONG", "NOAUTH Authentication required.")

    def cli(self, *command, check=True, arguments=()):
        done = subprocess.run(["redis-cli", "-p", str(self.port), *arguments, *map(str, command)], capture_output=True,
                              timeout=60)
        output = done.stdout.decode(errors="surrogateescape")
        assert not check or done.returncode == 0 and not output.startswith("ERR"), output + done.stderr.decode()
        return output

    def pending(self, prefix="qatime", shards=64):
        """How many wait there."""
        script = f"local n = 0 for i = 0, {shards - 1} do n = n + redis.call('ZCARD', '{{{prefix}:' .. i .. '}}:pending') end return n"
        return int(self.cli("eval", script, 0))

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.kill()
