// SPDX-License-Identifier: MIT
// An interposer between libnfs and its socket: many messages in one system call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include <sys/types.h>

namespace qatime::nfs {

// The bytes of one connection between libnfs and the kernel. socket_interposer.cc explains it. One thread.
class SocketInterposer {
 public:
  static constexpr std::size_t kSmallRecord = 64 << 10;  // bytes: more than any reply but a page has

  // During its lifetime, recv() and send() of this thread on `descriptor` go through `stream`. At most one at a time.
  class Use {
   public:
    Use(SocketInterposer& stream, int descriptor) noexcept;
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
  };

  // Whether unread bytes are buffered, of which the kernel tells no more.
  [[nodiscard]] bool has_unread() const noexcept { return next_ < end_; }
  // Whether written bytes are buffered that the kernel does not have yet.
  [[nodiscard]] bool has_unsent() const noexcept { return sent_ < out_.size(); }
  // Sends to `descriptor` as much as the kernel takes without blocking. Returns an errno, or 0.
  [[nodiscard]] int flush(int descriptor) noexcept;

  // Sets the largest record that may come from now on, in bytes.
  void set_limit(std::size_t bytes) noexcept { limit_ = bytes; }
  // Why a record was refused; empty if none was. The connection is then useless.
  [[nodiscard]] const std::string& refusal() const noexcept { return refusal_; }

  // Like recv() and send() on a socket that does not block.
  [[nodiscard]] ssize_t read(int descriptor, void* bytes, std::size_t size) noexcept;
  [[nodiscard]] ssize_t write(const void* bytes, std::size_t size);

 private:
  [[nodiscard]] ssize_t fill(int descriptor) noexcept;
  void follow(const char* bytes, std::size_t size);
  void begin_fragment(std::uint32_t mark);

  std::unique_ptr<char[]> in_;  // NOLINT(modernize-avoid-c-arrays)
  std::size_t next_ = 0;        // in it, the next byte to read
  std::size_t end_ = 0;
  bool is_drained_ = false;  // the kernel had no more than this
  std::size_t limit_ = kSmallRecord;
  std::size_t record_ = 0;    // bytes that its marks have announced so far
  std::size_t fragment_ = 0;  // bytes still to come
  std::uint32_t mark_ = 0;    // its bytes so far
  int mark_bytes_ = 0;
  std::string refusal_;
  std::string out_;       // bounded by the requests that Rpc takes
  std::size_t sent_ = 0;  // of it
};

}  // namespace qatime::nfs
