// SPDX-License-Identifier: MIT
// READDIRPLUS on the wire.
#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <pthread.h>

#include "catch.h"
#include "nfs/libnfs_client.h"
#include "nfs/loop.h"
#include "nfs/reply/checker.h"
#include "nfs/scripted_server.h"
#include "nfs/xdr.h"
#include "telemetry/metrics.h"

namespace qatime::nfs::readdirplus_test {
namespace {

using testing::Loop;
using testing::Procedure;
using testing::ScriptedServer;
using testing::XdrWriter;
using Fault = testing::Action::Fault;

struct Listed {
  struct Entry {
    std::string name;
    std::optional<Handle> handle;
    std::optional<Attributes> attributes;
  };
  Status status;
  std::vector<Entry> entries;
  Page::Position end;
  bool eof;
};

// A client of one server and its loop; calls wait for their replies.
struct Reader {
  explicit Reader(const ScriptedServer& server) : client{loop.io(), server.config(), registry} {
    REQUIRE(loop.run_until([this] { return client.root(0).has_value(); }));
  }
  [[nodiscard]] Handle root() const { return *client.root(0); }

  Listed read(const Handle& directory, const Page::Position& begin = {}, std::uint32_t size = 8192) {
    std::optional<Listed> listed;
    client.readdirplus(0, directory, begin, size, [&](Status status, const Page& page) {
      listed = Listed{status, {}, page.end, page.eof};
      for (const auto& [name, handle, attributes] : page.entries) {
        listed->entries.push_back({std::string{name}, handle, attributes});
      }
    });
    CHECK_FALSE(listed);  // never inside the call
    REQUIRE(loop.run_until([&] { return listed.has_value(); }));
    return *listed;
  }

  Loop loop;
  metrics::Registry registry;
  LibnfsClient client;
};

void add_files(ScriptedServer& server, int count) {
  for (int i = 0; i < count; ++i) server.add_file(fmt::format("/file {:04}", i));
}

TEST_CASE("A page has names of any bytes, handles and attributes, the directory itself and its parent") {
  ScriptedServer server;
  const std::vector<std::string> names{"f", "a b,\"c", "\xff\xfe", "newline\n", std::string(255, 'x')};
  for (const auto& name : names) server.add_file("/" + name);
  server.add_directory("/sub");
  server.add_symlink("/to");
  Reader reader{server};
  const auto listed = reader.read(reader.root());
  CHECK(listed.status == Status::ok);
  CHECK(listed.eof);
  REQUIRE(listed.entries.size() == 2 + names.size() + 2);
  CHECK(listed.entries[0].name == ".");
  CHECK(listed.entries[1].name == "..");
  for (const auto& [name, handle, attributes] : listed.entries) {
    if (name.starts_with('.')) continue;
    CAPTURE(name);
    CHECK(handle.value().bytes() == server.handle("/" + name));
    CHECK(attributes.value().is_directory == (name == "sub"));
    CHECK(attributes.value().ctime == server.times("/" + name).ctime);
  }
  CHECK(reader.registry.sum("qatime_rpcs_total") == 3);  // with MNT and NULL
}

TEST_CASE("The pages of a directory have each of its names once, and none is larger than asked") {
  ScriptedServer server;
  add_files(server, 1000);
  Reader reader{server};
  std::vector<std::string> names;
  Page::Position position;
  int pages = 0;
  for (bool eof = false; !eof; ++pages) {
    const auto listed = reader.read(reader.root(), position, 8192);
    REQUIRE(listed.status == Status::ok);
    CHECK(listed.entries.size() < 60);
    for (const auto& entry : listed.entries) names.push_back(entry.name);
    position = listed.end;
    eof = listed.eof;
  }
  CHECK(pages > 15);
  std::sort(names.begin(), names.end());
  CHECK(names.size() == 2 + 1000);
  CHECK(std::unique(names.begin(), names.end()) == names.end());
  CHECK(server.count(Procedure::readdirplus) == static_cast<std::size_t>(pages));
  for (const auto& request : server.requests()) {
    if (request.procedure != Procedure::readdirplus) continue;
    CHECK(request.maxcount == 8192);
    CHECK(request.dircount == 8192);
  }
}

TEST_CASE("An empty directory has a page without names") {
  ScriptedServer server;
  server.add_directory("/empty");
  Reader reader{server};
  const Handle directory{server.handle("/empty")};
  const auto listed = reader.read(directory);
  CHECK(listed.status == Status::ok);
  CHECK(listed.eof);
  CHECK(listed.entries.size() == 2);
  const auto behind = reader.read(directory, listed.end);
  CHECK(behind.status == Status::ok);
  CHECK(behind.eof);
  CHECK(behind.entries.empty());
}

TEST_CASE("A position that the server does not know is BAD_COOKIE") {
  ScriptedServer server;
  add_files(server, 100);
  Reader reader{server};
  auto position = reader.read(reader.root()).end;
  CHECK(reader.read(reader.root(), position).status == Status::ok);
  ++position.verifier;
  CHECK(reader.read(reader.root(), position).status == Status::bad_cookie);
}

TEST_CASE("A page into which no entry fits is TOOSMALL, one of a file NOTDIR, one of nothing STALE") {
  ScriptedServer server;
  server.add_file("/f");
  Reader reader{server};
  CHECK(reader.read(reader.root(), {}, 100).status == Status::toosmall);
  CHECK(reader.read(Handle{server.handle("/f")}).status == Status::notdir);
  const Handle gone{server.handle("/f")};
  server.forget_handles();
  CHECK(reader.read(gone).status == Status::stale);
}

TEST_CASE("Handles and attributes of a page may be missing") {
  ScriptedServer server;
  server.add_file("/f");
  Reader reader{server};
  server.script(Procedure::readdirplus, {Fault::no_handles}, 1);
  server.script(Procedure::readdirplus, {Fault::no_attributes}, 1);
  const auto without_handles = reader.read(reader.root());
  const auto without_attributes = reader.read(reader.root());
  for (const auto& entry : without_handles.entries) {
    CHECK_FALSE(entry.handle);
    CHECK(entry.attributes);
  }
  for (const auto& entry : without_attributes.entries) {
    CHECK(entry.handle);
    CHECK_FALSE(entry.attributes);
  }
  CHECK(without_handles.entries.size() == 3);
  CHECK(without_attributes.entries.size() == 3);
}

TEST_CASE("A server that does not know READDIRPLUS says NOTSUPP one way or the other") {
  ScriptedServer server;
  Reader reader{server};
  server.script(Procedure::readdirplus, {Fault::proc_unavail}, 1);
  server.script(Procedure::readdirplus, {Fault::none, Status::notsupp}, 1);
  CHECK(reader.read(reader.root()).status == Status::notsupp);
  CHECK(reader.read(reader.root()).status == Status::notsupp);
}

TEST_CASE("A page larger than asked is taken as it is, and one that is cut short is got over") {
  ScriptedServer server;
  add_files(server, 400);
  Reader reader{server};
  server.script(Procedure::readdirplus, {Fault::oversize}, 1);
  CHECK(reader.read(reader.root()).entries.size() == 402);
  server.script(Procedure::readdirplus, {Fault::truncate}, 1);
  CHECK(reader.read(reader.root()).status != Status::ok);
  REQUIRE(reader.loop.run_until([&] { return reader.client.room(0) > 0 && reader.client.root(0); }));
  CHECK(reader.read(reader.root()).status == Status::ok);
}

// ---- pages without bounds

constexpr std::size_t kEntry = 32;             // bytes of the smallest
constexpr std::size_t kAround = 24 + 100 + 8;  // bytes of a reply: of RPC, before its entries and behind them

testing::Action crowd(std::size_t entries) {
  testing::Action action{Fault::crowd};
  action.entries = entries;
  return action;
}

TEST_CASE("A page or a reply beyond all bounds costs the connection, and the reason is said") {
  ScriptedServer server;
  Reader reader{server};
  std::string refusal = "dropped: its reply grew beyond 81920 bytes";  // for a page of 8 KiB
  SECTION("a list that libnfs would decode until the stack ends") {
    server.script(Procedure::readdirplus, crowd(300'000), 1);
  }
  SECTION("a list that is a little too long") {
    server.script(Procedure::readdirplus, crowd((8192 * 2 + 65536 - kAround) / kEntry + 1), 1);
  }
  SECTION("fragments that never end") { server.script(Procedure::readdirplus, {Fault::endless}, 1); }
  SECTION("fragments of no bytes that never end") {
    server.script(Procedure::readdirplus, {Fault::empty}, 1);
    refusal = "dropped: its reply begins with a fragment that holds no xid";
  }
  std::string why;
  reader.client.on_change([&] { why += reader.client.trouble(0).value_or(""); });
  CHECK(reader.read(reader.root()).status == Status::garbage);
  CHECK(why.find(refusal) != std::string::npos);
  REQUIRE(reader.loop.run_until([&] { return reader.client.room(0) > 0 && reader.client.root(0); }));
  CHECK(reader.read(reader.root()).status == Status::ok);
}

TEST_CASE("Where no page is asked for, replies are small") {
  ScriptedServer server;
  Reader reader{server};
  CHECK(reader.read(reader.root()).status == Status::ok);
  server.script(Procedure::getattr, {Fault::endless}, 1);
  std::string why;
  reader.client.on_change([&] { why += reader.client.trouble(0).value_or(""); });
  std::optional<Status> status;
  reader.client.getattr(0, reader.root(), [&](Status got, const auto&) { status = got; });
  REQUIRE(reader.loop.run_until([&] { return status.has_value(); }));
  CHECK(*status == Status::lost);
  CHECK(why.find("grew beyond 65536 bytes") != std::string::npos);
}

// Runs `function` on a thread that has as much stack as a client needs.
void run_on_client_stack(std::function<void()> function) {
  pthread_attr_t attributes;
  REQUIRE(pthread_attr_init(&attributes) == 0);
  REQUIRE(pthread_attr_setstacksize(&attributes, LibnfsClient::kStack) == 0);
  pthread_t thread{};
  const auto run = [](void* argument) -> void* {
    (*static_cast<std::function<void()>*>(argument))();
    return nullptr;
  };
  REQUIRE(pthread_create(&thread, &attributes, run, &function) == 0);
  REQUIRE(pthread_join(thread, nullptr) == 0);
  REQUIRE(pthread_attr_destroy(&attributes) == 0);
}

TEST_CASE("The longest list that is let through finds room on the stack") {
  ScriptedServer server;
  server.script(Procedure::readdirplus, crowd(kMostEntriesOfReply), 1);
  server.script(Procedure::readdirplus, crowd(kMostEntriesOfReply + 1), 1);
  std::size_t entries = 0;
  auto beyond = Status::ok;
  run_on_client_stack([&] {
    Reader reader{server};
    entries = reader.read(reader.root(), {}, 4 << 20).entries.size();
    beyond = reader.read(reader.root(), {}, 4 << 20).status;
  });
  CHECK(entries == kMostEntriesOfReply);
  CHECK(beyond == Status::garbage);
}

TEST_CASE("A reply of 1 MiB is let through if a page explains it, and none that is larger") {
  ScriptedServer server;
  const auto filled = [](std::size_t size) {  // an empty page, and bytes behind it
    testing::Action action{Fault::message};
    XdrWriter message;
    message.word(1).word(0).hyper(0).word(0).word(0).word(0).hyper(0).word(0).word(1);
    action.message = message.bytes() + std::string(size - 4 - message.bytes().size(), '\0');
    return action;
  };
  server.script(Procedure::readdirplus, filled(1 << 20), 1);
  server.script(Procedure::readdirplus, filled((1 << 20) + 4), 1);
  Reader reader{server};
  CHECK(reader.read(reader.root(), {}, 4 << 20).status == Status::ok);
  CHECK(reader.read(reader.root(), {}, 4 << 20).status == Status::garbage);
}

TEST_CASE("Without a server a page is lost") {
  ScriptedServer server;
  Reader reader{server};
  const Handle root = reader.root();
  server.stop();
  REQUIRE(reader.loop.run_until([&] { return reader.client.room(0) == 0; }));
  CHECK(reader.read(root).status == Status::lost);
}

}  // namespace
}  // namespace qatime::nfs::readdirplus_test
