// SPDX-License-Identifier: MIT
// The one list of what can be set.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <toml++/toml.h>

#include "config/config.h"

namespace qatime {

// When a changed value comes into force.
enum class InForce : std::uint8_t { at_start, at_reload };

// A key, and how its value gets from a file into a Config and from one Config into another.
struct Key {
  std::string_view name;  // dotted
  InForce in_force;
  std::string_view allowed;  // completes "must be"
  // Stores what a node says and returns null, or returns the node that is not what the key allows.
  const toml::node* (*read)(const toml::node&, Config&);
  bool (*is_same)(const Config&, const Config&);
  void (*copy)(const Config& from, Config& to);
};

[[nodiscard]] std::span<const Key> all_keys() noexcept;

// Null if there is none.
[[nodiscard]] const Key* find_key(std::string_view name) noexcept;

// The one whose name is most like `name`.
[[nodiscard]] const Key& nearest_key(std::string_view name);

// Whether names of keys begin with `name` and a dot.
[[nodiscard]] bool is_section(std::string_view name) noexcept;

}  // namespace qatime
