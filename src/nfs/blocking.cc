// SPDX-License-Identifier: MIT
#include "nfs/blocking.h"

#include <chrono>
#include <cstdint>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <fmt/core.h>

#include "base/log.h"
#include "nfs/libnfs_client.h"
#include "nfs/name_lookup.h"
#include "nfs/time_delta.h"

namespace qatime::nfs {

namespace asio = boost::asio;

namespace {

// A server that keeps silent is found out by the client, with a better reason, just before we give up.
constexpr std::chrono::milliseconds kGrace{500};

constexpr int kMaxNotSyncs = 3;  // of one object, before going without the guard

}  // namespace

Session::Session(const NfsConfig& config)
    : config_{config},
      exports_{config.export_paths()},
      io_{std::make_unique<asio::io_context>(1)},
      client_{std::make_unique<LibnfsClient>(*io_, config_, registry_)} {}

Session::~Session() = default;

Handle await_root(asio::io_context& io, const LibnfsClient& client, const NfsConfig& config, std::size_t export_index) {
  const auto work = asio::make_work_guard(io);
  const auto deadline = std::chrono::steady_clock::now() + config.timeout + kGrace;
  for (;;) {
    if (const auto root = client.root(export_index)) return *root;
    if (const auto trouble = client.trouble(export_index)) throw Unreachable{*trouble};
    if (io.run_one_until(deadline) == 0) throw Unreachable{"no server of nfs.servers answers within nfs.timeout"};
  }
}

Handle Session::root(std::size_t export_index) { return await_root(*io_, *client_, config_, export_index); }

void Session::run_until(const bool& done) {
  const auto work = asio::make_work_guard(*io_);
  while (!done) io_->run_one();
}

Session::Walk Session::walk(std::string_view path) {
  const auto place = exports_.place(path);
  if (!place) throw Unreachable{fmt::format("no path of [[nfs.exports]] holds {}", log::escaped(path))};
  Walk walk;
  walk.object.handle = root(place->export_index);
  std::string_view rest =
      path.substr(exports_.path(place->export_index) == "/" ? 0 : exports_.path(place->export_index).size());
  while (rest.size() > 1) {
    rest.remove_prefix(1);
    const std::string_view component = rest.substr(0, rest.find('/'));
    walk = lookup(walk.object.handle, component);
    if (walk.status != Status::ok) return walk;
    rest.remove_prefix(component.size());
  }
  if (!walk.object.attributes) {
    const Outcome outcome = getattr(walk.object.handle);
    walk.status = outcome.status;
    walk.object.attributes = outcome.attributes;
  }
  return walk;
}

Session::Walk Session::lookup(const Handle& directory, std::string_view name) {
  Walk walk{Status::ok, std::string{name}, {}};
  bool done = false;
  client_->lookup(directory, name, [&](Status status, const Object& object) {
    walk.status = status;
    walk.object = object;
    done = true;
  });
  run_until(done);
  return walk;
}

Session::Outcome Session::getattr(const Handle& object) {
  Outcome outcome;
  bool done = false;
  client_->getattr(object, [&](Status status, const std::optional<Attributes>& attributes) {
    outcome = {status, attributes};
    done = true;
  });
  run_until(done);
  return outcome;
}

Session::Outcome Session::set_atime(const Handle& object, Time atime, std::optional<Time> guard) {
  Outcome outcome;
  bool done = false;
  client_->set_atime(object, atime, guard, [&](Status status, const std::optional<Attributes>& attributes) {
    outcome = {status, attributes};
    done = true;
  });
  run_until(done);
  return outcome;
}

// Whether a server that says ok has done something.
bool Session::took(const Object& object, Time before, Time asked, std::optional<Attributes> after) {
  if (!after) after = getattr(object.handle).attributes;
  if (!after || after->atime != before) return true;
  return TimeDelta{}.observe(asked, before) != TimeDelta::Report::different;
}

Status Session::update_atime(const Object& object, const Choose& choose) {
  Outcome found{Status::ok, object.attributes};
  bool guarded = true;
  for (int not_syncs = 0;;) {
    if (!found.attributes) found = getattr(object.handle);
    if (!found.attributes) return found.status;
    const auto atime = choose(*found.attributes);
    if (!atime) return Status::ok;
    const auto guard = guarded ? std::optional{found.attributes->ctime} : std::nullopt;
    const auto [status, after] = set_atime(object.handle, *atime, guard);
    if (status == Status::ok) return took(object, found.attributes->atime, *atime, after) ? status : Status::ignored;
    if (!guarded) return status;
    if (status == Status::not_sync) {
      guarded = ++not_syncs < kMaxNotSyncs;
    } else if (status == Status::inval || status == Status::notsupp) {
      guarded = false;
    } else {
      return status;
    }
    found.attributes.reset();
  }
}

namespace {

// What an administrator should look at when SETATTR ends so.
std::string setattr_advice(Status status) {
  switch (status) {
    case Status::perm:
    case Status::acces:
      return "root squash? Let this host be root there (no_root_squash; on Qumulo NFS_MAP_NONE), or set nfs.uid and "
             "nfs.gid to a user who owns the files";
    case Status::rofs:
      return "a read-only export: let this host write to it";
    case Status::auth:
      return "the server refuses our credentials: let the export take AUTH_SYS, and source ports above 1023 (no "
             "privileged port required)";
    case Status::timeout:
    case Status::lost:
      return "the server does not answer";
    default:
      return "see the server's log";
  }
}

std::string refused(const char* procedure, Status status) {
  return fmt::format("{}: {}: {}", procedure, name(status), setattr_advice(status));
}

// What is wrong with setting times on the root of an export; empty if nothing.
std::string try_root(Session& session, std::size_t export_index) {
  const Handle root = session.root(export_index);
  const auto found = session.getattr(root);
  if (!found.attributes) return refused("GETATTR", found.status);
  const Status status =
      session.update_atime({root, found.attributes}, [](const Attributes& attributes) { return attributes.atime; });
  return status == Status::ok ? std::string{} : refused("SETATTR", status);
}

}  // namespace

void expect_writable(const NfsConfig& config) {
  Session session{config};
  for (std::size_t export_index = 0; export_index < config.exports.size(); ++export_index) {
    const std::string trouble = try_root(session, export_index);
    if (!trouble.empty()) {
      throw Unreachable{fmt::format("export {}: {}", log::escaped(config.exports[export_index].target), trouble)};
    }
  }
}

namespace {

Report try_export(Session& session, const std::string& server, std::size_t export_index, const std::string& target) {
  Report report{server, target, false, {}};
  try {
    report.message = try_root(session, export_index);
  } catch (const Unreachable& unreachable) {
    report.message = unreachable.what();
    if (report.message.starts_with(server + ": ")) report.message.erase(0, server.size() + 2);
  }
  if (report.message.empty()) {
    report.ok = true;
    report.message = "mounted, and the atime of its root can be set";
  }
  return report;
}

NameLookup::Result find_addresses(const NfsConfig& config, const std::string& host) {
  NameLookup::Result result{{}, NameLookup::no_answer(host)};
  asio::io_context io;
  const NameLookup lookup{io, host, [&result](const NameLookup::Result& found) { result = found; }};
  io.run_one_for(config.timeout);
  return result;
}

void probe_server(const NfsConfig& config, const NfsConfig::Server& server, std::vector<Report>& reports) {
  const std::uint16_t port = server.port != 0 ? server.port : config.port;
  const auto found = find_addresses(config, server.host);
  if (!found.failure.empty()) {
    for (const NfsConfig::Export& each : config.exports) {
      reports.push_back({server_label(log::escaped(server.host), port), each.target, false, found.failure});
    }
  }
  for (const auto& address : found.addresses) {
    NfsConfig one = config;
    one.servers = {{address.to_string(), server.port}};
    Session session{one};
    for (std::size_t export_index = 0; export_index < config.exports.size(); ++export_index) {
      reports.push_back(try_export(session, server_label(one.servers[0].host, port), export_index,
                                   config.exports[export_index].target));
    }
  }
}

}  // namespace

std::vector<Report> probe(const NfsConfig& config) {
  std::vector<Report> reports;
  for (const NfsConfig::Server& server : config.servers) probe_server(config, server, reports);
  return reports;
}

}  // namespace qatime::nfs
