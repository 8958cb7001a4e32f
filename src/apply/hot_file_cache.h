// SPDX-License-Identifier: MIT
// Files whose atime was set a moment ago: the next access costs a SETATTR and no LOOKUP.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "nfs/client.h"

namespace qatime::apply {

template <class Value>
class PathCache;

// The handle of a path, with the attributes that its last SETATTR returned.
//
// Rule: guard the next SETATTR with the cached ctime. It fails if the object has lost its name, because removing,
// replacing and moving change an object's ctime (POSIX; rename() leaves it to the server).
// Limit: neither a guard nor a cached handle of a directory shows that a directory above was renamed. So an entry
// expires kTtl after its LOOKUP, and renew() does not prolong that.
// Thread: apply.
class HotFileCache {
 public:
  // The time to live. A file accessed at shorter intervals needs one LOOKUP per kTtl. One accessed at longer intervals
  // gains nothing from the cache.
  static constexpr std::chrono::seconds kTtl{2};
  static constexpr std::size_t kCapacity = 10'000;  // files, some 5 MB

  struct HotFile {
    nfs::Handle handle;
    nfs::Attributes attributes;
  };

  HotFileCache();
  ~HotFileCache();

  // Returns the entry of `name` in `directory`, or null. Valid until the next call.
  [[nodiscard]] const HotFile* find(std::string_view directory, std::string_view name, Clock::Instant now);

  // Adds or replaces an entry. `looked` is when LOOKUP found `known.handle` under this name.
  void learn(std::string_view directory, std::string_view name, const HotFile& known, Clock::Instant looked);
  // Replaces the attributes of an entry, if there is one, after another SETATTR.
  void renew(std::string_view directory, std::string_view name, const nfs::Attributes& attributes, Clock::Instant now);

  void drop(std::string_view directory, std::string_view name);

  // Drops names at and below `path`, because they might mean other objects now.
  void forget(std::string_view path);

 private:
  // Returns the key, in memory that the next call reuses.
  const std::string& key(std::string_view directory, std::string_view name);

  const std::unique_ptr<PathCache<HotFile>> known_;
  std::string key_;
};

}  // namespace qatime::apply
