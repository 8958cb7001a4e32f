// SPDX-License-Identifier: MIT
//
// Nothing is waited for while there is room: a command is written as soon as some kilobytes of them have come together,
// and answers are read when kDepth are awaited. So the client makes the next commands while the server works.
#include "redis/servers.h"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <fstream>
#include <string_view>
#include <utility>

#include <fmt/core.h>

namespace qatime::backlog::redis {
namespace {

constexpr std::size_t kDepth = 32;      // commands to a server that have no answer yet
constexpr std::size_t kWriteEvery = 4;  // commands
constexpr unsigned kMaxRedirections = 8;
constexpr unsigned kLastSlot = 16'383;
constexpr std::chrono::milliseconds kReplicaPatience{1000};

// The value of "name:value" among the lines of INFO.
std::string_view field(std::string_view info, std::string_view name) {
  for (std::size_t at = info.find(name); at != std::string_view::npos; at = info.find(name, at + 1)) {
    const std::size_t colon = at + name.size();
    if ((at != 0 && info[at - 1] != '\n') || colon >= info.size() || info[colon] != ':') continue;
    const std::size_t end = info.find('\r', colon);
    return info.substr(colon + 1, end == std::string_view::npos ? end : end - colon - 1);
  }
  return {};
}

// "7.0.15" as 7000.
unsigned version_of(std::string_view text) {
  unsigned major = 0;
  unsigned minor = 0;
  const auto* const begin = text.data();
  const auto* const end = begin + text.size();
  const auto* const dot = std::from_chars(begin, end, major).ptr;
  if (dot != end) std::from_chars(dot + 1, end, minor);
  return major * 1000 + minor;
}

// "HOST:PORT" at the end of a redirection: an IPv6 address has no brackets there, and a host that is not named is that
// of who says it.
std::optional<RedisAddress> parse_endpoint(std::string_view text, const std::string& same_host) {
  const std::size_t colon = text.rfind(':');
  RedisAddress endpoint;
  if (colon == std::string_view::npos) return std::nullopt;
  endpoint.host = colon == 0 ? same_host : std::string{text.substr(0, colon)};
  const auto* const end = text.data() + text.size();
  if (std::from_chars(text.data() + colon + 1, end, endpoint.port).ptr != end) return std::nullopt;
  return endpoint;
}

// Advice to an administrator about an error.
const char* advice(std::string_view error) {
  constexpr std::array<std::pair<std::string_view, const char*>, 8> kAdvice{{
      {"NOAUTH", "set redis.password_file, and redis.user if it is not the default one"},
      {"WRONGPASS", "see redis.user and redis.password_file"},
      {"NOPERM", "the user of redis.user needs the commands and keys that conf/README.md names"},
      {"OOM", "it is full: raise its maxmemory, or see why the servers take nothing"},
      {"READONLY", "it is a replica now: looking for the master"},
      {"LOADING", "it has just started"},
      {"MISCONF", "its disk refuses"},
      {"CLUSTERDOWN", "some of its slots are served by nobody"},
  }};
  const auto* const found =
      std::ranges::find_if(kAdvice, [&](const auto& each) { return error.starts_with(each.first); });
  return found == kAdvice.end() ? "" : found->second;
}

[[noreturn]] void refuse(const RedisAddress& endpoint, const std::string& error, const char* hint = "") {
  const char* const more = *hint != '\0' ? hint : advice(error);
  throw Unavailable{fmt::format("{}: {}{}{}", endpoint.text(), error, *more != '\0' ? ": " : "", more)};
}

}  // namespace

Servers::Servers(const RedisConfig& config, std::chrono::milliseconds timeout) : config_{config}, timeout_{timeout} {}

void Servers::disconnect() noexcept {
  assert(thread_.is_current());
  nodes_.clear();
  slots_.clear();
}

bool Servers::take_news() noexcept {
  assert(thread_.is_current());
  return std::exchange(has_news_, false);
}

// --- Connecting ------------------------------------------------------------------------------------------------------

void Servers::connect() {
  assert(thread_.is_current());
  if (is_connected()) return;
  std::string problem;
  for (const RedisAddress& endpoint : candidates()) {
    try {
      RedisNode node = open(endpoint);
      if (!node.is_master && !node.is_cluster) {
        throw Unavailable{fmt::format("{} is a replica: {}", endpoint.text(),
                                      config_.sentinels.empty() ? "name its master in redis.url, or set redis.sentinels"
                                                                : "the sentinels have not chosen another master yet")};
      }
      if (node.is_cluster) map_slots(node);
      if (node.is_master) nodes_.try_emplace(endpoint, std::move(node));
      if (!is_connected()) (void)node_at(slots_.begin()->second);
      return;
    } catch (const Unavailable& error) {
      disconnect();
      problem += fmt::format("{}{}", problem.empty() ? "" : "; ", error.what());
    }
  }
  throw Unavailable{problem};
}

// Where the master may be, or a member of the Cluster.
std::vector<RedisAddress> Servers::candidates() {
  std::vector<RedisAddress> found;
  if (config_.sentinels.empty()) {
    found.push_back({config_.url.server.host, config_.url.server.port});
    for (const RedisAddress& seed : seeds_) {
      if (seed != found.front()) found.push_back(seed);
    }
    return found;
  }
  std::string problem;
  for (const auto& sentinel : config_.sentinels) {
    try {
      const auto master = ask_sentinel(sentinel);
      if (master && std::ranges::find(found, *master) == found.end()) found.push_back(*master);
    } catch (const Unavailable& error) {
      problem += fmt::format("{}{}", problem.empty() ? "" : "; ", error.what());
    }
  }
  if (found.empty()) throw Unavailable{fmt::format("no sentinel names the master: {}", problem)};
  return found;
}

std::optional<RedisAddress> Servers::ask_sentinel(const RedisConfig::Endpoint& sentinel) {
  RedisConnection connection{{sentinel.host, sentinel.port}, timeout_, config_.url.uses_tls};
  const Command question{"SENTINEL", "get-master-addr-by-name", config_.master};
  RedisReply reply = connection.call(question);
  if (reply.is_error() && reply.text.starts_with("NOAUTH")) {
    authenticate(connection, password());
    reply = connection.call(question);
  }
  if (reply.is_error()) refuse(connection.endpoint(), reply.text);
  if (reply.list.size() != 2) {
    throw Unavailable{
        fmt::format("{} knows no master \"{}\": see redis.master", connection.endpoint().text(), config_.master)};
  }
  return parse_endpoint(fmt::format("{}:{}", reply.list[0].text, reply.list[1].text), sentinel.host);
}

Servers::RedisNode Servers::open(const RedisAddress& endpoint) {
  RedisNode node{RedisConnection{endpoint, timeout_, config_.url.uses_tls}};
  if (const std::string secret = password(); !secret.empty()) authenticate(node.connection, secret);
  if (config_.url.database != 0) {
    (void)expect(node.connection, Command{"SELECT"}.add(config_.url.database), "see the database of redis.url");
  }
  look_at(node);
  load_scripts(node);
  return node;
}

void Servers::authenticate(RedisConnection& connection, const std::string& password) {
  Command command{"AUTH"};
  if (!config_.user.empty()) command.add(config_.user);
  (void)expect(connection, command.add(password));
}

std::string Servers::password() const {
  if (config_.password_file.empty()) return {};
  std::ifstream file{config_.password_file};
  std::string line;
  if (!std::getline(file, line)) {
    throw Unavailable{fmt::format("{} (redis.password_file) cannot be read, or is empty", config_.password_file)};
  }
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

RedisReply Servers::expect(RedisConnection& connection, Command command, const char* hint) const {
  RedisReply reply = connection.call(std::move(command));
  if (reply.is_error()) refuse(connection.endpoint(), reply.text, hint);
  return reply;
}

// Whether this server can be used at all.
void Servers::look_at(RedisNode& node) {
  const std::string info = expect(node.connection, {"INFO"}).text;
  const RedisAddress& endpoint = node.connection.endpoint();
  const std::string_view version = field(info, "redis_version");
  const std::string_view policy = field(info, "maxmemory_policy");
  node.is_cluster = field(info, "redis_mode") == "cluster";
  node.is_master = field(info, "role") == "master";
  node.description = fmt::format("{}: Redis {}, {}{}, maxmemory-policy {}, appendonly {}, {} replicas", endpoint.text(),
                                 version, field(info, "role"), node.is_cluster ? " of a Cluster" : "", policy,
                                 field(info, "aof_enabled") == "1" ? "yes" : "no", field(info, "connected_slaves"));
  if (version_of(version) < 6002)
    throw Unavailable{fmt::format("{}: Redis {} is older than 6.2", endpoint.text(), version)};
  if (field(info, "loading") == "1")
    throw Unavailable{fmt::format("{}: LOADING: it has just started", endpoint.text())};
  if (policy != "noeviction") {
    throw Unavailable{
        fmt::format("{}: its maxmemory-policy is {}, which would lose what waits when memory is short: "
                    "set it to noeviction",
                    endpoint.text(), policy)};
  }
  if (node.is_master && run_ids_.emplace(field(info, "run_id")).second) has_news_ = true;
}

void Servers::load_scripts(RedisNode& node) {
  for (std::size_t i = 0; i < kScriptCount; ++i) {
    node.digests.at(i) = expect(node.connection, {"SCRIPT", "LOAD", kScripts.at(i)}).text;
  }
}

// CLUSTER SLOTS: ranges of first slot, last slot, master, replicas.
void Servers::map_slots(RedisNode& node) {
  const RedisAddress& here = node.connection.endpoint();
  const RedisReply ranges = expect(node.connection, {"CLUSTER", "SLOTS"});
  std::int64_t next = 0;
  std::map<unsigned, RedisAddress> found;
  for (const RedisReply& range : ranges.list) {
    if (range.list.size() < 3) continue;
    for (std::size_t i = 2; i < range.list.size(); ++i) {
      const auto& server = range.list[i].list;
      if (server.size() < 2) continue;
      const RedisAddress endpoint{server[0].text.empty() ? here.host : server[0].text,
                                  static_cast<std::uint16_t>(server[1].number)};
      seeds_.insert(endpoint);
      if (i == 2) found.emplace(static_cast<unsigned>(range.list[1].number), endpoint);
    }
    next += range.list[1].number - range.list[0].number + 1;
  }
  if (next != kLastSlot + 1) refuse(here, "CLUSTERDOWN");
  slots_ = std::move(found);
}

std::vector<std::string> Servers::describe() {
  assert(thread_.is_current());
  connect();
  for (const auto& [last, endpoint] : slots_) (void)node_at(endpoint);
  std::vector<std::string> lines;
  lines.reserve(nodes_.size());
  for (const auto& [endpoint, node] : nodes_) lines.push_back(node.description);
  return lines;
}

// --- Commands --------------------------------------------------------------------------------------------------------

Servers::RedisNode& Servers::node_at(const RedisAddress& endpoint) {
  const auto known = nodes_.find(endpoint);
  if (known != nodes_.end()) return known->second;
  return nodes_.try_emplace(endpoint, open(endpoint)).first->second;
}

Servers::RedisNode& Servers::node_of(const RedisKey& key) {
  if (nodes_.empty()) throw Unavailable{"not connected"};
  if (slots_.empty()) return nodes_.begin()->second;
  return node_at(slots_.lower_bound(key.slot)->second);
}

void Servers::send(const RedisKey& key, Command command, Handler handler) {
  assert(thread_.is_current());
  try {
    dispatch(node_of(key), {&key, std::move(command), std::nullopt, std::move(handler)});
  } catch (const Unavailable&) {
    disconnect();
    throw;
  }
}

void Servers::run(Script script, const RedisKey& key, const Command& arguments, Handler handler) {
  assert(thread_.is_current());
  Command command{"1", key.name};
  command.append(arguments);
  try {
    dispatch(node_of(key), {&key, std::move(command), script, std::move(handler)});
  } catch (const Unavailable&) {
    disconnect();
    throw;
  }
}

void Servers::dispatch(RedisNode& node, SentCommand sent) {
  if (sent.script) {
    Command whole{"EVALSHA", node.digests.at(static_cast<std::size_t>(*sent.script))};
    node.connection.append(whole.append(sent.command).bytes());
  } else {
    node.connection.append(sent.command.bytes());
  }
  node.was_written = true;
  node.sent.push_back(std::move(sent));
  if (node.sent.size() % kWriteEvery == 0) node.connection.flush();
  while (node.sent.size() >= kDepth) receive_one(node);
}

void Servers::finish() {
  assert(thread_.is_current());
  try {
    const auto busy = [](const auto& node) { return !node.second.sent.empty(); };
    for (auto& [endpoint, node] : nodes_) node.connection.flush();
    for (auto at = nodes_.begin(); (at = std::ranges::find_if(nodes_, busy)) != nodes_.end();) receive_one(at->second);
  } catch (const Unavailable&) {
    disconnect();
    throw;
  }
}

void Servers::receive_one(RedisNode& node) {
  const RedisReply reply = node.connection.receive();
  SentCommand sent = std::move(node.sent.front());
  node.sent.pop_front();
  if (sent.is_preface) return;
  if (!reply.is_error()) {
    if (sent.handler) sent.handler(reply);
    return;
  }
  if (reply.text.starts_with("MOVED ") || reply.text.starts_with("ASK ")) {
    redirect(std::move(sent), reply.text, node.connection.endpoint());
  } else if (reply.text.starts_with("NOSCRIPT") && sent.script) {
    Command whole{"EVAL", text_of(*sent.script)};
    sent.command = whole.append(sent.command);
    sent.script.reset();
    dispatch(node, std::move(sent));
  } else {
    refuse(node.connection.endpoint(), reply.text);
  }
}

// "MOVED SLOT HOST:PORT": there from now on. "ASK SLOT HOST:PORT": there this once, after ASKING.
void Servers::redirect(SentCommand sent, const std::string& where, const RedisAddress& from) {
  const auto target = parse_endpoint(std::string_view{where}.substr(where.rfind(' ') + 1), from.host);
  if (!target || ++sent.redirections > kMaxRedirections) refuse(from, where);
  RedisNode& node = node_at(*target);
  if (where.starts_with("ASK ")) {
    dispatch(node, {sent.key, Command{"ASKING"}, std::nullopt, {}, 0, true});
  } else if (!slots_.empty()) {
    const unsigned slot = sent.key->slot;
    const RedisAddress before = slots_.lower_bound(slot)->second;
    if (slot > 0) slots_.try_emplace(slot - 1, before);
    slots_.insert_or_assign(slot, *target);
  }
  dispatch(node, std::move(sent));
}

std::string Servers::wait_for_replicas() {
  assert(thread_.is_current());
  const auto wanted = static_cast<std::int64_t>(config_.wait_replicas);
  if (wanted == 0) return {};
  std::string missing;
  try {
    for (auto& [endpoint, node] : nodes_) {
      if (!node.was_written) continue;
      Command command{"WAIT"};
      command.add(wanted).add(std::min(kReplicaPatience, timeout_ / 2).count());
      const RedisReply reply = expect(node.connection, command);
      node.was_written = reply.number < wanted;
      if (node.was_written) {
        missing += fmt::format("{}{}: {} of {} replicas (redis.wait_replicas) acknowledged in time",
                               missing.empty() ? "" : "; ", endpoint.text(), reply.number, wanted);
      }
    }
  } catch (const Unavailable&) {
    disconnect();
    throw;
  }
  return missing;
}

}  // namespace qatime::backlog::redis
