// SPDX-License-Identifier: MIT
#include "pending/cancelled.h"

#include "base/path.h"

namespace qatime::backlog {

void CancelledAccesses::remember(Cancelled cancelled, Clock::Instant now) {
  bytes_ += bytes_of(cancelled);
  const auto at = cancelled_.try_emplace(cancelled_.end(), ++last_, Remembered{std::move(cancelled), now});
  by_path_.emplace(at->second.cancelled.path, last_);
  while (bytes_ > limits_.bytes) drop(cancelled_.begin()->first);
}

void CancelledAccesses::forget(Clock::Instant now) {
  while (!cancelled_.empty() && now - cancelled_.begin()->second.arrival >= limits_.retention) {
    drop(cancelled_.begin()->first);
  }
}

std::vector<CancelledAccesses::Cancelled> CancelledAccesses::extract(std::string_view path, Time until) {
  std::vector<Cancelled> found;
  // Between `path` and what lies below it there may be names like "path-2".
  const auto take = [&](std::string_view begin, const auto& belongs) {
    for (auto at = by_path_.lower_bound({begin, 0}); at != by_path_.end() && belongs(at->first);) {
      const Number number = (at++)->second;
      const Cancelled& cancelled = cancelled_.at(number).cancelled;
      if (cancelled.time > until) continue;
      found.push_back(cancelled);
      drop(number);
    }
  };
  take(path, [path](std::string_view one) { return one == path; });
  const std::string below = path == "/" ? "/" : std::string{path} + '/';
  take(below, [&below](std::string_view one) { return one.starts_with(below); });
  return found;
}

void CancelledAccesses::drop(Number number) {
  const auto at = cancelled_.find(number);
  bytes_ -= bytes_of(at->second.cancelled);
  by_path_.erase({at->second.cancelled.path, number});
  cancelled_.erase(at);
}

std::size_t CancelledAccesses::bytes_of(const Cancelled& cancelled) {
  constexpr std::size_t kNodes = 224;  // of both trees
  return kNodes + cancelled.path.size();
}

}  // namespace qatime::backlog
