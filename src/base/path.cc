// SPDX-License-Identifier: MIT
#include "base/path.h"

#include <algorithm>
#include <cstring>

#include "base/byte_scan.h"

namespace qatime {
namespace {

bool is_normal_component(std::string_view component) noexcept {
  return !component.empty() && component.size() <= kMaxComponent && component != "." && component != "..";
}

// Of a path that has one. A name has some twenty bytes, which rfind() takes one by one.
std::size_t last_slash(std::string_view path) noexcept {
  return static_cast<std::size_t>(static_cast<const char*>(memrchr(path.data(), '/', path.size())) - path.data());
}

}  // namespace

std::optional<std::string_view> normal_path(std::string_view path) noexcept {
  if (path.empty() || path.front() != '/') return std::nullopt;
  if (path.size() == 1) return path;
  if (path.back() == '/') path.remove_suffix(1);
  if (path.find('\0') != std::string_view::npos) return std::nullopt;
  const ByteMask slashes{path, '/'};
  for (std::size_t begin = 1; begin <= path.size();) {
    const std::size_t end = std::min(slashes.find(begin), path.size());
    if (!is_normal_component(path.substr(begin, end - begin))) return std::nullopt;
    begin = end + 1;
  }
  return path;
}

bool is_within(std::string_view path, std::string_view prefix) noexcept {
  if (prefix == "/") return true;
  return path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
}

bool has_component(std::string_view path, std::string_view component) noexcept {
  for (std::size_t at = path.find(component); at != std::string_view::npos; at = path.find(component, at + 1)) {
    const std::size_t end = at + component.size();
    if (path[at - 1] == '/' && (end == path.size() || path[end] == '/')) return true;
  }
  return false;
}

std::string rebase(std::string_view path, std::string_view from, std::string_view to) {
  const std::string_view rest = from == "/" ? path : path.substr(from.size());
  if (to == "/") return rest.empty() ? "/" : std::string{rest};
  return rest == "/" ? std::string{to} : std::string{to}.append(rest);
}

std::string join(std::string_view directory, std::string_view name) {
  std::string path{directory};
  if (name.empty()) return path;
  if (path.back() != '/') path += '/';
  return path.append(name);
}

Exports::Exports(std::vector<std::string> paths) : paths_{std::move(paths)} {
  for (std::size_t index = 0; index < paths_.size(); ++index) {
    indexes_.emplace(paths_[index], index);
    longest_ = std::max(longest_, paths_[index].size());
  }
}

// The export with the longest path. Hundreds of them are not compared one by one, because each event is placed.
std::optional<std::size_t> Exports::find(std::string_view path) const noexcept {
  for (;; path = path.substr(0, std::max<std::size_t>(last_slash(path), 1))) {
    if (path.size() <= longest_) {
      if (const auto known = indexes_.find(path); known != indexes_.end()) return known->second;
    }
    if (path.size() <= 1) return std::nullopt;
  }
}

std::optional<Place> Exports::place(std::string_view path) const noexcept {
  const auto export_index = find(path);
  if (!export_index) return std::nullopt;
  if (path == paths_[*export_index]) return Place{*export_index, path, {}};
  const std::size_t slash = last_slash(path);
  return Place{*export_index, path.substr(0, std::max<std::size_t>(slash, 1)), path.substr(slash + 1)};
}

}  // namespace qatime
