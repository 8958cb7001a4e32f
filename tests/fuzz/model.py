# SPDX-License-Identifier: MIT
"""A second reading of the documents: messages to records, records to decisions, streams to messages.

It shares no line with qatime, and was written from conf/README.md, conf/qatime.toml, the docstrings of the headers of
src/ingest, and the RFCs that they name. compare.py holds the two against each other. The order of this file is that of
a record: framing, header, body, policy. Everything is bytes; times are nanoseconds since 1970, in UTC.
"""

import collections
import datetime
import functools
import ipaddress
import re
import unicodedata

SECOND = 10**9
HOUR = 3600 * SECOND

# --- rules with a number, or that have changed -----------------------------------------------------------------------

FUTURE_LIMIT = HOUR // 12  # the default of policy.future_limit
YEAR_LIMITS = 24 * HOUR, 183 * 24 * HOUR  # it is within these, when the year of a time of RFC 3164 is chosen
MOST_OF_PROXY_LINE, MOST_OF_PROXY_HEADER = 107, 16384  # bytes
MAX_COMPONENT = 255
MOST_SECONDS = 2**63 // SECOND - 1  # of a time, before and after 1970; a fraction must have room, too
LEFT_BEHIND = (b"\r", b"\n", b"\0", b" ", b"#015", b"#000")  # by relays, at the end of a body
REPEATED = b"message repeated "
MARK = b"\xef\xbb\xbf"


def fold(name):
    """A name of a user, cluster or protocol, for comparisons without case (Unicode section 3.13, D145)."""
    decomposed = unicodedata.normalize("NFD", name.decode(errors="surrogateescape"))
    return unicodedata.normalize("NFD", decomposed.casefold()).encode(errors="surrogateescape")


# --- framing: RFC 6587 section 3.4 -----------------------------------------------------------------------------------

BEGIN = re.compile(rb"<|[0-9]{4}-|[A-Z][a-z]{2} ")
COUNT = re.compile(rb"([1-9][0-9]{0,6}) (?=" + BEGIN.pattern + rb")")
# Text that may still become one of them, where the stream ends.
CUT_BEGIN = re.compile(rb"(?:(?:[1-9][0-9]{0,6} )?(?:[0-9]{0,4}|[A-Z][a-z]{0,2})|[1-9][0-9]{0,6})\Z")
LINE_END = re.compile(rb"[\n\0]|\Z")
TERMINATORS = re.compile(rb"[\r\n\0]*")


def strip_trailer(message):
    return message[:-1] if message.endswith((b"\r", b"\n", b"\0")) else message


def proxy_header(stream):
    """How long the PROXY header is that the stream begins with, or ends in. 0: there is none."""
    if stream.startswith(b"PROXY "):
        size = stream.find(b"\n", 0, MOST_OF_PROXY_LINE) + 1
        return size or (len(stream) if len(stream) < MOST_OF_PROXY_LINE else 0)
    if not stream.startswith(b"\r\n\r\n\0\r\nQUIT\n") or stream[12:13] and stream[12] >> 4 != 2:
        return 0
    size = 16 + int.from_bytes(stream[14:16], "big") if len(stream) >= 16 else len(stream)
    return min(size, len(stream)) if size <= MOST_OF_PROXY_HEADER else 0


def frames(stream, max_message):
    """The frames of a stream that is closed in an orderly way: pairs of kind and bytes."""
    at = proxy_header(stream)
    found = [("proxy_header", b"")] if at else []
    at += len(MARK) if stream.startswith(MARK, at) else 0
    follows_count = False
    while (at := TERMINATORS.match(stream, at).end()) < len(stream):
        count = COUNT.match(stream, at)
        if count:
            kind, message, at, follows_count = counted(stream, count.end(), int(count[1]), max_message)
        else:
            begins = not follows_count or BEGIN.match(stream, at) or CUT_BEGIN.match(stream, at)
            end = LINE_END.search(stream, at)
            line = stream[at:end.start()]
            kind = "stray" if not begins else "too_long" if len(line) > max_message else "message"
            message, at, follows_count = strip_trailer(line), end.end(), False
        found.append((kind, message if kind == "message" else b""))
    return found


def counted(stream, at, count, max_message):
    """Kind and bytes of the message of `count` bytes at `at`, where the next begins, and whether it ends by the count.

    A line that ends before it shows a wrong count.
    """
    end = at + count
    line_end = stream.find(b"\n", at, end)
    if count > max_message:
        return ("too_long", b"", end, end <= len(stream)) if line_end < 0 else ("too_long", b"", line_end + 1, False)
    if 0 <= line_end < end - 1:
        return "bad_count", b"", line_end + 1, False
    if end > len(stream):
        return "bad_count", b"", end, False
    return "message", strip_trailer(stream[at:end]), end, True


# --- header: RFC 5424 section 6, RFC 3164 section 4.1 ----------------------------------------------------------------

Header = collections.namedtuple("Header", "time host body")


class Malformed(Exception):
    """Its argument is the label of qatime_malformed_total."""


MOST_RELAYS = 4
PRIORITY = re.compile(rb"<[0-9]{1,3}> *")
TIME_AND_HOST = re.compile(rb"([^ ]*) ([^ ]+) ")
DATE = re.compile(rb"[^ ]*  ?+(?:[^ ]* )?")
TAG = re.compile(rb"qumulo(?:\[[^\]]*\])?(?:: ?| )")
NO_DATA = b"- - - "
# PROCID, MSGID and STRUCTURED-DATA, in which only quotes and the end matter.
DATA = re.compile(rb'[^ ]* [^ ]* (?:-|\[(?:[^"\]]|\](?! )|"(?:[^"\\]|\\.)*+")*+\]) ', re.DOTALL)


class HeaderReader:
    """Reads headers at a time, with a zone for times without one, and a policy.future_limit for those without a year."""

    def __init__(self, zone, now, future_limit=FUTURE_LIMIT):
        self.zone, self.now = zone, now
        self.latest = now + min(max(future_limit, YEAR_LIMITS[0]), YEAR_LIMITS[1])

    def read(self, message):
        return self.any_form(message.removeprefix(MARK), 0)

    def any_form(self, text, relays):
        if text.startswith(b"<"):
            priority = PRIORITY.match(text)
            if not priority:
                raise Malformed("header")
            text = text[priority.end():]
            if text.startswith(b"1 "):
                return self.rfc5424(text[2:], relays)
        return self.rfc3164(text, relays) if text[3:4] == b" " else self.iso(text, relays)

    def rfc5424(self, text, relays):
        """TIME HOST qumulo PROCID MSGID DATA BODY."""
        begin = TIME_AND_HOST.match(text)
        if not begin:
            raise Malformed("header")
        text = text[begin.end():]
        tag = TAG.match(text)
        if not tag:
            return self.foreign_rfc5424(text, relays)
        data = DATA.match(text, tag.end())
        if not data:
            raise Malformed("header")
        return make_header(iso_time(begin[1], self.zone), begin[2], text[data.end():])

    def foreign_rfc5424(self, text, relays):
        """For a relay, the version of the inner record is a tag, and a whole record has none."""
        tag, blank, text = text.partition(b" ")
        data = DATA.match(text)
        if tag == b"-" and data:
            return self.inner("tag", text[data.end():], relays)
        if tag == b"1" and data and relays < MOST_RELAYS:
            return self.inner_or("tag", self.rfc5424, text[data.end():], relays)
        raise Malformed("tag" if blank else "header")

    def inner(self, reason, text, relays):
        """The record behind a relay's header, from its priority or version on."""
        text = text.lstrip(b" ")
        if relays < MOST_RELAYS and text.startswith(b"<"):
            return self.inner_or(reason, self.any_form, text, relays)
        if relays < MOST_RELAYS and text.startswith(b"1 "):
            return self.inner_or(reason, self.rfc5424, text[2:], relays)
        raise Malformed(reason)

    @staticmethod
    def inner_or(reason, read, text, relays):
        try:
            return read(text, relays + 1)
        except Malformed:
            raise Malformed(reason) from None

    def iso(self, text, relays):
        """TIME HOST qumulo BODY, or with commas."""
        time, comma, rest = text.partition(b",")
        if comma and b" " not in time:
            return joined(iso_time(time, self.zone), rest)
        return self.plain(TIME_AND_HOST.match(text), lambda time: iso_time(time, self.zone), text, relays)

    def rfc3164(self, text, relays):
        """Mmm dd HH:MM:SS HOST qumulo BODY, or with commas."""
        at = DATE.match(text).end()
        clock_end = at + len("HH:MM:SS")
        if text[clock_end:clock_end + 1] == b",":
            return joined(rfc3164_time(text[:clock_end], self.zone, self.latest), text[clock_end + 1:])
        return self.plain(TIME_AND_HOST.match(text, at),
                          lambda clock: rfc3164_time(text[:at] + clock, self.zone, self.latest), text, relays)

    def plain(self, begin, read_time, text, relays):
        if not begin:
            raise Malformed("header")
        time = read_time(begin[1])
        text = text[begin.end():]
        tag = TAG.match(text)
        if not tag:
            return self.inner("tag" if time is not None and b" " in text else "header", text, relays)
        return make_header(time, begin[2], text[tag.end():].removeprefix(NO_DATA))


def joined(time, text):
    """What is behind `TIME,`: `HOST,qumulo BODY`, `HOST,BODY`, `qumulo BODY` or `BODY`."""
    text = text.lstrip(b" ")
    tag = TAG.match(text)
    for body in (text, text[tag.end():].lstrip(b" ") if tag else b""):
        if begins_body(body):
            return make_header(time, b"", body)
    host, comma, text = text.partition(b",")
    if not comma or not host or b" " in host:
        raise Malformed("header")
    text = text.lstrip(b" ")
    tag = TAG.match(text)
    if not tag and not begins_body(text):
        raise Malformed("tag" if b" " in text else "header")
    return make_header(time, host, text[tag.end():] if tag else text)


def begins_body(text):
    client, _, rest = text.partition(b",")
    return text.startswith((b"{", REPEATED)) or rest.startswith(b'"') and address(client) is not None


def make_header(time, host, body):
    if time is None:
        raise Malformed("time")
    return Header(time, host, body.lstrip(b" ").removeprefix(MARK))


# --- times -----------------------------------------------------------------------------------------------------------

EPOCH = datetime.date(1970, 1, 1).toordinal()
RFC3339 = re.compile(rb"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{0,9}))?"
                     rb"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))?")
RFC3164 = re.compile(rb"([A-Z][a-z]{2})  ?([0-9]{1,2}) ([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{0,9}))?")
MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")


def fraction(digits, second):
    """In nanoseconds. A leap second is the first instant of the next minute."""
    return 0 if second == 60 else int((digits or b"").ljust(9, b"0"))


def iso_time(text, zone=datetime.timezone.utc):
    """RFC 3339 section 5.6; without an offset a time of NFSv3 is of the zone, and others of UTC. None for other text."""
    match = RFC3339.fullmatch(text)
    if not match:
        return None
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    if hour > 23 or minute > 59 or second > 60:
        return None
    try:
        days = datetime.date(year, month, day).toordinal() - EPOCH
    except ValueError:
        return None
    offset = 0
    if match[8]:
        hours, minutes = int(match[9]), int(match[10])
        if hours > 23 or minutes > 59:
            return None
        offset = (hours * 60 + minutes) * 60 * (-1 if match[8] == b"-" else 1)
    seconds = days * 86400 + hour * 3600 + minute * 60 + second - offset
    if text[-1:] not in b"zZ" and not match[8] and 0 <= seconds < 2**32:
        # With fold 0 it is the earlier of two, and in a gap the offset is that from before.
        local = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
        seconds = int(local.replace(tzinfo=zone).timestamp())
    return seconds * SECOND + fraction(match[7], second) if abs(seconds) < MOST_SECONDS else None


def rfc3164_time(text, zone, latest):
    """RFC 3164 section 4.1.2, in the last year that puts it no later than `latest`."""
    match = RFC3164.fullmatch(text)
    if not match or match[1] not in MONTHS:
        return None
    month, day = MONTHS.index(match[1]) + 1, int(match[2])
    hour, minute, second = int(match[3]), int(match[4]), int(match[5])
    if hour > 23 or minute > 59 or second > 60:
        return None
    year = 1970 + latest // (365 * 24 * HOUR) + 1
    for year in range(year, year - 10, -1):
        try:
            local = datetime.datetime(year, month, day, hour, minute, tzinfo=zone)
        except ValueError:
            continue
        # With fold 0 it is the earlier of two, and in a gap the offset is that from before.
        time = (int(local.timestamp()) + second) * SECOND + fraction(match[6], second)
        if time <= latest:
            return time
    return None


@functools.lru_cache(100_000)
def format_time(time):
    days, rest = divmod(time, 24 * HOUR)
    seconds, nanoseconds = divmod(rest, SECOND)
    date = datetime.date.fromordinal(days + EPOCH).isoformat()
    return b"%sT%02d:%02d:%02d.%09dZ" % (date.encode(), seconds // 3600, seconds // 60 % 60, seconds % 60, nanoseconds)


# --- addresses and clusters ------------------------------------------------------------------------------------------


@functools.lru_cache(10_000)
def address(text):
    """A numeric address, an IPv4 one in the IPv4-mapped form; None for other text."""
    if b":" in text:
        text = text.partition(b"%")[0]  # a zone
    try:
        found = ipaddress.ip_address(text.decode("ascii"))
    except (ValueError, UnicodeDecodeError):
        return None
    value = int(found)
    return value | 0xFFFF << 32 if found.version == 4 else value


def network(text):
    """A function that tells whether an address is in a network. Those of IPv6 hold IPv4 by ::ffff:0:0/96."""
    found = ipaddress.ip_network(text)
    bits = found.max_prefixlen - found.prefixlen
    base = address(str(found.network_address).encode()) >> bits
    return lambda one: one is not None and one >> bits == base and (bits <= 32 or one >> 32 != 0xFFFF)


@functools.lru_cache(10_000)
def cluster_of(host):
    if address(host) is not None:
        return b""
    label = host.partition(b".")[0]
    return label.rpartition(b"-")[0] if b"-" in label else label


# --- body ------------------------------------------------------------------------------------------------------------

Record = collections.namedtuple("Record", "client user written_user protocol operation status file_id path target")

REPETITION = re.compile(re.escape(REPEATED) + rb"[0-9]+ times: \[(.*)\]", re.DOTALL)


def parse_body(body):
    is_repeated = body.startswith(REPEATED)
    body = strip_end(body)
    if is_repeated:
        repetition = REPETITION.fullmatch(body)
        if not repetition:
            raise Malformed("body")
        body = strip_end(repetition[1]).lstrip(b" ")
    if not body:
        raise Malformed("body")
    return parse_json(body) if body.startswith(b"{") else parse_csv(body)


def strip_end(body):
    while body.endswith(LEFT_BEHIND):
        body = body[:-4] if body.endswith((b"#015", b"#000")) else body[:-1]
    return body


# A quote is doubled; or, where only that gives eight fields, a backslash is before it.
DOUBLED = rb'"([^"]*+(?:""[^"]*+)*+)"'
ESCAPED = rb'"((?:[^"\\]|\\"|\\(?!"))*+)"'
BARE = rb'((?!")[^,]*)'
RECORD = rb",".join((BARE, rb"%s", BARE, BARE, BARE, BARE, rb"%s", rb"%s"))
CSV_DOUBLED = re.compile(RECORD % (DOUBLED, DOUBLED, DOUBLED), re.DOTALL)
CSV_ESCAPED = re.compile(RECORD % (ESCAPED, ESCAPED, ESCAPED), re.DOTALL)
DOUBLED_FIELD = re.compile(DOUBLED, re.DOTALL)
QUOTED_FIELDS = (1, 6, 7)


def parse_csv(body):
    for form, escape in ((CSV_DOUBLED, b'""'), (CSV_ESCAPED, b'\\"')):
        match = form.fullmatch(body)
        if match:
            client, user, protocol, operation, status, file_id, path, target = match.groups()
            return Record(client, user.replace(escape, b'"'), user, protocol, operation, status, file_id,
                          path.replace(escape, b'"'), target.replace(escape, b'"'))
    raise Malformed(csv_fault(body))


def csv_fault(body):
    """Why a body is no record: the first fault from the left, with doubled quotes."""
    at = 0
    for field in range(8):
        is_quoted = body[at:at + 1] == b'"'
        if is_quoted != (field in QUOTED_FIELDS):
            return "fields"
        match = DOUBLED_FIELD.match(body, at) if is_quoted else None
        if is_quoted and not match:
            return "quote"
        at = match.end() if match else body.find(b",", at)
        if at < 0 or at == len(body):
            return "fields"
        if body[at:at + 1] != b",":
            return "quote"
        at += 1
    return "fields"


# RFC 8259, but strings may hold any byte: control characters, what is no UTF-8, and backslashes that begin no escape.
MOST_DEPTH = 32
SPACE = re.compile(rb"[ \t\n\r]*")
STRING = re.compile(rb'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
SCALAR = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null")
PAIR = rb"u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
ESCAPE = re.compile(rb"\\(?:" + PAIR + rb"|u([0-9a-fA-F]{4})|(.))", re.DOTALL)
LETTERS = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b'"': b'"', b"\\": b"\\", b"/": b"/"}
# Where the fields of a record are.
MEMBERS = ((b"user_ip",), (b"user_id", b"name"), (b"protocol",), (b"operation",), (b"status",),
           (b"details", b"file_id"), (b"details", b"path"), (b"details", b"target"))


def decoded(text):
    return ESCAPE.sub(unescape, text) if b"\\" in text else text


def unescape(match):
    high, low, single, letter = match.groups()
    if high:
        return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00).encode()
    if single:
        code = int(single, 16)
        return match[0] if 0xD800 <= code < 0xE000 else chr(code).encode()
    return LETTERS.get(letter, match[0])


def parse_json(body):
    reader = JsonReader(body)
    at = reader.value(0, ())
    if SPACE.match(body, at).end() != len(body):
        raise Malformed("body")
    client, written_user, *others = (reader.strings.get(member, b"") for member in MEMBERS)
    record = Record(decoded(client), decoded(written_user), written_user, *map(decoded, others))
    if not record.operation or not record.status:
        raise Malformed("fields")
    return record


class JsonReader:
    """Checks a text, and keeps its strings by their keys; of two in the same place the last."""

    def __init__(self, text):
        self.text, self.strings = text, {}

    def value(self, at, keys):
        """Reads the value at `at`, and returns where it ends."""
        at = self.skip_space(at)
        begin = self.text[at:at + 1]
        if begin == b'"':
            self.strings[keys], at = self.string(at)
            return at
        if begin in (b"{", b"["):
            return self.container(at + 1, b"}" if begin == b"{" else b"]", keys)
        scalar = SCALAR.match(self.text, at)
        if not scalar:
            raise Malformed("body")
        return scalar.end()

    def skip_space(self, at):
        return SPACE.match(self.text, at).end()

    def string(self, at):
        match = STRING.match(self.text, at)
        if not match:
            raise Malformed("body")
        return match[1], match.end()

    def container(self, at, end, keys):
        if len(keys) >= MOST_DEPTH:
            raise Malformed("body")
        at = self.skip_space(at)
        if self.text[at:at + 1] == end:
            return at + 1
        while True:
            key = None  # in an array
            if end == b"}":
                key, at = self.string(self.skip_space(at))
                at = self.expect(b":", at)
            at = self.skip_space(self.value(at, (*keys, key if key is None else decoded(key))))
            if self.text[at:at + 1] == end:
                return at + 1
            at = self.expect(b",", at)

    def expect(self, mark, at):
        at = self.skip_space(at)
        if self.text[at:at + 1] != mark:
            raise Malformed("body")
        return at + 1


# --- policy ----------------------------------------------------------------------------------------------------------

CHANGES = {b"fs_rename": b"move", b"fs_delete": b"removal", b"fs_tree_delete": b"subtree"}
LIST = b"fs_list_directory"


class Policy:
    """The section [policy] of a configuration, and the paths of its exports; what is not given has its default."""

    def __init__(self, exports=(b"/",), clusters=(), operations=(b"fs_read_data", b"fs_write_data", LIST),
                 include_paths=(b"/",), exclude_paths=(), include_users=(), exclude_users=(), include_clients=(),
                 exclude_clients=(), include_protocols=(), exclude_protocols=(), own=(), future_limit=FUTURE_LIMIT):
        self.exports = exports
        self.clusters = {fold(name) for name in clusters}
        self.operations = operations
        self.paths = include_paths, exclude_paths
        self.users = [{fold(name) for name in names} for names in (include_users, exclude_users)]
        self.clients = [[network(text) for text in texts] for texts in (include_clients, exclude_clients)]
        self.protocols = [{fold(name) for name in names} for names in (include_protocols, exclude_protocols)]
        self.own = {address(text) for text in own}
        self.future_limit = future_limit

    def decide(self, header, record, now):
        """The words of a decision: the event, or why there is none."""
        change = CHANGES.get(record.operation)
        if not change and record.operation not in self.operations:
            return b"ignored", b"operation"
        if record.status != b"ok":
            return b"ignored", b"status"
        if self.clusters and fold(cluster_of(header.host)) not in self.clusters:
            return b"ignored", b"cluster"
        path = normal(record.path)
        target = normal(record.target) if change == b"move" else b""
        if path is None or target is None:
            return b"malformed", b"path"
        if target and path != b"/" and path != target and is_within(target, path):
            return b"malformed", b"path"  # nothing can be moved into itself
        reason = self.why_no_change(path, target, header.time, now) if change else \
            self.why_no_access(record, path, header.time, now)
        if reason:
            return b"ignored", reason
        time = format_time(header.time)
        if change != b"move":
            return change or b"access", time, path
        if not self.is_exported(target):
            return b"subtree", time, path
        return (b"move", time, path, target) if self.is_exported(path) else (b"subtree", time, target)

    def why_no_access(self, record, path, time, now):
        if b".snapshot" in path.split(b"/"):
            return b"snapshot"
        if not is_allowed(self.paths, lambda prefix: is_within(path, prefix)):
            return b"path"
        users = fold(record.user), fold(record.written_user)
        if not is_allowed(self.users, lambda name: name in users):
            return b"user"
        client = address(record.client)
        if not is_allowed(self.clients, lambda contains: contains(client)):
            return b"client"
        protocol = fold(record.protocol)
        if not is_allowed(self.protocols, lambda name: name == protocol):
            return b"protocol"
        if record.operation == LIST and client in self.own:
            return b"self"
        return self.why_no_time(time, now) or (None if self.is_exported(path) else b"export")

    def why_no_change(self, path, target, time, now):
        reason = self.why_no_time(time, now)
        if reason:
            return reason
        named = [one for one in (path, target) if one]
        if any(is_within(export, one) for one in named for export in (b"/", *self.exports)):
            return b"protected"
        return None if any(self.is_exported(one) for one in named) else b"export"

    def why_no_time(self, time, now):
        if not 0 <= time < 2**32 * SECOND:
            return b"range"
        return b"future" if self.future_limit and time > now + self.future_limit else None

    def is_exported(self, path):
        return any(is_within(path, export) for export in self.exports)


def is_allowed(lists, matches):
    included, excluded = lists
    return (not included or any(map(matches, included))) and not any(map(matches, excluded))


def normal(path):
    """Without the slash of a directory; None for a path that is not normal."""
    if path == b"/":
        return path
    path = path[:-1] if path.endswith(b"/") else path
    if not path.startswith(b"/") or b"\0" in path:
        return None
    for component in path[1:].split(b"/"):
        if not component or len(component) > MAX_COMPONENT or component in (b".", b".."):
            return None
    return path


def is_within(path, prefix):
    return path == prefix or prefix == b"/" or path.startswith(prefix + b"/")
