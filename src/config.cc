// SPDX-License-Identifier: MIT
//
// kKeys is the one list of what can be set: a reader walks the file and then each --set through it, so that both are
// checked by the same rules and give the same messages.
#include "config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <limits>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <toml++/toml.h>

#include "path.h"
#include "units.h"

namespace qatime {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// Readers store what a node says and return nothing, or return the node that is not what the key allows.
using Wrong = const toml::node*;

bool is_address(const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> address{};
  return inet_pton(AF_INET, text.c_str(), address.data()) == 1 ||
         inet_pton(AF_INET6, text.c_str(), address.data()) == 1;
}

// The name of a file, or nothing.
Wrong read_file_name(const toml::node& node, std::string& field) {
  const auto text = node.value_exact<std::string>();
  if (!text || text->find('\0') != std::string::npos) return &node;
  field = *text;
  return nullptr;
}

template <class Number>
Wrong read_number(const toml::node& node, std::int64_t least, std::int64_t most, Number& field) {
  const auto value = node.value_exact<std::int64_t>();
  if (!value || *value < least || *value > most) return &node;
  field = static_cast<Number>(*value);
  return nullptr;
}

Wrong read_size(const toml::node& node, std::uint64_t least, std::uint64_t most, std::size_t& field) {
  const auto text = node.value_exact<std::string>();
  const auto value = text ? parse_size(*text) : std::nullopt;
  if (!value || *value < least || *value > most) return &node;
  field = *value;
  return nullptr;
}

Wrong read_bool(const toml::node& node, bool& field) {
  const auto value = node.value_exact<bool>();
  if (!value) return &node;
  field = *value;
  return nullptr;
}

template <class Duration>
Wrong read_duration(const toml::node& node, Duration least, Duration most, Duration& field) {
  const auto text = node.value_exact<std::string>();
  const auto value = text ? parse_duration(*text) : std::nullopt;
  if (!value || *value < least || *value > most) return &node;
  field = std::chrono::duration_cast<Duration>(*value);
  return nullptr;
}

// An array of strings that `parse` turns into elements; `least` of them.
template <class Element, class Parse>
Wrong read_array(const toml::node& node, std::size_t least, std::vector<Element>& field, Parse parse) {
  const toml::array* array = node.as_array();
  if (array == nullptr || array->size() < least) return &node;
  std::vector<Element> elements;
  for (const toml::node& item : *array) {
    const auto text = item.value_exact<std::string>();
    std::optional<Element> element = text ? parse(*text) : std::nullopt;
    if (!element) return &item;
    elements.push_back(std::move(*element));
  }
  field = std::move(elements);
  return nullptr;
}

struct HostPort {
  std::string host;
  std::optional<std::uint16_t> port;
};

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return port;
}

// "host", "host:port", "[::1]", "[::1]:port", or a bare IPv6 address.
std::optional<HostPort> parse_host_port(std::string_view text) {
  if (is_address(std::string{text})) return HostPort{std::string{text}, {}};
  std::string_view rest;
  HostPort parsed;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    parsed.host = text.substr(1, close - 1);
    rest = text.substr(close + 1);
    if (!is_address(parsed.host)) return std::nullopt;
  } else {
    const std::size_t colon = std::min(text.find(':'), text.size());
    parsed.host = text.substr(0, colon);
    rest = text.substr(colon);
    if (parsed.host.find_first_of(" \t/@[]") != std::string::npos) return std::nullopt;
  }
  if (parsed.host.empty()) return std::nullopt;
  if (rest.empty()) return parsed;
  parsed.port = rest.starts_with(':') ? parse_port(rest.substr(1)) : std::nullopt;
  return parsed.port ? std::optional{parsed} : std::nullopt;
}

std::optional<SyslogConfig::Listener> parse_listener(std::string_view text) {
  using Transport = SyslogConfig::Listener::Transport;
  constexpr std::array kTransports{std::pair{"tcp://", Transport::tcp}, std::pair{"udp://", Transport::udp},
                                   std::pair{"tls://", Transport::tls}};
  const auto transport =
      std::ranges::find_if(kTransports, [&](const auto& each) { return text.starts_with(each.first); });
  if (transport == kTransports.end()) return std::nullopt;
  const auto endpoint = parse_host_port(text.substr(6));
  if (!endpoint || !endpoint->port || !is_address(endpoint->host)) return std::nullopt;
  return SyslogConfig::Listener{transport->second, endpoint->host, *endpoint->port};
}

std::optional<NfsConfig::Server> parse_server(const std::string& text) {
  const auto endpoint = parse_host_port(text);
  if (!endpoint || endpoint->port == 0) return std::nullopt;
  return NfsConfig::Server{endpoint->host, endpoint->port.value_or(0)};
}

// What a mount protocol path may be (RFC 1813 section 5.1.4, MNTPATHLEN); it is the server's to understand.
bool is_export(const std::string& text) {
  constexpr std::size_t kMntPathLen = 1024;
  return text.starts_with('/') && text.size() <= kMntPathLen && text.find('\0') == std::string::npos;
}

Wrong read_exports(const toml::node& node, std::vector<NfsConfig::Export>& field) {
  const toml::array* array = node.as_array();
  if (array == nullptr || array->empty()) return &node;
  std::vector<NfsConfig::Export> exports;
  std::set<std::string> paths;
  for (const toml::node& item : *array) {
    const toml::table* table = item.as_table();
    if (table == nullptr) return &item;
    for (auto&& [key, value] : *table) {
      if (key != "path" && key != "export") return &value;
    }
    const auto path = (*table)["path"].value_exact<std::string>();
    const auto target = (*table)["export"].value_exact<std::string>();
    const auto normal = path ? normal_path(*path) : std::nullopt;
    if (!normal || !target || !is_export(*target) || !paths.emplace(*normal).second) return &item;
    exports.push_back({std::string{*normal}, *target});
  }
  field = std::move(exports);
  return nullptr;
}

std::optional<std::string> parse_word(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional{text};
}

// The name of a host, with "*" for its first label if any will do, or an address.
std::optional<std::string> parse_peer(const std::string& text) {
  const std::size_t begin = text.starts_with("*.") ? 2 : 0;
  const bool is_name = begin < text.size() && text[begin] != '.' && text.find('*', begin) == std::string::npos;
  return is_name ? std::optional{text} : std::nullopt;
}

std::optional<std::string> parse_path(const std::string& text) {
  const auto normal = normal_path(text);
  return normal ? std::optional{std::string{*normal}} : std::nullopt;
}

struct Key {
  std::string_view name;
  std::string_view allowed;  // completes "must be"
  Wrong (*read)(const toml::node&, Config&);
};

constexpr std::int64_t kMostPort = std::numeric_limits<std::uint16_t>::max();
constexpr std::int64_t kMostId = std::numeric_limits<std::uint32_t>::max();

constexpr std::string_view kFile = R"(the name of a file in PEM form, or "")";
constexpr std::string_view kNetworks = R"(a list of networks and addresses, like ["192.0.2.0/24", "2001:db8::1"])";
constexpr std::string_view kPaths = R"(a list of absolute paths without "." or "..", like ["/projects"])";
constexpr std::string_view kUsers = R"(a list of user names, like ['AD\alice', "1000"])";
constexpr std::string_view kProtocols = R"(a list of protocols, like ["nfs3", "smb2"])";

constexpr std::array kKeys{
    Key{"syslog.listen", R"(a list of "tcp://ADDRESS:PORT", "udp://..." and "tls://..." with numeric addresses)",
        [](const toml::node& n, Config& c) { return read_array(n, 1, c.syslog.listen, parse_listener); }},
    Key{"syslog.allow", kNetworks,
        [](const toml::node& n, Config& c) { return read_array(n, 0, c.syslog.allow, parse_network); }},
    Key{"syslog.max_message", R"(a size from "1 KiB" to "8 MiB")",
        [](const toml::node& n, Config& c) { return read_size(n, 1 << 10, 8 << 20, c.syslog.max_message); }},
    Key{"syslog.max_connections", "a number from 1 to 1000000",
        [](const toml::node& n, Config& c) { return read_number(n, 1, 1'000'000, c.syslog.max_connections); }},
    Key{"syslog.udp_receive_buffer", R"(a size from "4 KiB" to "1 GiB")",
        [](const toml::node& n, Config& c) { return read_size(n, 4 << 10, 1 << 30, c.syslog.udp_receive_buffer); }},
    Key{"syslog.rfc3164_timezone", R"("UTC" or an IANA name that /usr/share/zoneinfo has, like "Europe/Berlin")",
        [](const toml::node& n, Config& c) -> Wrong {
          const auto zone = TimeZone::load(n.value_or(std::string_view{}));
          if (!zone) return &n;
          c.syslog.rfc3164_timezone = *zone;
          return nullptr;
        }},
    Key{"syslog.tls.certificate", kFile,
        [](const toml::node& n, Config& c) { return read_file_name(n, c.syslog.tls.certificate); }},
    Key{"syslog.tls.key", kFile, [](const toml::node& n, Config& c) { return read_file_name(n, c.syslog.tls.key); }},
    Key{"syslog.tls.client_ca", kFile,
        [](const toml::node& n, Config& c) { return read_file_name(n, c.syslog.tls.client_ca); }},
    Key{"syslog.tls.permitted_peers",
        R"(a list of names in certificates, like ["forwarder.example.com", "*.example.com", "192.0.2.7"])",
        [](const toml::node& n, Config& c) { return read_array(n, 0, c.syslog.tls.permitted_peers, parse_peer); }},
    Key{"policy.clusters", R"(a list of names of clusters, like ["qumulo"])",
        [](const toml::node& n, Config& c) { return read_array(n, 0, c.policy.clusters, parse_word); }},
    Key{"policy.operations", R"(a list of operation names, like ["fs_read_data"])",
        [](const toml::node& n, Config& c) { return read_array(n, 1, c.policy.operations, parse_word); }},
    Key{"policy.include_paths", kPaths,
        [](const toml::node& n, Config& c) { return read_array(n, 0, c.policy.include_paths, parse_path); }},
    Key{"policy.exclude_paths", kPaths,
        [](const toml::node& n, Config& c) { return read_array(n, 0, c.policy.exclude_paths, parse_path); }},
    Key{"policy.include_users", kUsers,
        [](const toml::node& n, Config& c) { return read_array(n, 0, c.policy.include_users, parse_word); }},
    Key{"policy.exclude_users", kUsers,
        [](const toml::node& n, Config& c) { return read_array(n, 0, c.policy.exclude_users, parse_word); }},
    Key{"policy.include_clients", kNetworks,
        [](const toml::node& n, Config& c) { return read_array(n, 0, c.policy.include_clients, parse_network); }},
    Key{"policy.exclude_clients", kNetworks,
        [](const toml::node& n, Config& c) { return read_array(n, 0, c.policy.exclude_clients, parse_network); }},
    Key{"policy.include_protocols", kProtocols,
        [](const toml::node& n, Config& c) { return read_array(n, 0, c.policy.include_protocols, parse_word); }},
    Key{"policy.exclude_protocols", kProtocols,
        [](const toml::node& n, Config& c) { return read_array(n, 0, c.policy.exclude_protocols, parse_word); }},
    Key{"policy.self", R"(a list of numeric addresses, like ["192.0.2.7"])",
        [](const toml::node& n, Config& c) {
          return read_array(n, 0, c.policy.self,
                            [](const std::string& s) { return is_address(s) ? std::optional{s} : std::nullopt; });
        }},
    Key{"policy.mode", R"("strict" or "relatime")",
        [](const toml::node& n, Config& c) -> Wrong {
          const auto mode = n.value_or(std::string_view{});
          if (mode != "strict" && mode != "relatime") return &n;
          c.policy.mode = mode == "strict" ? PolicyConfig::Mode::strict : PolicyConfig::Mode::relatime;
          return nullptr;
        }},
    Key{"policy.threshold", R"(a duration, like "24h")",
        [](const toml::node& n, Config& c) {
          return read_duration(n, nanoseconds{0}, nanoseconds::max(), c.policy.threshold);
        }},
    Key{"policy.granularity", R"(a duration, like "1s"; "0s" for the server's own)",
        [](const toml::node& n, Config& c) {
          return read_duration(n, nanoseconds{0}, nanoseconds::max(), c.policy.granularity);
        }},
    Key{"policy.future_limit", R"(a duration, like "24h"; "0s" for no limit)",
        [](const toml::node& n, Config& c) {
          return read_duration(n, nanoseconds{0}, nanoseconds::max(), c.policy.future_limit);
        }},
    Key{"backlog.directory", R"(the absolute path of a directory on a local disk, or "" for the usual place)",
        [](const toml::node& n, Config& c) -> Wrong {
          const auto directory = n.value<std::string>();
          if (!directory || (!directory->empty() && !directory->starts_with('/'))) return &n;
          c.backlog.directory = *directory;
          return nullptr;
        }},
    Key{"backlog.commit", R"(a duration from "10ms" to "10s")",
        [](const toml::node& n, Config& c) {
          return read_duration(n, milliseconds{10}, milliseconds{10'000}, c.backlog.commit);
        }},
    Key{"backlog.memory", R"(a size from "1 MiB" to "1 TiB")",
        [](const toml::node& n, Config& c) { return read_size(n, 1 << 20, 1ULL << 40, c.backlog.memory); }},
    Key{"backlog.disk", R"(a size from "16 MiB" to "1 TiB")",
        [](const toml::node& n, Config& c) { return read_size(n, 16 << 20, 1ULL << 40, c.backlog.disk); }},
    Key{"nfs.servers", R"(a list of "host", "host:port" or "[address]:port")",
        [](const toml::node& n, Config& c) { return read_array(n, 1, c.nfs.servers, parse_server); }},
    Key{"nfs.port", "a port, or 0 to ask the portmapper",
        [](const toml::node& n, Config& c) { return read_number(n, 0, kMostPort, c.nfs.port); }},
    Key{"nfs.mount_port", "a port, or 0 to ask the portmapper",
        [](const toml::node& n, Config& c) { return read_number(n, 0, kMostPort, c.nfs.mount_port); }},
    Key{"nfs.uid", "a numeric user id",
        [](const toml::node& n, Config& c) { return read_number(n, 0, kMostId, c.nfs.uid); }},
    Key{"nfs.gid", "a numeric group id",
        [](const toml::node& n, Config& c) { return read_number(n, 0, kMostId, c.nfs.gid); }},
    Key{"nfs.connections", "a number from 1 to 64",
        [](const toml::node& n, Config& c) { return read_number(n, 1, 64, c.nfs.connections); }},
    Key{"nfs.max_in_flight", "a number from 1 to 4096",
        [](const toml::node& n, Config& c) { return read_number(n, 1, 4096, c.nfs.max_in_flight); }},
    Key{"nfs.max_rate", "a number of updates per second up to 1000000, or 0 for no limit",
        [](const toml::node& n, Config& c) { return read_number(n, 0, 1'000'000, c.nfs.max_rate); }},
    Key{"nfs.timeout", R"(a duration from "100ms" to "10m")",
        [](const toml::node& n, Config& c) {
          return read_duration(n, milliseconds{100}, milliseconds{600'000}, c.nfs.timeout);
        }},
    Key{"nfs.handle_cache", "a number of directories from 1 to 100000000",
        [](const toml::node& n, Config& c) { return read_number(n, 1, 100'000'000, c.nfs.handle_cache); }},
    Key{"nfs.handle_ttl", R"(a duration from "0s" to "24h")",
        [](const toml::node& n, Config& c) {
          return read_duration(n, milliseconds{0}, milliseconds{86'400'000}, c.nfs.handle_ttl);
        }},
    Key{"nfs.readdirplus", "true or false",
        [](const toml::node& n, Config& c) { return read_bool(n, c.nfs.readdirplus); }},
    Key{"nfs.exports",
        R"(tables of a "path" (absolute, without "." or "..", no two the same) and the "export" to mount for it)",
        [](const toml::node& n, Config& c) { return read_exports(n, c.nfs.exports); }},
    Key{"log.level", R"(one of "debug", "info", "warning", "error")",
        [](const toml::node& n, Config& c) -> Wrong {
          const auto level = log::parse_level(n.value_or(std::string_view{}));
          if (!level) return &n;
          c.log.level = *level;
          return nullptr;
        }},
};

bool is_section(std::string_view name) {
  return std::ranges::any_of(kKeys, [&](const Key& key) {
    return key.name.starts_with(name) && key.name.substr(name.size()).starts_with('.');
  });
}

// The Levenshtein distance of two names.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({changed, row[j] + 1, row[j - 1] + 1}));
    }
  }
  return row.back();
}

std::string_view nearest_key(std::string_view name) {
  return std::ranges::min_element(kKeys, {}, [&](const Key& key) { return distance(key.name, name); })->name;
}

// Where a setting comes from, for messages: a file, or the text of one --set.
class Source {
 public:
  explicit Source(std::string name, bool has_lines) : name_{std::move(name)}, has_lines_{has_lines} {}

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

void read(const toml::table& table, const std::string& prefix, const Source& source, Config& config) {
  for (auto&& [key, node] : table) {
    const std::string name = prefix + std::string{key.str()};
    const auto known = std::ranges::find(kKeys, name, &Key::name);
    if (known != kKeys.end()) {
      const Wrong wrong = known->read(node, config);
      if (wrong != nullptr) source.fail(wrong->source().begin, fmt::format("{} must be {}", name, known->allowed));
      config.places[name] = source.place(node.source().begin);
    } else if (const toml::table* section = node.as_table(); section != nullptr && is_section(name)) {
      read(*section, name + ".", source, config);
    } else {
      source.fail(key.source().begin,
                  fmt::format("{} is no key of qatime; the nearest is {}", log::escaped(name), nearest_key(name)));
    }
  }
}

void read_file(const std::string& file, Config& config) {
  try {
    read(toml::parse_file(file), "", Source{file, true}, config);
  } catch (const toml::parse_error& error) {
    const auto& at = error.source().begin;
    if (at.line == 0) throw ConfigError{fmt::format("{}: cannot be read: {}", file, error.description())};
    Source{file, true}.fail(at, error.description());
  }
}

// The value of a --set: TOML, or else a bare word, which stands for a string.
toml::table parse_setting(const std::string& key, const std::string& value, const Source& source) {
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

void read_setting(const std::string& setting, Config& config) {
  const std::size_t equals = setting.find('=');
  const Source source{fmt::format("--set {}", log::escaped(setting)), false};
  if (equals == std::string::npos || equals == 0) source.fail({}, "must be key=value, like nfs.port=2049");
  read(parse_setting(setting.substr(0, equals), setting.substr(equals + 1), source), "", source, config);
}

// What one key alone does not show.
void check(const Config& config) {
  constexpr std::size_t kMost = NfsConfig::kMostPerConnection;
  if (config.nfs.max_in_flight > kMost * config.nfs.connections) {
    throw config.error("nfs.max_in_flight", fmt::format("must be at most {} x nfs.connections, here {}", kMost,
                                                        kMost * config.nfs.connections));
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

Lanes NfsConfig::lanes() const {
  std::vector<std::string> paths;
  paths.reserve(exports.size());
  for (const Export& exported : exports) paths.push_back(exported.path);
  return Lanes{std::move(paths)};
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
  names.reserve(kKeys.size());
  for (const Key& key : kKeys) names.emplace_back(key.name);
  return names;
}

}  // namespace qatime
