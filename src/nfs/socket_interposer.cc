// SPDX-License-Identifier: MIT
//
// libnfs 4 makes a system call for each request and two for each reply, which are a third of the CPU time of an update
// and keep the server busy with small segments. It cannot be given other functions than recv() and send(), so this
// program has these two itself. The linker and the loader prefer those of the program, for the libnfs in it as for the
// shared one. Only rpc_service() of a connection gets bytes from its interposer; everybody else gets what they ask the
// kernel for, which has the same calls under other names. Later versions write by writev(), version 5 each request and
// version 6 many at once; all of them read replies by recv().
//
// No version bounds a reply well: 4 and 5 take fragments of 1 MiB without end, 6.0 takes one of 4 MiB, 7.0 takes 8 MiB
// in all. And all decode a list of entries by recursion. So an interposer follows the record marks, and refuses a
// record when a mark says that it will be larger than what was asked for can explain.
#include "nfs/socket_interposer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/core.h>
#include <sys/socket.h>

namespace qatime::nfs {

namespace {

constexpr std::size_t kSize = 64 << 10;      // of reads, bytes: all replies to what is in flight, but for READDIRPLUS
constexpr std::uint32_t kLast = 0x80000000;  // in a mark: of the record's fragments
// Bytes that a smaller fragment counts, since libnfs walks along all that came before it.
constexpr std::size_t kLeastFragment = 1 << 10;

struct InUse {
  SocketInterposer* stream = nullptr;
  int descriptor = -1;
};
thread_local InUse in_use;

}  // namespace

SocketInterposer::Use::Use(SocketInterposer& stream, int descriptor) noexcept {
  in_use = {&stream, descriptor};
  stream.is_drained_ = false;
}

SocketInterposer::Use::~Use() { in_use = {}; }

ssize_t SocketInterposer::read(int descriptor, void* bytes, std::size_t size) noexcept {
  if (size == 0) return 0;
  if (next_ == end_) {
    if (const auto got = fill(descriptor); got <= 0) return got;
  }
  const std::size_t taken = std::min(size, end_ - next_);
  std::memcpy(bytes, in_.get() + next_, taken);
  next_ += taken;
  return static_cast<ssize_t>(taken);
}

// After a read that the kernel could not fill there is nothing to be had at once; who waits for the socket is told of
// what comes then.
ssize_t SocketInterposer::fill(int descriptor) noexcept {
  if (is_drained_) {
    errno = EAGAIN;
    return -1;
  }
  if (in_ == nullptr) in_ = std::make_unique<char[]>(kSize);  // NOLINT(modernize-avoid-c-arrays)
  const auto got = ::recvfrom(descriptor, in_.get(), kSize, MSG_DONTWAIT, nullptr, nullptr);
  if (got <= 0) return got;
  follow(in_.get(), static_cast<std::size_t>(got));
  if (!refusal_.empty()) {
    errno = EMSGSIZE;
    return -1;
  }
  next_ = 0;
  end_ = static_cast<std::size_t>(got);
  is_drained_ = end_ < kSize;
  return got;
}

// Marks (RFC 5531 section 11) may be split over reads.
void SocketInterposer::follow(const char* bytes, std::size_t size) {
  const char* const end = bytes + size;
  while (bytes != end && refusal_.empty()) {
    if (fragment_ > 0) {
      const std::size_t taken = std::min(fragment_, static_cast<std::size_t>(end - bytes));
      fragment_ -= taken;
      bytes += taken;
      continue;
    }
    mark_ = mark_ << 8 | static_cast<unsigned char>(*bytes++);
    if (++mark_bytes_ == sizeof mark_) begin_fragment(mark_);
  }
}

void SocketInterposer::begin_fragment(std::uint32_t mark) {
  mark_bytes_ = 0;
  fragment_ = mark & ~kLast;
  record_ += std::max(fragment_, kLeastFragment);
  if (fragment_ == 0) {
    refusal_ = "dropped: its reply has an empty fragment, which libnfs takes for the end of the connection";
  } else if (record_ > limit_) {
    refusal_ = fmt::format("dropped: its reply grew beyond {} bytes, which no sound NFS server sends", limit_);
  }
  if ((mark & kLast) != 0) record_ = 0;
}

ssize_t SocketInterposer::write(const void* bytes, std::size_t size) {
  out_.append(static_cast<const char*>(bytes), size);
  return static_cast<ssize_t>(size);
}

int SocketInterposer::flush(int descriptor) noexcept {
  while (has_unsent()) {
    const auto sent =
        ::sendto(descriptor, out_.data() + sent_, out_.size() - sent_, MSG_DONTWAIT | MSG_NOSIGNAL, nullptr, 0);
    if (sent < 0) return errno == EAGAIN ? 0 : errno;
    sent_ += static_cast<std::size_t>(sent);
  }
  out_.clear();
  sent_ = 0;
  return 0;
}

}  // namespace qatime::nfs

// By other names here, since the headers may define these two inline.
extern "C" ssize_t recv_of_libnfs(int descriptor, void* bytes, size_t size, int flags) __asm__("recv");
extern "C" ssize_t send_of_libnfs(int descriptor, const void* bytes, size_t size, int flags) __asm__("send");

ssize_t recv_of_libnfs(int descriptor, void* bytes, size_t size, int flags) {
  using qatime::nfs::in_use;
  if (in_use.stream != nullptr && descriptor == in_use.descriptor) return in_use.stream->read(descriptor, bytes, size);
  return ::recvfrom(descriptor, bytes, size, flags, nullptr, nullptr);
}

ssize_t send_of_libnfs(int descriptor, const void* bytes, size_t size, int flags) {
  using qatime::nfs::in_use;
  if (in_use.stream != nullptr && descriptor == in_use.descriptor) return in_use.stream->write(bytes, size);
  return ::sendto(descriptor, bytes, size, flags, nullptr, 0);
}
