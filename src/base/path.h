// SPDX-License-Identifier: MIT
// Absolute paths as bytes, and the exports that they belong to.
//
// A *normal* path begins with '/', and does not end with '/' unless it is the root "/". Each component has 1 to 255
// bytes, is neither "." nor "..", and holds no NUL. All paths of qatime are normal once ingest has accepted them.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace qatime {

inline constexpr std::size_t kMaxComponent = 255;  // bytes; the limit of the cluster and of common servers

// Returns `path` without the one trailing slash that marks a directory, or nothing if the rest is not normal.
[[nodiscard]] std::optional<std::string_view> normal_path(std::string_view path) noexcept;

// Whether `path` is `prefix` or lies below it, by whole components. Both are normal.
[[nodiscard]] bool is_within(std::string_view path, std::string_view prefix) noexcept;

// Whether `component` is one whole component of `path`, which is normal.
[[nodiscard]] bool has_component(std::string_view path, std::string_view component) noexcept;

// Returns the new path of `path` once `from` is renamed to `to`. `path` is `from` or lies below it.
[[nodiscard]] std::string rebase(std::string_view path, std::string_view from, std::string_view to);

// The export, directory and name of a path. The directory is a normal path, the export's own or one below it. The name
// is empty for the export's root itself.
struct Place {
  std::size_t export_index = 0;
  std::string_view directory;
  std::string_view name;
};

// Joins a directory and a name to a path. `name` may be empty.
[[nodiscard]] std::string join(std::string_view directory, std::string_view name);

// The paths of the exports, in the order of their indexes. Immutable; any thread.
class Exports {
 public:
  // `paths` are normal and distinct.
  explicit Exports(std::vector<std::string> paths = {"/"});

  [[nodiscard]] std::size_t size() const noexcept { return paths_.size(); }
  [[nodiscard]] const std::string& path(std::size_t export_index) const { return paths_.at(export_index); }

  // Returns the place of `path` in the export with the longest matching path, or nothing if no export holds it. The
  // views point into `path`.
  [[nodiscard]] std::optional<Place> place(std::string_view path) const noexcept;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view path) const noexcept { return std::hash<std::string_view>{}(path); }
  };

  [[nodiscard]] std::optional<std::size_t> find(std::string_view path) const noexcept;

  std::vector<std::string> paths_;
  std::size_t longest_ = 0;                                                      // bytes, of a path
  std::unordered_map<std::string, std::size_t, Hash, std::equal_to<>> indexes_;  // by path
};

}  // namespace qatime
