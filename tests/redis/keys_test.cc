// SPDX-License-Identifier: MIT
#include "redis/keys.h"

#include <set>

#include <fmt/core.h>

#include "catch.h"

namespace qatime::backlog::redis::keys_test {

using namespace std::chrono_literals;

// From the specification of Redis Cluster, and what CLUSTER KEYSLOT says.
TEST_CASE("Keys are in the slots in which Redis has them") {
  CHECK(slot_of("123456789") == 0x31C3);
  CHECK(slot_of("") == 0);
  CHECK(slot_of("foo") == 12182);
  CHECK(slot_of("{foo}bar") == 12182);
  CHECK(slot_of("a{foo}{bar}") == 12182);
  CHECK(slot_of("foo{}{bar}") == 8363);
  CHECK(slot_of("foo{bar") == slot_of("foo{bar"));
}

TEST_CASE("All keys of a shard are in one slot") {
  const Keys keys{"qatime", 64};
  std::set<unsigned> slots;
  for (unsigned shard = 0; shard < keys.shards(); ++shard) {
    CHECK(keys.pending(shard).name == fmt::format("{{qatime:{}}}:pending", shard));
    CHECK(keys.pending(shard).slot == keys.lease(shard).slot);
    CHECK(keys.pending(shard).slot == slot_of(keys.pending(shard).name));
    slots.insert(keys.pending(shard).slot);
  }
  CHECK(slots.size() > 60);
  CHECK(keys.instances().slot == slot_of("qatime"));
}

TEST_CASE("A directory has the same shard in every build") {
  CHECK(shard_of("/", 64) == 50);
  CHECK(shard_of("/projects", 64) == 55);
  CHECK(shard_of("/projects/a b", 1000) == 770);
  CHECK(shard_of("/projects", 1) == 0);
  std::vector<int> counts(64);
  for (int i = 0; i < 64'000; ++i) ++counts[shard_of(fmt::format("/projects/{}", i), 64)];
  for (const int count : counts) {
    CHECK(count > 800);
    CHECK(count < 1200);
  }
}

TEST_CASE("A member says which object it means") {
  const auto plain = parse_member("/a/b");
  REQUIRE(plain);
  CHECK(plain->name == "/a/b");
  CHECK_FALSE(plain->as_of);
  const std::string text = format_member("/a/b", Time{1'700'000'000'000'000'001ns});
  CHECK(text == "1700000000000000001/a/b");
  const auto renamed = parse_member(text);
  REQUIRE(renamed);
  CHECK(renamed->name == "/a/b");
  CHECK(renamed->as_of == Time{1'700'000'000'000'000'001ns});
  CHECK(parse_member("-5/a")->as_of == Time{-5ns});
  for (const char* wrong : {"", "a", "17", "1x/a", "x1/a", "99999999999999999999/a", " 1/a"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_member(wrong));
  }
}

TEST_CASE("Scores have times to the microsecond") {
  const Time time{1'700'000'000'123'456'789ns};
  CHECK(to_score(time) == 1'700'000'000'123'456);
  CHECK(from_score(to_score(time)) == Time{1'700'000'000'123'456'000ns});
  CHECK(to_score(Time{-1ns}) == -1);
  CHECK(parse_score("1700000000123456") == 1'700'000'000'123'456);
  CHECK(parse_score("9007199254740992") == 9'007'199'254'740'992);
  CHECK(parse_score("-5") == -5);
  for (const char* wrong : {"", "x", "1 ", "inf", "1e300", "nan"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_score(wrong));
  }
}

}  // namespace qatime::backlog::redis::keys_test
