// SPDX-License-Identifier: MIT
//
// A reader walks the file and then each --set through the list of keys (keys.cc), so that both are checked by
// the same rules and give the same messages.
#include "config/config.h"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <utility>

#include <fmt/core.h>
#include <toml++/toml.h>

#include "config/keys.h"

namespace qatime {
namespace {

// Where a setting comes from, for messages: a file, or the text of one --set.
class TomlSource {
 public:
  explicit TomlSource(std::string name, bool has_lines) : name_{std::move(name)}, has_lines_{has_lines} {}

  // As messages begin.
  [[nodiscard]] std::string place(const toml::source_position& at) const {
    return has_lines_ ? fmt::format("{}:{}:{}", name_, at.line, at.column) : name_;
  }

  [[noreturn]] void fail(const toml::source_position& at, std::string_view what) const {
    throw ConfigError{fmt::format("{}: {}", place(at), what)};
  }

 private:
  std::string name_;
  bool has_lines_;
};

void read(const toml::table& table, const std::string& prefix, const TomlSource& source, Config& config) {
  for (auto&& [key, node] : table) {
    const std::string name = prefix + std::string{key.str()};
    if (const Key* const known = find_key(name); known != nullptr) {
      const toml::node* const wrong = known->read(node, config);
      if (wrong != nullptr) source.fail(wrong->source().begin, fmt::format("{} must be {}", name, known->allowed));
      config.places[name] = source.place(node.source().begin);
    } else if (const toml::table* section = node.as_table(); section != nullptr && is_section(name)) {
      read(*section, name + ".", source, config);
    } else {
      source.fail(key.source().begin,
                  fmt::format("{} is no key of qatime; the nearest is {}", log::escaped(name), nearest_key(name).name));
    }
  }
}

void read_file(const std::string& file, Config& config) {
  try {
    read(toml::parse_file(file), "", TomlSource{file, true}, config);
  } catch (const toml::parse_error& error) {
    const auto& at = error.source().begin;
    if (at.line == 0) throw ConfigError{fmt::format("{}: cannot be read: {}", file, error.description())};
    TomlSource{file, true}.fail(at, error.description());
  }
}

// The value of a --set: TOML, or else a bare word, which stands for a string.
toml::table parse_setting(const std::string& key, const std::string& value, const TomlSource& source) {
  try {
    return toml::parse(fmt::format("{} = {}\n", key, value));
  } catch (const toml::parse_error&) {
    if (value.find_first_of("\"'\n\r[]{}\\") != std::string::npos) source.fail({}, "the value is no TOML");
  }
  try {
    return toml::parse(fmt::format("{} = \"{}\"\n", key, value));
  } catch (const toml::parse_error& error) {
    source.fail({}, error.description());
  }
}

// As messages show it: what stands before the host of a URL is a secret.
std::string shown_setting(std::string setting) {
  const std::size_t begin = setting.find("://");
  const std::size_t end = setting.rfind('@');
  if (begin != setting.npos && end != setting.npos && begin + 3 < end)
    setting.replace(begin + 3, end - begin - 3, "***");
  return fmt::format("--set {}", log::escaped(setting));
}

void read_setting(const std::string& setting, Config& config) {
  const std::size_t equals = setting.find('=');
  const TomlSource source{shown_setting(setting), false};
  if (equals == std::string::npos || equals == 0) source.fail({}, "must be key=value, like nfs.port=2049");
  read(parse_setting(setting.substr(0, equals), setting.substr(equals + 1), source), "", source, config);
}

// Faults that one key alone does not show.
void check(const Config& config) {
  constexpr std::size_t kMost = NfsConfig::kMostPerConnection;
  if (config.nfs.max_in_flight > kMost * config.nfs.connections) {
    throw config.error("nfs.max_in_flight", fmt::format("must be at most {} x nfs.connections, here {}", kMost,
                                                        kMost * config.nfs.connections));
  }
  if (config.backlog.kind == BacklogConfig::Kind::redis && config.redis.lease < 2 * config.nfs.timeout) {
    throw config.error("redis.lease",
                       "must be at least twice nfs.timeout: no request goes out that might outlive the lease");
  }
  const SyslogConfig::Tls& tls = config.syslog.tls;
  if (config.syslog.uses_tls() && (tls.certificate.empty() || tls.key.empty())) {
    throw config.error("syslog.listen", "has tls://, which needs syslog.tls.certificate and syslog.tls.key");
  }
  if (!tls.permitted_peers.empty() && tls.client_ca.empty()) {
    throw config.error("syslog.tls.permitted_peers", "needs syslog.tls.client_ca: without it no client has a name");
  }
}

}  // namespace

bool SyslogConfig::uses_tls() const {
  return std::ranges::find(listen, Listener::Transport::tls, &Listener::transport) != listen.end();
}

Exports NfsConfig::export_paths() const {
  std::vector<std::string> paths;
  paths.reserve(exports.size());
  for (const Export& exported : exports) paths.push_back(exported.path);
  return Exports{std::move(paths)};
}

ConfigError Config::error(const std::string& key, std::string_view what) const {
  const auto place = places.find(key);
  return ConfigError{fmt::format("{}{}{} {}", place == places.end() ? "" : place->second,
                                 place == places.end() ? "" : ": ", key, what)};
}

Config load_config(const std::string& file, std::span<const std::string> settings) {
  Config config;
  if (!file.empty()) {
    read_file(file, config);
  } else if (std::error_code ignored;
             std::filesystem::status(kDefaultConfigFile, ignored).type() != std::filesystem::file_type::not_found) {
    read_file(kDefaultConfigFile, config);
  }
  for (const std::string& setting : settings) read_setting(setting, config);
  check(config);
  return config;
}

std::vector<std::string> config_keys() {
  std::vector<std::string> names;
  for (const Key& key : all_keys()) names.emplace_back(key.name);
  return names;
}

bool is_reloadable(std::string_view key) {
  const Key* const known = find_key(key);
  return known != nullptr && known->in_force == InForce::at_reload;
}

ConfigChanges reconfigure(Config& current, Config next) {
  ConfigChanges changes;
  for (const Key& key : all_keys()) {
    if (key.is_same(current, next)) continue;
    (key.in_force == InForce::at_reload ? changes.in_force : changes.at_restart).emplace_back(key.name);
    if (key.in_force == InForce::at_start) key.copy(current, next);
  }
  current = std::move(next);
  return changes;
}

}  // namespace qatime
