// SPDX-License-Identifier: MIT
#include "telemetry/node_stats.h"

#include "base/log.h"

namespace qatime {
namespace {

// RFC 5424 section 6.2.4: no HOSTNAME is longer.
constexpr std::size_t kLongest = 255;
constexpr std::string_view kOther = "other";

}  // namespace

Node& NodeStats::look_up(std::string_view host) {
  const std::string key{host.substr(0, kLongest)};
  auto at = known_.find(key);
  if (at == known_.end()) {
    const bool is_other = known_.size() >= kMost || key == kOther;
    if (is_other && other_ == nullptr) other_ = &make(std::string{kOther});
    if (is_other) return *other_;
    at = known_.emplace(key, &make(log::escaped(key))).first;
  }
  if (key == host) recent_[place(host)] = {key, at->second};
  return *at->second;
}

Node& NodeStats::make(std::string name) {
  const MutexLock lock{mutex_};
  return nodes_.emplace_back(std::move(name));
}

std::vector<const Node*> NodeStats::all() const {
  const MutexLock lock{mutex_};
  std::vector<const Node*> all;
  all.reserve(nodes_.size());
  for (const Node& node : nodes_) all.push_back(&node);
  return all;
}

}  // namespace qatime
