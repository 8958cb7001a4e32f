// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "catch.h"
#include "nfs/messages.h"
#include "nfs/reply/checker.h"
#include "nfs/sound_results.h"
#include "nfs/xdr.h"

namespace qatime::nfs::reply_checker_test {
namespace {

using testing::accepted;
using testing::AcceptStat;
using testing::kSuccess;
using testing::sound_results;
using testing::status_only;
using testing::write_entry;
using testing::XdrWriter;

constexpr std::uint32_t kXid = 0x12345678;

std::string text(const char* fault) { return fault == nullptr ? "sound" : fault; }

std::string check(RemoteProcedure procedure, std::string_view message) { return text(find_fault(procedure, message)); }

// With `results` behind the words that say the call was executed.
std::string check_results(RemoteProcedure procedure, const XdrWriter& results) {
  return check(procedure, accepted(kXid, kSuccess, results.bytes()));
}

XdrWriter ok() { return status_only(Status::ok); }

template <class Look>
void for_each_sound(Look look) {
  for (const auto& [procedure, all] : sound_results()) {
    for (const std::string& results : all) {
      CAPTURE(name(procedure), results.size());
      look(procedure, results);
    }
  }
}

TEST_CASE("Replies as the RFCs have them are sound") {
  for_each_sound([](RemoteProcedure procedure, const std::string& results) {
    CHECK(check(procedure, accepted(kXid, kSuccess, results)) == "sound");
    CHECK(check(procedure, accepted(kXid, kSuccess, results + "more")) == "sound");
  });
}

TEST_CASE("A reply that is cut short anywhere is not sound") {
  for_each_sound([](RemoteProcedure procedure, const std::string& results) {
    const std::string whole = accepted(kXid, kSuccess, results);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      CAPTURE(size);
      CHECK(check(procedure, std::string_view{whole}.substr(0, size)) != "sound");
    }
  });
}

TEST_CASE("A refusal of RPC is sound for any procedure, but for numbers that there are not") {
  for_each_sound([](RemoteProcedure procedure, const std::string&) {
    for (std::uint32_t stat = 1; stat <= 5; ++stat) {
      CAPTURE(stat);
      const auto versions = XdrWriter{}.word(3).word(3).bytes();
      CHECK(check(procedure, accepted(kXid, static_cast<AcceptStat>(stat), stat == 2 ? versions : "")) == "sound");
    }
    CHECK(check(procedure, accepted(kXid, static_cast<AcceptStat>(2), "four")) == "ends amid its results");
    CHECK(check(procedure, accepted(kXid, static_cast<AcceptStat>(6), "")) == "has no accept_stat that there is");
    CHECK(check(procedure, testing::denied(kXid, 4711)) == "sound");
    CHECK(check(procedure, testing::rpc_mismatch(kXid)) == "sound");
    CHECK(check(procedure, testing::rpc_mismatch(kXid).substr(0, 20)) == "ends amid its results");
    CHECK(check(procedure, XdrWriter{}.word(kXid).word(1).word(1).word(2).word(0).word(0).bytes()) ==
          "has no reject_stat that there is");
  });
}

TEST_CASE("What is no reply, and a verifier that is too long, are not sound") {
  const auto message = [](std::uint32_t direction, std::uint32_t stat, const std::string& verifier) {
    return XdrWriter{}.word(kXid).word(direction).word(stat).word(6).opaque(verifier).word(0).bytes();
  };
  CHECK(check(RemoteProcedure::null, message(0, 0, "")) == "is no reply, by its direction");
  CHECK(check(RemoteProcedure::null, message(2, 0, "")) == "is no reply, by its direction");
  CHECK(check(RemoteProcedure::null, message(1, 2, "")) == "is neither accepted nor denied");
  CHECK(check(RemoteProcedure::null, message(1, 0, std::string(400, 'v'))) == "sound");
  CHECK(check(RemoteProcedure::null, message(1, 0, std::string(401, 'v'))) == "has a verifier of more than 400 bytes");
}

TEST_CASE("A handle of more than 64 bytes is not sound, wherever it is") {
  const std::string handle(65, 'h');
  const std::string fault = "has a handle of more than 64 bytes";
  XdrWriter page = ok();
  write_entry(page.word(0).hyper(9), "a", false, handle).word(0).word(1);
  CHECK(check_results(RemoteProcedure::mnt, ok().opaque(handle).word(0)) == fault);
  CHECK(check_results(RemoteProcedure::lookup, ok().opaque(handle).word(0).word(0)) == fault);
  CHECK(check_results(RemoteProcedure::readdirplus, page) == fault);
}

TEST_CASE("A number that leads beyond the end is not sound, whatever it would come to in 32 bits") {
  const auto number = GENERATE(as<std::uint32_t>{}, 9, 0x3fffffff, 0x40000001, 0x7fffffff, 0x80000000, 0xffffffdc,
                               0xfffffffd, 0xffffffff);
  const std::string eight(8, '\0');
  CHECK(check_results(RemoteProcedure::mnt, ok().opaque("h").word(number).raw(eight)) == "ends amid its results");
  CHECK(check_results(RemoteProcedure::readdirplus, ok().word(0).hyper(9).word(1).hyper(1).word(number).raw(eight)) ==
        "ends amid its results");
  const std::string verifier = XdrWriter{}.word(kXid).word(1).word(0).word(0).word(number).raw(eight).bytes();
  CHECK(check(RemoteProcedure::null, verifier) != "sound");
}

TEST_CASE("A boolean is 0 or 1") {
  const std::string rest(200, '\0');
  const std::string fault = "has a boolean that is neither 0 nor 1";
  const auto word = GENERATE(as<std::uint32_t>{}, 2, 0x01000000, 0xffffffff);
  CHECK(check_results(RemoteProcedure::setattr, ok().word(word).raw(rest)) == fault);
  CHECK(check_results(RemoteProcedure::setattr, ok().word(0).word(word).raw(rest)) == fault);
  CHECK(check_results(RemoteProcedure::lookup, ok().opaque("h").word(word).raw(rest)) == fault);
  CHECK(check_results(RemoteProcedure::lookup, status_only(Status::noent).word(word).raw(rest)) == fault);
  CHECK(check_results(RemoteProcedure::readdirplus, ok().word(word).raw(rest)) == fault);
  CHECK(check_results(RemoteProcedure::readdirplus, ok().word(0).hyper(9).word(word).raw(rest)) == fault);
  CHECK(check_results(RemoteProcedure::readdirplus, ok().word(0).hyper(9).word(0).word(word)) == fault);
}

TEST_CASE("A page has no more entries than libnfs can decode") {
  const auto page = [](std::size_t entries) {
    XdrWriter out = ok().word(0).hyper(9);
    while (entries-- > 0) write_entry(out, "", false, {});
    return out.word(0).word(1);
  };
  CHECK(check_results(RemoteProcedure::readdirplus, page(kMostEntriesOfReply)) == "sound");
  CHECK(check_results(RemoteProcedure::readdirplus, page(kMostEntriesOfReply + 1)) == "has more than 16384 entries");
}

TEST_CASE("Procedures are told by their numbers, and results of others are not sound") {
  CHECK(remote_procedure(100003, 3, 2) == RemoteProcedure::setattr);
  CHECK(remote_procedure(100005, 3, 1) == RemoteProcedure::mnt);
  CHECK(remote_procedure(100000, 2, 3) == RemoteProcedure::getport);
  CHECK(remote_procedure(100005, 3, 0) == RemoteProcedure::null);
  for (const auto other : {remote_procedure(100003, 4, 1), remote_procedure(100003, 3, 6), remote_procedure(1, 3, 1)}) {
    CHECK(other == RemoteProcedure::other);
    CHECK(check_results(other, ok().raw(std::string(100, '\0'))) == "has results that qatime does not know");
  }
}

}  // namespace
}  // namespace qatime::nfs::reply_checker_test
