// SPDX-License-Identifier: MIT
#include "atime/probe.h"

#include <cstdint>
#include <optional>

#include <boost/asio/io_context.hpp>
#include <fmt/core.h>

#include "atime/set.h"
#include "base/log.h"
#include "nfs/libnfs_client.h"
#include "nfs/names/name_lookup.h"
#include "nfs/resolved_server.h"
#include "nfs/session.h"

namespace qatime::atime {

namespace asio = boost::asio;
using namespace nfs;

namespace {

// An export as it was tried.
struct Verdict {
  bool ok;
  std::string message;
};

Verdict refused(const char* procedure, Purpose purpose, Status status) {
  return {false, fmt::format("{}: {}: {}", procedure, name(status), advice(purpose, status))};
}

Status write_back(Session& session, std::size_t export_index, const Object& object) {
  return set(session, export_index, object, [](const Attributes& found) { return found.atime; });
}

// Tries the entries of the first page of the root that `uid` owns until one can be set. Nothing if there is none.
std::optional<Status> write_back_own(Session& session, std::size_t export_index, const Handle& root,
                                     std::uint32_t uid) {
  std::optional<Status> status;
  for (const Object& entry : session.first_page(export_index, root)) {
    if (!entry.attributes || entry.attributes->uid != uid) continue;
    status = write_back(session, export_index, entry);
    if (status == Status::ok) break;
  }
  return status;
}

// Whether times can be set below the root of an export. A user who is neither root nor the owner of the root cannot
// write it, which says nothing about the user's own objects.
Verdict try_export(Session& session, std::size_t export_index, std::uint32_t uid) {
  const Handle root = session.root(export_index);
  const auto found = session.getattr(export_index, root);
  if (!found.attributes) return refused("GETATTR", Purpose::look, found.status);
  if (!found.attributes->is_directory) return refused("GETATTR", Purpose::look, Status::notdir);
  const Status status = write_back(session, export_index, {root, found.attributes});
  if (status == Status::ok) return {true, "mounted, and the atime of its root can be set"};
  const bool is_denied = status == Status::perm || status == Status::acces;
  if (!is_denied || uid == 0 || uid == found.attributes->uid) return refused("SETATTR", Purpose::set, status);
  const auto own = write_back_own(session, export_index, root, uid);
  if (!own) {
    return {true, fmt::format("mounted; user {} owns the root and none of the first entries is of nfs.uid {}, so it is "
                              "not known whether times can be set",
                              found.attributes->uid, uid)};
  }
  if (*own != Status::ok) return refused("SETATTR of an object of nfs.uid", Purpose::set, *own);
  return {true, fmt::format("mounted, and the atime of an object of nfs.uid {} can be set", uid)};
}

}  // namespace

void expect_writable(const NfsConfig& config) {
  Session session{config};
  for (std::size_t export_index = 0; export_index < config.exports.size(); ++export_index) {
    const Verdict verdict = try_export(session, export_index, config.uid);
    if (!verdict.ok) {
      throw Unreachable{
          fmt::format("export {}: {}", log::escaped(config.exports[export_index].target), verdict.message)};
    }
  }
}

namespace {

// The root of an export on the first server that gives it, and this server's name.
struct FirstRoot {
  std::optional<Handle> root;
  std::string server;
};

// As try_export(), also where no server gives the export, or another one than the first.
Verdict probe_export(Session& session, const std::string& server, std::size_t export_index, std::uint32_t uid,
                     FirstRoot& first) {
  try {
    Verdict verdict = try_export(session, export_index, uid);
    const Handle root = session.root(export_index);
    if (!first.root) first = {root, server};
    if (!verdict.ok || root == first.root) return verdict;
    return {false, fmt::format("another root than on {}; {}", first.server, kOneCluster)};
  } catch (const Unreachable& unreachable) {
    std::string message = unreachable.what();
    if (message.starts_with(server + ": ")) message.erase(0, server.size() + 2);
    return {false, message};
  }
}

NameLookup::Resolved find_addresses(const NfsConfig& config, const std::string& host) {
  NameLookup::Resolved result{{}, NameLookup::no_answer(host)};
  asio::io_context io;
  const NameLookup lookup{io, host, [&result](const NameLookup::Resolved& found) { result = found; }};
  io.run_one_for(config.timeout);
  return result;
}

void probe_server(const NfsConfig& config, const NfsConfig::Server& server, std::vector<FirstRoot>& roots,
                  std::vector<ProbeReport>& reports) {
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
      const std::string label = server_label(one.servers[0].host, port);
      const auto [ok, message] = probe_export(session, label, export_index, config.uid, roots[export_index]);
      reports.push_back({label, config.exports[export_index].target, ok, message});
    }
  }
}

}  // namespace

std::vector<ProbeReport> probe(const NfsConfig& config) {
  std::vector<ProbeReport> reports;
  std::vector<FirstRoot> roots(config.exports.size());
  for (const NfsConfig::Server& server : config.servers) probe_server(config, server, roots, reports);
  return reports;
}

}  // namespace qatime::atime
