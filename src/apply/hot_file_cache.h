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

// What the reply to the last SETATTR of a path has told. Whoever uses it guards the next SETATTR with the ctime, so
// that it cannot reach an object that has lost its name since, without our having heard of it: removing a name, giving
// it to another object and taking the object elsewhere all change the ctime of the object (POSIX; for rename() it is
// left to the server). What no guard shows, like with handles of directories, is the renaming of a directory above. It
// is noticed after the time to live at the latest, which counts from the LOOKUP and is not renewed.
//
// Lives on the apply thread.
class HotFileCache {
 public:
  // Accesses that come at longer intervals than this one gain nothing from being remembered. At shorter ones, one in
  // as many as come meanwhile is looked up.
  static constexpr std::chrono::seconds kTtl{2};
  static constexpr std::size_t kCapacity = 10'000;  // files, some 5 MB

  struct HotFile {
    nfs::Handle handle;
    nfs::Attributes attributes;
  };

  HotFileCache();
  ~HotFileCache();

  // What is known of `name` in `directory`, or null. Valid until the next call.
  [[nodiscard]] const HotFile* find(std::string_view directory, std::string_view name, Clock::Instant now);

  // `looked` is when `known.handle` was found under its name.
  void learn(std::string_view directory, std::string_view name, const HotFile& known, Clock::Instant looked);
  // The attributes of what is known, if something is, after another SETATTR.
  void renew(std::string_view directory, std::string_view name, const nfs::Attributes& attributes, Clock::Instant now);

  void drop(std::string_view directory, std::string_view name);

  // Names at and below `path` may mean other objects now.
  void forget(std::string_view path);

 private:
  // The key of what is asked for, in memory that is used again.
  const std::string& key(std::string_view directory, std::string_view name);

  const std::unique_ptr<PathCache<HotFile>> known_;
  std::string key_;
};

}  // namespace qatime::apply
