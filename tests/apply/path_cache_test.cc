// SPDX-License-Identifier: MIT
#include "apply/path_cache.h"

#include <chrono>
#include <string>
#include <string_view>

#include "catch.h"
#include "manual_clock.h"
#include "nfs/client.h"

namespace qatime::apply::path_cache_test {
namespace {

using std::chrono::seconds;

nfs::Handle handle(std::string_view bytes) { return nfs::Handle{std::span{bytes.data(), bytes.size()}}; }

struct Cache {
  ManualClock clock;
  PathCache<nfs::Handle> cache;

  explicit Cache(std::size_t capacity = 100) : cache{capacity, seconds{60}} {}
  void insert(std::string_view path) { cache.insert(path, handle(path), clock.now()); }
  bool has(std::string_view path) {
    const auto* found = cache.find(path, clock.now());
    return found != nullptr && *found == handle(path);
  }
};

TEST_CASE("HandlesAreFoundUntilTheyExpire", "[apply]") {
  Cache c;
  c.insert("/a");
  c.clock.advance(seconds{59});
  CHECK(c.has("/a"));
  c.clock.advance(seconds{1});
  CHECK_FALSE(c.has("/a"));
  CHECK(c.cache.size() == 0);
}

TEST_CASE("LearningAHandleAgainReplacesAndRenewsIt", "[apply]") {
  Cache c;
  c.cache.insert("/a", handle("old"), c.clock.now());
  c.clock.advance(seconds{59});
  c.insert("/a");
  c.clock.advance(seconds{59});
  CHECK(c.has("/a"));
  CHECK(c.cache.size() == 1);
}

TEST_CASE("TheLeastRecentlyUsedHandleGoesFirst", "[apply]") {
  Cache c{3};
  c.insert("/a");
  c.insert("/b");
  c.insert("/c");
  CHECK(c.has("/a"));
  c.insert("/d");
  CHECK(c.has("/a"));
  CHECK_FALSE(c.has("/b"));
  CHECK(c.has("/c"));
  CHECK(c.has("/d"));
}

TEST_CASE("DroppingASubtreeDropsThatAndNoSibling", "[apply]") {
  Cache c;
  for (const auto* path : {"/a", "/a/b", "/a/b/c", "/a!", "/a-b", "/a0", "/ab", "/b", "/b/a"}) c.insert(path);
  c.cache.drop_subtree("/a");
  for (const auto* path : {"/a", "/a/b", "/a/b/c"}) CHECK_FALSE(c.has(path));
  for (const auto* path : {"/a!", "/a-b", "/a0", "/ab", "/b", "/b/a"}) CHECK(c.has(path));
  c.cache.drop_subtree("/b/a");
  CHECK(c.has("/b"));
  CHECK_FALSE(c.has("/b/a"));
  c.cache.drop_subtree("/");
  CHECK(c.cache.size() == 0);
}

TEST_CASE("ThousandsOfRenamesBesideAFullCacheCostLittle", "[apply]") {
  Cache c{100'000};
  for (int i = 0; i < 100'000; ++i) c.insert("/dir/" + std::to_string(i));
  for (int i = 0; i < 20'000; ++i) c.cache.drop_subtree("/other/" + std::to_string(i));
  CHECK(c.cache.size() == 100'000);
}

}  // namespace
}  // namespace qatime::apply::path_cache_test
