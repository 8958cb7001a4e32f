# SPDX-License-Identifier: MIT
"""What the system tests are made of: an NFSv3 server, files on it, the daemon, audit records.

Everything runs on loopback, on ports that the kernel chose and in a directory of its own under /tmp. Where the
tests run as root, the daemon runs as `nobody` without groups and capabilities. nfs-ganesha runs as root then, if it can
(FSAL VFS, whose files survive a restart and lie in a local directory), else as an ordinary user (FSAL MEM).
"""

import contextlib
import ctypes
import datetime
import functools
import http.client
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
NOBODY = 65534
ROOT = os.geteuid() == 0
SECOND = 10**9  # times are integers, nanoseconds since the epoch
NUMBER = itertools.count()
HELD = []  # the sockets of own_port()
SANITIZER = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:")


def binary(variable, *places):
    """The program that an environment variable names, or the first of `places` that is there."""
    for place in [os.environ.get(variable, ""), *places]:
        if place and os.access(place, os.X_OK):
            return str(pathlib.Path(place).resolve())
    raise SystemExit(f"set {variable} to the built program")


@functools.cache
def is_sanitized(program, which="at"):
    """Whether it was built with AddressSanitizer or ThreadSanitizer, or one of them: "a" or "t"."""
    return re.search(rf"__[{which}]san_init".encode(), pathlib.Path(program).read_bytes()) is not None


def wait_until(condition, what, limit=60):
    """Returns the first true result of condition(); a generous limit, since it only ends what hangs.

    It asks the more rarely the longer it waits, because asking takes processor time that others need.
    """
    begin, pause = time.monotonic(), 0.001
    while not (result := condition()):
        waited = time.monotonic() - begin
        if waited > limit:
            raise AssertionError(f"waited {limit} s in vain for {what}")
        time.sleep(pause)
        pause = min(2 * pause, max(0.02, waited / 20))
    return result


def own_port():
    """A port of 127.0.0.1 for a server that cannot say which one it got. The kernel chose it.

    A bound socket holds it as long as this process lives, so that nobody else gets it. It does not listen: connections
    are refused until a server with SO_REUSEADDR does, which may come and go.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    HELD.append(holder)
    return holder.getsockname()[1]


def own_address():
    """An address of loopback that no other process has for its own, for ports of fixed numbers: there are 2^22 pids."""
    pid = os.getpid()
    return f"127.{64 + (pid >> 16)}.{pid >> 8 & 255}.{pid & 255}"


def accepts(port, host="127.0.0.1"):
    try:
        socket.create_connection((host, port), timeout=1).close()
        return True
    except OSError:
        return False


def listening_ports(pid):
    """The TCP ports of IPv4 on which a process listens."""
    mine = set(open_files(pid))
    sockets = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(words[1].split(":")[1], 16) for words in sockets if words[3] == "0A" and f"socket:[{words[9]}]" in mine}


def waiting_datagrams(port):
    """How many bytes the UDP socket of this port has not read yet."""
    sockets = [line.split() for line in pathlib.Path("/proc/net/udp").read_text().splitlines()[1:]]
    return sum(int(words[4].split(":")[1], 16) for words in sockets if words[1].endswith(f":{port:04X}"))


def has_handles(directory):
    """Whether we may open files of this directory by handle, as FSAL VFS does: not on the overlay of a container."""
    libc, handle, mount = ctypes.CDLL(None), ctypes.create_string_buffer(8 + 128), ctypes.c_int()
    ctypes.memmove(handle, (128).to_bytes(4, sys.byteorder), 4)
    here = os.open(directory, os.O_RDONLY)
    try:
        if libc.name_to_handle_at(here, b".", handle, ctypes.byref(mount), 0) != 0:
            return False
        opened = libc.open_by_handle_at(here, handle, os.O_RDONLY)
        if opened >= 0:
            os.close(opened)
        return opened >= 0
    finally:
        os.close(here)


# Where the files of FSAL VFS can be. In memory they cost a tenth of the time; endurance and figures are for a disk.
# Programs are not put there: /dev/shm of a container lets nobody execute any.
ON_DISK = {"QATIME_TEST_LONG", "QATIME_BENCH"} & os.environ.keys()
PLACES = [place for place in ([tempfile.gettempdir(), "/dev/shm"] if ON_DISK else ["/dev/shm", tempfile.gettempdir()])
          if ROOT and os.path.isdir(place) and has_handles(place)]
FSAL = "VFS" if PLACES else "MEM"


class Scratch:
    """A directory that every user may enter, and one for what servers export; removed at the end. KEEP=1 keeps them."""

    common = None  # one that processes share, if there are several

    def __init__(self):
        self.path = self._make(tempfile.gettempdir())
        self.exports = self._make(PLACES[0]) if PLACES else self.path

    @staticmethod
    def _make(place):
        made = pathlib.Path(tempfile.mkdtemp(prefix="qatime-test-", dir=place))
        made.chmod(0o755)
        return made

    def fresh(self, name, owner=None):
        """A directory of this name and a number that no other has."""
        return self.directory(f"{name}-{next(NUMBER)}", owner)

    def directory(self, name, owner=None):
        made = self.path / name
        made.mkdir(exist_ok=True)
        if owner is not None and ROOT:
            os.chown(made, owner, owner)
        return made

    def remove(self):
        if os.environ.get("KEEP") != "1":
            for directory in (self.path, self.exports):
                shutil.rmtree(directory, ignore_errors=True)


def as_nobody():
    """Arguments of Popen that give up root, groups and with them all capabilities."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if ROOT else {}


def put(file, place):
    """A program in another place: as a link if that can be, which takes no time."""
    try:
        os.link(file, place)
    except OSError:
        shutil.copy2(file, place)


def start(command, log, **options):
    with open(log, "ab") as output:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **options)


def stop(process, number=signal.SIGTERM, limit=60):
    """Sends a signal and returns the exit status."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def cpu_seconds(pid):
    """What a process has used so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def open_files(pid):
    """What the descriptors of a process are open for."""
    for link in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was closed since they were listed
            yield os.readlink(link)


def has_socket(pid):
    return any(target.startswith("socket:") for target in open_files(pid))


def is_stopped(pid):
    """Whether all threads of a process are, after SIGSTOP."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # one ended since they were listed
        return all(") T " in (task / "stat").read_text() for task in pathlib.Path(f"/proc/{pid}/task").iterdir())


# --- NFS servers -----------------------------------------------------------------------------------------------------


class Server:
    """An NFSv3 server: where it is, what it exports, and what it does with times."""

    granularity = 1  # nanoseconds: times are cut to a multiple of it
    latest = float("inf")  # and those behind it to this one
    keeps_mtime = True  # when atime is set
    sets_symlinks = True  # and not what they lead to

    def __init__(self, host, port, mount_port, export):
        self.host, self.port, self.mount_port, self.export = host, port, mount_port, export

    def files(self):
        return Files(self)

    def kept(self, time):
        """A time as this server keeps it."""
        return min(time - time % self.granularity, self.latest)

    def stop(self):
        pass


class Ganesha(Server):
    """An nfs-ganesha of our own, with one export or more, whose options can change while it runs."""

    CONFIGURATION = """
        NFS_CORE_PARAM {{ Protocols = 3; NFS_Port = {port}; MNT_Port = {mount_port}; Bind_addr = {host};
          Enable_UDP = false; Enable_NLM = false; Enable_RQUOTA = false; Clustered = false; mount_path_pseudo = false; }}
        NFSv4 {{ Graceless = true; RecoveryRoot = {directory}; }}
        NFS_KRB5 {{ Active_krb5 = {krb5}; }}
        LOG {{ Default_Log_Level = EVENT; }}
    """
    EXPORT = """
        EXPORT {{ Export_Id = {number}; Path = {path}; Pseudo = /e{number}; Access_Type = {access}; Squash = {squash};
          SecType = {sec}; Protocols = 3; Transports = TCP; PrivilegedPort = {privileged}; Attr_Expiration_Time = 0;
          FSAL {{ Name = {fsal}; }} }}
    """

    def __init__(self, scratch, fsal=FSAL, portmapper=False, beside=None, others=(), **options):
        """`beside`: another one, whose files it serves on the same ports of the next address. `others`: trees of FSAL VFS
        that it exports, too."""
        self.directory = scratch.fresh("ganesha", NOBODY if fsal == "MEM" else None)
        if beside:
            self.tree = beside.tree
            super().__init__("127.0.0.2", beside.port, beside.mount_port, beside.export)
        else:
            self.tree = scratch.exports / f"{self.directory.name}-tree"
            self.tree.mkdir()
            super().__init__("127.0.0.1", own_port(), own_port(), str(self.tree) if fsal == "VFS" else "/mem")
        self.paths = [self.export, *others]
        self.fsal = fsal
        self.keeps_mtime = fsal != "MEM"  # which sets the other time to now when one is set
        self.sets_symlinks = fsal == "MEM"  # the other says yes to new times of a symlink, and leaves them as they are
        self.options = {"access": "RW", "squash": "no_root_squash", "privileged": "false", "krb5": "false",
                        "sec": "sys", "exported": True, **options}
        self.environment = dict(os.environ)
        if not portmapper:
            self.environment["LD_PRELOAD"] = self.interposer(Scratch.common or scratch)
        self.process = None
        self.start()

    @staticmethod
    def interposer(scratch):
        library = scratch.path / "no_rpcbind.so"
        if not library.exists():
            subprocess.run(["cc", "-shared", "-fPIC", "-o", library, HERE / "no_rpcbind.c"], check=True)
        return str(library)

    def _configure(self):
        text = self.CONFIGURATION.format(**vars(self), **self.options)
        for number, path in enumerate(self.paths if self.options["exported"] else [], 1):
            text += self.EXPORT.format(number=number, path=path, fsal=self.fsal, **self.options)
        (self.directory / "conf").write_text(text)

    @property
    def log(self):
        path = self.directory / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self):
        """Returns when it serves; on the same ports as before."""
        self._configure()
        command = ["ganesha.nfsd", "-F", "-f", "conf", "-L", self.directory / "log", "-p", self.directory / "pid"]
        privileges = as_nobody() if self.fsal == "MEM" else {}
        starts = self.log.count("NFS SERVER INITIALIZED")  # its ports accept earlier, but serve nobody yet
        self.process = start(command, self.directory / "output", cwd=self.directory, env=self.environment, **privileges)
        wait_until(lambda: self.process.poll() is not None or self.log.count("NFS SERVER INITIALIZED") > starts,
                   "nfs-ganesha to serve")
        assert self.process.poll() is None, f"nfs-ganesha does not start:\n{self.log[-2000:]}"

    def change(self, **options):
        """Changes options of the running export."""
        self.options.update(options)
        self._configure()
        seen = self.log.count("Reread exports complete")
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.log.count("Reread exports complete") > seen, "nfs-ganesha to read its exports again")

    def stop(self, number=signal.SIGKILL):
        if self.process:
            stop(self.process, number)


class Files:
    """Files on a server, made and looked at over NFS by a client that is not ours (libnfs's synchronous calls).

    Commands, those of nfs_files.cc, are queued by do() and sent by run() or at the end of a `with`.
    """

    def __init__(self, server):
        self.command = [binary("QATIME_NFS_FILES"), server.host, str(server.port), str(server.mount_port), server.export]
        self.queue = []

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.run()

    def do(self, command, *arguments):
        """Arguments are str, bytes or int."""
        self.queue += [command, *(str(word) if isinstance(word, int) else word for word in arguments)]

    def run(self):
        words = b"".join(os.fsencode(word) + b"\0" for word in self.queue)
        self.queue = []
        done = subprocess.run(self.command, input=words, capture_output=True, timeout=600)
        if done.returncode != 0:
            raise AssertionError(os.fsdecode(done.stderr))
        return done.stdout.decode().splitlines()

    def times(self, paths):
        """[(atime, mtime)] of these paths, (None, None) for what is not there."""
        for path in paths:
            self.do("stat", path)
        return [tuple(map(int, line.split())) if line != "-" else (None, None) for line in self.run()]

    def atimes(self, paths):
        return [atime for atime, _ in self.times(paths)]


# --- audit records ---------------------------------------------------------------------------------------------------


def rfc3339(nanoseconds):
    seconds, fraction = divmod(nanoseconds, SECOND)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + f".{fraction:09d}Z"


def quoted(path):
    return b'"' + os.fsencode(path).replace(b'"', b'""') + b'"'


def record(path, when, operation="fs_read_data", status="ok", client="192.168.240.1", target="", host="qumulo-1"):
    """One record as a cluster sends it; `path` may be str or bytes."""
    head = f"<14>1 {rfc3339(when)} {host} qumulo - - - {client},\"admin\",smb2,{operation},{status},6,"
    return head.encode() + quoted(path) + b"," + quoted(target)


def send_tcp(port, records, wait=True, host="127.0.0.1"):
    """Returns when the receiver has read all, which is when it closes, too; or without waiting for that."""
    with socket.create_connection((host, port)) as connection:
        connection.sendall(b"".join(line + b"\n" for line in records))
        if wait:
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass


def send_udp(port, datagrams, burst=50, host="127.0.0.1"):
    """Paced by the receiver: its buffer takes some 180 datagrams, if it has the default size."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect((host, port))  # so that a port of nobody is an error
        for index, datagram in enumerate(datagrams):
            if index % burst == burst - 1:
                wait_until(lambda: waiting_datagrams(port) == 0, "the datagrams to be read")
            sender.send(datagram)
        if error := sender.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, f"{os.strerror(error)}: UDP port {port}")


# --- qatime ----------------------------------------------------------------------------------------------------------


def toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


class Qatime:
    """The program with a configuration for one server. Settings are dotted keys, as for --set.

    It listens where the kernel lets it, at every start elsewhere: `port` (TCP), `udp_port`, `tls_port` and `admin`
    (HTTP) are known once it has started, None where it does not listen. A daemon that others are to find again, or whose
    log nobody gets, is given ports of own_port().
    """

    LISTENER = re.compile(r"(tcp|udp|tls|http)://\S+?:(\d+)")
    LISTENING = re.compile(r'listening on (tcp|udp|tls|http)://\S+?:(\d+)[/"\s]')

    def __init__(self, scratch, server, settings=None):
        self.program = scratch.path / "qatime"
        if not self.program.exists():
            put(binary("QATIME"), self.program)  # where `nobody` can reach it
        self.directory = scratch.fresh("qatime", NOBODY)
        self.port = self.udp_port = self.tls_port = self.admin = None  # until it listens
        self.settings = {
            "syslog.listen": ["tcp://127.0.0.1:0", "udp://127.0.0.1:0"],
            "admin.listen": "127.0.0.1:0",
            "backlog.directory": str(self.directory / "state"),
            "nfs.servers": [server.host],
            "nfs.port": server.port,
            "nfs.mount_port": server.mount_port,
            "nfs.exports": [{"path": "/", "export": server.export}],
            **(settings or {}),
        }
        self.configuration = self.directory / "qatime.toml"
        self.configuration.write_text("".join(f"{key} = {toml(value)}\n" for key, value in self.settings.items()))
        self.output = self.directory / "log"
        self.process = None

    def run(self, *arguments, binary_output=False):
        """A command that ends by itself, as an ordinary user; (status, stdout, stderr)."""
        done = subprocess.run([self.program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=120,
                              cwd=self.directory, **as_nobody())
        error = done.stderr.decode(errors="backslashreplace")
        assert not SANITIZER.search(error), error
        return done.returncode, done.stdout if binary_output else done.stdout.decode(errors="backslashreplace"), error

    def start(self, *arguments):
        """Starts the daemon and returns when it listens, with the ports that it got."""
        command = [self.program, "run", "-c", self.configuration, *arguments]
        earlier = len(self.log)
        self.process = start(command, self.output, cwd=self.directory, **as_nobody())
        wait_until(lambda: self.process.poll() is not None or self.listens(self.log[earlier:]), "qatime to listen")
        assert self.process.poll() is None, f"qatime ended:\n{self.log}"
        # ThreadSanitizer of gcc 12 loses a signal that interrupts a thread's first blocking call, main's epoll_wait.
        if self.admin and is_sanitized(self.program, "t"):
            self.get("/healthz")
        return self

    def listens(self, log):
        """Whether it does, as this log says, and then we know where; or on all ports that it was given."""
        admin = self.settings["admin.listen"]
        ports = dict(self.LISTENER.findall(" ".join([*self.settings["syslog.listen"], f"http://{admin}"])))
        if "0" in ports.values():
            chosen = dict(self.LISTENING.findall(log))
            is_ready = len(chosen) == len(ports)
            ports = chosen
        else:
            is_ready = all(accepts(int(port)) for kind, port in ports.items() if kind != "udp")
        self.port, self.udp_port, self.tls_port, self.admin = (
            int(ports[kind]) if kind in ports else None for kind in ("tcp", "udp", "tls", "http"))
        return is_ready

    @property
    def log(self):
        return self.output.read_text(errors="backslashreplace") if self.output.exists() else ""

    def get(self, path, method="GET"):
        """(status, headers, body) of what the daemon says over HTTP."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=60)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def metrics(self):
        """The counters of /metrics."""
        return Counters.of_metrics(self.get("/metrics")[2].decode())

    def stop(self, number=signal.SIGTERM):
        """Drains it; returns its counters. It must end with status 0 and without a word from a sanitizer."""
        status = stop(self.process, number)
        log = self.log
        assert not SANITIZER.search(log), log
        assert status == 0, f"exit status {status}:\n{log[-4000:]}"
        return Counters(log)

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()

    def last_words(self, size=3000):
        """Its state and the end of its log, for a test that has failed."""
        if not self.process:
            return "qatime was not started as a daemon"
        status = self.process.poll()
        state = "still runs" if status is None else f"has ended with status {status}"
        return f"qatime {state}, and its log ends with:\n{self.log[-size:]}"


class Counters:
    """What the daemon counted, from `qatime_name{label="value",...} N, ...`, which it logs at its end."""

    LINE = re.compile(r'\b(qatime_\w+)(?:\{([^}]*)\})? (-?\d+)(?=,|$)', re.MULTILINE)

    METRIC = re.compile(r'^(\w+)(?:\{(.*)\})? (\S+)$', re.MULTILINE)

    def __init__(self, log):
        self.values = self._read(self.LINE, log, int)

    @classmethod
    def of_metrics(cls, text):
        made = cls("")
        made.values = cls._read(cls.METRIC, text, float)
        return made

    @staticmethod
    def _read(form, text, number):
        return {(name, tuple(re.findall(r'="((?:[^"\\]|\\.)*)"', labels))): number(value)
                for name, labels, value in form.findall(text)}

    def __call__(self, name, label=None):
        """The sum of a counter over all its labels, or where one of them is `label`; `qatime_` and `_total` are
        understood."""
        names = (f"qatime_{name}_total", f"qatime_{name}", name)
        found = [value for (key, of), value in self.values.items() if key in names and (label is None or label in of)]
        assert found, f"no counter {name} {label or ''} in {sorted(self.values)}"
        return sum(found)

    def check_sums(self):
        """Rule: every message ends in one counter, every accepted access in one outcome."""
        received = sum(self(name) for name in ("malformed", "ignored", "moves", "removals", "accepted"))
        assert self("received_messages") == received, self.values
        outcomes = ("coalesced", "cancelled", "applied", "unchanged", "failed", "dropped", "pending_entries")
        shared = "claimed" in {key[len("qatime_"):-len("_total")] for key, _ in self.values}
        claimed, handed_over = (self("claimed"), self("handed_over")) if shared else (0, 0)
        assert self("accepted") + self("recovered") + claimed == sum(self(name) for name in outcomes) + handed_over, self.values
