// SPDX-License-Identifier: MIT
// An interposer between libnfs and its socket: many messages in one system call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include <sys/types.h>

namespace qatime::nfs {

// The bytes of one connection between libnfs and the kernel. socket_interposer.cc says how, and why. One thread.
class SocketInterposer {
 public:
  static constexpr std::size_t kSmallRecord = 64 << 10;  // bytes: more than any reply but a page has

  // While it lives, what this thread reads from and writes to `descriptor` by recv() and send() goes through `stream`.
  // At most one at a time.
  class Use {
   public:
    Use(SocketInterposer& stream, int descriptor) noexcept;
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
  };

  // Whether something came that was not read yet: nothing else will tell of it.
  [[nodiscard]] bool has_unread() const noexcept { return next_ < end_; }
  // Whether something was written that the kernel does not have yet.
  [[nodiscard]] bool has_unsent() const noexcept { return sent_ < out_.size(); }
  // Hands to the kernel what it takes of that, by `descriptor`, which does not block. An errno, or 0.
  [[nodiscard]] int flush(int descriptor) noexcept;

  // Bytes of the largest record that may come from now on.
  void set_limit(std::size_t bytes) noexcept { limit_ = bytes; }
  // Why a read() failed that had bytes to give; empty: none did. The connection is of no use then.
  [[nodiscard]] const std::string& refusal() const noexcept { return refusal_; }

  // As recv() and send() of a socket that does not block.
  [[nodiscard]] ssize_t read(int descriptor, void* bytes, std::size_t size) noexcept;
  [[nodiscard]] ssize_t write(const void* bytes, std::size_t size);

 private:
  [[nodiscard]] ssize_t fill(int descriptor) noexcept;
  void follow(const char* bytes, std::size_t size);
  void begin_fragment(std::uint32_t mark);

  std::unique_ptr<char[]> in_;  // NOLINT(modernize-avoid-c-arrays)
  std::size_t next_ = 0;        // in it, to be read
  std::size_t end_ = 0;
  bool is_drained_ = false;  // the kernel had no more than this
  std::size_t limit_ = kSmallRecord;
  std::size_t record_ = 0;    // bytes of it that its marks have announced
  std::size_t fragment_ = 0;  // bytes of it that are still to come
  std::uint32_t mark_ = 0;    // what has come of it
  int mark_bytes_ = 0;
  std::string refusal_;
  std::string out_;       // bounded by the requests that Rpc takes
  std::size_t sent_ = 0;  // of it
};

}  // namespace qatime::nfs
