// SPDX-License-Identifier: MIT
#include "nfs/rpc.h"

#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <dlfcn.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "catch.h"
#include "nfs/loop.h"
#include "nfs/mount.h"
#include "nfs/procedures.h"
#include "nfs/scripted_server.h"

namespace qatime::nfs::rpc_test {
namespace {

using namespace std::chrono_literals;
using boost::asio::ip::tcp;
using procedures::Nothing;
using testing::kTimeout;
using testing::Loop;
using testing::Procedure;
using testing::ScriptedServer;
using Fault = testing::Action::Fault;

tcp::endpoint endpoint_of(std::uint16_t port) { return {boost::asio::ip::address_v4::loopback(), port}; }

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator open{"/proc/self/fd"};
  return static_cast<std::size_t>(std::distance(begin(open), end(open)));
}

struct Lab {
  explicit Lab(const NfsConfig& config) : client_context{loop.io(), config, registry} {}

  [[nodiscard]] Mount::Mounted mount(std::uint16_t nfs_port, std::uint16_t portmapper_port) {
    std::optional<Mount::Mounted> result;
    Mount mount{
        client_context, endpoint_of(nfs_port), {0}, [&](const Mount::Mounted& got) { result = got; }, portmapper_port};
    REQUIRE(loop.run_until([&] { return result.has_value(); }));
    return *result;
  }

  Loop loop;
  metrics::Registry registry;
  ClientContext client_context;
};

// ---- the port that it connects from

// Whether this thread may use ports below 1024.
bool may_use_low_ports() {
  Loop loop;
  for (std::uint16_t port = 1023; port > 1000; --port) {
    tcp::socket socket{loop.io(), tcp::v4()};
    boost::system::error_code error;
    socket.bind({tcp::v4(), port}, error);
    if (error != boost::asio::error::address_in_use) return !error;
  }
  return false;
}

// While it lives, this thread has no CAP_NET_BIND_SERVICE in effect.
class Unprivileged {
 public:
  Unprivileged() {
    REQUIRE(::syscall(SYS_capget, &header_, before_.data()) == 0);
    auto without = before_;
    without[0].effective &= ~(1U << CAP_NET_BIND_SERVICE);
    REQUIRE(::syscall(SYS_capset, &header_, without.data()) == 0);
  }
  ~Unprivileged() { (void)::syscall(SYS_capset, &header_, before_.data()); }
  Unprivileged(const Unprivileged&) = delete;
  Unprivileged& operator=(const Unprivileged&) = delete;

 private:
  __user_cap_header_struct header_{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> before_{};
};

TEST_CASE("It comes from a port below 1024 that is no service's where it may, else from a high one") {
  std::optional<Unprivileged> unprivileged;
  if (GENERATE(false, true)) unprivileged.emplace();
  ScriptedServer server;
  Lab lab{server.config()};
  for (std::size_t count = 1; count <= 20; ++count) {
    Rpc* opened = nullptr;
    Rpc rpc{lab.client_context, endpoint_of(server.port()), [&] { procedures::null(*opened, [](Status, Nothing) {}); },
            [](const std::string&) {}};
    opened = &rpc;
    REQUIRE(lab.loop.run_until([&] { return server.count(Procedure::null) == count; }));
    const std::uint16_t port = server.requests().back().source;
    CHECK((port < 1024) == may_use_low_ports());
    CHECK(port >= 665);
    CHECK(port != 993);
  }
}

TEST_CASE("libnfs asks this program, and not a directory service, whether a port is a service's") {
  const auto home = [](const void* symbol) {
    Dl_info found{};
    return ::dladdr(symbol, &found) != 0 ? found.dli_fbase : nullptr;
  };
  static const int here = 0;
  CHECK(home(::dlsym(RTLD_DEFAULT, "getservbyport")) == home(&here));
}

TEST_CASE("A thousand connections one after the other leave no descriptor open") {
  ScriptedServer server;
  server.script(Procedure::null, {Fault::drop});
  Lab lab{server.config()};
  std::size_t before = 0;  // once the loop has those of its own
  for (int count = 0; count < 1000; ++count) {
    bool lost = false;
    std::unique_ptr<Rpc> rpc;
    rpc = std::make_unique<Rpc>(
        lab.client_context, endpoint_of(server.port()), [&] { procedures::null(*rpc, [](Status, Nothing) {}); },
        [&](const std::string&) {
          lost = true;
          rpc.reset();  // allowed in its own callback
        });
    REQUIRE(lab.loop.run_until([&] { return lost; }));
    if (count == 0) before = open_descriptors();
  }
  CHECK(lab.loop.run_until([&] { return open_descriptors() <= before; }));
}

TEST_CASE("A connection is lost once, with the reason, after its requests") {
  ScriptedServer server;
  server.script(Procedure::null, {Fault::silence});
  Lab lab{server.config()};
  std::vector<std::string> events;
  std::unique_ptr<Rpc> rpc;
  rpc = std::make_unique<Rpc>(
      lab.client_context, endpoint_of(server.port()),
      [&] {
        procedures::null(*rpc, [&](Status status, Nothing) { events.emplace_back(name(status)); });
        server.stop();
      },
      [&](const std::string& why) { events.push_back(why); });
  REQUIRE(lab.loop.run_until([&] { return events.size() == 2; }));
  lab.loop.run_for(50ms);
  REQUIRE(events.size() == 2);
  CHECK(events[0] == "lost");
  CHECK((events[1] == "the server closed the connection" || events[1] == "Connection reset by peer"));
  CHECK_FALSE(rpc->is_open());
  CHECK(rpc->room() == 0);
}

// From 6 on, libnfs forgets a request of whose reply it has a part.
TEST_CASE("Whatever waits when the connection ends in the middle of a reply is lost, each request once") {
  constexpr std::size_t kReply = 28;  // bytes of a reply to NULL
  for (std::size_t cut = 0; cut < kReply; ++cut) {
    CAPTURE(cut);
    ScriptedServer server;
    server.script(Procedure::null, {Fault::silence}, 3);
    server.cut_replies(kReply + cut);
    Lab lab{server.config()};
    std::vector<std::string> events;
    std::unique_ptr<Rpc> rpc;
    const auto open = [&] {
      for (int count = 0; count < 6; ++count) {
        procedures::null(*rpc, [&](Status status, Nothing) { events.emplace_back(name(status)); });
      }
    };
    rpc = std::make_unique<Rpc>(lab.client_context, endpoint_of(server.port()), open,
                                [&](const std::string&) { events.emplace_back("the connection"); });
    REQUIRE(lab.loop.run_until([&] { return !events.empty() && events.back() == "the connection"; }));
    CHECK(events == std::vector<std::string>{"ok", "lost", "lost", "lost", "lost", "lost", "the connection"});
  }
}

// libnfs aborts when something is queued while it reports an error.
TEST_CASE("Completions that report an error may start requests, and end the connection") {
  ScriptedServer server;
  const auto fault = GENERATE(Fault::deny, Fault::drop, Fault::silence);
  const bool ends = GENERATE(false, true);
  server.script(Procedure::null, {fault});
  Lab lab{server.config(kTimeout)};
  std::vector<Status> statuses;
  std::unique_ptr<Rpc> rpc;
  Completion<Nothing> again = [&](Status status, Nothing) {
    statuses.push_back(status);
    if (ends) return rpc.reset();
    if (statuses.size() < 8) procedures::null(*rpc, again);
  };
  const auto open = [&] {
    for (int count = 0; count < 4; ++count) procedures::null(*rpc, again);
  };
  rpc = std::make_unique<Rpc>(lab.client_context, endpoint_of(server.port()), open, [](const std::string&) {});
  REQUIRE(lab.loop.run_until([&] { return statuses.size() == (ends ? 1 : 11); }));
  for (const Status status : statuses) CHECK(status != Status::ok);
}

TEST_CASE("A server that does not accept is given up after the timeout") {
  // A listener whose queue is full: what comes further waits for an answer to its SYN.
  Loop full;
  tcp::acceptor acceptor{full.io(), endpoint_of(0)};
  acceptor.listen(0);
  std::vector<tcp::socket> fill;
  for (int count = 0; count < 3; ++count) {
    fill.emplace_back(full.io());
    fill.back().async_connect(acceptor.local_endpoint(), [](const auto&) {});
  }
  full.run_for(50ms);

  NfsConfig config;
  config.timeout = kTimeout;
  Lab lab{config};
  std::string why;
  Rpc rpc{lab.client_context, acceptor.local_endpoint(), [] {}, [&](const std::string& reason) { why = reason; }};
  REQUIRE(lab.loop.run_until([&] { return !why.empty(); }));
  CHECK(why.find("no answer to the connection for ") == 0);
}

TEST_CASE("Requests beyond what a context bears are refused room, not queued") {
  ScriptedServer server;
  auto config = server.config();
  config.max_in_flight = 4096;
  server.script(Procedure::null, {Fault::silence});
  Lab lab{config};
  bool opened = false;
  Rpc rpc{lab.client_context, endpoint_of(server.port()), [&] { opened = true; }, [](const std::string&) {}};
  CHECK(rpc.room() == 0);
  REQUIRE(lab.loop.run_until([&] { return opened; }));
  CHECK(rpc.room() == Rpc::kMaxOutstanding);
  for (std::size_t count = 0; count < Rpc::kMaxOutstanding; ++count) procedures::null(rpc, [](Status, Nothing) {});
  CHECK(rpc.room() == 0);
  CHECK(Rpc::kMaxOutstanding < 512);
}

TEST_CASE("While many requests wait for a server that answers one by one, replies gather") {
  ScriptedServer server;
  Lab lab{server.config()};
  bool opened = false;
  Rpc rpc{lab.client_context, endpoint_of(server.port()), [&] { opened = true; }, [](const std::string&) {}};
  REQUIRE(lab.loop.run_until([&] { return opened; }));
  bool has_slept = false;
  bool is_known = false;  // of this turn
  const auto look = [&] {
    if (std::exchange(is_known, true)) return;
    has_slept = has_slept || !lab.client_context.reply_batching->sleep(1us);  // once in a turn
    boost::asio::post(lab.loop.io(), [&] { is_known = false; });
  };
  const auto round = [&] {
    for (int count = 0; count < 60; ++count) {
      server.script(Procedure::null, {Fault::none, {}, std::chrono::milliseconds{2 + count}}, 1);
    }
    while (rpc.waiting() < 60) procedures::null(rpc, [&](Status, Nothing) { look(); });
  };
  CHECK(lab.loop.run_until([&] {
    if (rpc.waiting() == 0 && !has_slept) round();
    return has_slept;
  }));
}

TEST_CASE("A request on what is not open is lost, and not inside the call") {
  ScriptedServer server;
  Lab lab{server.config()};
  Rpc rpc{lab.client_context, endpoint_of(server.port()), [] {}, [](const std::string&) {}};
  std::optional<Status> status;
  procedures::null(rpc, [&](Status got, Nothing) { status = got; });
  CHECK_FALSE(status);
  REQUIRE(lab.loop.run_until([&] { return status.has_value(); }));
  CHECK(*status == Status::lost);
  CHECK(server.count(Procedure::null) == 0);
}

TEST_CASE("A late reply frees the room that its request still took") {
  ScriptedServer server;
  server.script(Procedure::null, {Fault::none, {}, kTimeout * 3 / 2}, 1);
  Lab lab{server.config(kTimeout)};
  std::optional<Status> status;
  std::unique_ptr<Rpc> rpc;
  rpc = std::make_unique<Rpc>(
      lab.client_context, endpoint_of(server.port()),
      [&] { procedures::null(*rpc, [&](Status got, Nothing) { status = got; }); }, [](const std::string&) {});
  REQUIRE(lab.loop.run_until([&] { return status.has_value(); }));
  CHECK(*status == Status::timeout);
  CHECK(rpc->waiting() == 0);
  CHECK(rpc->room() == Rpc::kMaxOutstanding - 1);
  CHECK(lab.loop.run_until([&] { return rpc->room() == Rpc::kMaxOutstanding; }));
}

TEST_CASE("A portmapper tells the ports that are not given") {
  ScriptedServer server;
  auto config = server.config();
  config.mount_port = 0;
  Lab lab{config};
  const auto result = lab.mount(0, server.port());
  CHECK(result.failure.empty());
  CHECK(result.nfs_port == server.port());
  REQUIRE(result.roots.size() == 1);
  CHECK(result.roots[0].status == Status::ok);
  CHECK(result.roots[0].handle.bytes() == server.handle("/"));
  CHECK(server.count(Procedure::getport) == 2);
}

TEST_CASE("A portmapper is asked for nothing that is given") {
  ScriptedServer server;
  Lab lab{server.config()};
  CHECK(lab.mount(server.port(), 1).failure.empty());
  CHECK(lab.mount(0, server.port()).failure.empty());
  CHECK(server.count(Procedure::getport) == 1);
}

TEST_CASE("A portmapper that is not there is said, with the keys that do without it") {
  ScriptedServer server;
  auto config = server.config();
  config.mount_port = 0;
  server.stop();
  Lab lab{config};
  const auto failure = lab.mount(0, config.port).failure;
  CHECK(failure.find("refused") != std::string::npos);
  CHECK(failure.find("nfs.port and nfs.mount_port") != std::string::npos);
}

TEST_CASE("A portmapper that knows no NFS version 3 is said, with what to enable") {
  ScriptedServer server;
  server.script(Procedure::getport, {.port = 0});
  auto config = server.config();
  const bool asks_for_mount = GENERATE(true, false);
  if (asks_for_mount) config.mount_port = 0;
  Lab lab{config};
  const auto failure = lab.mount(0, server.port()).failure;
  CHECK(failure.find(asks_for_mount ? "knows no MOUNT" : "knows no NFS") != std::string::npos);
  CHECK(failure.find("enable NFS version 3") != std::string::npos);
}

TEST_CASE("A portmapper that fails at any point is a failure, not a hang") {
  ScriptedServer server;
  const auto fault = GENERATE(Fault::silence, Fault::drop, Fault::garbage, Fault::truncate, Fault::deny);
  server.script(Procedure::getport, {fault}, 1);
  auto config = server.config(kTimeout);
  config.mount_port = 0;
  Lab lab{config};
  CHECK(lab.mount(0, server.port()).failure.find("portmapper") == 0);
}

}  // namespace
}  // namespace qatime::nfs::rpc_test
