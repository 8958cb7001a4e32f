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
  using Handler = std::function<void(const Reply&)>;

  Servers(const RedisConfig& config, std::chrono::milliseconds timeout);

  // Finds the master or the Cluster, and connects; does nothing while connected. Throws Unavailable.
  void connect();
  [[nodiscard]] bool is_connected() const noexcept { return !nodes_.empty(); }

  void send(const Key& key, Command command, Handler handler = {});
  // With `arguments` behind the key.
  void run(Script script, const Key& key, const Command& arguments, Handler handler = {});

  // Waits until everything that was sent is answered.
  void finish();

  // Has as many replicas as the configuration wants acknowledge all that was written. Returns who has not, or "".
  [[nodiscard]] std::string wait_for_replicas();

  // Whether a server was met since the last call that was not known before, by its run id: it may lack what another
  // had acknowledged.
  [[nodiscard]] bool take_news() noexcept;

  // What is there, a line for each server.
  [[nodiscard]] std::vector<std::string> describe();

  void disconnect() noexcept;

 private:
  static constexpr std::size_t kScriptCount = kScripts.size();

  struct Sent {
    const Key* key;
    Command command;
    std::optional<Script> script;
    Handler handler;
    unsigned redirections = 0;
    bool is_preface = false;  // ASKING, whose answer is of no interest
  };
  struct Node {
    explicit Node(Connection made) : connection{std::move(made)} {}
    Connection connection;
    std::deque<Sent> sent;
    std::array<std::string, kScriptCount> digests;
    std::string description;
    bool is_master = true;
    bool is_cluster = false;
    bool was_written = false;  // since replicas were waited for
  };

  Node open(const Endpoint& endpoint);
  void authenticate(Connection& connection, const std::string& password);
  void look_at(Node& node);
  void load_scripts(Node& node);
  [[nodiscard]] std::vector<Endpoint> candidates();
  [[nodiscard]] std::optional<Endpoint> ask_sentinel(const RedisConfig::Server& sentinel);
  void map_slots(Node& node);
  Node& node_at(const Endpoint& endpoint);
  Node& node_of(const Key& key);
  void dispatch(Node& node, Sent sent);
  void receive_one(Node& node);
  void redirect(Sent sent, const std::string& where, const Endpoint& from);
  [[nodiscard]] std::string password() const;
  [[nodiscard]] Reply expect(Connection& connection, Command command, const char* hint = "") const;

  const RedisConfig config_;
  const std::chrono::milliseconds timeout_;
  std::map<Endpoint, Node> nodes_;
  std::map<unsigned, Endpoint> slots_;  // of a Cluster: by the last slot of each range
  std::set<Endpoint> seeds_;            // other members of the Cluster, as far as they were known once
  std::set<std::string> run_ids_;
  bool has_news_ = false;
};

}  // namespace qatime::backlog::redis
