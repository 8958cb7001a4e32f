// SPDX-License-Identifier: MIT
// The order of the checks, the cheapest and most frequent refusal first, is part of the contract, since a record is
// counted under the first that refuses it: operation, status, cluster, path, for accesses .snapshot, the filters of
// path, user, client and protocol, and self, then range, period, future, for moves and removals protected, and export.
//
// No filter of accesses holds for moves and removals: whoever made them, the names have changed. But a cluster that is
// not ours has names of its own, and what becomes of those is nothing to us. A change meets the limits of time as an
// access does, because it counts for all accesses up to its time: one far ahead would end those of today, too.
//
// An export, or a directory that holds one, is neither moved, replaced nor removed, because one record would take all
// that waits there with it. The directory that is mounted stays the same under any name.
//
// A move that crosses the border of the exports is what it looks like from inside: out of all of them, the removal of
// what it moves; into one, the removal of what its target named before, since accesses to the source were never taken
// in. Moves and removals outside concern nobody. A move onto itself is a move, which changes nothing.
#include "ingest/policy.h"

#include <algorithm>
#include <span>
#include <string>

#include "base/address.h"
#include "ingest/cluster.h"

namespace qatime::ingest {
namespace {

// Whether `path` is one of `prefixes` or below it.
bool has_path(std::span<const std::string> prefixes, std::string_view path) noexcept {
  return std::ranges::any_of(prefixes, [&](const std::string& prefix) { return is_within(path, prefix); });
}

}  // namespace

Policy::Policy(const PolicyConfig& config, const Exports& exports, const SelfAddresses& self, const Period& period)
    : config_{config},
      clusters_{config.clusters},
      include_users_{config.include_users},
      exclude_users_{config.exclude_users},
      include_protocols_{config.include_protocols},
      exclude_protocols_{config.exclude_protocols},
      exports_{exports},
      self_{self},
      period_{period} {}

Decision Policy::decide(const Header& header, const Record& record, Time now) const {
  const Kind kind = kind_of(record.operation);
  if (kind == Kind::other) return Ignored::operation;
  if (record.status != "ok") return Ignored::status;
  if (!is_ours(header.host)) return Ignored::cluster;
  const std::optional<std::string_view> path = normal_path(record.path);
  if (!path) return Malformed::path;
  if (kind == Kind::access) return decide_access(record, *path, header.time, now);
  const std::optional<std::string_view> target = kind == Kind::move ? normal_path(record.target) : path;
  if (!target) return Malformed::path;
  return decide_change(kind, *path, *target, header.time, now);
}

// An operation that changes names is that even if it is listed as an access.
Policy::Kind Policy::kind_of(std::string_view operation) const noexcept {
  if (operation == "fs_rename") return Kind::move;
  if (operation == "fs_delete") return Kind::removal;
  if (operation == "fs_tree_delete") return Kind::subtree_removal;
  const bool listed = std::ranges::find(config_.operations, operation) != config_.operations.end();
  return listed ? Kind::access : Kind::other;
}

bool Policy::is_ours(std::string_view host) const { return clusters_.empty() || clusters_.has(cluster_of(host)); }

std::optional<Ignored> Policy::filter(const Record& record, std::string_view path) const {
  const PolicyConfig& c = config_;
  if (!c.include_paths.empty() && !has_path(c.include_paths, path)) return Ignored::path_left_out;
  if (has_path(c.exclude_paths, path)) return Ignored::path_excluded;
  if (const auto reason = filter_user(record)) return reason;
  if (const auto reason = filter_client(record.client)) return reason;
  if (!include_protocols_.empty() && !include_protocols_.has(record.protocol)) return Ignored::protocol_left_out;
  if (exclude_protocols_.has(record.protocol)) return Ignored::protocol_excluded;
  return std::nullopt;
}

std::optional<Ignored> Policy::filter_user(const Record& record) const {
  const auto has_user = [&](const NameSet& users) { return users.has(record.user) || users.has(record.written_user); };
  if (!include_users_.empty() && !has_user(include_users_)) return Ignored::user_left_out;
  if (has_user(exclude_users_)) return Ignored::user_excluded;
  return std::nullopt;
}

// A client without an address is in no network.
std::optional<Ignored> Policy::filter_client(std::string_view client) const {
  if (config_.include_clients.empty() && config_.exclude_clients.empty()) return std::nullopt;
  const std::optional<Address> address = parse_address(client);
  const auto has_client = [&](const std::vector<Network>& networks) { return address && contains(networks, *address); };
  if (!config_.include_clients.empty() && !has_client(config_.include_clients)) return Ignored::client_left_out;
  if (has_client(config_.exclude_clients)) return Ignored::client_excluded;
  return std::nullopt;
}

bool Policy::is_self(std::string_view client, Time time) const {
  const std::optional<Address> address = parse_address(client);
  return address && self_.contains(*address, time);
}

// As Exports::place() has it, but for the search of the last component.
bool Policy::is_exported(std::string_view path) const {
  for (std::size_t export_index = 0; export_index < exports_.size(); ++export_index) {
    if (is_within(path, exports_.path(export_index))) return true;
  }
  return false;
}

// Whether a path is an export, or above one.
bool Policy::holds_export(std::string_view path) const {
  for (std::size_t export_index = 0; export_index < exports_.size(); ++export_index) {
    if (is_within(exports_.path(export_index), path)) return true;
  }
  return false;
}

std::optional<Ignored> Policy::filter_time(Time time, Time now) const {
  if (!period_.has(time)) return fits_nfstime3(time) ? Ignored::period : Ignored::range;
  const auto limit = config_.future_limit;
  if (limit > limit.zero() && time - now > limit) return Ignored::future;
  return std::nullopt;
}

Decision Policy::decide_access(const Record& record, std::string_view path, Time time, Time now) const {
  if (has_component(path, ".snapshot")) return Ignored::snapshot;
  if (const auto reason = filter(record, path)) return *reason;
  if (record.operation == "fs_list_directory" && is_self(record.client, time)) return Ignored::self;
  if (const auto reason = filter_time(time, now)) return *reason;
  if (!is_exported(path)) return Ignored::no_export;
  return Event{Access{path, time}};
}

// `target` is that of a move, and the path of a removal.
Decision Policy::decide_change(Kind kind, std::string_view path, std::string_view target, Time time, Time now) const {
  // Nothing can be moved into itself. The root would be, wherever it went: it is protected.
  if (path != "/" && path != target && is_within(target, path)) return Malformed::path;
  if (const auto reason = filter_time(time, now)) return *reason;
  if (holds_export(path) || holds_export(target)) return Ignored::protected_path;
  if (!is_exported(path) && !is_exported(target)) return Ignored::no_export;
  if (kind != Kind::move) return Event{Removal{path, kind == Kind::subtree_removal, time}};
  if (!is_exported(target)) return Event{Removal{path, true, time}};
  if (!is_exported(path)) return Event{Removal{target, true, time}};
  return Event{Move{path, target, time}};
}

}  // namespace qatime::ingest
