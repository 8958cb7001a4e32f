// SPDX-License-Identifier: MIT
// What an engine is measured against: SETATTRs of atime and nothing else, to files whose handles are known.
//
//   setattrs raw|libnfs CONFIGURATION UPDATES < PATHS      one path per line
//
// Sets the atime of one path after the other, again from the first after the last, until UPDATES are done;
// nfs.max_in_flight of them are outstanding at once on one connection. "raw" sends calls that were encoded before and
// counts the replies: the least that a client can do. "libnfs" is the plain loop of that library. Prints one line of
// JSON: seconds, cpu (seconds of this process), updates.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nfsc/libnfs.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
//
#include <nfsc/libnfs-raw-nfs.h>
#include <nfsc/libnfs-raw.h>

#include "config/config.h"
#include "nfs/session.h"
#include "nfs/xdr.h"

namespace {

using Steady = std::chrono::steady_clock;
using Handles = std::vector<std::string>;

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error{what}; }

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

Handles resolve(const qatime::NfsConfig& config) {
  qatime::nfs::Session session{config};
  Handles handles;
  for (std::string path; std::getline(std::cin, path);) {
    const auto walk = session.walk(path);
    if (walk.status != qatime::nfs::Status::ok) fail(path);
    handles.emplace_back(walk.object.handle.bytes());
  }
  return handles;
}

struct Load {
  std::string host;
  std::uint16_t port;
  std::size_t in_flight;
  std::size_t updates;
  std::uint32_t seconds;  // of the atime to set
  const Handles& handles;
};

// --- raw -------------------------------------------------------------------------------------------------------------

constexpr std::size_t kXid = 4;  // behind the record mark

// A call with its record mark, RFC 5531 and RFC 1813.
std::string encode(const std::string& handle, std::uint32_t seconds) {
  using qatime::nfs::testing::XdrWriter;
  XdrWriter credentials;
  credentials.word(0).opaque("raw").word(0).word(0).word(0);
  XdrWriter call;
  call.word(0).word(0).word(2).word(100003).word(3).word(2);  // xid, CALL, RPC 2, NFS 3, SETATTR
  call.word(1).opaque(credentials.bytes()).word(0).word(0);   // AUTH_SYS, no verifier
  call.opaque(handle).word(0).word(0).word(0).word(0);        // no mode, uid, gid, size
  call.word(2).word(seconds).word(0).word(0).word(0);         // atime, no mtime, no guard
  const auto mark = static_cast<std::uint32_t>(call.bytes().size()) | 0x80000000U;
  return XdrWriter{}.word(mark).raw(call.bytes()).bytes();
}

std::uint32_t word_at(const char* bytes) {
  std::uint32_t word = 0;
  std::memcpy(&word, bytes, sizeof word);
  return ntohl(word);
}

// Counts whole replies at the beginning of `bytes` and checks that each is a success; says where the rest begins.
std::size_t count_replies(std::string_view bytes, std::size_t& count) {
  constexpr std::size_t kAccept = 24;  // mark, xid, REPLY, accepted, verifier (2), then accept_stat and nfsstat3
  std::size_t at = 0;
  while (bytes.size() - at >= 4) {
    const std::size_t size = 4 + (word_at(bytes.data() + at) & 0x7fffffffU);
    if (bytes.size() - at < size) break;
    if (size < kAccept + 8 || word_at(bytes.data() + at + kAccept) != 0 ||
        word_at(bytes.data() + at + kAccept + 4) != 0) {
      fail("a SETATTR failed");
    }
    at += size;
    ++count;
  }
  return at;
}

void send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) fail("send");
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

int connect_to(const Load& load) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(load.port);
  inet_pton(AF_INET, load.host.c_str(), &address.sin_addr);
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fail("connect");
  return socket;
}

void run_raw(const Load& load) {
  std::vector<std::string> calls;
  for (const auto& handle : load.handles) calls.push_back(encode(handle, load.seconds));
  const int socket = connect_to(load);
  std::string out;
  std::string in;
  std::vector<char> buffer(1 << 20);
  std::size_t sent = 0;
  std::size_t answered = 0;
  while (answered < load.updates) {
    out.clear();
    for (; sent < load.updates && sent - answered < load.in_flight; ++sent) {
      std::string& call = calls[sent % calls.size()];
      const std::uint32_t xid = htonl(static_cast<std::uint32_t>(sent));
      std::memcpy(call.data() + kXid, &xid, sizeof xid);
      out += call;
    }
    send_all(socket, out);
    const auto got = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (got <= 0) fail("recv");
    in.append(buffer.data(), static_cast<std::size_t>(got));
    in.erase(0, count_replies(in, answered));
  }
  ::close(socket);
}

// --- libnfs ----------------------------------------------------------------------------------------------------------

struct Loop {
  const Load& load;
  rpc_context* rpc;
  bool connected = false;
  std::size_t sent = 0;
  std::size_t answered = 0;
};

void on_connected(rpc_context* /*rpc*/, int status, void* /*data*/, void* loop) {
  if (status != RPC_STATUS_SUCCESS) fail("connect");
  static_cast<Loop*>(loop)->connected = true;
}

void on_reply(rpc_context* /*rpc*/, int status, void* data, void* loop) {
  if (status != RPC_STATUS_SUCCESS || static_cast<SETATTR3res*>(data)->status != NFS3_OK) fail("a SETATTR failed");
  ++static_cast<Loop*>(loop)->answered;
}

void start_one(Loop& loop) {
  const std::string& handle = loop.load.handles[loop.sent++ % loop.load.handles.size()];
  SETATTR3args arguments{};
  arguments.object = {{static_cast<u_int>(handle.size()), const_cast<char*>(handle.data())}};
  arguments.new_attributes.atime.set_it = SET_TO_CLIENT_TIME;
  arguments.new_attributes.atime.set_atime_u.atime = {loop.load.seconds, 0};
#ifdef LIBNFS_API_V2
  const bool queued = rpc_nfs3_setattr_task(loop.rpc, on_reply, &arguments, &loop) != nullptr;
#else
  const bool queued = rpc_nfs3_setattr_async(loop.rpc, on_reply, &arguments, &loop) == 0;
#endif
  if (!queued) fail("libnfs takes no SETATTR");
}

void turn(Loop& loop) {
  pollfd ready{rpc_get_fd(loop.rpc), static_cast<short>(rpc_which_events(loop.rpc)), 0};
  if (poll(&ready, 1, -1) < 0 || rpc_service(loop.rpc, ready.revents) < 0) fail("the connection is lost");
}

void run_libnfs(const Load& load) {
  const std::unique_ptr<rpc_context, decltype(&rpc_destroy_context)> rpc{rpc_init_context(), rpc_destroy_context};
  rpc_set_auth(rpc.get(), libnfs_authunix_create("libnfs", 0, 0, 0, nullptr));
  Loop loop{load, rpc.get()};
  if (rpc_connect_async(rpc.get(), load.host.c_str(), load.port, on_connected, &loop) < 0) fail("connect");
  while (!loop.connected) turn(loop);
  while (loop.answered < load.updates) {
    while (loop.sent < load.updates && loop.sent - loop.answered < load.in_flight) start_one(loop);
    turn(loop);
  }
}

}  // namespace

int main(int argc, char* argv[]) try {
  if (argc != 4) fail("wrong arguments");
  const auto config = qatime::load_config(argv[2], {}).nfs;
  const Handles handles = resolve(config);
  const auto now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch());
  const Load load{config.servers.front().host,
                  config.port,
                  config.max_in_flight,
                  std::stoul(argv[3]),
                  static_cast<std::uint32_t>(now.count()),
                  handles};
  const auto cpu = cpu_seconds();
  const auto begin = Steady::now();
  argv[1] == std::string_view{"raw"} ? run_raw(load) : run_libnfs(load);
  const double seconds = std::chrono::duration<double>{Steady::now() - begin}.count();
  fmt::print("{{\"seconds\": {}, \"cpu\": {}, \"updates\": {}}}\n", seconds, cpu_seconds() - cpu, load.updates);
} catch (const std::exception& error) {
  std::cerr << "setattrs: " << error.what() << '\n';
  return EXIT_FAILURE;
}
