# SPDX-License-Identifier: MIT
"""Redis servers of our own: one, one with a replica and sentinels, or a Cluster."""

import pathlib
import re
import shlex
import subprocess

import lab
from lab import wait_until

# All that is acknowledged is on disk; a replica and a Cluster notice within a second or two that somebody is gone.
OPTIONS = {"save": "", "appendonly": "yes", "appendfsync": "always", "bind": "127.0.0.1", "protected-mode": "no",
           "repl-diskless-sync-delay": "0", "repl-timeout": "5"}


README = pathlib.Path(__file__).resolve().parents[2] / "conf" / "README.md"
IN_CLUSTERS = {"cluster|slots", "asking"}  # of what qatime may do, by conf/README.md, all that a Cluster alone needs


def user_of_readme(password):
    """The words of the command in conf/README.md that makes a user of Redis, and the commands that it allows him."""
    command = re.search(r"^ *redis-cli (ACL SETUSER .*?)```", README.read_text(), re.MULTILINE | re.DOTALL)[1]
    words = [word.replace("PASSWORD", password) for word in shlex.split(command.replace("\\\n", " "))]
    return words, {word.removeprefix("+") for word in words if word.startswith("+")}


def words(**options):
    return [word for key, value in options.items() for word in ("--" + key.replace("_", "-"), *str(value).split(" "))]


class Redis:
    """A redis-server in a directory of its own, on a port that stays the same."""

    def __init__(self, scratch, **options):
        self.port = lab.own_port()
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

    def called(self):
        """The commands that somebody has called since it started."""
        return set(re.findall(r"^cmdstat_(\S+?):", self.cli("info", "commandstats"), re.MULTILINE))

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


class Replicated:
    """A master, its replica, and three sentinels that agree within a second that it is gone."""

    def __init__(self, scratch):
        self.scratch = scratch
        master = Redis(scratch, min_replicas_max_lag="2")
        self.servers = [master, Redis(scratch, replicaof=f"127.0.0.1 {master.port}")]
        self.sentinels = [self._sentinel(master.port) for _ in range(3)]
        replica = self.servers[1]
        wait_until(lambda: "master_link_status:up" in replica.cli("info", "replication"), "the replica to follow")
        for sentinel in self.sentinels:
            wait_until(lambda: self._knows_all(sentinel), "the sentinels to know each other")

    def _sentinel(self, port):
        made = Sentinel(self.scratch, port)
        return made

    @staticmethod
    def _knows_all(sentinel):
        lines = sentinel.cli("sentinel", "master", "mymaster").splitlines()
        values = dict(zip(lines[::2], lines[1::2]))
        return values.get("num-slaves") == "1" and values.get("num-other-sentinels") == "2"

    def master(self):
        port = int(self.sentinels[0].cli("sentinel", "get-master-addr-by-name", "mymaster").splitlines()[1])
        return next(server for server in self.servers if server.port == port)

    def pending(self):
        return self.master().pending()

    def stop(self):
        for server in self.sentinels + self.servers:
            server.stop()


class Sentinel(Redis):
    CONFIGURATION = """port {port}
bind 127.0.0.1
protected-mode no
sentinel monitor mymaster 127.0.0.1 {master} 2
sentinel down-after-milliseconds mymaster 1000
sentinel failover-timeout mymaster 5000
"""

    def __init__(self, scratch, master):
        self.master = master
        super().__init__(scratch)

    def command(self):
        file = self.directory / "sentinel.conf"
        if not file.exists():
            file.write_text(self.CONFIGURATION.format(port=self.port, master=self.master))
            file.chmod(0o666)
        return ["redis-server", file, "--sentinel"]


class Cluster:
    """Three masters without replicas."""

    def __init__(self, scratch):
        self.servers = [Redis(scratch, cluster_enabled="yes", cluster_node_timeout="2000",
                              cluster_port=lab.own_port()) for _ in range(3)]
        shares = [(0, 5460), (5461, 10922), (10923, 16383)]
        first = self.servers[0]
        for index, (server, (begin, end)) in enumerate(zip(self.servers, shares)):
            server.cli("cluster", "set-config-epoch", index + 1)
            server.cli("cluster", "addslotsrange", begin, end)
        for server in self.servers[1:]:
            first.cli("cluster", "meet", "127.0.0.1", server.port, server.options["cluster_port"])
        for server in self.servers:
            wait_until(lambda: "cluster_state:ok" in server.cli("cluster", "info")
                       and "cluster_known_nodes:3" in server.cli("cluster", "info"), "the Cluster to be whole")
        self.url = first.url

    def cli(self, *command):
        return self.servers[0].cli(*command, arguments=("-c",))

    def pending(self):
        return sum(int(self.cli("zcard", f"{{qatime:{shard}}}:pending")) for shard in range(64))

    def slot(self, key):
        return int(self.cli("cluster", "keyslot", key))

    def move(self, slot, source, target):
        """Gives a slot with its keys to another server, as an administrator's tool does it; returns what to do last."""
        ids = {server: server.cli("cluster", "myid").strip() for server in (source, target)}
        target.cli("cluster", "setslot", slot, "importing", ids[source])
        source.cli("cluster", "setslot", slot, "migrating", ids[target])
        while keys := source.cli("cluster", "getkeysinslot", slot, 100).split():
            source.cli("migrate", "127.0.0.1", target.port, "", 0, 5000, "keys", *keys)

        def finish():
            for server in self.servers:
                server.cli("cluster", "setslot", slot, "node", ids[target])

        return finish

    def stop(self):
        for server in self.servers:
            server.stop()
