// SPDX-License-Identifier: MIT
// Connections without work: servers that die silently, and servers that close them.
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "catch.h"
#include "nfs/lab.h"
#include "telemetry/alerts.h"

namespace qatime::nfs::silence_test {
namespace {

using namespace std::chrono_literals;
using testing::kTimeout;
using testing::Lab;
using testing::Procedure;
using testing::ScriptedServer;
using testing::slowly;
using Fault = testing::Action::Fault;

const Intervals kImpatient{.silence = slowly(300ms)};

std::string label(const ScriptedServer& server, const std::string& address = "127.0.0.1") {
  return address + ":" + std::to_string(server.port());
}

// The socket of this process that is connected from this port to the server.
std::optional<int> socket_of(std::uint16_t source, const ScriptedServer& server) {
  const auto port_of = [](int descriptor, auto* ask) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    const bool is_known = ask(descriptor, reinterpret_cast<sockaddr*>(&address), &size) == 0;
    return is_known && address.sin_family == AF_INET ? ntohs(address.sin_port) : 0;
  };
  for (int descriptor = 0; descriptor < 1024; ++descriptor) {
    if (port_of(descriptor, ::getsockname) == source && port_of(descriptor, ::getpeername) == server.port()) {
      return descriptor;
    }
  }
  return std::nullopt;
}

int option(int descriptor, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  REQUIRE(::getsockopt(descriptor, level, name, &value, &size) == 0);
  return value;
}

// ---- servers that die silently

TEST_CASE("A server without work is asked now and then, and keeps its connection by its replies") {
  ScriptedServer server;
  Lab lab{server.config(kTimeout), kImpatient};
  REQUIRE(lab.wait_for_root());
  REQUIRE(lab.loop.run_until([&] { return server.count(Procedure::null) >= 4; }));
  CHECK(server.requests().back().connection == 2);
  CHECK(lab.registry.alerts().active().empty());
}

TEST_CASE("A server that replies to others is not asked") {
  ScriptedServer server;
  Lab lab{server.config(kTimeout), kImpatient};
  const Handle root = lab.root();
  const auto end = std::chrono::steady_clock::now() + 2 * kImpatient.silence;
  while (std::chrono::steady_clock::now() < end) CHECK(lab.getattr(root).status == Status::ok);
  CHECK(server.count(Procedure::null) == 1);  // of the beginning
}

TEST_CASE("A server that has fallen silent is left before there is work for it") {
  ScriptedServer dead;
  ScriptedServer other{"127.0.0.2", dead.port()};
  auto config = dead.config(kTimeout);
  config.servers = {{"127.0.0.1"}, {"127.0.0.2"}};
  Lab lab{config, kImpatient};
  REQUIRE(lab.loop.run_until([&] { return lab.registry.sum("qatime_server_up") == 2; }));
  dead.script(Procedure::null, {Fault::silence});
  dead.script(Procedure::getattr, {Fault::silence});
  REQUIRE(lab.loop.run_until([&] { return lab.value("qatime_server_up", label(dead)) == 0; }));
  CHECK(dead.count(Procedure::getattr) == 0);
  CHECK(lab.getattr(lab.root()).status == Status::ok);
  CHECK(other.count(Procedure::getattr) == 1);
  REQUIRE(lab.registry.alerts().active().size() == 1);
  CHECK(lab.registry.alerts().active()[0].text.find("no reply to 1 requests for") != std::string::npos);
  dead.clear_scripts();
  REQUIRE(lab.loop.run_until([&] { return lab.registry.sum("qatime_server_up") == 2; }));
}

TEST_CASE("What was asked of a server that has fallen silent is lost, not forgotten") {
  ScriptedServer server;
  Lab lab{server.config(kTimeout), kImpatient};
  const Handle root = lab.root();
  server.script(Procedure::null, {Fault::silence}, 1);
  server.script(Procedure::getattr, {Fault::silence}, 1);
  REQUIRE(lab.loop.run_until([&] { return server.count(Procedure::null) == 2; }));
  lab.loop.run_for(kTimeout / 2);
  CHECK(lab.getattr(root).status == Status::lost);
}

TEST_CASE("The kernel watches a connection: keepalive, and a limit for what is not acknowledged") {
  ScriptedServer server;
  const auto timeout = GENERATE(100ms, 10s);
  Lab lab{server.config(timeout)};
  CHECK(lab.getattr(lab.root()).status == Status::ok);
  const auto descriptor = socket_of(server.requests().back().source, server);
  REQUIRE(descriptor);
  CHECK(option(*descriptor, SOL_SOCKET, SO_KEEPALIVE) == 1);
  CHECK(option(*descriptor, IPPROTO_TCP, TCP_KEEPIDLE) == 30);
  CHECK(option(*descriptor, IPPROTO_TCP, TCP_KEEPINTVL) == (timeout == 10s ? 3 : 1));
  CHECK(option(*descriptor, IPPROTO_TCP, TCP_KEEPCNT) == 3);
  CHECK(option(*descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT) == (timeout == 10s ? 10'000 : 3'000));
}

// ---- servers that close connections without work

TEST_CASE("A server that closes a connection without work is connected again, and nobody notices") {
  ScriptedServer server;
  Lab lab{server};
  REQUIRE(lab.wait_for_root());
  lab.grow(64);
  lab.loop.run_for(1100ms);  // so long it serves before that is no failure
  std::size_t changes = 0;
  lab.client->on_change([&] {
    ++changes;
    CHECK(lab.client->room(0) == 64);
    CHECK(lab.value("qatime_server_up", label(server)) == 1);
    CHECK(lab.registry.alerts().active().empty());
  });
  server.drop_connections();
  REQUIRE(lab.loop.run_until([&] {
    CHECK(lab.client->root(0).has_value());
    return changes > 0;
  }));
  CHECK(lab.getattr(lab.root()).status == Status::ok);
  CHECK(server.requests().back().connection > 2);
  CHECK(lab.value("qatime_reconnects_total", label(server)) == 0);
}

TEST_CASE("A server that closes its connections and takes no new ones is away") {
  ScriptedServer server;
  Lab lab{server};
  REQUIRE(lab.wait_for_root());
  lab.loop.run_for(1100ms);
  server.stop();
  REQUIRE(lab.loop.run_until([&] { return lab.value("qatime_server_up", label(server)) == 0; }));
  CHECK_FALSE(lab.client->root(0));
  REQUIRE(lab.registry.alerts().active().size() == 1);
  CHECK(lab.registry.alerts().active()[0].reason == "server");
  server.start();
  REQUIRE(lab.wait_for_root());
  CHECK(lab.value("qatime_reconnects_total", label(server)) > 0);
}

TEST_CASE("A server that closes each connection at once is said, and tried less and less often") {
  ScriptedServer server;
  Lab lab{server};
  REQUIRE(lab.wait_for_root());
  bool was_said = false;
  lab.client->on_change([&] {
    was_said = was_said || !lab.registry.alerts().active().empty();
    if (lab.client->root(0)) server.drop_connections();
  });
  server.drop_connections();
  REQUIRE(lab.loop.run_until([&] { return lab.value("qatime_reconnects_total", label(server)) >= 4; }));
  CHECK(was_said);
  const auto before = lab.value("qatime_reconnects_total", label(server));
  lab.loop.run_for(400ms);  // the fifth delay is of 400 ms at least
  CHECK(lab.value("qatime_reconnects_total", label(server)) <= before + 1);
}

TEST_CASE("A server that closes a connection while it owes a reply is said") {
  ScriptedServer server;
  Lab lab{server};
  const Handle root = lab.root();
  lab.loop.run_for(1100ms);
  bool was_said = false;
  lab.client->on_change([&] { was_said = was_said || !lab.registry.alerts().active().empty(); });
  server.script(Procedure::getattr, {Fault::drop}, 1);
  CHECK(lab.getattr(root).status == Status::lost);
  REQUIRE(lab.wait_for_root());
  CHECK(was_said);
  CHECK(lab.value("qatime_reconnects_total", label(server)) == 1);
}

}  // namespace
}  // namespace qatime::nfs::silence_test
