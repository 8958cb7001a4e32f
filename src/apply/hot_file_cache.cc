// SPDX-License-Identifier: MIT
#include "apply/hot_file_cache.h"

#include "apply/path_cache.h"

namespace qatime::apply {

HotFileCache::HotFileCache() : known_{std::make_unique<PathCache<HotFile>>(kCapacity, kTtl)} {}

HotFileCache::~HotFileCache() = default;

const HotFileCache::HotFile* HotFileCache::find(std::string_view directory, std::string_view name, Clock::Instant now) {
  if (known_->size() == 0) return nullptr;
  return known_->find(key(directory, name), now);
}

void HotFileCache::learn(std::string_view directory, std::string_view name, const HotFile& known,
                         Clock::Instant looked) {
  known_->insert(key(directory, name), known, looked);
}

void HotFileCache::renew(std::string_view directory, std::string_view name, const nfs::Attributes& attributes,
                         Clock::Instant now) {
  if (HotFile* const known = known_->find(key(directory, name), now)) known->attributes = attributes;
}

void HotFileCache::drop(std::string_view directory, std::string_view name) {
  if (known_->size() != 0) known_->drop(key(directory, name));
}

void HotFileCache::forget(std::string_view path) { known_->drop_subtree(path); }

const std::string& HotFileCache::key(std::string_view directory, std::string_view name) {
  key_.assign(directory);
  if (key_.back() != '/') key_ += '/';
  key_ += name;
  return key_;
}

}  // namespace qatime::apply
