// SPDX-License-Identifier: MIT
// A bounded cache of values by path, the least recently used ones leaving first.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include <boost/multi_index/hashed_index.hpp>
#include <boost/multi_index/member.hpp>
#include <boost/multi_index/ordered_index.hpp>
#include <boost/multi_index/sequenced_index.hpp>
#include <boost/multi_index_container.hpp>

#include "base/clock.h"

namespace qatime::apply {

// Holds at most `capacity` paths. An entry expires `ttl` after insert(). The cost of drop_subtree() grows with the
// entries dropped, not with the size of the cache. Thread: apply.
template <class Value>
class PathCache {
 public:
  PathCache(std::size_t capacity, Clock::Duration ttl) : capacity_{capacity}, ttl_{ttl} {}

  // Returns the value of `path`, or null. Valid until the next call. Changing it does not delay its expiry.
  [[nodiscard]] Value* find(std::string_view path, Clock::Instant now) {
    auto& names = entries_.template get<ByPath>();
    const auto found = names.find(path);
    if (found == names.end()) return nullptr;
    if (now - found->learned >= ttl_) {
      names.erase(found);
      return nullptr;
    }
    auto& recency = entries_.template get<ByRecency>();
    recency.relocate(recency.begin(), entries_.template project<ByRecency>(found));
    return &found->value;
  }

  void insert(std::string_view path, Value value, Clock::Instant now) {
    drop(path);
    auto& recency = entries_.template get<ByRecency>();
    if (recency.size() >= capacity_) recency.pop_back();
    recency.push_front({std::string{path}, std::move(value), now});
  }

  void drop(std::string_view path) {
    auto& names = entries_.template get<ByPath>();
    if (const auto found = names.find(path); found != names.end()) names.erase(found);
  }

  // Drops `path` and everything below it.
  void drop_subtree(std::string_view path) {
    if (path == "/") return entries_.clear();
    drop(path);
    auto& order = entries_.template get<InOrder>();
    std::string bound{path};
    bound += '/';
    const auto begin = order.lower_bound(bound);
    bound.back() = '/' + 1;
    order.erase(begin, order.lower_bound(bound));
  }

  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

 private:
  struct CachedPath {
    std::string path;
    mutable Value value;  // mutable because elements of the container are const, to protect its keys
    Clock::Instant learned;
  };
  struct ByRecency {};
  struct ByPath {};
  struct InOrder {};
  using Path = boost::multi_index::member<CachedPath, std::string, &CachedPath::path>;
  using Entries = boost::multi_index_container<
      CachedPath, boost::multi_index::indexed_by<
                      boost::multi_index::sequenced<boost::multi_index::tag<ByRecency>>,
                      boost::multi_index::hashed_unique<boost::multi_index::tag<ByPath>, Path,
                                                        std::hash<std::string_view>, std::equal_to<>>,
                      boost::multi_index::ordered_unique<boost::multi_index::tag<InOrder>, Path, std::less<>>>>;

  std::size_t capacity_;
  Clock::Duration ttl_;
  Entries entries_;  // the most recently used first
};

}  // namespace qatime::apply
