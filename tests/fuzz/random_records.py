# SPDX-License-Identifier: MIT
"""Makes audit records as clusters and relays might send them, with hard names, and damages them."""

import datetime
import pathlib
import re

PATHS = (b"/", b"/d", b"/d/f", b"/d/x/f", b"/data/file.txt", b"/data/my doc.txt", b"/a/b/", b"/d/", b"/exports/one")
COMPONENTS = (b"d", b"data", b"x", b"f", b"a b", b".snapshot", b".snapshots", b"..", b".", b"", b"...", b"n" * 255,
              b"n" * 256, b"a,b", b'a"b', b'"', b"\\", b"a\\", b'a\\"b', b'","', b"\t", b"\x1b[31m", b"#015", b"{",
              b"[x]", b"]", b"\xc3\xa4", b"\xe2\x82\xac", b"\xf0\x9f\x98\x80", b"\xff\xfe", b"\xc3", b"\xed\xa0\x80",
              b"\xef\xbb\xbf", b"\r", b"\x7f", b"\xc2\x85", b"\xe2\x80\xae", b"message repeated 2 times: [x]",
              b"qumulo", b"- - -", b"'", b"%s")
USERS = (b"1000", b"alice", b"AD\\alice", b"AD\\bob", b"ad\\ALICE", b"root", b"Root", b"system", b"S-1-5-21-1", b"",
         b"a,b", b"\xc3\x84", b'x"y', b"AD\\M\xc3\x9cLLER", b"ad\\m\xc3\xbcller", b"ad\\mu\xcc\x88LLER", b"AD\\u00e4", b"\xff")
CLIENTS = (*(b"192.0.2.1",) * 6, b"192.0.2.9", b"198.51.100.7", b"::1", b"10.1.2.3", b"2001:db8::7",
           b"::ffff:192.0.2.1", b"fe80::1%eth0", b"", b"10.0.0.300", b"010.1.2.3", b"::ffff:10.1.2.3", b"192.0.2.9 ",
           b"192.0.2.9\0", b"host", b"1.2.3", b"2001:DB8::7", b"1:2:3:4:5:6:7::", b"::1.2.3.4", b"192.0.2.9%1", b"::%",
           b"[::1]")
PROTOCOLS = (b"nfs3", b"smb2", b"api", b"API", b"internal", b"nfsv4.1", b"")
# The first half is usual, the second odd; likewise below.
OPERATIONS = ((b"fs_read_data", b"fs_read_data", b"fs_write_data", b"fs_list_directory", b"fs_rename", b"fs_rename",
              b"fs_delete", b"fs_tree_delete"), (b"fs_read_metadata", b"rest_login", b"", b"FS_READ_DATA"))
STATUSES = ((b"ok",), (b"OK", b"fs_no_such_entry_error", b"", b" ok"))
FILE_IDS = (b"7", b"6", b"140624751830626345080086044861", b"", b"x", b"9" * 400)
HOSTS = ((b"store-1", b"cs-fil-q-k144-1", b"Store-1", b"store-1.my-corp.example", b"192.0.2.11", b"q-1"),
         (b"2001:db8::1", b"localhost", b"-", b"-1", b"store-", b"STORE-12.x", b"s.t-1", b"my-machine",
         b"::ffff:192.0.2.1", b"1", b"fe80::1%eth0", b"h" * 70 + b"-1", b"\xc3\xa4-1", b"qumulo", b".",
         b"192.0.2.11.", b"store-1."))
TAGS = ((b"qumulo", b"qumulo:", b"qumulo[123]:", b"qumulo[-]:"), (b"qumulo[123]", b"qumulo[]:", b"qumulo[a]:",
        b"qumulo::", b"Qumulo", b"other", b"qumulo1", b"qumulo[1", b"qumulo[1][2]:", b"1", b"-"))
PROCESSES = ((b"-",), (b"123", b"-x", b"a b", b""))
DATA = ((b"-", b"-", b'[a@1 k="v"]', b'[a k="\\]\\"\\\\"][b]', b"[a]"), (b"[]", b'[a k="]"]', b"[a k=v]", b'[a k="v"',
        b"--", b'[a  k="v"]', b'[a k="v" l="w"] ', b'[a k="\xc3\xa4"]', b"[=]", b"[a][b]x", b'[a k="\\x"]', b"[ a]"))
ENDS = ((b"", ) * 8 + (b" ", b"  ", b"#015", b"#000", b"\r", b"\0", b"\n", b"\r\n"), (b" #015", b"#015 ", b"#015#015",
        b"#012", b"\t", b"#000\r", b"\r\0", b" \r", b"x", b",", b"\r\r", b"\n\n", b" \r\n"))
BLANKS = ((b" ",), (b"  ", b"", b"\t", b"   "))
FRACTIONS = ((b"", b"", b".5", b".9558", b".00333", b".123456", b".1234567", b".12345678", b".123456789",
             b".000000001"), (b".1234567890", b".", b",5", b".-5", b".5.5"))
OFFSETS = ((b"Z", b"Z", b"", b"+00:00", b"-00:00", b"+01:00", b"-05:30", b"+23:59", b"-23:00", b"+14:00", b"+01:59"),
           (b"+24:00", b"+01:60", b"z", b"+1:00", b"+0100", b"Z ", b"-24:00", b"-00:60", b"+01:0", b"+01",
           b"+01:00Z"))
PRIORITIES = ((b"<14>", b"<13>", b"<0>", b"<191>"), (b"<192>", b"<999>", b"<>", b"<1000>", b"<014>", b"<-1>", b"<14",
              b"14>", b"<1>"))
VERSIONS = ((b"1",), (b"2", b"0", b"01", b"", b"1 1"))
YEARS = (b"1969", b"1970", b"2106", b"2107", b"1677", b"1678", b"2261", b"2262", b"0000", b"9999", b"2024", b"2000",
         b"1900")
NUMBERS = (b"00", b"01", b"12", b"13", b"23", b"24", b"28", b"29", b"30", b"31", b"32", b"59", b"60", b"61", b"99")
MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
ODD_BYTES = b'\0\r\n\t "\\,<>[]{}:#-/.0129aZ\x7f\x80\xc3\xff\xef'
ESCAPES = (b"\\/", b"\\n", b"\\t", b"\\b", b"\\f", b"\\r", b"\\u", b"\\u12", b"\\ud800", b"\\udc00", b"\\udc00\\ud800",
           b"\\ud800\\u0041", b"\\a", b"\\'", b"\\U0041", b"\\u0000", b"\t", b"\\ud83d\\ude00", b"\\uDBFF\\uDFFF",
           b"\\\xc3\xa4", b"\\0", b"\\ud83d\\\\", b"\\\\", b"\\ud83d\\ud83d\\ude00", b"\\u00e4", b"\\uffff",
           b"\\ud83d\\n")
VALUES = (b"1", b"-0", b"0.5", b"1e5", b"1E+400", b"9" * 60, b"true", b"false", b"null", b"[]", b"{}",
          b'[1,{"a":[]}]', b"01", b"1.", b".5", b"+1", b"-", b"1e", b"nul", b'"x"', b"[1,]", b'{"a":1,}', b"[1 2]",
          b'{"operation":"fs_delete"}', b"'x'", b"NaN", b"[" * 30 + b"]" * 30, b"[" * 31 + b"]" * 31,
          b"[" * 32 + b"]" * 32, b'{"path":"/other"}', b'"\\ud83d"', b"-1.5e-7", b"0x1", b"\xff")
DAY = 86400
WORDS = pathlib.Path(__file__).with_name("words.dict")


def dictionary():
    """The words of libFuzzer's dictionary."""
    for line in WORDS.read_text().splitlines():
        if line.startswith('"'):
            escaped = line[1:-1].encode("latin-1")
            yield re.sub(rb"\\(x..|.)", lambda m: bytes([int(m[1][1:], 16)]) if m[1][:1] == b"x" else m[1], escaped)


class Maker:
    """Makes messages by a source of random numbers. `now` is in seconds; traditional times are of `zone`."""

    def __init__(self, random, now, zone):
        self.random, self.now, self.zone, self.oddness = random, now, zone, 0
        self.words = tuple(dictionary())
        self.last = b"<14>"

    def one_in(self, number):
        return self.random.random() * number < 1

    def any_of(self, words):
        return words[int(self.random.random() * len(words))]

    def below(self, number):
        return int(self.random.random() * number)

    def pick(self, words):
        """One of the usual words or, as rarely as this message has them, of the odd ones."""
        usual, odd = words
        return self.any_of(odd if self.oddness and self.random.random() < self.oddness else usual)

    def odd_in(self, number):
        """Whether something odd is due, in a message that has such things."""
        return self.oddness and self.one_in(number)

    def message(self):
        """A message: some are usual but for their values, some have an odd part or several, some are damaged."""
        self.oddness = self.any_of((0, 0, 0, 0.03, 0.1, 0.3))
        made = self.any_of(self.HEADERS)(self, self.full_body())
        message = self.damaged(made) if self.one_in(4) else made
        self.last = made
        return message

    # --- headers

    def priority(self):
        return self.pick(PRIORITIES) + (b" " if self.one_in(8) else b"") + (b"  " if self.odd_in(20) else b"")

    def maybe_priority(self):
        return self.priority() if self.one_in(2) else b""

    def rfc5424(self, body):
        return self.priority() + self.pick(VERSIONS) + b" " + self.versioned(body)

    def versioned(self, body):
        """What is behind a version: in a third of all cases, the header of a relay is in front."""
        if not self.one_in(3):
            return self.structured(body)
        tag, inner = self.any_of(((b"1", self.versioned), (b"-", self.whole)))
        tag = self.pick(TAGS) if self.odd_in(5) else tag
        words = [self.iso_time(), self.pick(HOSTS), tag, b"-", b"-", self.pick(DATA)]
        return self.joined_by_blanks(words) + inner(body)

    def whole(self, body):
        """A message with its priority."""
        message = self.any_of((self.rfc5424, self.iso, self.traditional, self.wrapped))(body)
        return message if message.startswith(b"<") or self.odd_in(5) else b"<13>" + message

    def structured(self, body):
        words = [self.iso_time(), self.pick(HOSTS), self.pick(TAGS), self.pick(PROCESSES), self.pick(PROCESSES),
                 self.pick(DATA)]
        if self.odd_in(10):
            del words[self.below(len(words))]
        return self.joined_by_blanks(words) + (b"\xef\xbb\xbf" if self.one_in(10) else b"") + body

    def iso(self, body):
        words = [self.iso_time(), self.pick(HOSTS), self.pick(TAGS)]
        if self.one_in(3):
            words.append(self.pick(((b"- - -",), (b"- -", b"-", b"- - -x", b"1 2 -", b"- - - -"))))
        return self.maybe_priority() + self.joined_by_blanks(words) + body

    def traditional(self, body):
        words = [self.traditional_time(), self.pick(HOSTS), self.pick(TAGS)]
        return self.maybe_priority() + self.joined_by_blanks(words) + (b"- - - " if self.odd_in(5) else b"") + body

    def comma_joined(self, body):
        words = [self.traditional_time() if self.odd_in(10) else self.iso_time()]
        if self.one_in(2):
            words.append(self.pick(HOSTS))
        if self.one_in(3):
            body = self.pick(TAGS) + self.pick(((b"  ", b" "), (b"   ", b"", b" - - - "))) + body
        words.append(self.pick(((b"",), (b" ", b"  "))) + body)
        return (self.priority() if self.odd_in(5) else b"") + b",".join(words)

    def wrapped(self, body):
        words = [self.traditional_time() if self.one_in(2) else self.iso_time(), self.pick(HOSTS)]
        if self.odd_in(5):
            words.append(self.pick(TAGS))
        inner = self.whole(body) if self.one_in(2) else b"1 " + self.versioned(body)
        return self.maybe_priority() + self.joined_by_blanks(words) + inner

    HEADERS = (rfc5424, rfc5424, rfc5424, iso, traditional, traditional, comma_joined, wrapped)

    def joined_by_blanks(self, words):
        if not self.odd_in(3):
            return b" ".join(words) + b" "
        return b"".join(word + self.pick(BLANKS) for word in words)

    # --- times

    def seconds(self):
        """Mostly of the last weeks and the next hours, often where a limit might be."""
        kind = self.below(8)
        if kind == 0:
            return self.now + self.any_of((DAY, 3600, 300, 60, 0, -DAY)) + self.below(5) - 2
        if kind == 1:
            return self.below(2**32 + 10**7) - 10**6
        return self.now - self.below(400 * DAY) if kind == 2 else self.now + self.below(3600) - 1800

    def iso_time(self):
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=self.seconds())
        text = moment.isoformat(timespec="seconds").encode()
        if self.odd_in(8):
            text = self.any_of(YEARS) + text[4:]
        if self.odd_in(8):
            at = self.any_of((5, 8, 11, 14, 17))
            text = text[:at] + self.any_of(NUMBERS) + text[at + 2:]
        if self.odd_in(30):
            text = b"-" if self.one_in(2) else text.replace(b"T", self.any_of((b" ", b"t", b"")))
        return text + self.pick(FRACTIONS) + self.pick(OFFSETS)

    def traditional_time(self):
        moment = datetime.datetime.fromtimestamp(self.seconds() + self.any_of((0, 0, 0, 3600, -3600)), self.zone)
        month, day = MONTHS[moment.month - 1], moment.day
        if self.odd_in(5):
            month, day = self.any_of(MONTHS + (b"jan", b"JAN", b"Xxx")), self.below(34)
        pad = self.pick(((b"%2d", b"%d", b"%02d"), (b"%3d", b"%03d")))
        time = moment.strftime("%H:%M:%S").encode()
        if self.odd_in(8):
            at = self.any_of((0, 3, 6))
            time = time[:at] + self.any_of(NUMBERS) + time[at + 2:]
        fraction = self.pick(FRACTIONS) if self.one_in(5) else b""
        return month + b" " + pad % day + b" " + time + fraction + (self.pick(OFFSETS) if self.odd_in(20) else b"")

    # --- bodies

    def full_body(self):
        body = self.json() if self.one_in(2) else self.csv()
        if self.one_in(6):
            count = self.pick(((b"2", b"100"), (b"0", b"", b"x", b"9" * 30, b"-1", b"2 ")))
            start = self.any_of((b"", b" ")) + b"message repeated " + count + b" times: ["
            start += self.pick(((b"",), (b" ", b"  ", b"[")))
            end = b"" if self.odd_in(5) else b"]"
            body = start + (body[:self.below(len(body))] if self.odd_in(5) else body + self.pick(ENDS)) + end
        return body + self.pick(ENDS)

    def path(self):
        if not self.one_in(3):
            return self.any_of(PATHS)
        parts = [self.any_of(COMPONENTS) if self.one_in(2) else self.any_of((b"d", b"data", b"a", b"f"))
                 for _ in range(1 + self.below(4))]
        return (b"" if self.one_in(30) else b"/") + b"/".join(parts) + (b"/" if self.one_in(5) else b"")

    def values(self):
        operation = self.pick(OPERATIONS)
        target = self.path() if operation == b"fs_rename" or self.one_in(20) else b""
        path = self.path() if not self.one_in(30) else b""
        client = self.any_of(CLIENTS) if self.one_in(3) else b"192.0.2.9"
        return [client, self.any_of(USERS), self.any_of(PROTOCOLS), operation, self.pick(STATUSES),
                self.any_of(FILE_IDS), path, target]

    def csv(self):
        fields = self.values()
        kind = self.below(10)
        for at in (1, 6, 7):
            if kind < 6:
                fields[at] = fields[at].replace(b'"', b'""')
            elif kind < 9:
                fields[at] = fields[at].replace(b'"', b'\\"')
            fields[at] = b'"' + fields[at] + b'"'
        if self.odd_in(5):
            at = self.below(8)
            fields[at:at + 1] = self.any_of(([], [b"", b""], [b'""'], [b""], [b'"x" '], [b' "x"'], [b'"'],
                                             [fields[at], b"1"]))
        return b",".join(fields)

    def json(self):
        client, user, protocol, operation, status, file_id, path, target = map(self.json_string, self.values())
        user_id = [(b'"name"', user), (b'"auth_id"', b'"500"'), (b'"sid"', b'"S-1-5"')]
        details = [(b'"path"', path), (b'"file_id"', file_id), (b'"target"', target)]
        if target == b'""' and self.one_in(2):
            details.pop()
        members = [(b'"user_id"', self.json_object(user_id)), (b'"user_ip"', client), (b'"protocol"', protocol),
                   (b'"operation"', operation), (b'"status"', status), (b'"details"', self.json_object(details))]
        return self.json_object(members)

    def json_object(self, members):
        if self.one_in(3):
            self.random.shuffle(members)
        if self.odd_in(3):
            name = self.any_of((*(name for name, _ in members), b'"x"', b'"Path"', b'"\\u0061"', b"x"))
            members.insert(self.below(len(members) + 1), (name, self.any_of(VALUES)))
        if self.odd_in(6):
            at = self.below(len(members))
            name = members[at][0]
            members[at] = (name if self.one_in(2) else self.json_string(name[1:-1]), self.any_of(VALUES))
        if self.odd_in(10):
            members.pop(self.below(len(members)))
        blank = b"" if self.one_in(2) else self.any_of((b" ", b" ", b" ", b"\t", b"\n", b"\r", b"  "))
        return b"{" + blank + (b"," + blank).join(name + b":" + blank + value for name, value in members) + b"}"

    def json_string(self, text):
        """With escapes where they are needed, most times; some where they need not be; some that are none."""
        if text.isalnum() and not self.one_in(20):
            return b'"' + text + b'"'
        kind = self.below(8)
        if kind < 3:
            text = re.sub(rb'["\\\0-\x1f]', lambda m: b"\\" + m[0] if m[0] in b'"\\' else b"\\u%04x" % m[0][0], text)
        elif kind < 5:
            text = text.replace(b'"', b'\\"')  # as the vendor's samples, with backslashes as they are
        elif kind < 7:
            units = text.decode("utf-8", "replace").encode("utf-16-be")
            form = self.any_of((b"\\u%04x", b"\\u%04X"))
            text = b"".join(form % (units[i] << 8 | units[i + 1]) for i in range(0, len(units), 2))
        if self.odd_in(6):
            at = self.below(len(text) + 1)
            text = text[:at] + self.any_of(ESCAPES) + text[at:]
        return b'"' + text + b'"'

    # --- damage

    def damaged(self, text):
        for _ in range(self.any_of((1, 1, 1, 2, 3))):
            at = self.below(len(text) + 1)
            end = at + self.below(self.any_of((2, 4, 20)))
            text = self.any_of(self.DAMAGES)(self, text, at, end)
        return text

    def flip(self, text, at, _):
        return text[:at] + bytes([text[at] ^ 1 << self.below(8)]) + text[at + 1:] if at < len(text) else text

    def replace(self, text, at, _):
        return text[:at] + bytes([self.any_of(ODD_BYTES)]) + text[at + 1:]

    def insert(self, text, at, _):
        return text[:at] + bytes([self.any_of(ODD_BYTES)]) + text[at:]

    def insert_word(self, text, at, _):
        return text[:at] + self.any_of(self.words) + text[at:]

    def delete(self, text, at, end):
        return text[:at] + text[end:]

    def duplicate(self, text, at, end):
        return text[:end] + text[at:]

    def swap(self, text, at, end):
        middle = at + (end - at) // 2
        return text[:at] + text[middle:end] + text[at:middle] + text[end:]

    def truncate(self, text, at, _):
        return text[:at] if self.one_in(2) else text[at:]

    def splice(self, text, at, _):
        return text[:at] + self.last[self.below(len(self.last)):]

    DAMAGES = (flip, replace, insert, insert_word, delete, delete, duplicate, swap, truncate, splice)

    # --- streams

    def stream(self, max_message):
        """The pieces in which a stream of some messages comes."""
        parts = [self.proxy_header()] if self.one_in(4) else []
        if self.one_in(10):
            parts.append(b"\xef\xbb\xbf")
        for _ in range(1 + self.below(5)):
            parts.append(self.framed(self.short_message(max_message)))
        stream = b"".join(parts)
        if self.one_in(3):
            stream = self.damaged(stream)
        if self.one_in(3):
            stream = stream.rstrip(b"\n\0")
        most = self.any_of((1, 7, 100, 2 * len(stream) + 1) if len(stream) < 10_000 else (5000, 40_000, 70_000))
        pieces = []
        at = 0
        while at < len(stream):
            size = 1 + self.below(most)
            pieces.append(stream[at:at + size])
            at += size
        return pieces

    def proxy_header(self):
        """Of either version, and not always right: only its length matters."""
        if self.one_in(2):
            return b"PROXY " + self.any_of((b"TCP4 192.0.2.1 192.0.2.2 5 6", b"UNKNOWN", b"x" * self.below(120))) + b"\r\n"
        size = self.any_of((0, 12, 36, self.below(300), 16368, 16369))
        versions = b"\x21\x20\x31" if self.one_in(8) else b"\x21"
        return b"\r\n\r\n\0\r\nQUIT\n%c\x11%s%s" % (self.any_of(versions), size.to_bytes(2, "big"), b"\n" * size)

    def short_message(self, max_message):
        message = self.message()
        if self.one_in(3):
            return message[:self.below(40)]
        length = max_message + self.below(5) - 2
        return message.ljust(length, b"x")[:length] if self.one_in(4) else message

    def framed(self, message):
        kind = self.below(8)
        if kind < 2:
            return message + b"\n"
        if kind == 2:
            return message + b"\0"
        if kind == 3:
            return message + self.any_of((b"\r\n", b"\n\n", b"\r\0", b"\n\0", b"\r\r\n", b"\0\n"))
        if kind == 4:
            message += self.any_of((b"\n", b"\r\n", b"\0", b"\n\n", b"\r"))
        count = len(message) + (self.any_of((-20, -2, -1, 1, 2, 20, 5000, 10**6, 10**7)) if self.one_in(8) else 0)
        end = self.any_of((b"\n", b" ", b"x", b"\r\n")) if self.one_in(8) else b""
        return b"%d %s" % (max(count, 0), message) + end
