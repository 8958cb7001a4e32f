// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "catch.h"
#include "nfs/messages.h"
#include "nfs/reply/awaited_calls.h"
#include "nfs/reply/gate.h"
#include "nfs/xdr.h"

namespace qatime::nfs::reply_gate_test {
namespace {

using testing::accepted;
using testing::kSuccess;
using testing::XdrWriter;

constexpr std::uint32_t kLast = 0x80000000;
constexpr std::size_t kLimit = 4096;

std::string fragment(std::string_view bytes, std::uint32_t flag = 0) {
  return XdrWriter{}.word(flag | static_cast<std::uint32_t>(bytes.size())).raw(bytes).bytes();
}

std::string record(std::string_view message) { return fragment(message, kLast); }

// The mark and the xid of a record that says it has so many bytes.
std::string head(std::uint32_t xid, std::uint32_t mark) { return XdrWriter{}.word(mark).word(xid).bytes(); }

// A sound reply to NULL of so many bytes, 24 at least.
std::string reply(std::uint32_t xid, std::size_t size = 24) {
  return accepted(xid, kSuccess, std::string(size - 24, 'x'));
}

// A gate for replies to so many NULLs, with xids from 1 on.
struct Gate : ReplyGate {
  explicit Gate(std::uint32_t count) {
    set_limit(kLimit);
    for (std::uint32_t xid = 1; xid <= count; ++xid) calls().add(xid, RemoteProcedure::null);
  }
};

// The bytes that are let through of those that come so many at a time.
std::string let_through(ReplyGate& gate, std::string_view bytes, std::size_t at_a_time = SIZE_MAX) {
  std::string through;
  while (!bytes.empty() && gate.refusal().empty()) {
    const auto room = gate.room();
    REQUIRE_FALSE(room.empty());
    const std::size_t size = std::min({at_a_time, bytes.size(), room.size()});
    std::copy_n(bytes.begin(), size, room.begin());
    gate.came(size);
    bytes.remove_prefix(size);
    for (std::string some(1000, '\0'); gate.has_unread();) through.append(some, 0, gate.take(some.data(), some.size()));
  }
  return through;
}

std::size_t any_pace() { return GENERATE(as<std::size_t>{}, 1, 3, 7, 1000, 20'000, 1'000'000); }

TEST_CASE("Sound replies are let through as they are, however they come") {
  Gate gate{4};
  const std::string all = record(reply(2)) + record(reply(1, kLimit)) + record(reply(4, 25)) + record(reply(3));
  CHECK(let_through(gate, all, any_pace()) == all);
  CHECK(gate.refusal().empty());
}

TEST_CASE("A reply in fragments is let through as one fragment") {
  Gate gate{3};
  const std::string one = reply(1, 1000);
  const std::string parts =
      fragment(one.substr(0, 4)) + fragment(one.substr(4, 1)) + fragment({}) + fragment(one.substr(5), kLast);
  const std::string ended_by_nothing = fragment(reply(3)) + fragment({}, kLast);
  CHECK(let_through(gate, parts + record(reply(2)) + ended_by_nothing, any_pace()) ==
        record(one) + record(reply(2)) + record(reply(3)));
  CHECK(gate.refusal().empty());
}

TEST_CASE("A reply is held back until its last byte has come") {
  Gate gate{2};
  const std::string second = record(reply(2, 100));
  CHECK(let_through(gate, record(reply(1)) + second.substr(0, 103)) == record(reply(1)));
  CHECK(let_through(gate, second.substr(103)) == second);
}

TEST_CASE("A reply that is larger than what is read at once passes, and small ones behind it") {
  Gate gate{4};
  gate.set_limit(1 << 20);
  const std::string large = record(reply(1, 1 << 20));
  const std::string parts =
      fragment(reply(3, 300'000).substr(0, 150'000)) + fragment(reply(3, 300'000).substr(150'000), kLast);
  CHECK(let_through(gate, large + record(reply(2)) + parts + record(reply(4)),
                    GENERATE(as<std::size_t>{}, 5'000, 200'000)) ==
        large + record(reply(2)) + record(reply(3, 300'000)) + record(reply(4)));
}

const std::string kGrew = "dropped: its reply grew beyond 4096 bytes, which no sound NFS server sends";

TEST_CASE("A record beyond the limit is refused when a mark says so, and not later") {
  const std::size_t pace = any_pace();
  Gate gate{3};
  const std::string second = reply(2, kLimit);
  const std::string begin =
      GENERATE_COPY(head(2, kLast | (kLimit + 1)), head(2, 0x7fffffff),
                    fragment(second.substr(0, kLimit / 2)) + head(0, kLast | (kLimit / 2 + 1)).substr(0, 4));
  CHECK(let_through(gate, record(reply(1)) + begin, pace) == record(reply(1)));
  CHECK(gate.refusal() == kGrew);
  CHECK(gate.refused_call() == 1);
}

TEST_CASE("Bytes that are no records are refused") {
  Gate gate{3};
  CHECK(let_through(gate, "HTTP/1.1 400 Bad Request", any_pace()).empty());
  CHECK(gate.refusal() == kGrew);
  CHECK(gate.refused_call() == ReplyGate::kNoCall);
}

TEST_CASE("A new limit holds for what comes from then on") {
  Gate gate{3};
  gate.set_limit(2 * kLimit);
  const auto large = [](std::uint32_t xid) { return record(reply(xid, 2 * kLimit)); };
  CHECK(let_through(gate, large(1) + large(2).substr(0, kLimit)) == large(1));
  gate.set_limit(kLimit);
  CHECK(let_through(gate, large(2).substr(kLimit)) == large(2));  // begun while the limit was another
  CHECK(let_through(gate, large(3)).empty());
  CHECK(gate.refusal() == kGrew);
}

TEST_CASE("Fragments that hold next to nothing are refused before they are many") {
  Gate gate{2};
  std::string tiny = fragment(reply(1).substr(0, 4));
  for (std::size_t count = 1; count < kLimit / 1024; ++count) tiny += fragment("x");
  CHECK(let_through(gate, tiny).empty());
  CHECK(gate.refusal().empty());
  CHECK(let_through(gate, fragment("x")).empty());
  CHECK(let_through(gate, "more").empty());
  CHECK(gate.refusal() == kGrew);
}

TEST_CASE("A record whose first fragment holds no xid is refused") {
  Gate gate{1};
  const auto size = GENERATE(as<std::size_t>{}, 0, 3);
  const auto flag = GENERATE(std::uint32_t{0}, kLast);
  CHECK(let_through(gate, fragment(reply(1).substr(0, size), flag) + "more").empty());
  CHECK(gate.refusal() == "dropped: its reply begins with a fragment that holds no xid");
}

TEST_CASE("A reply to no call, or to one that has its reply, is refused") {
  Gate gate{3};
  const auto xid = GENERATE(as<std::uint32_t>{}, 0, 1, 4, 513);
  CHECK(let_through(gate, record(reply(1)) + record(reply(xid)) + record(reply(2))) == record(reply(1)));
  CHECK(gate.refusal() == "dropped: its reply answers no call that waits for one");
  CHECK(gate.refused_call() == ReplyGate::kNoCall);
}

TEST_CASE("A reply with a fault is refused and tells its call; those before it pass, and none after") {
  Gate gate{3};
  gate.calls().add(77, RemoteProcedure::getattr);
  const std::string cut = accepted(77, kSuccess, std::string(50, '\0'));
  CHECK(let_through(gate, record(reply(3)) + record(cut) + record(reply(1)), any_pace()) == record(reply(3)));
  CHECK(gate.refusal() == "dropped: its reply to GETATTR ends amid its results");
  CHECK(gate.refused_call() == 3);
}

// ---- calls

TEST_CASE("Calls are found by their xids, once each, in any order") {
  AwaitedCalls calls;
  for (std::uint64_t round = 0; round < 3; ++round) {
    const auto first = static_cast<std::uint32_t>(0xffffff00 + round * 1000);  // xids wrap
    for (std::uint32_t each = 0; each < AwaitedCalls::kMost; ++each) calls.add(first + each, RemoteProcedure::lookup);
    for (std::uint32_t each = 0; each < AwaitedCalls::kMost; ++each) {
      const std::uint32_t at = each * 7 % AwaitedCalls::kMost;
      const auto call = calls.take(first + at);
      REQUIRE(call);
      CHECK(call->number == round * AwaitedCalls::kMost + at);
      CHECK(call->procedure == RemoteProcedure::lookup);
      CHECK_FALSE(calls.take(first + at));
    }
  }
}

TEST_CASE("Calls whose xids are alike but for their upper bits are told apart") {
  AwaitedCalls calls;
  for (std::uint32_t each = 0; each < 5; ++each) calls.add(each << 16, RemoteProcedure::null);
  for (const std::uint32_t each : {2U, 0U, 4U, 1U, 3U}) {
    const auto call = calls.take(each << 16);
    REQUIRE(call);
    CHECK(call->number == each);
  }
}

TEST_CASE("No more calls are kept than the bound, and a reply makes room for another") {
  AwaitedCalls calls;
  for (std::uint32_t xid = 0; xid <= AwaitedCalls::kMost; ++xid) calls.add(xid, RemoteProcedure::null);
  CHECK_FALSE(calls.take(AwaitedCalls::kMost));
  CHECK(calls.take(7));
  calls.add(7000, RemoteProcedure::mnt);
  const auto call = calls.take(7000);
  REQUIRE(call);
  CHECK(call->number == AwaitedCalls::kMost + 1);
}

}  // namespace
}  // namespace qatime::nfs::reply_gate_test
