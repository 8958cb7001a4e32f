// SPDX-License-Identifier: MIT
// An interposer between libnfs and its socket: many messages in one system call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include <sys/types.h>

#include "nfs/reply/gate.h"

struct iovec;  // NOLINT(readability-identifier-naming)

namespace qatime::nfs {

// The bytes of one connection between libnfs and the kernel. socket_interposer.cc explains it. One thread.
class SocketInterposer {
 public:
  // During its lifetime, recv(), send() and writev() of this thread on `descriptor` go through `stream`. One at a time.
  class Use {
   public:
    Use(SocketInterposer& stream, int descriptor) noexcept;
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
  };

  // Whether replies are buffered, of which the kernel tells no more.
  [[nodiscard]] bool has_unread() const noexcept { return gate_.has_unread(); }
  // Whether written bytes are buffered that the kernel does not have yet.
  [[nodiscard]] bool has_unsent() const noexcept { return sent_ < out_.size(); }
  // Sends to `descriptor` as much as the kernel takes without blocking. Returns an errno, or 0.
  [[nodiscard]] int flush(int descriptor) noexcept;

  // As of ReplyGate. Once a record was refused, and what came before it is read, the connection is useless.
  void set_limit(std::size_t bytes) noexcept { gate_.set_limit(bytes); }
  [[nodiscard]] const std::string& refusal() const noexcept { return gate_.refusal(); }
  [[nodiscard]] std::uint64_t refused_call() const noexcept { return gate_.refused_call(); }

  // Like recv(), send() and writev() on a socket that does not block. libnfs writes calls, as records of one
  // fragment, and reads sound replies to them.
  [[nodiscard]] ssize_t read(int descriptor, void* bytes, std::size_t size);
  [[nodiscard]] ssize_t write(const void* bytes, std::size_t size);
  [[nodiscard]] ssize_t write(const iovec* parts, std::size_t count);

 private:
  [[nodiscard]] ssize_t fill(int descriptor);
  void note_calls();

  ReplyGate gate_;
  bool is_drained_ = false;  // the kernel had no more than this
  std::string out_;          // bounded by the requests that Rpc takes
  std::size_t sent_ = 0;     // of it
  std::size_t noted_ = 0;    // of it, where the next call begins; beyond its end if the last one is not all there
};

}  // namespace qatime::nfs
