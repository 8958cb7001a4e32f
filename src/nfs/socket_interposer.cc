// SPDX-License-Identifier: MIT
//
// libnfs 4 makes a system call for each request and two for each reply, which are a third of the CPU time of an update
// and keep the server busy with small segments. It cannot be given other functions than recv() and send(), so this
// program has these two itself, and writev(), by which version 5 and later send. The linker and the loader prefer those
// of the program, for the libnfs in it as for the shared one. Only rpc_service() of a connection gets bytes from its
// interposer; everybody else gets what they ask the kernel for, which has the same calls under other names.
//
// No version of libnfs may decode whatever comes (reply/checker.cc). So an interposer notes the calls that it sends,
// and what it reads goes through a ReplyGate.
#include "nfs/socket_interposer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace qatime::nfs {

namespace {

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

ssize_t SocketInterposer::read(int descriptor, void* bytes, std::size_t size) {
  if (size == 0) return 0;
  while (!gate_.has_unread()) {
    if (const auto got = fill(descriptor); got <= 0) return got;
  }
  return static_cast<ssize_t>(gate_.take(bytes, size));
}

// After a read that the kernel could not fill there is nothing to be had at once; who waits for the socket is told of
// what comes then.
ssize_t SocketInterposer::fill(int descriptor) {
  if (!refusal().empty()) {
    errno = EMSGSIZE;
    return -1;
  }
  if (is_drained_) {
    errno = EAGAIN;
    return -1;
  }
  const auto room = gate_.room();
  const auto got = ::recvfrom(descriptor, room.data(), room.size(), MSG_DONTWAIT, nullptr, nullptr);
  if (got <= 0) return got;
  is_drained_ = static_cast<std::size_t>(got) < room.size();
  gate_.came(static_cast<std::size_t>(got));
  return got;
}

ssize_t SocketInterposer::write(const void* bytes, std::size_t size) {
  out_.append(static_cast<const char*>(bytes), size);
  note_calls();
  return static_cast<ssize_t>(size);
}

ssize_t SocketInterposer::write(const iovec* parts, std::size_t count) {
  const std::size_t before = out_.size();
  for (const iovec* part = parts; part != parts + count; ++part) {
    out_.append(static_cast<const char*>(part->iov_base), part->iov_len);
  }
  note_calls();
  return static_cast<ssize_t>(out_.size() - before);
}

// RFC 5531 sections 9 and 11.
void SocketInterposer::note_calls() {
  struct CallHead {
    std::uint32_t mark, xid, direction, rpc_version, program, version, procedure;
  };
  constexpr std::uint32_t kIsLast = 0x80000000;  // in a mark: of the record's fragments
  CallHead head{};
  while (out_.size() >= noted_ + sizeof head) {
    std::memcpy(&head, out_.data() + noted_, sizeof head);
    gate_.calls().add(ntohl(head.xid),
                      remote_procedure(ntohl(head.program), ntohl(head.version), ntohl(head.procedure)));
    noted_ += sizeof head.mark + (ntohl(head.mark) & ~kIsLast);
  }
}

int SocketInterposer::flush(int descriptor) noexcept {
  while (has_unsent()) {
    const auto sent =
        ::sendto(descriptor, out_.data() + sent_, out_.size() - sent_, MSG_DONTWAIT | MSG_NOSIGNAL, nullptr, 0);
    if (sent < 0) return errno == EAGAIN ? 0 : errno;
    sent_ += static_cast<std::size_t>(sent);
  }
  // The head of a call stays until all of it is there.
  const std::size_t done = std::min(noted_, out_.size());
  out_.erase(0, done);
  sent_ -= done;
  noted_ -= done;
  return 0;
}

}  // namespace qatime::nfs

// By other names here, since the headers may define these inline.
extern "C" ssize_t recv_of_libnfs(int descriptor, void* bytes, size_t size, int flags) __asm__("recv");
extern "C" ssize_t send_of_libnfs(int descriptor, const void* bytes, size_t size, int flags) __asm__("send");
extern "C" ssize_t writev_of_libnfs(int descriptor, const iovec* parts, int count) __asm__("writev");

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

ssize_t writev_of_libnfs(int descriptor, const iovec* parts, int count) {
  using qatime::nfs::in_use;
  if (in_use.stream != nullptr && descriptor == in_use.descriptor) {
    return in_use.stream->write(parts, static_cast<std::size_t>(count));
  }
  return ::syscall(SYS_writev, descriptor, parts, count);
}
