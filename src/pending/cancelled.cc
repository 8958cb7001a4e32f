// SPDX-License-Identifier: MIT
#include "pending/cancelled.h"

#include "base/path.h"

namespace qatime::backlog {

void CancelledAccesses::remember(Cancelled ending, Clock::Instant now) {
  bytes_ += bytes_of(ending);
  const auto at = endings_.try_emplace(endings_.end(), ++last_, Remembered{std::move(ending), now});
  by_path_.emplace(at->second.ending.path, last_);
  while (bytes_ > limits_.bytes) drop(endings_.begin()->first);
}

void CancelledAccesses::forget(Clock::Instant now) {
  while (!endings_.empty() && now - endings_.begin()->second.arrival >= limits_.retention) {
    drop(endings_.begin()->first);
  }
}

std::vector<CancelledAccesses::Cancelled> CancelledAccesses::extract(std::string_view path, Time until) {
  std::vector<Cancelled> found;
  // Between `path` and what lies below it there may be names like "path-2".
  const auto take = [&](std::string_view begin, const auto& belongs) {
    for (auto at = by_path_.lower_bound({begin, 0}); at != by_path_.end() && belongs(at->first);) {
      const Number number = (at++)->second;
      const Cancelled& ending = endings_.at(number).ending;
      if (ending.time > until) continue;
      found.push_back(ending);
      drop(number);
    }
  };
  take(path, [path](std::string_view one) { return one == path; });
  const std::string below = path == "/" ? "/" : std::string{path} + '/';
  take(below, [&below](std::string_view one) { return one.starts_with(below); });
  return found;
}

void CancelledAccesses::drop(Number number) {
  const auto at = endings_.find(number);
  bytes_ -= bytes_of(at->second.ending);
  by_path_.erase({at->second.ending.path, number});
  endings_.erase(at);
}

std::size_t CancelledAccesses::bytes_of(const Cancelled& ending) {
  constexpr std::size_t kNodes = 224;  // of both trees
  return kNodes + ending.path.size();
}

}  // namespace qatime::backlog
