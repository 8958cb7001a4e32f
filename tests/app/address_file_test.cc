// SPDX-License-Identifier: MIT
#include "app/address_file.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <sys/stat.h>

#include "base/timestamp.h"
#include "catch.h"
#include "log_lines.h"
#include "temporary_directory.h"

namespace qatime::address_file_test {
namespace {

using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using ingest::SelfAddresses;

Address address(std::string_view text) { return *parse_address(text); }

struct Fixture {
  TemporaryDirectory directory;
  BacklogConfig config = [this] {
    BacklogConfig made;
    made.directory = directory.path();
    return made;
  }();
  std::string path = directory.path() + "/addresses";

  [[nodiscard]] std::string content() const {
    std::ifstream file{path};
    return {std::istreambuf_iterator{file}, {}};
  }
  void write(const std::string& text) const { std::ofstream{path} << text; }
  // The log of a new start that reads the file.
  std::string read(SelfAddresses& self, bool expected) const {
    return said(log::Format::text, [&] { CHECK(AddressFile{config, self}.read() == expected); });
  }
};

std::size_t lines(const std::string& text) { return static_cast<std::size_t>(std::ranges::count(text, '\n')); }

TEST_CASE_METHOD(Fixture, "The next start knows the addresses of the last one") {
  SelfAddresses last;
  last.set_current({address("192.0.2.7"), address("2001:db8::1")}, now());
  AddressFile{config, last}.write_if_due();
  struct stat status{};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0600);

  SelfAddresses next;
  CHECK(read(next, true).empty());
  CHECK(next.contains(address("192.0.2.7"), now()));
  CHECK(next.contains(address("2001:db8::1"), now()));
  CHECK_FALSE(next.contains(address("192.0.2.7"), now() + 2h));
}

TEST_CASE_METHOD(Fixture, "It is written where addresses are known, and again only when there are others") {
  SelfAddresses self;
  AddressFile file{config, self};
  file.write_if_due();
  CHECK_FALSE(std::filesystem::exists(path));
  self.set_current({address("192.0.2.7")}, now());
  file.write_if_due();
  const std::string first = content();
  CHECK(first.starts_with("qatime addresses 1\n192.0.2.7 20"));
  file.write_if_due();
  CHECK(content() == first);
  self.set_current({address("192.0.2.8")}, now());
  file.write_if_due();
  CHECK(content().starts_with("qatime addresses 1\n192.0.2.8 20"));
  CHECK(content().find("\n192.0.2.7 20") != std::string::npos);
  CHECK(std::distance(std::filesystem::directory_iterator{directory.path()}, {}) == 1);
}

TEST_CASE_METHOD(Fixture, "A first start knows nothing and says nothing") {
  SelfAddresses self;
  CHECK(read(self, false).empty());
  CHECK(self.known(now()).empty());
}

TEST_CASE_METHOD(Fixture, "A damaged file costs one line, and the next write mends it") {
  const auto* const content = GENERATE("", "garbage", "qatime addresses 2\n192.0.2.7 2026-01-27T14:12:23Z\n",
                                       "qatime addresses 1\n192.0.2.7 2026-01-27T14:12:23Z",
                                       "qatime addresses 1\n192.0.2.7 2026-01-27T14:12:23Z\n192.0.2.8 yesterday\n",
                                       "qatime addresses 1\n192.0.2.7 1969-01-27T14:12:23Z\n", "qatime addresses 1\n\n",
                                       "qatime addresses 1\n2026-01-27T14:12:23Z\n");
  CAPTURE(content);
  write(content);
  SelfAddresses self;
  const std::string text = read(self, false);
  CHECK(self.known(now()).empty());
  CHECK(lines(text) == 1);
  CHECK_THAT(text, Contains("is damaged, or another version wrote it"));
  self.set_current({address("192.0.2.7")}, now());
  AddressFile{config, self}.write_if_due();
  CHECK(read(self, true).empty());
}

TEST_CASE_METHOD(Fixture, "What is no file costs one line, and neither waits nor harms") {
  SECTION("a directory") { std::filesystem::create_directory(path); }
  SECTION("a FIFO") { REQUIRE(::mkfifo(path.c_str(), 0600) == 0); }
  SECTION("below no directory") {
    write("");
    config.directory = path;
  }
  SECTION("a link") { std::filesystem::create_symlink("/dev/zero", path); }
  SelfAddresses self;
  const std::string text = read(self, false);
  CHECK(lines(text) == 1);
  CHECK_THAT(text, Contains("listings of the last run may count as accesses"));
}

TEST_CASE_METHOD(Fixture, "A time that was written by a clock ahead of ours counts as now") {
  write("qatime addresses 1\n192.0.2.7 2100-01-01T00:00:00Z\n");
  SelfAddresses self;
  CHECK(read(self, true).empty());
  CHECK(self.contains(address("192.0.2.7"), now()));
  CHECK_FALSE(self.contains(address("192.0.2.7"), now() + 2h));
}

TEST_CASE_METHOD(Fixture, "A disk that refuses costs one line") {
  config.directory = directory.path() + "/gone";
  SelfAddresses self;
  self.set_current({address("192.0.2.7")}, now());
  AddressFile file{config, self};
  const std::string text = said(log::Format::text, [&] {
    file.write_if_due();
    file.write_if_due();
  });
  CHECK(lines(text) == 1);
  CHECK_THAT(text, Contains("after a restart, our own directory listings may count as accesses"));
}

}  // namespace
}  // namespace qatime::address_file_test
