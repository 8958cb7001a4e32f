// SPDX-License-Identifier: MIT
#include "nfs/balancer.h"

#include <algorithm>
#include <utility>

namespace qatime::nfs {

namespace {

// Each server that gets requests in a turn of the loop costs system calls, some 5 us. So the more there are, the more
// requests each gets in a row.
constexpr std::size_t kServersForOne = 8;  // servers for one more request
constexpr std::size_t kMostTogether = 32;

}  // namespace

void Balancer::set_servers(const Servers& servers) {
  servers_.clear();
  for (auto& offers : offers_) offers = {};
  for (const auto& server : servers) {
    if (!server->answers() || server->is_leaving) continue;
    servers_.push_back(server.get());
    for (auto& flow : server->flows) flow.is_offered = false;
  }
  look_again();
}

void Balancer::look_again() {
  must_look_again_ = false;
  open_servers_ = 0;
  for (ResolvedServer* server : servers_) {
    if (!server->is_full()) ++open_servers_;
    server->left_out.clear();
    for (std::size_t export_index = 0; export_index < offers_.size(); ++export_index) offer(*server, export_index);
  }
}

void Balancer::offer(ResolvedServer& server, std::size_t export_index) {
  if (std::exchange(server.flows[export_index].is_offered, true)) return;
  offers_[export_index].servers.push_back(&server);
}

void Balancer::withdraw(Offers& offers, std::size_t at, std::size_t export_index) {
  ResolvedServer& server = *offers.servers[at];
  Flow& flow = server.flows[export_index];
  offers.servers[at] = offers.servers.back();
  offers.servers.pop_back();
  flow.is_offered = false;
  if (server.is_full()) {
    server.left_out.push_back(export_index);  // until a request of whatever export ends
  } else if (flow.in_flight == 0) {
    must_look_again_ = true;  // none of its requests will end
  }
}

bool Balancer::has_room(std::size_t export_index) {
  auto& offers = offers_[export_index];
  while (!offers.servers.empty()) {
    const std::size_t at = offers.next % offers.servers.size();
    if (offers.servers[at]->room(export_index) > 0) return true;
    withdraw(offers, at, export_index);
  }
  return false;
}

ResolvedServer* Balancer::choose(std::size_t export_index) {
  constexpr std::size_t kChoices = 2;
  auto& offers = offers_[export_index];
  if (offers.more > 0 && offers.last->room(export_index) > 0) {
    --offers.more;
    return offers.last;
  }
  ResolvedServer* best = nullptr;
  std::size_t most = 0;
  for (std::size_t looked = 0; looked < std::min(kChoices, offers.servers.size());) {
    const std::size_t at = (offers.next + looked) % offers.servers.size();
    const std::size_t room = offers.servers[at]->room(export_index);
    if (room == 0) {
      withdraw(offers, at, export_index);
      continue;
    }
    ++looked;
    if (room > most) best = offers.servers[at];
    most = std::max(most, room);
  }
  offers.next += kChoices;
  offers.last = best;
  offers.more = std::min(kMostTogether, offers.servers.size() / kServersForOne);
  return best;
}

void Balancer::begun(ResolvedServer& server, std::size_t export_index) {
  ++server.flows[export_index].in_flight;
  ++server.in_flight;
  if (server.is_full() && server.answers()) --open_servers_;
}

void Balancer::ended(ResolvedServer& server, std::size_t export_index) {
  const bool was_full = server.is_full();
  --server.flows[export_index].in_flight;
  --server.in_flight;
  if (!server.answers()) return;  // the next set_servers() sees it
  offer(server, export_index);
  if (!was_full || server.is_full()) return;
  ++open_servers_;
  for (const std::size_t other : std::exchange(server.left_out, {})) offer(server, other);
}

}  // namespace qatime::nfs
