# SPDX-License-Identifier: MIT
"""The witness would see each broken promise, and sees none where there is none."""

import struct
import unittest

from nfs_messages import (DIRECTORY, GETATTR, INVAL, LOOKUP, NFS, NOT_SYNC, NOTSUPP, NULL, OK, READDIRPLUS, SECOND,
                          SETATTR, read_call, read_reply)
from witness_rules import NOT_SYNCS, REMEMBERED, SHOWN, Judge

TIMEOUT = 2
A_FILE, ANOTHER, A_DIRECTORY = b"a file", b"another", b"a directory"


def opaque(data):
    return struct.pack(">I", len(data)) + data + bytes(-len(data) % 4)


def time(nanoseconds):
    return struct.pack(">II", *divmod(nanoseconds, SECOND))


def call(procedure, arguments, xid=7, program=NFS):
    user = struct.pack(">I", 0) + opaque(b"host") + struct.pack(">3I", 0, 0, 0)
    head = struct.pack(">6I", xid, 0, 2, program, 3, procedure)
    return read_call(head + struct.pack(">I", 1) + opaque(user) + struct.pack(">II", 0, 0) + arguments)


def setattr_call(atime, guard, handle=A_FILE, more=bytes(16), mtime=bytes(4)):
    how = bytes(4) if atime is None else struct.pack(">I", 2) + time(atime)
    return call(SETATTR, opaque(handle) + more + how + mtime + optional(b"" if guard is None else time(guard)))


def lookup_call(name=b"name", directory=A_DIRECTORY):
    return call(LOOKUP, opaque(directory) + opaque(name))


def listing_call(directory=A_DIRECTORY):
    return call(READDIRPLUS, opaque(directory) + bytes(24))


def attributes(atime, ctime, kind=1):
    return struct.pack(">I56x", kind) + time(atime) + bytes(8) + time(ctime)


def optional(data):
    return b"\0\0\0\1" + data if data else bytes(4)


def reply(asked, status, results=b""):
    return read_reply(struct.pack(">7I", 7, 1, 0, 0, 0, 0, status) + results, asked.call)


class Rules(unittest.TestCase):
    def setUp(self):
        self.closed = set()
        self.judge = Judge(4, TIMEOUT, self.closed.__contains__)
        self.clock = 0

    def send(self, what, connection=1):
        self.clock += 0.001
        asked = self.judge.called(what, connection, self.clock)
        self.judge.forwarded(asked, self.clock)
        return asked

    def answer(self, asked, status=OK, results=b""):
        """By the server alone."""
        said = reply(asked, status, results)
        self.judge.answered(asked, said, self.clock)
        return asked, said

    def deliver(self, asked, said):
        self.clock += 0.001
        self.judge.delivered(asked, said, self.clock)

    def found(self, atime, ctime, handle=A_FILE):
        return opaque(handle) + optional(attributes(atime, ctime)) + bytes(4)

    def look(self, atime, ctime, handle=A_FILE, name=b"name"):
        self.deliver(*self.answer(self.send(lookup_call(name)), OK, self.found(atime, ctime, handle)))

    def set(self, atime, guard, status=OK, ctime=None, **options):
        after = attributes(atime, ctime) if ctime else b""
        self.deliver(*self.answer(self.send(setattr_call(atime, guard, **options)), status, bytes(4) + optional(after)))

    def expect(self, *patterns):
        """One violation for each."""
        self.assertEqual(len(self.judge.violations), len(patterns), self.judge.violations)
        for violation, pattern in zip(self.judge.violations, patterns):
            self.assertRegex(violation, pattern)

    # The form.

    def test_a_look_and_a_guarded_setattr_are_right(self):
        self.look(10, 100)
        self.set(20, 100, ctime=101)
        self.set(30, 101, ctime=102)
        self.expect()
        self.assertEqual(self.judge.acknowledged, 2)

    def test_a_setattr_of_anything_beside_atime(self):
        flag, when = b"\0\0\0\1", b"\0\0\0\2" + time(5)
        for name, more, mtime in (("mode", flag + bytes(16), bytes(4)), ("uid", bytes(4) + flag + bytes(12), bytes(4)),
                                  ("gid", bytes(8) + flag + bytes(8), bytes(4)),
                                  ("size", bytes(12) + flag + bytes(8), bytes(4)), ("mtime", bytes(16), when),
                                  ("mtime of the server", bytes(16), flag)):
            with self.subTest(name):
                self.setUp()
                self.look(10, 100)
                self.set(20, 100, more=more, mtime=mtime)
                self.expect(f"sets more than atime: {name};")

    def test_a_setattr_of_no_atime_or_of_the_servers(self):
        self.look(10, 100)
        self.set(None, 100)
        self.expect("sets no atime of the client")
        arguments = opaque(A_FILE) + bytes(16) + b"\0\0\0\1" + bytes(4) + b"\0\0\0\1" + time(100)
        self.send(call(SETATTR, arguments))
        none = "sets no atime of the client"
        self.expect(none, none, "sets more than atime: atime of the server")

    def test_a_call_that_is_cut_short_or_too_long_cannot_be_read(self):
        with self.assertRaises(struct.error):
            call(LOOKUP, opaque(A_DIRECTORY) + struct.pack(">I", 5) + b"name")
        with self.assertRaises(struct.error):
            call(SETATTR, opaque(A_FILE) + bytes(30))

    # The guard.

    def test_no_guard(self):
        self.look(10, 100)
        self.set(20, None)
        self.expect("has no guard")

    def test_no_guard_after_too_few_not_syncs(self):
        for count in range(NOT_SYNCS - 1):
            self.look(10, 100 + count)
            self.set(20, 100 + count, NOT_SYNC)
        self.look(10, 110)
        self.set(20, None)
        self.expect("has no guard")

    def test_no_guard_after_three_not_syncs_in_a_row_once(self):
        for count in range(NOT_SYNCS):
            self.look(10, 100 + count)
            self.set(20, 100 + count, NOT_SYNC)
        self.look(10, 110)
        self.set(20, None, ctime=111)
        self.expect()
        self.set(20, None)
        self.expect("has no guard")

    def test_not_syncs_of_another_time_or_file_or_before_a_success_count_for_nothing(self):
        for handle, atime, status in ((A_FILE, 20, NOT_SYNC), (A_FILE, 20, NOT_SYNC), (A_FILE, 20, OK),
                                      (A_FILE, 20, NOT_SYNC), (A_FILE, 25, NOT_SYNC), (ANOTHER, 20, NOT_SYNC)):
            self.look(10, 100, handle)
            self.set(atime, 100, status, handle=handle)
        self.look(10, 110)
        self.set(20, None)
        self.expect("has no guard")

    def test_no_guard_where_the_server_takes_none(self):
        for status in (INVAL, NOTSUPP):
            self.look(10, 100)
            self.set(20, 100, status)
            self.set(20, None)
            self.expect()
        self.set(20, None)
        self.expect("has no guard")

    def test_a_guard_that_nobody_reported(self):
        self.set(20, 100)
        self.expect("not fresh: no ctime was reported")

    def test_a_guard_of_another_file(self):
        self.look(10, 100)
        self.look(10, 200, ANOTHER)
        self.set(20, 200)
        self.expect("not fresh: .*000000100 was reported last")

    def test_a_guard_from_before_the_last_setattr(self):
        self.look(10, 100)
        self.set(20, 100, ctime=101)
        self.set(30, 100)
        self.expect("not fresh: .*000000101 was reported last")

    def test_a_guard_from_before_a_setattr_that_was_refused(self):
        self.look(10, 100)
        self.set(20, 100, NOT_SYNC)
        self.set(20, 100)
        self.expect("not fresh")

    def test_a_guard_from_a_reply_that_never_came(self):
        self.look(10, 100)
        self.answer(self.send(lookup_call()), OK, self.found(10, 101))
        self.set(20, 101)
        self.expect("not fresh")

    def test_a_reply_that_is_overtaken_may_be_the_last_word(self):
        self.look(10, 100)
        overtaken = self.answer(self.send(lookup_call()), OK, self.found(10, 100))
        self.set(20, 100, ctime=101)
        self.deliver(*overtaken)
        self.set(15, 100, NOT_SYNC)
        self.expect()

    def test_a_second_copy_of_a_reply_says_nothing(self):
        asked, said = self.answer(self.send(lookup_call()), OK, self.found(10, 100))
        self.deliver(asked, said)
        self.set(20, 100, ctime=101)
        self.deliver(asked, said)
        self.set(30, 100)
        self.expect("not fresh")

    def test_what_another_name_of_the_file_may_remember(self):
        self.look(10, 100, name=b"one")
        self.look(10, 100, name=b"two")
        self.set(20, 100, ctime=101)
        self.set(30, 101, ctime=102)
        self.set(40, 101, NOT_SYNC)
        self.expect()
        self.clock += REMEMBERED + 1
        self.set(40, 101, NOT_SYNC)
        self.expect("not fresh")

    def test_what_was_found_by_another_name_may_be_read_later_from_another_connection(self):
        self.look(10, 100, name=b"one")
        asked = self.send(setattr_call(20, 100), 1)
        self.deliver(*self.answer(self.send(lookup_call(b"two"), 2), OK, self.found(10, 100)))
        self.deliver(*self.answer(asked, OK, bytes(4) + optional(attributes(20, 101))))
        self.set(15, 100, NOT_SYNC)
        self.expect()

    def test_a_name_of_long_ago_excuses_nothing(self):
        self.look(10, 100, name=b"one")
        self.clock += REMEMBERED + 1
        self.look(10, 100, name=b"two")
        self.set(20, 100, ctime=101)
        self.set(30, 100, NOT_SYNC)
        self.expect("not fresh")

    def test_a_page_reports_like_a_lookup(self):
        bare = bytes(8) + opaque(b"bare") + bytes(16)
        entry = bytes(8) + opaque(b"name") + bytes(8) + optional(attributes(10, 100)) + optional(opaque(A_FILE))
        entries = optional(bare) + optional(entry) + bytes(4)
        page = optional(attributes(5, 50, DIRECTORY)) + bytes(8) + entries + b"\0\0\0\1"
        self.deliver(*self.answer(self.send(listing_call()), OK, page))
        self.set(20, 100)
        self.expect()
        self.set(4, 50, NOT_SYNC, handle=A_DIRECTORY)
        self.expect("sets an older atime")

    def test_getattr_reports_too(self):
        self.deliver(*self.answer(self.send(call(GETATTR, opaque(A_FILE))), OK, attributes(10, 100)))
        self.set(20, 100)
        self.expect()

    def test_a_proof_that_guards_are_exact(self):
        self.look(10, 100)
        self.set(10, 99, NOT_SYNC)
        self.set(20, 100)
        self.expect()
        self.assertEqual(self.judge.proofs, 1)

    def test_a_proof_of_guards_moves_no_time_and_is_near(self):
        self.look(10, 100)
        self.set(11, 99, NOT_SYNC)
        self.look(10, 100)
        self.set(10, 98, NOT_SYNC)
        self.expect("not fresh", "not fresh")

    # One at a time.

    def test_two_setattrs_of_one_file(self):
        self.look(10, 100)
        self.send(setattr_call(20, 100), connection=1)
        self.send(setattr_call(30, 100), connection=2)
        self.expect("is beside another of this file: SETATTR .* connection 1")

    def test_two_setattrs_of_two_files(self):
        self.look(10, 100)
        self.look(10, 100, ANOTHER)
        self.send(setattr_call(20, 100))
        self.send(setattr_call(20, 100, handle=ANOTHER))
        self.expect()

    def test_a_setattr_after_one_that_has_timed_out(self):
        self.look(10, 100)
        self.send(setattr_call(20, 100))
        self.clock += TIMEOUT
        self.send(setattr_call(20, 100))
        self.expect()

    def test_a_setattr_just_before_the_timeout_of_another(self):
        self.look(10, 100)
        self.send(setattr_call(20, 100))
        self.clock += TIMEOUT / 3
        self.send(setattr_call(20, 100))
        self.expect("is beside another")

    def test_a_setattr_after_one_whose_connection_is_closed(self):
        self.look(10, 100)
        self.send(setattr_call(20, 100), connection=1)
        self.judge.lost(1)
        self.send(setattr_call(20, 100), connection=2)
        self.expect()

    def test_a_setattr_after_one_whose_connection_the_client_has_closed_unheard(self):
        self.look(10, 100)
        self.send(setattr_call(20, 100), connection=1)
        self.closed.add(1)
        self.send(setattr_call(20, 100), connection=2)
        self.send(setattr_call(20, 100), connection=1)  # read late
        self.expect()

    # Forward only.

    def test_an_atime_older_than_was_reported(self):
        self.look(10, 100)
        self.set(9, 100, NOT_SYNC)
        self.expect("sets an older atime than .*000000010, which was reported")

    def test_an_atime_older_than_was_set(self):
        self.look(10, 100)
        self.set(30, 100, ctime=101)
        self.set(20, 101, NOT_SYNC)
        self.expect("sets an older atime")

    def test_an_atime_as_old_as_was_reported(self):
        """Such a SETATTR asks whether the server does them again."""
        self.look(10, 100)
        self.set(10, 100)
        self.expect()

    def test_an_older_atime_without_a_guard(self):
        self.look(30, 100)
        self.set(40, 100, INVAL)
        self.look(50, 100)
        self.set(40, None)
        self.expect("sets an older atime")

    def test_a_newer_atime_that_is_undone_at_the_server(self):
        """With a guard that fits although the file has changed."""
        self.look(10, 100)
        late = self.judge.called(setattr_call(20, 100), 1, self.clock)
        self.clock += TIMEOUT
        self.look(10, 100)
        self.set(30, 100, ctime=101)
        self.judge.forwarded(late, self.clock)
        self.answer(late, OK, bytes(8))
        self.expect("has undone .*000000030")

    def test_a_late_setattr_that_the_guard_stops(self):
        self.look(10, 100)
        late = self.judge.called(setattr_call(20, 100), 1, self.clock)
        self.clock += TIMEOUT
        self.look(10, 100)
        self.set(30, 100, ctime=101)
        self.judge.forwarded(late, self.clock)
        self.deliver(*self.answer(late, NOT_SYNC, bytes(8)))
        self.expect()

    def list(self, before, after):
        """A directory, whose atime that moves."""
        asked = self.send(call(GETATTR, opaque(A_DIRECTORY)))
        self.deliver(*self.answer(asked, OK, attributes(before, 100, DIRECTORY)))
        page = optional(attributes(after, 101, DIRECTORY)) + bytes(8) + bytes(4) + b"\0\0\0\1"
        self.deliver(*self.answer(self.send(listing_call()), OK, page))

    def test_a_directory_may_get_back_what_a_listing_took(self):
        self.list(10, 20)
        self.set(10, 101, handle=A_DIRECTORY, ctime=102)
        self.expect()
        self.set(15, 102, handle=A_DIRECTORY)
        self.expect()

    def test_a_directory_gets_back_nothing_else_and_nothing_without_a_guard(self):
        self.list(10, 20)
        self.set(11, 101, NOT_SYNC, handle=A_DIRECTORY)
        self.expect("sets an older atime")
        self.list(10, 20)
        self.set(10, None, handle=A_DIRECTORY)
        self.expect("sets an older atime", "has no guard")

    def test_a_file_gets_nothing_back(self):
        self.look(10, 100)
        self.send(listing_call(A_FILE))
        self.look(20, 101)
        self.set(10, 101)
        self.expect("sets an older atime", "has undone")

    # The bound.

    def test_too_many_calls(self):
        for connection in range(5):
            self.send(lookup_call(), connection)
        self.expect("5 calls are in flight, not 4")

    def test_calls_that_have_ended_leave_room(self):
        self.look(10, 100)
        for connection in (1, 2, 3, 4):
            self.send(lookup_call(), connection)
        self.judge.lost(1)
        self.send(lookup_call(), 5)
        self.closed.add(2)
        self.send(lookup_call(), 5)
        self.clock += TIMEOUT
        for _ in range(4):
            self.send(lookup_call(), 5)
        self.expect()
        self.assertEqual(self.judge.most_in_flight, 4)

    def test_greetings_and_other_programs_are_not_counted(self):
        for _ in range(9):
            self.send(call(NULL, b""))
            self.send(call(SETATTR, opaque(b"/export"), program=100005))
        self.expect()

    # The record.

    def test_a_violation_tells_the_story_of_the_file(self):
        self.look(10, 100)
        self.set(20, 100, ctime=101)
        self.set(5, 101, NOT_SYNC)
        self.expect(r"(?s)xid 0x00000007 connection 1 atime .*handle 612066696c65\n.*the server answers 0 to .*"
                    r"the client gets 0 for")

    def test_of_many_violations_some_are_shown_and_all_counted(self):
        for _ in range(SHOWN + 5):
            self.set(20, 100)
        self.assertEqual((len(self.judge.violations), self.judge.violation_count), (SHOWN, SHOWN + 5))
