// SPDX-License-Identifier: MIT
// What servers may answer, over real sockets.
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "catch.h"
#include "nfs/lab.h"

namespace qatime::nfs::answers_test {
namespace {

using testing::Action;
using testing::kTime;
using testing::Lab;
using testing::Procedure;
using testing::refuse;
using testing::Request;
using testing::ScriptedServer;
using Fault = testing::Action::Fault;

constexpr std::array kRequests{Procedure::lookup, Procedure::getattr, Procedure::setattr, Procedure::readdirplus};

TEST_CASE("Every status of a server comes through every procedure as it is") {
  ScriptedServer server;
  Lab lab{server};
  constexpr std::array<std::uint32_t, 29> kNumbers{1,     2,     5,     6,     13,    17,    18,    19,    20,  21,
                                                   22,    27,    28,    30,    31,    63,    66,    69,    70,  71,
                                                   10001, 10002, 10003, 10004, 10005, 10006, 10007, 10008, 4711};
  for (const std::uint32_t number : kNumbers) {
    const auto status = static_cast<Status>(number);
    for (const Procedure procedure : kRequests) {
      CAPTURE(number, static_cast<int>(procedure));
      server.script(procedure, refuse(status), 1);
      CHECK(lab.request(procedure, lab.root()).status == status);
    }
  }
  CHECK(server.requests().back().connection == 2);  // the first was for MOUNT
}

TEST_CASE("A status that is one of our own is garbage from a server") {
  ScriptedServer server;
  server.script(Procedure::getattr, refuse(Status::lost));
  Lab lab{server};
  CHECK(lab.getattr(lab.root()).status == Status::garbage);
}

const std::map<Fault, Status> kRejections{{Fault::deny, Status::auth},
                                          {Fault::rpc_mismatch, Status::auth},
                                          {Fault::prog_unavail, Status::no_program},
                                          {Fault::prog_mismatch, Status::notsupp},
                                          {Fault::proc_unavail, Status::notsupp},
                                          {Fault::garbage_args, Status::garbage},
                                          {Fault::system_err, Status::serverfault}};

TEST_CASE("RPCs that are answered but not executed tell why, and the connection goes on") {
  ScriptedServer server;
  server.add_file("/f");
  Lab lab{server};
  for (const auto& [fault, status] : kRejections) {
    for (const Procedure procedure : kRequests) {
      CAPTURE(static_cast<int>(fault), static_cast<int>(procedure));
      server.script(procedure, {fault}, 1);
      CHECK(lab.request(procedure, lab.root()).status == status);
    }
  }
  CHECK(server.requests().back().connection == 2);
}

TEST_CASE("Whatever is wrong with the credentials is an auth status") {
  ScriptedServer server;
  Lab lab{server};
  for (std::uint32_t auth_stat = 0; auth_stat <= 15; ++auth_stat) {  // RFC 5531 section 9 has 0 to 14
    server.script(Procedure::setattr, {Fault::deny, {}, {}, auth_stat}, 1);
    CHECK(lab.set_atime(lab.root(), kTime).status == Status::auth);
  }
}

struct Refusal {
  Action action;
  Status status;
  const char* advice;
};

TEST_CASE("Whatever keeps an export from being mounted is a status with advice, and it is asked for again") {
  std::vector<Refusal> refusals;
  const std::map<Status, const char*> advice{{Status::perm, "let this host mount it"},
                                             {Status::noent, "list of exports"},
                                             {Status::io, "server's log"},
                                             {Status::acces, "let this host mount it"},
                                             {Status::notdir, "list of exports"},
                                             {Status::inval, "list of exports"},
                                             {Status::nametoolong, "list of exports"},
                                             {Status::notsupp, "NFS version 3"},
                                             {Status::serverfault, "server's log"},
                                             {static_cast<Status>(4711), "server's log"}};  // mountstat3
  for (const auto& [status, text] : advice) refusals.push_back({refuse(status), status, text});
  for (const auto& [fault, status] : kRejections) {
    const std::map<Status, const char*> known{
        {Status::auth, "AUTH_SYS"}, {Status::notsupp, "version 3"}, {Status::no_program, "correct nfs.mount_port"}};
    const auto text = known.find(status);
    refusals.push_back({{fault}, status, text == known.end() ? "server's log" : text->second});
  }
  ScriptedServer server;
  auto config = server.config();
  config.exports.clear();
  for (std::size_t export_index = 0; export_index < refusals.size(); ++export_index) {
    const std::string path = "/" + std::to_string(export_index);
    server.add_directory(path);
    config.exports.push_back({path, path});
    server.script(Procedure::mnt, refusals[export_index].action, ScriptedServer::kForEver,
                  [=](const Request& request) { return request.name == path; });
  }
  Lab lab{config};
  REQUIRE(lab.loop.run_until([&] { return lab.registry.sum("qatime_server_up") == 1; }));
  for (std::size_t export_index = 0; export_index < refusals.size(); ++export_index) {
    CAPTURE(export_index);
    CHECK(lab.client->mount_status(export_index) == refusals[export_index].status);
    const std::string trouble = lab.client->trouble(export_index).value_or("");
    CHECK(trouble.find(": export \"/" + std::to_string(export_index) + "\": ") != std::string::npos);
    CHECK(trouble.find(name(refusals[export_index].status)) != std::string::npos);
    CHECK(trouble.find(refusals[export_index].advice) != std::string::npos);
  }
  server.clear_scripts();
  for (std::size_t export_index = 0; export_index < refusals.size(); ++export_index) {
    REQUIRE(lab.loop.run_until([&] { return lab.client->root(export_index).has_value(); }));
    CHECK(lab.client->mount_status(export_index) == Status::ok);
  }
}

}  // namespace
}  // namespace qatime::nfs::answers_test
