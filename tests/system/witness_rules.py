# SPDX-License-Identifier: MIT
"""The promises that qatime makes to a server, and a judge that hears every call and reply.

The judge knows a file by its handle. It is told of four things: a call that the client has sent, a call that the server
is about to get, a reply that the server has sent, a reply that the client is about to get. The faults of the network
lie between them.

A call has ended for the client when its reply is there, or its connection is closed, or its timeout has passed. Nobody
here knows when exactly that passes, so after half of it a call counts as "doubtful": the client may have forgotten it
or not. Nothing is a violation that would be right in one of the two cases.
"""

import collections
import datetime

from nfs_messages import INVAL, NAMES, NOT_SYNC, NOTSUPP, NULL, OK, READDIRPLUS, SECOND, SETATTR

NOT_SYNCS = 3  # in a row, before a SETATTR without a guard
# Seconds for which qatime may remember a report and a name: two, and as long as the SETATTR waits for a connection.
REMEMBERED = 15
SHOWN = 20  # violations; the others are only counted
HISTORY = 12  # events of a file that a violation shows

WAITING, DOUBTFUL, ENDED = "waiting", "doubtful", "ended"


def text_of(time):
    """A time of a file, for people."""
    if time is None:
        return "none"
    moment = datetime.datetime.fromtimestamp(time // SECOND, datetime.timezone.utc)
    return f"{moment:%H:%M:%S}.{time % SECOND:09d}"


class Asked:
    """A call, and how far it has come."""

    __slots__ = ("call", "connection", "when", "state", "floor", "may_go_back", "is_proof")

    def __init__(self, call, connection, when):
        self.call, self.connection, self.when = call, connection, when
        self.state = WAITING
        self.floor = 0  # the newest atime that the server had reported before it got this
        self.may_go_back = False
        self.is_proof = False  # that the server compares all of a guard

    def __str__(self):
        call = self.call
        words = f"{NAMES.get(call.procedure, call.procedure)} xid {call.xid:#010x} connection {self.connection}"
        if call.procedure == SETATTR:
            words += f" atime {text_of(call.atime)} guard {text_of(call.guard)}"
        return words


class File:
    """The knowledge of a handle."""

    __slots__ = ("reports", "superseded", "setting", "not_syncs", "refused", "names", "is_directory", "newest",
                 "before_listing", "history")

    def __init__(self):
        # {ctime: (lowest atime reported with it, when)} by replies since the client's last SETATTR was answered, and by
        # those before.
        self.reports, self.superseded = {}, {}
        self.setting = None  # the SETATTR on its way
        self.not_syncs = collections.Counter()  # by atime
        self.refused = set()  # atimes of guarded SETATTRs that met INVAL or NOTSUPP
        self.names = {}  # {(directory, name) that led to it: when}
        self.is_directory = False
        self.newest = 0  # atime that the server reported
        self.before_listing = set()  # atimes reported before a READDIRPLUS of it
        self.history = collections.deque(maxlen=HISTORY)  # (when, event, asked)


class Judge:
    """`when` is seconds of any clock. A connection is anything that compares and prints.

    `is_closed` tells of a connection whether the client has closed it, although not all from it was heard yet.
    """

    def __init__(self, max_in_flight, timeout, is_closed=lambda connection: False):
        self.max_in_flight, self.timeout, self.is_closed = max_in_flight, timeout, is_closed
        self.files = collections.defaultdict(File)
        self.waiting = collections.OrderedDict()  # Asked, in the order of their coming
        self.most_in_flight = 0
        self.calls = collections.Counter()  # by procedure
        self.acknowledged = 0  # SETATTRs that the server has done
        self.unguarded = 0
        self.refused_guards = 0  # NOT_SYNC
        self.proofs = 0
        self.superseded = 0  # guards that were not the last word on the file
        self.violations = []
        self.violation_count = 0

    # The steps of a call, in this order.

    def called(self, call, connection, when):
        """The client has sent it. Returns what the other functions want."""
        asked = Asked(call, connection, when)
        self.calls[call.procedure] += 1
        self._expire(when)
        if call.procedure == NULL:  # the greeting of a connection that takes no other calls yet
            asked.state = ENDED
            return asked
        self.waiting[asked] = None
        if len(self.waiting) > self.max_in_flight:
            self._forget_closed()
        if len(self.waiting) > self.max_in_flight:
            self._violation(f"{len(self.waiting)} calls are in flight, not {self.max_in_flight} at most", asked, when)
        self.most_in_flight = max(self.most_in_flight, len(self.waiting))
        if call.procedure == READDIRPLUS:
            file = self.files[call.handle]
            file.before_listing.update(atime for atime, _ in file.reports.values())
        if call.procedure == SETATTR:
            self._check_setattr(asked, when)
        return asked

    def forwarded(self, asked, when):
        """The server is about to get it."""
        if asked.call.procedure == SETATTR:
            file = self.files[asked.call.handle]
            asked.floor = file.newest
            file.history.append((when, "the server gets", asked))

    def answered(self, asked, reply, when):
        """The server has answered, whoever may get it."""
        call = asked.call
        if call.procedure == SETATTR:
            file = self.files[call.handle]
            file.history.append((when, f"the server answers {reply.status} to", asked))
            if reply.status == OK:
                self.acknowledged += 1
                self._check_outcome(asked, file, when)
                if not reply.attributes:
                    file.newest = max(file.newest, call.atime or 0)
        for handle, attributes in reply.attributes:
            file = self.files[handle]
            file.is_directory = attributes.is_directory
            file.newest = max(file.newest, attributes.atime)

    def delivered(self, asked, reply, when):
        """The client is about to get the reply."""
        state = asked.state
        if state == ENDED:  # a duplicate
            return
        self._end(asked, ENDED)
        call = asked.call
        if call.procedure == SETATTR and state == WAITING and not self._is_proven(asked, reply):
            self._supersede(self.files[call.handle], when)
        for handle, (_, atime, ctime) in reply.attributes:
            reports = self.files[handle].reports
            reports[ctime] = min(atime, reports[ctime][0]) if ctime in reports else atime, when
        for directory, name, handle in reply.found:
            self.files[handle].names[directory, name] = when
        if call.procedure == SETATTR:
            self._take_result(asked, reply, when)

    def lost(self, connection):
        """The connection is closed: the client gets no more replies to what it had sent there."""
        for asked in [each for each in self.waiting if each.connection == connection]:
            self._end(asked, ENDED)

    # The promises.

    def _check_setattr(self, asked, when):
        call, file = asked.call, self.files[asked.call.handle]
        if call.atime is None:
            self._violation("sets no atime of the client", asked, when)
        if call.sets_more:
            self._violation(f"sets more than atime: {', '.join(call.sets_more)}", asked, when)
        if file.setting:
            self._forget_closed()
        if asked.state == ENDED:  # its connection is closed, it comes too late
            return
        if file.setting:
            self._violation(f"is beside another of this file: {file.setting}", asked, when)
        file.setting = asked
        file.history.append((when, "the client sends", asked))
        if call.atime is None:
            return
        if call.guard is None:
            self._check_unguarded(asked, file, when)
        else:
            self._check_guard(asked, file, when)

    def _check_unguarded(self, asked, file, when):
        self.unguarded += 1
        asked.may_go_back = True  # a request that the server delays may undo a newer time: the documents say so
        atime = asked.call.atime
        if file.not_syncs.pop(atime, 0) < NOT_SYNCS and atime not in file.refused:
            self._violation("has no guard", asked, when)
        file.refused.discard(atime)
        self._check_direction(asked, min(file.reports.values(), default=(0, 0))[0], when)

    def _check_guard(self, asked, file, when):
        asked.may_go_back = self.is_put_back(asked.call, file)
        basis = self._basis(asked.call.guard, file, when)
        if basis is None and self.is_proof(asked.call, file):
            asked.is_proof = True
            self.proofs += 1
        elif basis is None:
            known = ", ".join(map(text_of, file.reports)) or "no ctime"
            self._violation(f"has a guard that is not fresh: {known} was reported last", asked, when)
        elif not asked.may_go_back:
            self._check_direction(asked, basis, when)

    def _basis(self, guard, file, when):
        """The atime that was reported with this ctime, None if the client should know better.

        A file with two names is found by the one while a time is set by the other, and what was found then may be read
        later, from another connection, or be remembered. The server refuses such a guard.
        """
        if guard in file.reports:
            return file.reports[guard][0]
        has_names = sum(at >= when - REMEMBERED for at in file.names.values()) > 1
        atime, at = file.superseded.get(guard, (None, 0))
        if not has_names or at < when - REMEMBERED:
            return None
        self.superseded += 1
        return atime

    def _check_direction(self, asked, basis, when):
        """By intention: `basis` is what the client saw."""
        if asked.call.atime < basis:
            self._violation(f"sets an older atime than {text_of(basis)}, which was reported", asked, when)

    def _check_outcome(self, asked, file, when):
        """By what came of it at the server."""
        atime = asked.call.atime
        if atime is None:
            return
        if asked.may_go_back:
            file.newest = min(file.newest, atime)
        elif atime < asked.floor:
            self._violation(f"has undone {text_of(asked.floor)}, which the server had reported before", asked, when)

    @staticmethod
    def is_put_back(call, file):
        """A directory may get back the atime that it had before our own listing moved it."""
        return file.is_directory and call.guard is not None and call.atime in file.before_listing

    @staticmethod
    def is_proof(call, file):
        """It sets the atime that there is, with a ctime that is a nanosecond beside the one reported."""
        reports = {**file.superseded, **file.reports}
        return any(abs(call.guard - ctime) == 1 and call.atime == atime for ctime, (atime, _) in reports.items())

    # The consequences of a reply or its absence.

    @staticmethod
    def _is_proven(asked, reply):
        """Then the next SETATTR comes without another look."""
        return asked.is_proof and reply.status == NOT_SYNC

    def _take_result(self, asked, reply, when):
        call, file = asked.call, self.files[asked.call.handle]
        file.history.append((when, f"the client gets {reply.status} for", asked))
        if self._is_proven(asked, reply):
            return
        if reply.status == NOT_SYNC and call.guard is not None:
            file.not_syncs[call.atime] += 1
            self.refused_guards += 1
            return
        file.not_syncs.pop(call.atime, None)
        if reply.status in (INVAL, NOTSUPP) and call.guard is not None:
            file.refused.add(call.atime)
        if reply.status == OK:
            file.before_listing.clear()

    @staticmethod
    def _supersede(file, when):
        file.superseded.update(file.reports)
        file.superseded = {ctime: report for ctime, report in file.superseded.items() if report[1] >= when - REMEMBERED}
        file.reports.clear()

    def _expire(self, when):
        while self.waiting:
            first = next(iter(self.waiting))
            if first.when + self.timeout / 2 > when:
                return
            self._end(first, DOUBTFUL)

    def _forget_closed(self):
        for connection in {each.connection for each in self.waiting}:
            if self.is_closed(connection):
                self.lost(connection)

    def _end(self, asked, state):
        asked.state = state
        self.waiting.pop(asked, None)
        if asked.call.procedure == SETATTR:
            file = self.files[asked.call.handle]
            if file.setting is asked:
                file.setting = None

    def _violation(self, what, asked, when):
        self.violation_count += 1
        if len(self.violations) >= SHOWN:
            return
        file = self.files[asked.call.handle]
        lines = [f"at {when:.6f} {asked} {what}; handle {asked.call.handle.hex()}"]
        lines += [f"    {at:.6f} {event} {other}" for at, event, other in file.history]
        self.violations.append("\n".join(lines))
