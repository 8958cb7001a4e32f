// SPDX-License-Identifier: MIT
// A client of scripted servers and its loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "catch.h"
#include "nfs/libnfs_client.h"
#include "nfs/loop.h"
#include "nfs/scripted_server.h"
#include "telemetry/metrics.h"

namespace qatime::nfs::testing {

inline constexpr Time kTime{std::chrono::nanoseconds{1'700'000'000'123'456'789}};

[[nodiscard]] inline Action refuse(Status status) { return {Action::Fault::none, status}; }

struct Answer {
  Status status;
  Object object;
};

// Calls wait for their replies.
struct Lab {
  explicit Lab(const NfsConfig& config, const Intervals& intervals = {}) {
    client = std::make_unique<LibnfsClient>(loop.io(), config, registry, intervals);
  }
  template <class... Timeout>
  explicit Lab(const ScriptedServer& server, Timeout... timeout) : Lab(server.config(timeout...)) {}

  [[nodiscard]] bool wait_for_root() {
    return loop.run_until([this] { return client->root(0).has_value(); });
  }
  [[nodiscard]] Handle root() {
    REQUIRE(wait_for_root());
    return *client->root(0);
  }
  Answer lookup(const Handle& directory, const std::string& name) {
    return wait([&](auto done) { client->lookup(0, directory, name, std::move(done)); });
  }
  Answer getattr(const Handle& object) {
    return wait([&](auto done) { client->getattr(0, object, attributes_only(std::move(done))); });
  }
  Answer set_atime(const Handle& object, Time atime, std::optional<Time> guard = {}) {
    return wait([&](auto done) { client->set_atime(0, object, atime, guard, attributes_only(std::move(done))); });
  }
  Answer readdirplus(const Handle& directory) {
    return wait([&](auto done) {
      client->readdirplus(0, directory, {}, 8192,
                          [done = std::move(done)](Status status, const Page&) { done(status, Object{}); });
    });
  }
  // Any of these on `object`.
  Answer request(Procedure procedure, const Handle& object) {
    switch (procedure) {
      case Procedure::lookup:
        return lookup(object, "f");
      case Procedure::setattr:
        return set_atime(object, kTime);
      case Procedure::readdirplus:
        return readdirplus(object);
      default:
        return getattr(object);
    }
  }
  [[nodiscard]] std::int64_t rpcs(const std::string& procedure) { return value("qatime_rpcs_total", procedure); }
  [[nodiscard]] std::int64_t value(const std::string& metric, const std::string& label) {
    std::int64_t found = -1;
    registry.visit([&](const metrics::Registry::Sample& sample) {
      if (sample.name == metric && sample.label.value == label) found = sample.value;
    });
    return found;
  }
  // Keeps the servers busy until their windows have grown to `room` requests in all.
  void grow(std::size_t room) {
    const Handle object = root();
    std::size_t outstanding = 0;
    REQUIRE(loop.run_until([&] {
      if (outstanding == 0 && client->room(0) == room) return true;
      for (; outstanding + client->room(0) < room && client->room(0) > 0; ++outstanding) {
        client->getattr(0, object, [&](Status, const auto&) { --outstanding; });
      }
      return false;
    }));
  }

  Loop loop;
  metrics::Registry registry;
  std::unique_ptr<LibnfsClient> client;

 private:
  static Client::AttributesDone attributes_only(Client::ObjectDone done) {
    return [done = std::move(done)](Status status, const std::optional<Attributes>& attributes) {
      done(status, {{}, attributes});
    };
  }
  template <class Start>
  Answer wait(Start start) {
    std::optional<Answer> answer;
    start([&](Status status, const Object& object) { answer = Answer{status, object}; });
    CHECK_FALSE(answer);  // never inside the call
    REQUIRE(loop.run_until([&] { return answer.has_value(); }));
    return *answer;
  }
};

}  // namespace qatime::nfs::testing
