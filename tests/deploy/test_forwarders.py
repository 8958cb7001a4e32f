# SPDX-License-Identifier: MIT
"""Records on their way through rsyslog and syslog-ng, with the files of conf/ and the lines for TLS of its README.md.

The daemons are those of the system or, since Debian does not install both, unpacked from its packages, which are kept
in build/forwarders. They run in the foreground as an ordinary user, with the snippet as it is but for ports and paths.
"""

import atexit
import contextlib
import functools
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "system"))

import lab
import test_end_to_end
from case import Case, now
from certificates import Authority
from lab import NOBODY, record, send_tcp

CONTROLS = {"escape": (b"\x1b[31mred\x1b[0m", b"[31mred[0m"), "controls": (b"\x01\x7f\x85", b"#001")}
NAMES = {**test_end_to_end.NAMES, **CONTROLS}
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"


def apt_get(directory, *arguments):
    """As any user, with the package lists of `directory` where that has some; returns the exit status."""
    options = {"Debug::NoLocking": "1", "APT::Sandbox::User": "", "Dir::Cache": directory,
               "Dir::Cache::Archives": directory}
    if (directory / "lists").exists():
        options["Dir::State::Lists"] = directory / "lists"
    words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    return subprocess.run(["apt-get", "-qq", "-y", *words, *arguments], stdin=subprocess.DEVNULL).returncode


def packages(name):
    """The packages of Debian that `name` needs and the system has not, itself included; as files."""
    cache = ROOT / "build" / "forwarders" / name
    if not cache.exists():
        partial = cache.with_name(name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        (partial / "partial").mkdir(parents=True)
        download = ["--no-install-recommends", "--download-only", "install", name]
        if apt_get(partial, *download) != 0:
            # The system's package lists are missing or older than what the mirror still has.
            (partial / "lists").mkdir()
            assert apt_get(partial, "update") == 0 and apt_get(partial, *download) == 0, f"cannot download {name}"
        partial.rename(cache)
    return sorted(cache.glob("*.deb"))


@functools.cache
def unpacked(name):
    """Where those packages are unpacked, for all tests."""
    scratch = lab.Scratch()
    atexit.register(scratch.remove)
    for package in packages(name):
        subprocess.run(["dpkg", "-x", package, scratch.path], check=True)
    return scratch.path


def adapted(text, changes):
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


class Forwarder:
    """A syslog daemon that listens on self.port and forwards to `to` on loopback."""

    def __init__(self, scratch, to):
        self.directory = scratch.fresh("forwarder", NOBODY)
        self.port, self.to, self.to_udp = lab.own_port(), to, None
        self.file = self.directory / "audit.log"
        self.output = self.directory / "output"
        self.root = pathlib.Path("/") if shutil.which(self.program, path=PATH) else unpacked(self.package)
        self.libraries = ":".join(str(self.root / folder) for folder in self.library_folders)
        self.process = None

    def command(self, *arguments):
        program = shutil.which(self.program, path=PATH) or self.root / "usr/sbin" / self.program
        return [program, *self.arguments(), *arguments]

    def options(self):
        environment = {} if self.root == pathlib.Path("/") else {"LD_LIBRARY_PATH": self.libraries}
        return {"cwd": self.directory, "env": {**os.environ, **environment}, **lab.as_nobody()}

    def check(self):
        """The daemon's own check must have nothing to say."""
        done = subprocess.run(self.command(*self.check_arguments), stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **self.options())
        said = [line for line in done.stdout.splitlines() if not self.chatter(line)]
        assert done.returncode == 0 and not said, done.stdout

    def start(self):
        self.configure()
        self.check()
        self.process = lab.start(self.command(), self.output, **self.options())
        lab.wait_until(lambda: self.process.poll() is not None or lab.accepts(self.port), f"{self.program} to listen")
        assert self.process.poll() is None, self.output.read_text()
        return self

    def stop(self):
        if self.process:
            lab.stop(self.process)


class Rsyslog(Forwarder):
    package, program = "rsyslog", "rsyslogd"
    library_folders = ("usr/lib/x86_64-linux-gnu",)
    check_arguments = ("-N1",)

    # Like Debian's /etc/rsyslog.conf: other modules and the work directory before the snippet, other rules behind it.
    MAIN = """
        module(load="imuxsock" SysSock.Use="off")
        $WorkDirectory {directory}
        $IncludeConfig {directory}/rsyslog-qatime.conf
        *.* -{directory}/others.log
    """

    def arguments(self):
        modules = self.root / "usr/lib/x86_64-linux-gnu/rsyslog"
        return ["-n", "-i", "NONE", "-M", modules, "-f", self.directory / "main.conf"]

    def configure(self):
        snippet = adapted((ROOT / "conf" / "rsyslog-qatime.conf").read_text(), {
            'port="514"': f'port="{self.port}" address="127.0.0.1"',
            'port="1514"': f'port="{self.to}"',
            "/var/log/qumulo-audit.log": str(self.file),
        })
        (self.directory / "rsyslog-qatime.conf").write_text(snippet)
        (self.directory / "main.conf").write_text(self.MAIN.format(directory=self.directory))

    @staticmethod
    def chatter(line):
        return "config validation run" in line or "End of config validation" in line


class ReducingRsyslog(Rsyslog):
    """Like Ubuntu's /etc/rsyslog.conf."""

    MAIN = "\n        $RepeatedMsgReduction on" + Rsyslog.MAIN


class Rewriting:
    """One that writes headers anew: a port for each of its WAYS to forward, which say the nanoseconds that a time is
    precise to; a mixin."""

    def configure(self):
        self.ports = {lab.own_port(): way for way in self.WAYS}
        self.port = next(iter(self.ports))
        (self.directory / "main.conf").write_text(self.MAIN.format(directory=self.directory) + "".join(
            self.WAY.format(port=port, to=to, way=way.format(port=port, to=to)) for port, way, to in self.destinations()))

    def destinations(self):
        return [(port, way, self.to_udp if "udp" in way else self.to) for port, way in self.ports.items()]

    def options(self):
        options = super().options()
        return {**options, "env": {**options["env"], "TZ": "UTC"}}


class RewritingRsyslog(Rewriting, Rsyslog):
    WAYS = {f'template="{template}" protocol={protocol}': unit
            for template, unit in (("RSYSLOG_SyslogProtocol23Format", 1000), ("RSYSLOG_ForwardFormat", 1000),
                                   ("RSYSLOG_TraditionalForwardFormat", lab.SECOND))
            for protocol in ('"tcp"', '"tcp" TCP_Framing="octet-counted"', '"udp"')}
    MAIN = """
        module(load="imuxsock" SysSock.Use="off")
        module(load="imtcp")
        $WorkDirectory {directory}
    """
    WAY = """
        input(type="imtcp" port="{port}" address="127.0.0.1" ruleset="{port}")
        ruleset(name="{port}") {{ action(type="omfwd" target="127.0.0.1" port="{to}" {way}) }}
    """


class TemplateRsyslog(RewritingRsyslog):
    """By the templates that Qumulo publishes for rsyslog: without a tag, and one without the host."""

    WAYS = {f'template="{template}" protocol="tcp"': 1000 for template in ("TimeHostMessage", "TimeMessage")}
    MAIN = RewritingRsyslog.MAIN + """
        template(name="TimeHostMessage" type="string" string="%timestamp:::date-rfc3339%,%hostname%,%msg%\\n")
        template(name="TimeMessage" type="string" string="%timestamp:::date-rfc3339%,%msg%\\n")
    """


class RepeatingRsyslog(Rewriting, Rsyslog):
    """One that sends `message repeated 2 times: [...]` to qatime."""

    WAYS = {"": 1000}
    MAIN = """
        module(load="imuxsock" SysSock.Use="off")
        module(load="imtcp")
        $WorkDirectory {directory}
        $RepeatedMsgReduction on
    """
    WAY = """
        input(type="imtcp" port="{port}" address="127.0.0.1")
        if $programname == "qumulo" then {{
          action(type="omfwd" target="127.0.0.1" port="{to}" protocol="tcp" template="RSYSLOG_SyslogProtocol23Format" {way})
        }}
    """


class SyslogNg(Forwarder):
    package, program = "syslog-ng-core", "syslog-ng"
    library_folders = ("usr/lib/syslog-ng", "usr/lib/x86_64-linux-gnu")
    check_arguments = ("--syntax-only",)

    def arguments(self):
        modules = next((self.root / "usr/lib/syslog-ng").glob("[0-9]*"))
        return ["--foreground", "--stderr", "--no-caps", "--module-path", modules,
                "--cfgfile", self.directory / "main.conf", "--persist-file", self.directory / "persist",
                "--control", self.directory / "control", "--pidfile", self.directory / "pid"]

    def configure(self):
        snippet = adapted((ROOT / "conf" / "syslog-ng-qatime.conf").read_text(), {
            'ip("0.0.0.0") port(514)': f'ip("127.0.0.1") port({self.port})',
            "port(1514)": f"port({self.to})",
            "/var/log/qumulo-audit.log": str(self.file),
            "disk-buffer(": f'disk-buffer(dir("{self.directory}") ',
        })
        (self.directory / "main.conf").write_text("@version: 3.38\n" + snippet)

    @staticmethod
    def chatter(line):
        return False


class RewritingSyslogNg(Rewriting, SyslogNg):
    # "framed" are octet counts, which syslog() has by itself.
    WAYS = {f'{driver}("127.0.0.1" port({{to}}) persist-name("{{port}}") {how})': unit for driver, how, unit in (
        ("network", 'transport("tcp") flags(syslog-protocol)', 1000),
        ("syslog", 'transport("tcp")', 1000),  # with octet counts
        ("syslog", 'transport("udp")', 1000),
        ("network", 'transport("tcp")', 1000),  # traditional, but with a fraction
        ("network", 'transport("framed") frac-digits(0)', lab.SECOND),  # with octet counts
        ("network", 'transport("udp") frac-digits(0)', lab.SECOND),
        ("network", 'transport("tcp") template("<$PRI>$ISODATE $HOST $MSGHDR$MSG\\n")', 1000),
    )}
    MAIN = """@version: 3.38
        options {{ keep-hostname(yes); frac-digits(6); }};
    """
    WAY = """
        log {{
          source {{ network(ip("127.0.0.1") port({port}) transport("tcp") flags(syslog-protocol)); }};
          destination {{ {way}; }};
        }};
    """


class WrappingSyslogNg(RewritingSyslogNg):
    """Its source knows nothing of RFC 5424, so it puts a header of its own in front."""

    WAYS = {f'{driver}("127.0.0.1" port({{to}}) persist-name("{{port}}") {how})': 1000
            for driver, how in (("network", 'transport("tcp")'), ("syslog", 'transport("tcp")'),
                                ("network", 'transport("tcp") flags(syslog-protocol)'))}
    WAY = RewritingSyslogNg.WAY.replace(" flags(syslog-protocol)", "")


def for_tls(begin, files, **changes):
    """The lines of conf/README.md that begin so, with `changes`; `files` replace its names of files in their order."""
    manual = (ROOT / "conf" / "README.md").read_text()
    text = re.search(rf"^```\n( *{re.escape(begin)}.*?)^```", manual, re.M | re.S)[1]
    for old, new in zip(re.findall(r'"(/[^"]*)"', text), files, strict=True):
        text = adapted(text, {old: str(new)})
    return adapted(text, changes)


class RsyslogOverTls(Rsyslog):
    def arguments(self):
        """With the one module that the daemon's own package lacks."""
        arguments = super().arguments()
        modules = arguments.index("-M") + 1
        arguments[modules] = f"{arguments[modules]}:{unpacked('rsyslog-openssl')}/usr/lib/x86_64-linux-gnu/rsyslog"
        return arguments

    def configure(self):
        super().configure()
        snippet = self.directory / "rsyslog-qatime.conf"
        plain = f'protocol="tcp"\n    target="127.0.0.1" port="{self.to}"\n    TCP_Framing="octet-counted"\n'
        authority, ours = self.credentials
        snippet.write_text(adapted(snippet.read_text(), {plain: for_tls(
            'protocol="tcp"', (authority.certificate, ours.certificate, ours.key),
            **{'target="qatime.example.com" port="6514"': f'target="127.0.0.1" port="{self.to}"'})}))


class SyslogNgOverTls(SyslogNg):
    def configure(self):
        super().configure()
        main = self.directory / "main.conf"
        authority, ours = self.credentials
        main.write_text(adapted(main.read_text(), {f'    "127.0.0.1" port({self.to}) transport("tcp")\n': for_tls(
            '"qatime.example.com"', (authority.certificate, ours.certificate, ours.key),
            **{'"qatime.example.com" port(6514)': f'"127.0.0.1" port({self.to})'})}))


class Forwarding:
    """What both must do; a mixin."""

    def forwarder(self, to):
        made = self.make(self.scratch, to)
        self.addCleanup(made.stop)
        return made.start()

    def expect_file(self, forwarder, records):
        wanted = b"".join(line + b"\n" for line in records)
        lab.wait_until(lambda: forwarder.file.exists() and forwarder.file.stat().st_size >= len(wanted), "the file")
        self.assertEqual(forwarder.file.read_bytes(), wanted)

    def test_every_record_reaches_qatime_and_the_file_as_the_bytes_that_came(self):
        accessed, decoys = [], []
        for name, decoy in NAMES.values():
            accessed += self.make_files(name)
            decoys += self.make_files(decoy)
        # The fraction of a cluster has no trailing zeros, which a forwarder that writes the time anew would add.
        times = {path: (1_600_000_000 + index) * lab.SECOND + 955_800_000 for index, path in enumerate(accessed)}
        long_path = (self.root + "/" + "/".join(["n" * 250] * 120)).encode()
        records = [record(path, time).replace(b".955800000Z", b".9558Z") for path, time in times.items()]
        records += [
            record(long_path, now()),
            record(long_path, now(), "fs_rename", target=b'"' * 10_000 + long_path),
            record(accessed[0], now(), operation="fs_read_metadata"),
            record(accessed[0], now(), status="fs_access_denied_error"),
            record(b"relative", now()),
        ]
        daemon = self.daemon()
        forwarder = self.forwarder(daemon.port)
        send_tcp(forwarder.port, records)
        self.expect_atimes(times)
        self.expect_untouched(decoys)
        self.expect_file(forwarder, records)
        forwarder.stop()
        counters = daemon.stop()
        wanted = {"received_messages": len(records), "applied": len(times), "ignored": 2, "malformed": 2}
        self.assertEqual({name: counters(name) for name in wanted}, wanted)
        counters.check_sums()

    def test_records_wait_while_qatime_is_away_also_over_a_restart(self):
        paths = self.make_files(*map(str, range(500)))
        port = lab.own_port()
        daemon = self.qatime(syslog__listen=[f"tcp://127.0.0.1:{port}"])
        forwarder = self.forwarder(port)
        times = {path: now() for path in paths}
        records = [record(path, time) for path, time in times.items()]
        send_tcp(forwarder.port, records)
        self.expect_file(forwarder, records)
        forwarder.stop()
        forwarder.start()
        daemon.start()
        self.expect_atimes(times)
        counters = daemon.stop()
        self.assertEqual(counters("malformed"), 0)
        self.assertGreaterEqual(counters("accepted"), len(records))  # a forwarder may repeat one when it connects again
        counters.check_sums()

    def test_each_node_of_the_largest_cluster_is_heard(self):
        forwarder = self.forwarder(lab.own_port())
        records = [record(f"/{node}", now(), host=f"qumulo-{node}") for node in range(1, 266)]
        with contextlib.ExitStack() as open_connections:
            for line in records:
                node = socket.create_connection(("127.0.0.1", forwarder.port))
                open_connections.enter_context(node).sendall(line + b"\n")
            size = sum(len(line) + 1 for line in records)
            lab.wait_until(lambda: forwarder.file.exists() and forwarder.file.stat().st_size >= size, "265 records")
        self.assertEqual(sorted(forwarder.file.read_bytes().splitlines()), sorted(records))


class ThroughRsyslog(Forwarding, Case):
    make = Rsyslog

    def test_records_do_not_reach_the_files_of_other_messages(self):
        forwarder = self.forwarder(lab.own_port())
        records = [record("/a", now())]
        send_tcp(forwarder.port, records)
        self.expect_file(forwarder, records)
        forwarder.stop()
        others = forwarder.directory / "others.log"
        self.assertNotIn("fs_read_data", others.read_text() if others.exists() else "")


class ThroughReducingRsyslog(Case):
    def test_equal_records_all_arrive(self):
        [path] = self.make_files("equal")
        daemon = self.daemon()
        forwarder = ReducingRsyslog(self.scratch, daemon.port)
        self.addCleanup(forwarder.stop)
        forwarder.start()
        time = now()
        records = [record(path, time)] * 8 + [record(path, time, "fs_read_metadata")]
        send_tcp(forwarder.port, records)
        wanted = b"".join(line + b"\n" for line in records)
        lab.wait_until(lambda: forwarder.file.exists() and forwarder.file.stat().st_size >= len(wanted), "the file")
        self.assertEqual(forwarder.file.read_bytes(), wanted)
        lab.wait_until(lambda: daemon.metrics()("received_messages") == len(records), "all records")
        self.expect_atimes({path: time})


class Repeated(Case):
    def test_a_repeated_message_is_an_access(self):
        paths = self.make_files("plain", " a,b", ' "q]"')
        daemon = self.daemon()
        forwarder = RepeatingRsyslog(self.scratch, daemon.port)
        self.addCleanup(forwarder.stop)
        forwarder.start()
        times = {path: now() // 1000 * 1000 for path in paths}
        # rsyslog sends what was repeated once it hears something else; the last stays with it.
        records = [record(path, time) for path, time in times.items() for _ in range(3)]
        records.append(record("/none", now(), "fs_read_metadata"))
        send_tcp(forwarder.port, [line.replace(b"000Z ", b"Z ", 1) for line in records])
        lab.wait_until(lambda: daemon.metrics()("accepted") >= 2 * len(paths), "accesses and their repetitions")
        self.expect_atimes(times)
        counters = daemon.stop()
        self.assertEqual(counters("malformed"), 0)


class ByLogger(Case):
    def test_both_formats_with_a_process_id(self):
        daemon = self.daemon()
        for form in ("--rfc3164", "--rfc5424"):
            [path] = self.make_files(form)
            body = record(path, now()).split(b" - - - ", 1)[1]
            before = now() // lab.SECOND * lab.SECOND
            subprocess.run(["logger", "-i", form, "-t", "qumulo", "-n", "127.0.0.1", "-P", str(daemon.port), "-T", body],
                           check=True)
            lab.wait_until(lambda: before <= self.files.atimes([path])[0] <= now(), f"the time of {path}")
        counters = daemon.stop()
        self.assertEqual((counters("accepted"), counters("malformed")), (2, 0))


    def test_local_times_of_another_zone(self):
        """`logger` writes a zone with RFC 5424 alone."""
        paths = self.make_files("--rfc3164", "--rfc5424")
        for zone, taken in (("UTC", paths[1:]), ("Asia/Tokyo", paths)):
            daemon, before = self.daemon(syslog__rfc3164_timezone=zone), now() // lab.SECOND * lab.SECOND
            for form, path in zip(("--rfc3164", "--rfc5424"), paths):
                body = record(path, now()).split(b" - - - ", 1)[1]
                subprocess.run(["logger", form, "-t", "qumulo", "-n", "127.0.0.1", "-P", str(daemon.port), "-T", body],
                               env={**os.environ, "TZ": "Asia/Tokyo"}, check=True)
            lab.wait_until(lambda: all(before <= atime <= now() for atime in self.files.atimes(taken)), f"times of {taken}")
            lab.wait_until(lambda: daemon.metrics()("received_messages") == 2, "both records")
            self.assertEqual(daemon.stop()("ignored", "future"), 2 - len(taken))
            self.expect_untouched(set(paths) - set(taken))


class Rewritten:
    """What both must do; a mixin."""

    def test_every_form_of_header_over_every_transport(self):
        daemon = self.daemon()
        forwarder = self.make(self.scratch, daemon.port)
        forwarder.to_udp = daemon.udp_port
        self.addCleanup(forwarder.stop)
        forwarder.start()
        times = {}
        for number, (port, way) in enumerate(forwarder.ports.items()):
            names = [f"{number}".encode() + name for name in (b" a,b", b' "q"', " ä".encode(), b" \xe4")]
            records = {path: now() for path in self.make_files(*names)}
            # rsyslog writes garbage for a fraction of more than six digits; a cluster has no more.
            send_tcp(port, [record(path, when).replace(b"000Z ", b"Z ", 1) for path, when in records.items()])
            unit = forwarder.WAYS[way]
            times.update({path: when // unit * unit for path, when in records.items()})
        self.expect_atimes(times)
        forwarder.stop()
        counters = daemon.stop()
        self.assertEqual(counters("malformed") + counters("ignored"), 0)
        over_udp = sum("udp" in way for way in forwarder.WAYS)
        self.assertEqual(counters("received_messages", "udp") * len(forwarder.WAYS), len(times) * over_udp)
        self.assertEqual(counters("applied"), len(times))
        counters.check_sums()


class RewrittenByRsyslog(Rewritten, Case):
    make = RewritingRsyslog


class RewrittenByTemplates(Rewritten, Case):
    make = TemplateRsyslog


class RewrittenBySyslogNg(Rewritten, Case):
    make = RewritingSyslogNg


class WrappedBySyslogNg(Rewritten, Case):
    make = WrappingSyslogNg


class ThroughSyslogNg(Forwarding, Case):
    make = SyslogNg


class ForwardingOverTls:
    """What both must do over TLS; a mixin."""

    def test_records_arrive_where_each_side_asks_for_the_other_s_certificate(self):
        authority = Authority(self.scratch.fresh("certificates"))
        server = authority.issue("qatime.example.com", "127.0.0.1")
        daemon = self.daemon(
            syslog__listen=["tls://127.0.0.1:0"], syslog__tls__certificate=str(server.certificate),
            syslog__tls__key=str(server.key), syslog__tls__client_ca=str(authority.certificate),
            syslog__tls__permitted_peers=["*.example.com"])
        forwarder = self.make(self.scratch, daemon.tls_port)
        forwarder.credentials = authority, authority.issue("forwarder.example.com")
        self.addCleanup(forwarder.stop)
        forwarder.start()
        times = {path: now() for path in self.make_files(*(name for name, _ in NAMES.values()))}
        send_tcp(forwarder.port, [record(path, time) for path, time in times.items()])
        self.expect_atimes(times)
        forwarder.stop()
        counters = daemon.stop()
        self.assertEqual(counters("received_messages", "tls"), len(times))
        self.assertEqual(counters("connections_refused"), 0)
        counters.check_sums()


class ThroughRsyslogOverTls(ForwardingOverTls, Case):
    make = RsyslogOverTls


class ThroughSyslogNgOverTls(ForwardingOverTls, Case):
    make = SyslogNgOverTls
