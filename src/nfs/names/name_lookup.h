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

// One question to the resolver of the system. The answer might take minutes, and nothing interrupts it. So nobody waits
// for the thread that asks, and it may outlive the NameLookup, the loop and main(). Everything else is on the thread of
// the loop.
class NameLookup {
 public:
  struct Resolved {
    std::vector<boost::asio::ip::address> addresses;  // each once
    std::string failure;                              // why there are none; empty if there are
  };
  using Done = std::function<void(const Resolved&)>;

  // Calls `done` once, on the loop, which has work during our lifetime. `done` may destroy us. The destructor forgets
  // the question.
  NameLookup(boost::asio::io_context& io, const std::string& host, Done done);
  ~NameLookup();
  NameLookup(const NameLookup&) = delete;
  NameLookup& operator=(const NameLookup&) = delete;

  // Returns the text for when `done` was not called within nfs.timeout.
  [[nodiscard]] static std::string no_answer(const std::string& name);

 private:
  struct Question;
  static void ask(const std::shared_ptr<Question>& question);
  static void answer(const std::shared_ptr<Question>& question, Resolved result);

  std::shared_ptr<Question> question_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
};

}  // namespace qatime::nfs
