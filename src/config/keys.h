// SPDX-License-Identifier: MIT
// The one list of what can be set.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <toml++/toml.h>

#include "config/config.h"

namespace qatime {

// When a changed value takes effect.
enum class InForce : std::uint8_t { at_start, at_reload };

// A key, and functions that read its value from a file and compare and copy it between two Configs.
struct Key {
  std::string_view name;  // dotted
  InForce in_force;
  std::string_view allowed;  // completes "must be"
  // Stores the value of a node and returns null, or returns the node whose value the key does not allow.
  const toml::node* (*read)(const toml::node&, Config&);
  bool (*is_same)(const Config&, const Config&);
  void (*copy)(const Config& from, Config& to);
};

[[nodiscard]] std::span<const Key> all_keys() noexcept;

// Returns the key, or null if there is none.
[[nodiscard]] const Key* find_key(std::string_view name) noexcept;

// Returns the key whose name is most similar to `name`.
[[nodiscard]] const Key& nearest_key(std::string_view name);

// Whether a key's name begins with `name` and a dot.
[[nodiscard]] bool is_section(std::string_view name) noexcept;

}  // namespace qatime
