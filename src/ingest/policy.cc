// SPDX-License-Identifier: MIT
// The order of the checks, the cheapest and most frequent refusal first, is part of the contract, since a record is
// counted under the first that refuses it: operation, status, path, and for accesses .snapshot, self, range, future,
// export.
//
// A move that crosses the border of the exports is what it looks like from inside: out of all of them, the removal of
// what it moves; into one, the removal of what its target named before, since accesses to the source were never taken
// in. Moves and removals outside concern nobody.
#include "ingest/policy.h"

#include <algorithm>
#include <optional>

namespace qatime::ingest {

Policy::Policy(const PolicyConfig& config, const Lanes& lanes, const SelfAddresses& self)
    : operations_{config.operations}, future_limit_{config.future_limit}, lanes_{lanes}, self_{self} {
  for (const std::string& text : config.self) {
    if (const auto address = parse_address(text)) own_.push_back(*address);
  }
}

Decision Policy::decide(const Record& record, Time time, Time now) const {
  const Kind kind = kind_of(record.operation);
  if (kind == Kind::other) return Ignored::operation;
  if (record.status != "ok") return Ignored::status;
  const std::optional<std::string_view> path = normal_path(record.path);
  if (!path) return Malformed::path;
  if (kind == Kind::access) return decide_access(record, *path, time, now);
  if (kind != Kind::move) return decide_removal(*path, kind == Kind::subtree_removal, time);
  const std::optional<std::string_view> target = normal_path(record.target);
  if (!target) return Malformed::path;
  return decide_move(*path, *target, time);
}

// An operation that changes names is that even if it is listed as an access.
Policy::Kind Policy::kind_of(std::string_view operation) const noexcept {
  if (operation == "fs_rename") return Kind::move;
  if (operation == "fs_delete") return Kind::removal;
  if (operation == "fs_tree_delete") return Kind::subtree_removal;
  const bool listed = std::ranges::find(operations_, operation) != operations_.end();
  return listed ? Kind::access : Kind::other;
}

bool Policy::is_self(std::string_view client) const {
  const std::optional<Address> address = parse_address(client);
  return address && (std::ranges::find(own_, *address) != own_.end() || self_.contains(*address));
}

// As Lanes::place() has it, but for the search of the last component.
bool Policy::is_exported(std::string_view path) const {
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane) {
    if (is_within(path, lanes_.path(lane))) return true;
  }
  return false;
}

Decision Policy::decide_access(const Record& record, std::string_view path, Time time, Time now) const {
  if (has_component(path, ".snapshot")) return Ignored::snapshot;
  if (record.operation == "fs_list_directory" && is_self(record.client)) return Ignored::self;
  if (!fits_nfstime3(time)) return Ignored::range;
  if (future_limit_ > future_limit_.zero() && time - now > future_limit_) return Ignored::future;
  if (!is_exported(path)) return Ignored::no_export;
  return Event{Access{path, time}};
}

Decision Policy::decide_move(std::string_view path, std::string_view target, Time time) const {
  // Neither the root nor something into itself can be moved.
  if (path == "/" || target == "/" || (path != target && is_within(target, path))) return Malformed::path;
  if (path == target) return Ignored::operation;
  if (!is_exported(target)) return decide_removal(path, true, time);
  if (!is_exported(path)) return decide_removal(target, true, time);
  return Event{Move{path, target, time}};
}

Decision Policy::decide_removal(std::string_view path, bool subtree, Time time) const {
  if (!is_exported(path)) return Ignored::no_export;
  return Event{Removal{path, subtree, time}};
}

}  // namespace qatime::ingest
