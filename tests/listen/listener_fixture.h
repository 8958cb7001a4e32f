// SPDX-License-Identifier: MIT
// A listener's surroundings: a loop that the test turns by hand, and an intake that remembers what it was given.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <fmt/core.h>

#include "catch.h"
#include "ingest/intake.h"

namespace qatime::ingest {

inline std::string record_of(std::string_view path) {
  return fmt::format(R"(<14>1 2026-01-27T14:12:23Z q-1 qumulo - - - ::1,"u",nfs3,fs_read_data,ok,7,"{}","")", path);
}

class ListenerFixture {
 public:
  // Turns the loop until `done`, or fails after a generous while.
  void run_until(const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    while (!done()) {
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      context.restart();
      context.run_one_for(std::chrono::milliseconds{10});
    }
  }

  // Turns the loop for as long as there is something to do at once, more than enough times.
  void settle() {
    for (int i = 0; i < 20; ++i) {
      context.restart();
      context.run_for(std::chrono::milliseconds{1});
    }
  }

  // Whether the other side has closed the connection.
  static bool is_closed(boost::asio::ip::tcp::socket& socket) {
    socket.non_blocking(true);
    char byte = 0;
    boost::system::error_code error;
    socket.read_some(boost::asio::buffer(&byte, 1), error);
    return error && error != boost::asio::error::would_block;
  }

  std::int64_t open() { return count("qatime_connections", "tcp"); }

  // The sum over all transports if `label` is a reason or nothing. -1: there is no such metric.
  std::int64_t count(std::string_view name, std::string_view label = {}) {
    std::int64_t found = -1;
    metrics.visit([&](const metrics::Registry::Sample& sample) {
      const bool is_wanted = label.empty() || sample.label.value == label;
      if (sample.name == name && is_wanted) found = std::max<std::int64_t>(found, 0) + sample.value;
    });
    return found;
  }

  boost::asio::io_context context{1};
  Exports exports;
  SelfAddresses self;
  Policy policy{PolicyConfig{}, exports, self};
  metrics::Registry metrics;
  std::vector<std::string> paths;    // of the accesses
  std::vector<std::size_t> batches;  // their sizes
  Intake intake{policy, {}, metrics, [this](Events events) {
                  batches.push_back(events.size());
                  for (const Event& event : events) paths.emplace_back(std::get<Access>(event).path);
                }};
};

}  // namespace qatime::ingest
