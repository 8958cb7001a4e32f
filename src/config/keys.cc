// SPDX-License-Identifier: MIT
#include "config/keys.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/path.h"
#include "config/units.h"
#include "config/values.h"

namespace qatime {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

using Wrong = const toml::node*;  // as Key::read returns it

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

Wrong read_zone(const toml::node& node, TimeZone& field) {
  const auto zone = TimeZone::load(node.value_or(std::string_view{}));
  if (!zone) return &node;
  field = *zone;
  return nullptr;
}

Wrong read_mode(const toml::node& node, PolicyConfig::Mode& field) {
  const auto mode = node.value_or(std::string_view{});
  if (mode != "strict" && mode != "relatime") return &node;
  field = mode == "strict" ? PolicyConfig::Mode::strict : PolicyConfig::Mode::relatime;
  return nullptr;
}

Wrong read_directory(const toml::node& node, std::string& field) {
  const auto directory = node.value<std::string>();
  if (!directory || (!directory->empty() && !directory->starts_with('/'))) return &node;
  field = *directory;
  return nullptr;
}

Wrong read_admin_listener(const toml::node& node, std::optional<AdminConfig::ListenAddress>& field) {
  const auto text = node.value_exact<std::string>();
  const auto listener = text ? parse_admin_listener(*text) : std::nullopt;
  if (!listener && text != "") return &node;
  field = listener;
  return nullptr;
}

std::optional<std::string> parse_address_text(const std::string& text) {
  return is_address(text) ? std::optional{text} : std::nullopt;
}

std::optional<std::string> parse_name(std::string_view text) { return parse_word(std::string{text}); }

// Readers with their bounds.
template <std::int64_t Least, std::int64_t Most>
constexpr auto kNumber = [](const toml::node& node, auto& field) { return read_number(node, Least, Most, field); };
template <std::uint64_t Least, std::uint64_t Most>
constexpr auto kSize = [](const toml::node& node, std::size_t& field) { return read_size(node, Least, Most, field); };
template <std::int64_t Least, std::int64_t Most>
constexpr auto kDuration = [](const toml::node& node, milliseconds& field) {
  return read_duration(node, milliseconds{Least}, milliseconds{Most}, field);
};
constexpr auto kAnyDuration = [](const toml::node& node, nanoseconds& field) {
  return read_duration(node, nanoseconds{0}, nanoseconds::max(), field);
};
template <std::size_t Least, auto Parse>
constexpr auto kList = [](const toml::node& node, auto& field) { return read_array(node, Least, field, Parse); };
template <auto Parse>
constexpr auto kParsed = [](const toml::node& node, auto& field) -> Wrong {
  const auto value = Parse(node.value_or(std::string_view{}));
  if (!value) return &node;
  field = *value;
  return nullptr;
};

// The field of `config` to which the pointers to members lead.
template <auto... Members>
constexpr auto& field_of(auto& config) {
  return (config.*....*Members);
}

template <auto Read, auto... Members>
constexpr Key key(std::string_view name, InForce in_force, std::string_view allowed) {
  return {name,
          in_force,
          allowed,
          [](const toml::node& node, Config& config) -> Wrong { return Read(node, field_of<Members...>(config)); },
          [](const Config& a, const Config& b) { return field_of<Members...>(a) == field_of<Members...>(b); },
          [](const Config& from, Config& to) { field_of<Members...>(to) = field_of<Members...>(from); }};
}

constexpr std::int64_t kMostPort = std::numeric_limits<std::uint16_t>::max();
constexpr std::int64_t kMostId = std::numeric_limits<std::uint32_t>::max();

constexpr std::string_view kFile = R"(the name of a file in PEM form, or "")";
constexpr std::string_view kNetworks = R"(a list of networks and addresses, like ["192.0.2.0/24", "2001:db8::1"])";
constexpr std::string_view kPaths = R"(a list of absolute paths without "." or "..", like ["/projects"])";
constexpr std::string_view kUsers = R"(a list of user names, like ['AD\alice', "1000"])";
constexpr std::string_view kProtocols = R"(a list of protocols, like ["nfs3", "smb2"])";

constexpr std::array kKeys{
    key<kList<1, parse_listener>, &Config::syslog, &SyslogConfig::listen>(
        "syslog.listen", InForce::at_start,
        R"(a list of "tcp://ADDRESS:PORT", "udp://..." and "tls://..." with numeric addresses)"),
    key<kList<0, parse_network>, &Config::syslog, &SyslogConfig::allow>("syslog.allow", InForce::at_reload, kNetworks),
    key<kList<0, parse_network>, &Config::syslog, &SyslogConfig::proxy_from>("syslog.proxy_from", InForce::at_reload,
                                                                             kNetworks),
    key<kSize<1 << 10, 8 << 20>, &Config::syslog, &SyslogConfig::max_message>("syslog.max_message", InForce::at_reload,
                                                                              R"(a size from "1 KiB" to "8 MiB")"),
    key<kNumber<1, 1'000'000>, &Config::syslog, &SyslogConfig::max_connections>(
        "syslog.max_connections", InForce::at_reload, "a number from 1 to 1000000"),
    key<kSize<4 << 10, 1 << 30>, &Config::syslog, &SyslogConfig::udp_receive_buffer>(
        "syslog.udp_receive_buffer", InForce::at_reload, R"(a size from "4 KiB" to "1 GiB")"),
    key<read_zone, &Config::syslog, &SyslogConfig::rfc3164_timezone>(
        "syslog.rfc3164_timezone", InForce::at_reload,
        R"("UTC" or an IANA name that /usr/share/zoneinfo has, like "Europe/Berlin")"),
    key<read_file_name, &Config::syslog, &SyslogConfig::tls, &SyslogConfig::Tls::certificate>(
        "syslog.tls.certificate", InForce::at_reload, kFile),
    key<read_file_name, &Config::syslog, &SyslogConfig::tls, &SyslogConfig::Tls::key>("syslog.tls.key",
                                                                                      InForce::at_reload, kFile),
    key<read_file_name, &Config::syslog, &SyslogConfig::tls, &SyslogConfig::Tls::client_ca>("syslog.tls.client_ca",
                                                                                            InForce::at_reload, kFile),
    key<kList<0, parse_peer>, &Config::syslog, &SyslogConfig::tls, &SyslogConfig::Tls::permitted_peers>(
        "syslog.tls.permitted_peers", InForce::at_reload,
        R"(a list of names in certificates, like ["forwarder.example.com", "*.example.com", "192.0.2.7"], or of their )"
        R"(fingerprints, like "sha-256:E1:2D:...")"),
    key<kList<0, parse_word>, &Config::policy, &PolicyConfig::clusters>(
        "policy.clusters", InForce::at_reload, R"(a list of names of clusters, like ["qumulo"])"),
    key<kList<1, parse_word>, &Config::policy, &PolicyConfig::operations>(
        "policy.operations", InForce::at_reload, R"(a list of operation names, like ["fs_read_data"])"),
    key<kList<0, parse_path>, &Config::policy, &PolicyConfig::include_paths>("policy.include_paths", InForce::at_reload,
                                                                             kPaths),
    key<kList<0, parse_path>, &Config::policy, &PolicyConfig::exclude_paths>("policy.exclude_paths", InForce::at_reload,
                                                                             kPaths),
    key<kList<0, parse_word>, &Config::policy, &PolicyConfig::include_users>("policy.include_users", InForce::at_reload,
                                                                             kUsers),
    key<kList<0, parse_word>, &Config::policy, &PolicyConfig::exclude_users>("policy.exclude_users", InForce::at_reload,
                                                                             kUsers),
    key<kList<0, parse_network>, &Config::policy, &PolicyConfig::include_clients>("policy.include_clients",
                                                                                  InForce::at_reload, kNetworks),
    key<kList<0, parse_network>, &Config::policy, &PolicyConfig::exclude_clients>("policy.exclude_clients",
                                                                                  InForce::at_reload, kNetworks),
    key<kList<0, parse_word>, &Config::policy, &PolicyConfig::include_protocols>("policy.include_protocols",
                                                                                 InForce::at_reload, kProtocols),
    key<kList<0, parse_word>, &Config::policy, &PolicyConfig::exclude_protocols>("policy.exclude_protocols",
                                                                                 InForce::at_reload, kProtocols),
    key<kList<0, parse_address_text>, &Config::policy, &PolicyConfig::self>(
        "policy.self", InForce::at_reload, R"(a list of numeric addresses, like ["192.0.2.7"])"),
    key<read_mode, &Config::policy, &PolicyConfig::mode>("policy.mode", InForce::at_reload,
                                                         R"("strict" or "relatime")"),
    key<kAnyDuration, &Config::policy, &PolicyConfig::threshold>("policy.threshold", InForce::at_reload,
                                                                 R"(a duration, like "24h")"),
    key<kAnyDuration, &Config::policy, &PolicyConfig::granularity>(
        "policy.granularity", InForce::at_reload, R"(a duration, like "1s"; "0s" for the server's own)"),
    key<kAnyDuration, &Config::policy, &PolicyConfig::future_limit>("policy.future_limit", InForce::at_reload,
                                                                    R"(a duration, like "5m"; "0s" for no limit)"),
    key<read_bool, &Config::policy, &PolicyConfig::repair_future>("policy.repair_future", InForce::at_reload,
                                                                  "true or false"),
    key<kParsed<parse_backlog_kind>, &Config::backlog, &BacklogConfig::kind>("backlog.kind", InForce::at_start,
                                                                             R"("local" or "redis")"),
    key<read_directory, &Config::backlog, &BacklogConfig::directory>(
        "backlog.directory", InForce::at_start,
        R"(the absolute path of a directory on a local disk, or "" for the usual place)"),
    key<kDuration<10, 10'000>, &Config::backlog, &BacklogConfig::commit>("backlog.commit", InForce::at_start,
                                                                         R"(a duration from "10ms" to "10s")"),
    key<kSize<1 << 20, 1ULL << 40>, &Config::backlog, &BacklogConfig::memory>("backlog.memory", InForce::at_start,
                                                                              R"(a size from "1 MiB" to "1 TiB")"),
    key<kSize<16 << 20, 1ULL << 40>, &Config::backlog, &BacklogConfig::disk>("backlog.disk", InForce::at_start,
                                                                             R"(a size from "16 MiB" to "1 TiB")"),
    key<kParsed<parse_redis_url>, &Config::redis, &RedisConfig::url>(
        "redis.url", InForce::at_start,
        R"("redis://HOST[:PORT][/DATABASE]" or "rediss://...", without user and password, )"
        "and with an IPv6 address in brackets"),
    key<read_file_name, &Config::redis, &RedisConfig::user>("redis.user", InForce::at_start,
                                                            R"(the name of a user, or "" for the default one)"),
    key<read_file_name, &Config::redis, &RedisConfig::password_file>(
        "redis.password_file", InForce::at_start, R"(the name of a file whose first line is the password, or "")"),
    key<kList<0, parse_sentinel>, &Config::redis, &RedisConfig::sentinels>(
        "redis.sentinels", InForce::at_start, R"(a list of "host", "host:port" or "[address]:port")"),
    key<kParsed<parse_name>, &Config::redis, &RedisConfig::master>("redis.master", InForce::at_start,
                                                                   "the name that the sentinels have for the master"),
    key<kParsed<parse_redis_prefix>, &Config::redis, &RedisConfig::prefix>("redis.prefix", InForce::at_start,
                                                                           R"(up to 64 letters, digits and "-_.:")"),
    key<kNumber<1, 1024>, &Config::redis, &RedisConfig::shards>("redis.shards", InForce::at_start,
                                                                "a number from 1 to 1024"),
    key<kDuration<1'000, 600'000>, &Config::redis, &RedisConfig::lease>("redis.lease", InForce::at_start,
                                                                        R"(a duration from "1s" to "10m")"),
    key<kNumber<0, 16>, &Config::redis, &RedisConfig::wait_replicas>("redis.wait_replicas", InForce::at_start,
                                                                     "a number of replicas from 0 to 16"),
    key<kList<1, parse_server>, &Config::nfs, &NfsConfig::servers>(
        "nfs.servers", InForce::at_start, R"(a list of "host", "host:port" or "[address]:port")"),
    key<kNumber<0, kMostPort>, &Config::nfs, &NfsConfig::port>("nfs.port", InForce::at_start,
                                                               "a port, or 0 to ask the portmapper"),
    key<kNumber<0, kMostPort>, &Config::nfs, &NfsConfig::mount_port>("nfs.mount_port", InForce::at_start,
                                                                     "a port, or 0 to ask the portmapper"),
    key<kNumber<0, kMostId>, &Config::nfs, &NfsConfig::uid>("nfs.uid", InForce::at_start, "a numeric user id"),
    key<kNumber<0, kMostId>, &Config::nfs, &NfsConfig::gid>("nfs.gid", InForce::at_start, "a numeric group id"),
    key<kNumber<1, 64>, &Config::nfs, &NfsConfig::connections>("nfs.connections", InForce::at_start,
                                                               "a number from 1 to 64"),
    key<kNumber<1, 4096>, &Config::nfs, &NfsConfig::max_in_flight>("nfs.max_in_flight", InForce::at_reload,
                                                                   "a number from 1 to 4096"),
    key<kNumber<0, 1'000'000>, &Config::nfs, &NfsConfig::max_rate>(
        "nfs.max_rate", InForce::at_reload, "a number of updates per second up to 1000000, or 0 for no limit"),
    key<kDuration<100, 600'000>, &Config::nfs, &NfsConfig::timeout>("nfs.timeout", InForce::at_reload,
                                                                    R"(a duration from "100ms" to "10m")"),
    key<kNumber<1, 100'000'000>, &Config::nfs, &NfsConfig::handle_cache>("nfs.handle_cache", InForce::at_start,
                                                                         "a number of directories from 1 to 100000000"),
    key<kDuration<0, 86'400'000>, &Config::nfs, &NfsConfig::handle_ttl>("nfs.handle_ttl", InForce::at_start,
                                                                        R"(a duration from "0s" to "24h")"),
    key<read_bool, &Config::nfs, &NfsConfig::readdirplus>("nfs.readdirplus", InForce::at_start, "true or false"),
    key<read_exports, &Config::nfs, &NfsConfig::exports>(
        "nfs.exports", InForce::at_start,
        R"(tables of a "path" (absolute, without "." or "..", no two the same) and the "export" to mount for it)"),
    key<read_admin_listener, &Config::admin, &AdminConfig::listen>("admin.listen", InForce::at_start,
                                                                   R"("ADDRESS:PORT" with a numeric address, or "")"),
    key<kList<0, parse_host_name>, &Config::admin, &AdminConfig::hosts>(
        "admin.hosts", InForce::at_start, R"(a list of names of hosts without ports, like ["qatime.example.com"])"),
    key<kParsed<log::parse_level>, &Config::log, &LogConfig::level>("log.level", InForce::at_reload,
                                                                    R"(one of "debug", "info", "warning", "error")"),
    key<kParsed<log::parse_format>, &Config::log, &LogConfig::format>("log.format", InForce::at_reload,
                                                                      R"("text" or "json")"),
};

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

}  // namespace

std::span<const Key> all_keys() noexcept { return kKeys; }

const Key* find_key(std::string_view name) noexcept {
  const auto* const found = std::ranges::find(kKeys, name, &Key::name);
  return found == kKeys.end() ? nullptr : found;
}

const Key& nearest_key(std::string_view name) {
  return *std::ranges::min_element(kKeys, {}, [&](const Key& key) { return distance(key.name, name); });
}

bool is_section(std::string_view name) noexcept {
  return std::ranges::any_of(kKeys, [&](const Key& key) {
    return key.name.starts_with(name) && key.name.substr(name.size()).starts_with('.');
  });
}

}  // namespace qatime
