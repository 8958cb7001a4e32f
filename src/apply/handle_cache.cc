// SPDX-License-Identifier: MIT
#include "apply/handle_cache.h"

namespace qatime::apply {

const nfs::Handle* HandleCache::find(std::string_view directory, Clock::Instant now) {
  auto& names = entries_.get<Name>();
  const auto found = names.find(directory);
  if (found == names.end()) return nullptr;
  if (now - found->learned >= ttl_) {
    names.erase(found);
    return nullptr;
  }
  auto& recency = entries_.get<Recency>();
  recency.relocate(recency.begin(), entries_.project<Recency>(found));
  return &found->handle;
}

void HandleCache::insert(std::string_view directory, const nfs::Handle& handle, Clock::Instant now) {
  drop(directory);
  auto& recency = entries_.get<Recency>();
  if (recency.size() >= capacity_) recency.pop_back();
  recency.push_front({std::string{directory}, handle, now});
}

void HandleCache::drop(std::string_view directory) {
  auto& names = entries_.get<Name>();
  if (const auto found = names.find(directory); found != names.end()) names.erase(found);
}

void HandleCache::drop_subtree(std::string_view path) {
  if (path == "/") return entries_.clear();
  drop(path);
  auto& order = entries_.get<Order>();
  std::string bound{path};
  bound += '/';
  const auto begin = order.lower_bound(bound);
  bound.back() = '/' + 1;
  order.erase(begin, order.lower_bound(bound));
}

}  // namespace qatime::apply
