// SPDX-License-Identifier: MIT
// Replies of which a libnfs dies that decodes them: what becomes of them with qatime in front of it, and without.
#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <netinet/in.h>
#include <nfsc/libnfs.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
//
#include <nfsc/libnfs-raw-mount.h>
#include <nfsc/libnfs-raw-nfs.h>
#include <nfsc/libnfs-raw.h>

#include "catch.h"
#include "nfs/lab.h"
#include "nfs/xdr.h"

#ifdef LIBNFS_API_V2
#define QATIME_LIBNFS(name) name##_task
#else
#define QATIME_LIBNFS(name) name##_async
#endif

namespace qatime::nfs::hostile_replies_test {
namespace {

using testing::Action;
using testing::kTime;
using testing::Lab;
using testing::Procedure;
using testing::Request;
using testing::ScriptedServer;
using testing::XdrWriter;
using Fault = testing::Action::Fault;

// The words behind the xid of a reply whose results follow.
XdrWriter success() { return XdrWriter{}.word(1).word(0).hyper(0).word(0); }

// The beginning of a page: no attributes, a cookieverf3.
XdrWriter page() { return success().word(0).word(0).hyper(0); }

// An entry without a name, up to its handle.
XdrWriter& entry(XdrWriter& out) { return out.word(1).hyper(1).opaque({}).hyper(1).word(0).word(1); }

Action answer(const XdrWriter& message) {
  Action action{Fault::message};
  action.message = message.bytes();
  return action;
}

struct HostileReply {
  const char* name;
  Procedure procedure;
  Action action;
  const char* refusal;
  std::vector<int> survivors;  // the major versions of libnfs that survive it alone
};

std::vector<HostileReply> hostile_replies() {
  XdrWriter backwards = page();
  entry(backwards).word(0xffffffdc);  // by 36, to the beginning of the entry
  XdrWriter call;  // to NULL; a CALL has a second verifier, where a REPLY has the pointer to its decoder
  call.word(0).word(2).word(100003).word(3).word(0).hyper(0).word(0).opaque(std::string(10'000, 'v'));
  Action crowd{Fault::crowd};
  crowd.entries = 250'000;  // 8 MB
  const XdrWriter mounted = success().word(0).opaque("h");
  return {
      {"a CALL with a long verifier", Procedure::readdirplus, answer(call), "is no reply, by its direction", {}},
      {"flavors of 2 GiB",
       Procedure::mnt,
       answer(XdrWriter{mounted}.word(0x20000000).word(1)),
       "ends amid its results",
       {17}},
      {"as many flavors as there are numbers",
       Procedure::mnt,
       answer(XdrWriter{mounted}.word(0xffffffff).word(1)),
       "ends amid its results",
       {5, 16, 17}},
      {"a handle that leads back to the beginning of its entry",
       Procedure::readdirplus,
       answer(backwards),
       "has a handle of more than 64 bytes",
       {17}},
      {"more entries than a stack of 8 MiB is for", Procedure::readdirplus, crowd, "grew beyond", {16}},
  };
}

TEST_CASE("A reply that kills libnfs costs the connection and no more, and its request has no valid reply") {
  for (const HostileReply& reply : hostile_replies()) {
    if (reply.procedure == Procedure::mnt) continue;
    CAPTURE(reply.name);
    ScriptedServer server;
    Lab lab{server};
    const Handle root = lab.root();
    std::string why;
    lab.client->on_change([&] { why += lab.client->trouble(0).value_or(""); });
    server.script(Procedure::getattr, {Fault::silence}, 1);
    server.script(reply.procedure, reply.action, 1);
    std::optional<Status> beside;
    lab.client->getattr(0, root, [&](Status status, const auto&) { beside = status; });
    CHECK(lab.request(reply.procedure, root).status == Status::garbage);
    REQUIRE(lab.loop.run_until([&] { return beside.has_value(); }));
    CHECK(*beside == Status::lost);
    CHECK(why.find(reply.refusal) != std::string::npos);
    CHECK(lab.request(reply.procedure, lab.root()).status == Status::ok);
  }
}

TEST_CASE("A reply to MNT that kills libnfs is said, and the export is asked for again") {
  for (const HostileReply& reply : hostile_replies()) {
    if (reply.procedure != Procedure::mnt) continue;
    CAPTURE(reply.name);
    ScriptedServer server;
    server.script(Procedure::mnt, reply.action, 1);
    Lab lab{server};
    std::string why;
    lab.client->on_change([&] { why += lab.client->trouble(0).value_or(""); });
    REQUIRE(lab.wait_for_root());
    CHECK(why.find(reply.refusal) != std::string::npos);
  }
}

// ---- libnfs alone

// The record by which a callback of libnfs is told.
struct Talk {
  Procedure procedure;
  std::string handle;  // of the directory for READDIRPLUS
  bool is_over = false;
};

void on_reply(rpc_context* /*context*/, int /*status*/, void* /*data*/, void* talk) {
  static_cast<Talk*>(talk)->is_over = true;
}

void on_connected(rpc_context* context, int status, void* /*data*/, void* data) {
  auto& talk = *static_cast<Talk*>(data);
  if (status != RPC_STATUS_SUCCESS) {
    talk.is_over = true;
  } else if (talk.procedure == Procedure::mnt) {
    (void)QATIME_LIBNFS(rpc_mount3_mnt)(context, on_reply, const_cast<char*>("/"), data);
  } else {
    READDIRPLUS3args arguments{};
    arguments.dir.data = {static_cast<u_int>(talk.handle.size()), talk.handle.data()};
    arguments.dircount = arguments.maxcount = 8192;
    (void)QATIME_LIBNFS(rpc_nfs3_readdirplus)(context, on_reply, &arguments, data);
  }
}

// Sends the call and takes the reply, with nothing of qatime in between.
void talk_to(std::uint16_t port, Talk talk) {
  rpc_context* const context = rpc_init_context();
  if (rpc_connect_async(context, "127.0.0.1", port, on_connected, &talk) < 0) return;
  while (!talk.is_over) {
    pollfd events{rpc_get_fd(context), static_cast<short>(rpc_which_events(context)), 0};
    if (::poll(&events, 1, 1000) < 0 || rpc_service(context, events.revents) < 0) break;
  }
}

// Whether another process lives on afterwards. It has a minute.
bool survives(const ScriptedServer& server, Procedure procedure) {
  const std::uint16_t port = server.port();
  const std::string handle = server.handle("/");
  const pid_t child = ::fork();
  if (child == 0) {
    for (const int fatal : {SIGSEGV, SIGABRT, SIGBUS}) (void)std::signal(fatal, SIG_DFL);
    const rlimit stack{8 << 20, 8 << 20};
    (void)::setrlimit(RLIMIT_STACK, &stack);
    (void)::alarm(60);
    talk_to(port, {procedure, handle});
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST_CASE("Which of these replies this version of libnfs survives without qatime is what conf/README.md says") {
  for (const HostileReply& reply : hostile_replies()) {
    CAPTURE(reply.name, QATIME_LIBNFS_MAJOR);
    ScriptedServer server;
    CHECK(survives(server, reply.procedure));  // a sound one
    server.script(reply.procedure, reply.action);
    const bool is_survivor = std::ranges::count(reply.survivors, QATIME_LIBNFS_MAJOR) > 0;
    CHECK(survives(server, reply.procedure) == is_survivor);
  }
}

}  // namespace
}  // namespace qatime::nfs::hostile_replies_test
