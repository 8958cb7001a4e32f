// SPDX-License-Identifier: MIT
#include "atime/probe.h"

#include <cstdint>

#include <boost/asio/io_context.hpp>
#include <fmt/core.h>

#include "atime/set.h"
#include "base/log.h"
#include "nfs/libnfs_client.h"
#include "nfs/name_lookup.h"
#include "nfs/session.h"

namespace qatime::atime {

namespace asio = boost::asio;
using namespace nfs;

namespace {

std::string refused(const char* procedure, Purpose purpose, Status status) {
  return fmt::format("{}: {}: {}", procedure, name(status), advice(purpose, status));
}

// The reason why times cannot be set on the root of an export; empty if they can.
std::string try_root(Session& session, std::size_t export_index) {
  const Handle root = session.root(export_index);
  const auto found = session.getattr(root);
  if (!found.attributes) return refused("GETATTR", Purpose::look, found.status);
  if (!found.attributes->is_directory) return refused("GETATTR", Purpose::look, Status::notdir);
  const Status status =
      set(session, {root, found.attributes}, [](const Attributes& attributes) { return attributes.atime; });
  return status == Status::ok ? std::string{} : refused("SETATTR", Purpose::set, status);
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

ProbeReport try_export(Session& session, const std::string& server, std::size_t export_index,
                       const std::string& target) {
  ProbeReport report{server, target, false, {}};
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

NameLookup::Resolved find_addresses(const NfsConfig& config, const std::string& host) {
  NameLookup::Resolved result{{}, NameLookup::no_answer(host)};
  asio::io_context io;
  const NameLookup lookup{io, host, [&result](const NameLookup::Resolved& found) { result = found; }};
  io.run_one_for(config.timeout);
  return result;
}

void probe_server(const NfsConfig& config, const NfsConfig::Server& server, std::vector<ProbeReport>& reports) {
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

std::vector<ProbeReport> probe(const NfsConfig& config) {
  std::vector<ProbeReport> reports;
  for (const NfsConfig::Server& server : config.servers) probe_server(config, server, reports);
  return reports;
}

}  // namespace qatime::atime
