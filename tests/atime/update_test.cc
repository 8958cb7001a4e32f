// SPDX-License-Identifier: MIT
#include "atime/update.h"

#include <chrono>
#include <optional>

#include "catch.h"

namespace qatime::atime::update_test {
namespace {

using namespace std::chrono_literals;
using nfs::Attributes;
using nfs::Status;
using Notice = Traits::Notice;
using Next = Update::Next;

constexpr Clock::Instant kNow{std::chrono::hours{1}};
constexpr Time kBefore{1'000s};
constexpr Time kAsked{2'000s + 5ns};
constexpr Time kCtime{3'000s + 7ns};

Attributes file(Time atime = kBefore, Time ctime = kCtime) {
  Attributes attributes;
  attributes.atime = atime;
  attributes.ctime = ctime;
  return attributes;
}

// An update and what its server is known to do.
struct Bench {
  Traits traits{};
  Update update{};

  Update::Setattr next(const Attributes& found = file(), bool proves = false) {
    return update.next(found, kAsked, proves, traits, kNow);
  }
  Next reply(Status status, const std::optional<Attributes>& after = std::nullopt) {
    return update.on_reply(status, after, traits, kNow);
  }
};

TEST_CASE("A SETATTR is guarded by the ctime just seen") {
  Bench t;
  const auto sent = t.next();
  CHECK(sent.atime == kAsked);
  CHECK(sent.guard == kCtime);
  CHECK(t.reply(Status::ok, file(kAsked)) == Next::done);
  CHECK(t.update.status() == Status::ok);
  CHECK(t.update.went_smoothly());
}

TEST_CASE("After three objects that have changed there is no guard") {
  Bench t;
  for (int i = 0; i < 3; ++i) {
    REQUIRE(t.next(file(kBefore, kCtime + std::chrono::seconds{i})).guard);
    REQUIRE(t.reply(Status::not_sync) == Next::look);
  }
  CHECK_FALSE(t.next().guard);
  CHECK(t.reply(Status::ok) == Next::done);
  CHECK_FALSE(t.update.went_smoothly());
  CHECK(t.traits.guards.usable(kNow));
}

TEST_CASE("A server that refuses guards gets none") {
  const Status refusal = GENERATE(Status::inval, Status::notsupp);
  Bench t;
  for (int i = 0; i < 3; ++i) {
    t.update = Update{};
    REQUIRE(t.next().guard);
    REQUIRE(t.reply(refusal) == Next::look);
    REQUIRE_FALSE(t.next().guard);
    REQUIRE(t.reply(Status::ok) == Next::done);
  }
  CHECK(t.traits.take_notice() == Notice::has_no_guards);
  CHECK_FALSE(t.traits.take_notice());
  t.update = Update{};
  CHECK_FALSE(t.next().guard);
}

TEST_CASE("NOT_SYNC for an object that has not changed is a doubt") {
  Bench t;
  for (int i = 0; i < 3; ++i) {
    (void)t.next();
    REQUIRE(t.reply(Status::not_sync) == Next::look);
  }
  (void)t.next();
  CHECK(t.traits.take_notice() == Notice::has_no_guards);
}

TEST_CASE("Another status is the outcome") {
  Bench t;
  (void)t.next();
  CHECK(t.reply(Status::perm) == Next::done);
  CHECK(t.update.status() == Status::perm);
}

TEST_CASE("A guard that misses by a nanosecond shows whether guards are exact") {
  const auto [ctime, almost] =
      GENERATE(table<Time, Time>({{Time{3'000s}, Time{3'000s + 1ns}}, {Time{3'000s + 7ns}, Time{3'000s + 6ns}}}));
  Bench t;
  const auto sent = t.next(file(kBefore, ctime), true);
  CHECK(sent.atime == kBefore);
  CHECK(sent.guard == almost);

  SECTION("an exact server refuses it, and takes the right one") {
    REQUIRE(t.reply(Status::not_sync) == Next::again);
    CHECK_FALSE(t.traits.guards.is_exact(kNow));
    const auto next = t.next(file(kBefore, ctime), true);
    CHECK(next.atime == kAsked);
    CHECK(next.guard == ctime);
    CHECK(t.reply(Status::ok, file(kAsked)) == Next::done);
    CHECK(t.traits.guards.is_exact(kNow));
    CHECK(t.update.went_smoothly());
    t.update = Update{};
    CHECK(t.next(file(), true).atime == kAsked);
  }
  SECTION("a coarse server carries it out, and the object has changed") {
    REQUIRE(t.reply(Status::ok, file(kBefore)) == Next::look);
    CHECK_FALSE(t.traits.guards.is_exact(kNow));
    CHECK(t.traits.take_notice() == Notice::coarse_guards);
    CHECK(t.next(file(), true).atime == kAsked);
    CHECK_FALSE(t.traits.guards.take_proof());
  }
  SECTION("an object that changes in between shows nothing") {
    REQUIRE(t.reply(Status::not_sync) == Next::again);
    (void)t.next(file(kBefore, ctime), true);
    REQUIRE(t.reply(Status::not_sync) == Next::look);
    CHECK_FALSE(t.traits.guards.is_exact(kNow));
    CHECK(t.traits.guards.take_proof());
  }
  SECTION("neither does an update that is given up") {
    REQUIRE(t.reply(Status::not_sync) == Next::again);
    t.update.abandon(t.traits);
    CHECK_FALSE(t.traits.guards.is_exact(kNow));
    CHECK(t.traits.guards.take_proof());
  }
  SECTION("neither does an error, which is the outcome") {
    CHECK(t.reply(Status::perm) == Next::done);
    CHECK(t.update.status() == Status::perm);
    CHECK(t.traits.guards.take_proof());
  }
}

TEST_CASE("A server that says ok and reports the atime of before is asked once more") {
  Bench t;
  (void)t.next();
  REQUIRE(t.reply(Status::ok, file(kBefore)) == Next::read_back);

  SECTION("it has done nothing") {
    t.update.on_read_back(file(kBefore), t.traits);
    CHECK(t.update.status() == Status::ignored);
    CHECK(t.traits.replies_are_right);
  }
  SECTION("its reply was wrong: no further one counts") {
    t.update.on_read_back(file(kAsked), t.traits);
    CHECK(t.update.status() == Status::ok);
    CHECK(t.traits.take_notice() == Notice::wrong_replies);
    t.update = Update{};
    (void)t.next();
    CHECK(t.reply(Status::ok, file(kBefore)) == Next::done);
    CHECK(t.update.status() == Status::ok);
  }
}

TEST_CASE("What the server rounds has been set") {
  Bench t;
  (void)t.next();
  CHECK(t.reply(Status::ok, file(Time{2'000s})) == Next::done);
  CHECK(t.traits.take_notice() == Notice::rounds);
}

TEST_CASE("Where a reply is silent, the atime is read back on demand") {
  Bench t{.update = Update{true}};
  (void)t.next();
  REQUIRE(t.reply(Status::ok) == Next::read_back);
  t.update.on_read_back(file(kBefore), t.traits);
  CHECK(t.update.status() == Status::ignored);
}

}  // namespace
}  // namespace qatime::atime::update_test
