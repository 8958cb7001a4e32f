// SPDX-License-Identifier: MIT
// One Redis, the master that sentinels name, or the masters of a Cluster: whichever has a key gets the command.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/thread_checker.h"
#include "config/config.h"
#include "redis/command.h"
#include "redis/connection.h"
#include "redis/keys.h"
#include "redis/reply.h"
#include "redis/scripts.h"

namespace qatime::backlog::redis {

// Commands go out as they come, some dozens at once to each server, and their handlers get the answers in the order of
// the commands to the same server. An error is no answer: a redirection is followed, a script that the server does not
// know is sent along, and whatever else it says is Unavailable. So is a connection that breaks: then all connections
// are closed and all handlers forgotten, what was sent may have been done or not, and connect() begins anew.
//
// One thread, which waits for the network in every call.
class Servers {
 public:
  using Handler = std::function<void(const RedisReply&)>;

  Servers(const RedisConfig& config, std::chrono::milliseconds timeout);

  // Finds the master or the Cluster, and connects; does nothing while connected. Throws Unavailable.
  void connect();
  [[nodiscard]] bool is_connected() const noexcept { return !nodes_.empty(); }

  void send(const RedisKey& key, Command command, Handler handler = {});
  // With `arguments` behind the key.
  void run(Script script, const RedisKey& key, const Command& arguments, Handler handler = {});

  // Waits until everything that was sent is answered.
  void finish();

  // Has as many replicas as the configuration wants acknowledge all that was written. Returns who has not, or "".
  [[nodiscard]] std::string wait_for_replicas();

  // Whether a server was met since the last call that was not known before, by its run id: it may lack what another
  // had acknowledged.
  [[nodiscard]] bool take_news() noexcept;

  // The servers that are there, a line for each.
  [[nodiscard]] std::vector<std::string> describe();

  void disconnect() noexcept;

 private:
  static constexpr std::size_t kScriptCount = kScripts.size();

  struct SentCommand {
    const RedisKey* key;
    Command command;
    std::optional<Script> script;
    Handler handler;
    unsigned redirections = 0;
    bool is_preface = false;  // ASKING, whose answer is of no interest
  };
  struct RedisNode {
    explicit RedisNode(RedisConnection made) : connection{std::move(made)} {}
    RedisConnection connection;
    std::deque<SentCommand> sent;
    std::array<std::string, kScriptCount> digests;
    std::string description;
    bool is_master = true;
    bool is_cluster = false;
    bool was_written = false;  // since replicas were waited for
  };

  RedisNode open(const RedisAddress& endpoint);
  void authenticate(RedisConnection& connection, const std::string& password);
  void look_at(RedisNode& node);
  void load_scripts(RedisNode& node);
  [[nodiscard]] std::vector<RedisAddress> candidates();
  [[nodiscard]] std::optional<RedisAddress> ask_sentinel(const RedisConfig::Endpoint& sentinel);
  void map_slots(RedisNode& node);
  RedisNode& node_at(const RedisAddress& endpoint);
  RedisNode& node_of(const RedisKey& key);
  void dispatch(RedisNode& node, SentCommand sent);
  void receive_one(RedisNode& node);
  void redirect(SentCommand sent, const std::string& where, const RedisAddress& from);
  [[nodiscard]] std::string password() const;
  [[nodiscard]] RedisReply expect(RedisConnection& connection, Command command, const char* hint = "") const;

  ThreadChecker thread_;
  const RedisConfig config_;
  const std::chrono::milliseconds timeout_;
  std::map<RedisAddress, RedisNode> nodes_;
  std::map<unsigned, RedisAddress> slots_;  // of a Cluster: by the last slot of each range
  std::set<RedisAddress> seeds_;            // other members of the Cluster, as far as they were known once
  std::set<std::string> run_ids_;
  bool has_news_ = false;
};

}  // namespace qatime::backlog::redis
