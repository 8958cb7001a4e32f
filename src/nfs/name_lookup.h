// SPDX-License-Identifier: MIT
// The addresses of a host, found in the background.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>

namespace qatime::nfs {

// One question to the resolver of the system. It may take minutes to answer and nothing interrupts it, so nobody waits
// for the thread that asks: that may outlive the NameLookup, the loop and main(). All else on the thread of the loop.
class NameLookup {
 public:
  struct Resolved {
    std::vector<boost::asio::ip::address> addresses;  // each once
    std::string failure;                              // why there are none; empty if there are
  };
  using Done = std::function<void(const Resolved&)>;

  // Calls `done` once, on the loop, which has work as long as we live; `done` may destroy us. Destroying us forgets the
  // question. `io` outlives us.
  NameLookup(boost::asio::io_context& io, const std::string& host, Done done);
  ~NameLookup();
  NameLookup(const NameLookup&) = delete;
  NameLookup& operator=(const NameLookup&) = delete;

  // What to say when `done` was not called within nfs.timeout.
  [[nodiscard]] static std::string no_answer(const std::string& name);

 private:
  struct Question;
  static void ask(const std::shared_ptr<Question>& question);
  static void answer(const std::shared_ptr<Question>& question, Resolved result);

  std::shared_ptr<Question> question_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
};

}  // namespace qatime::nfs
