// SPDX-License-Identifier: MIT
//
// libnfs 4 makes a system call for each request and two for each reply, which are a third of the CPU time of an update
// and keep the server busy with small segments. It cannot be given other functions than recv() and send(), so this
// program has these two itself. The linker and the loader prefer those of the program, for the libnfs in it as for the
// shared one. Only rpc_service() of a connection gets bytes from its Stream; everybody else gets what they ask the
// kernel for, which has the same calls under other names. Later versions write by writev(), version 5 each request and
// version 6 many at once, and from 6 on they read by readv(), too: there no Stream is used.
#include "nfs/stream.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <sys/socket.h>

namespace qatime::nfs {

namespace {

constexpr std::size_t kSize = 64 << 10;  // of reads, bytes: all replies to what is in flight, but for READDIRPLUS

struct InUse {
  Stream* stream = nullptr;
  int descriptor = -1;
};
thread_local InUse in_use;

}  // namespace

Stream::Use::Use(Stream& stream, int descriptor) noexcept {
  in_use = {&stream, descriptor};
  stream.is_drained_ = false;
}

Stream::Use::~Use() { in_use = {}; }

// After a read that the kernel could not fill there is nothing to be had at once; who waits for the socket is told of
// what comes then.
ssize_t Stream::read(int descriptor, void* bytes, std::size_t size) noexcept {
  if (size == 0) return 0;
  if (next_ == end_ && is_drained_) {
    errno = EAGAIN;
    return -1;
  }
  if (next_ == end_) {
    if (in_ == nullptr) in_ = std::make_unique<char[]>(kSize);  // NOLINT(modernize-avoid-c-arrays)
    const auto got = ::recvfrom(descriptor, in_.get(), kSize, MSG_DONTWAIT, nullptr, nullptr);
    if (got <= 0) return got;
    next_ = 0;
    end_ = static_cast<std::size_t>(got);
    is_drained_ = end_ < kSize;
  }
  const std::size_t taken = std::min(size, end_ - next_);
  std::memcpy(bytes, in_.get() + next_, taken);
  next_ += taken;
  return static_cast<ssize_t>(taken);
}

ssize_t Stream::write(const void* bytes, std::size_t size) {
  out_.append(static_cast<const char*>(bytes), size);
  return static_cast<ssize_t>(size);
}

int Stream::flush(int descriptor) noexcept {
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
