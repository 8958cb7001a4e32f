// SPDX-License-Identifier: MIT
#include "nfs/names/name_lookup.h"

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "catch.h"
#include "nfs/loop.h"
#include "nfs/slow_names.h"

namespace qatime::nfs::name_lookup_test {
namespace {

using namespace std::chrono_literals;
using testing::kSlowName;
using testing::Loop;
using testing::SlowNames;

NameLookup::Resolved find(const std::string& name) {
  Loop loop;
  std::optional<NameLookup::Resolved> result;
  const NameLookup lookup{loop.io(), name, [&](const auto& found) { result = found; }};
  REQUIRE(loop.run_until([&] { return result.has_value(); }));
  return *result;
}

TEST_CASE("A name has addresses, each once") {
  const auto result = find(kSlowName);
  CHECK(result.failure.empty());
  CHECK(result.addresses == std::vector{boost::asio::ip::make_address("127.0.0.1")});
}

TEST_CASE("A numeric address is a name, too, scope included") {
  CHECK(find("192.0.2.1").addresses == std::vector{boost::asio::ip::make_address("192.0.2.1")});
  CHECK(find("2001:db8::1").addresses == std::vector{boost::asio::ip::make_address("2001:db8::1")});
  CHECK(find("fe80::1%lo").addresses == std::vector{boost::asio::ip::make_address("fe80::1%lo")});
}

TEST_CASE("A name without addresses has a reason") {
  const auto result = find("no-such-host.invalid");
  CHECK(result.addresses.empty());
  CHECK(result.failure.find("cannot resolve \"no-such-host.invalid\": ") == 0);
}

TEST_CASE("A lookup gives the loop work until it is done") {
  boost::asio::io_context io;
  bool done = false;
  std::unique_ptr<NameLookup> lookup;
  lookup = std::make_unique<NameLookup>(io, "127.0.0.1", [&](const auto&) {
    done = true;
    lookup.reset();
  });
  io.run();
  CHECK(done);
}

TEST_CASE("A loop ends while a name is being resolved") {
  SlowNames names;
  {
    Loop loop;
    const NameLookup lookup{loop.io(), kSlowName, [](const auto&) { FAIL("nobody answered"); }};
    REQUIRE(loop.run_until([&] { return names.waiting() == 1; }));
  }
  CHECK(names.waiting() == 1);
}

TEST_CASE("A lookup that is destroyed is forgotten, answered or not") {
  SlowNames names;
  Loop loop;
  bool called = false;
  auto lookup = std::make_unique<NameLookup>(loop.io(), kSlowName, [&](const auto&) { called = true; });
  REQUIRE(loop.run_until([&] { return names.waiting() == 1; }));
  SECTION("before the answer") {
    lookup.reset();
    names.answer();
  }
  SECTION("after it") {
    names.answer();
    std::this_thread::sleep_for(100ms);
    lookup.reset();
  }
  loop.run_for(200ms);
  CHECK_FALSE(called);
}

}  // namespace
}  // namespace qatime::nfs::name_lookup_test
