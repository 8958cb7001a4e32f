// SPDX-License-Identifier: MIT
// The choice of the server that gets the next request for an export.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "nfs/resolved_server.h"

namespace qatime::nfs {

// Of two servers that may take the request, the one with more room gets it; the next request is for two others. So the
// load is even, though nobody looks at all servers (M. Mitzenmacher, "The Power of Two Choices in Randomized Load
// Balancing", 2001).
//
// The cost of a call does not grow with the number of servers or exports: a server that has shown no room for an export
// is not looked at again before something has changed for it. Thread: the loop's.
class Balancer {
 public:
  using Servers = std::vector<std::unique_ptr<ResolvedServer>>;

  explicit Balancer(std::size_t export_count) : offers_(export_count) {}

  // Takes in which servers there are and what they serve. They stay until the next call.
  void set_servers(const Servers& servers);

  [[nodiscard]] bool has_room(std::size_t export_index);
  // Whether no server takes a further request.
  [[nodiscard]] bool is_full() const noexcept { return open_servers_ == 0; }
  // Returns the server that gets the next request; null if none has room.
  [[nodiscard]] ResolvedServer* choose(std::size_t export_index);

  // Takes in that a request begins or has ended.
  void begun(ResolvedServer& server, std::size_t export_index);
  void ended(ResolvedServer& server, std::size_t export_index);

  // Whether a server was left out that may have room again though no request has ended: ask, after a while, by
  // look_again().
  [[nodiscard]] bool must_look_again() const noexcept { return must_look_again_; }
  void look_again();

 private:
  struct Offers {
    std::vector<ResolvedServer*> servers;  // that may have room
    std::size_t next = 0;                  // in turn
    ResolvedServer* last = nullptr;        // chosen
    std::size_t more = 0;                  // requests that it gets, too
  };

  void offer(ResolvedServer& server, std::size_t export_index);
  void withdraw(Offers& offers, std::size_t at, std::size_t export_index);

  std::vector<Offers> offers_;  // by export
  std::vector<ResolvedServer*> servers_;
  std::size_t open_servers_ = 0;
  bool must_look_again_ = false;
};

}  // namespace qatime::nfs
