// SPDX-License-Identifier: MIT
// Which handle a directory has, as far as it is known.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include <boost/multi_index/hashed_index.hpp>
#include <boost/multi_index/member.hpp>
#include <boost/multi_index/ordered_index.hpp>
#include <boost/multi_index/sequenced_index.hpp>
#include <boost/multi_index_container.hpp>

#include "clock.h"
#include "nfs/client.h"

namespace qatime::apply {

// Bounded, the least recently used goes first; an entry expires `ttl` after it was learned. Dropping a subtree costs
// what it drops, however much there is beside it. Lives on the apply thread.
class HandleCache {
 public:
  HandleCache(std::size_t capacity, Clock::Duration ttl) : capacity_{capacity}, ttl_{ttl} {}

  // The handle of `directory`, or null. Valid until the next call.
  [[nodiscard]] const nfs::Handle* find(std::string_view directory, Clock::Instant now);

  void insert(std::string_view directory, const nfs::Handle& handle, Clock::Instant now);

  void drop(std::string_view directory);

  // Drops `path` and everything below it.
  void drop_subtree(std::string_view path);

  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

 private:
  struct Entry {
    std::string directory;
    nfs::Handle handle;
    Clock::Instant learned;
  };
  struct Recency {};
  struct Name {};
  struct Order {};
  using Directory = boost::multi_index::member<Entry, std::string, &Entry::directory>;
  using Entries = boost::multi_index_container<
      Entry, boost::multi_index::indexed_by<
                 boost::multi_index::sequenced<boost::multi_index::tag<Recency>>,
                 boost::multi_index::hashed_unique<boost::multi_index::tag<Name>, Directory,
                                                   std::hash<std::string_view>, std::equal_to<>>,
                 boost::multi_index::ordered_unique<boost::multi_index::tag<Order>, Directory, std::less<>>>>;

  std::size_t capacity_;
  Clock::Duration ttl_;
  Entries entries_;  // the most recently used first
};

}  // namespace qatime::apply
