// SPDX-License-Identifier: MIT
// An NFSv3 server that costs next to nothing, so that the client is what is measured.
//
//   trivial_server PORT ENTRIES [HOSTS]
//
// Serves MOUNT and NFS version 3 on PORT of 127.0.0.1 until it is killed; with HOSTS, on as many addresses from there.
// Keeps nothing but atimes: every name is there, a handle is a hash of the way to it, and every ctime is one second
// after the epoch. A SETATTR succeeds unless its guard has another ctime. READDIRPLUS shows ENTRIES files in any
// directory, named by the numbers from 0. Reads all there is and answers it in one write.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error{what}; }

// XDR (RFC 4506) without copies of what is read.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_{bytes} {}

  std::uint32_t word() {
    std::uint32_t value = 0;
    std::memcpy(&value, take(4).data(), sizeof value);
    return ntohl(value);
  }
  std::string_view opaque() {
    const std::uint32_t size = word();
    return take((size + 3) / 4 * 4).substr(0, size);
  }

 private:
  std::string_view take(std::size_t size) {
    if (size > rest_.size()) fail("a call is cut short");
    const auto taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::string_view rest_;
};

class Writer {
 public:
  explicit Writer(std::string& out) : out_{out}, mark_{out.size()} { word(0); }
  ~Writer() {
    const std::uint32_t mark = htonl(static_cast<std::uint32_t>(size()) | 0x80000000U);
    std::memcpy(out_.data() + mark_, &mark, sizeof mark);
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Of the record so far, without its mark.
  [[nodiscard]] std::size_t size() const { return out_.size() - mark_ - 4; }
  void word(std::uint32_t value) {
    value = htonl(value);
    out_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void hyper(std::uint64_t value) {
    word(static_cast<std::uint32_t>(value >> 32));
    word(static_cast<std::uint32_t>(value));
  }
  void opaque(std::string_view bytes) {
    word(static_cast<std::uint32_t>(bytes.size()));
    out_ += bytes;
    out_.append((4 - bytes.size() % 4) % 4, '\0');
  }

 private:
  std::string& out_;
  std::size_t mark_;
};

struct Moment {
  std::uint32_t seconds = 0;
  std::uint32_t nanoseconds = 0;
};

constexpr Moment kCtime{1, 0};

std::uint64_t child(std::uint64_t directory, std::string_view name) {
  return std::hash<std::string_view>{}(name) ^ (directory * 0x9E3779B97F4A7C15);
}

std::uint64_t id_of(std::string_view handle) {
  std::uint64_t id = 0;
  if (handle.size() != sizeof id) fail("not a handle of ours");
  std::memcpy(&id, handle.data(), sizeof id);
  return id;
}

void write_handle(Writer& out, std::uint64_t id) { out.opaque({reinterpret_cast<const char*>(&id), sizeof id}); }

// fattr3 of a file.
void write_attributes(Writer& out, std::uint64_t id, Moment atime) {
  for (const std::uint32_t word : {1U, 0644U, 1U, 0U, 0U}) out.word(word);  // type, mode, links, uid, gid
  for (const std::uint64_t hyper : {std::uint64_t{0}, std::uint64_t{0}, std::uint64_t{0}, std::uint64_t{1}, id})
    out.hyper(hyper);
  for (const std::uint32_t word : {atime.seconds, atime.nanoseconds, 0U, 0U, kCtime.seconds, kCtime.nanoseconds})
    out.word(word);
}

Moment read_atime(Reader& in) {
  for (const int words : {1, 1, 1, 2}) {  // mode, uid, gid, size
    if (in.word() == 0) continue;
    for (int word = 0; word < words; ++word) in.word();
  }
  Moment atime;
  if (in.word() == 2) atime = {in.word(), in.word()};
  return atime;
}

class Service {
 public:
  explicit Service(std::uint64_t entries) : entries_{entries} {}

  void answer(std::string_view call, std::string& out) {
    Reader in{call};
    const std::uint32_t xid = in.word();
    in.word(), in.word();  // CALL, version of RPC
    const std::uint32_t program = in.word();
    in.word();
    const std::uint32_t procedure = in.word();
    in.word(), in.opaque(), in.word(), in.opaque();  // credentials, verifier
    Writer reply{out};
    for (const std::uint32_t word : {xid, 1U, 0U, 0U, 0U, 0U}) reply.word(word);  // accepted, no verifier, SUCCESS
    if (procedure == 0) return;
    if (program != kMount && procedure == 2) return set(in, reply);
    reply.word(0);  // NFS3_OK, MNT3_OK
    if (program == kMount) return mounted(reply);
    nfs(procedure, in, reply);
  }

 private:
  static constexpr std::uint32_t kMount = 100005;
  static constexpr std::uint64_t kRoot = 1;

  static void mounted(Writer& reply) {
    write_handle(reply, kRoot);
    reply.word(1);
    reply.word(1);  // one flavor, AUTH_SYS
  }

  // SETATTR.
  void set(Reader& in, Writer& reply) {
    constexpr std::uint32_t kNotSync = 10002;
    const std::uint64_t id = id_of(in.opaque());
    const Moment atime = read_atime(in);
    if (in.word() == 2) in.word(), in.word();  // mtime
    const bool is_guarded = in.word() == 1;
    const bool is_in_sync = !is_guarded || (in.word() == kCtime.seconds && in.word() == kCtime.nanoseconds);
    reply.word(is_in_sync ? 0 : kNotSync);
    reply.word(0);
    reply.word(is_in_sync ? 1 : 0);
    if (is_in_sync) write_attributes(reply, id, atimes_[id] = atime);
  }

  void nfs(std::uint32_t procedure, Reader& in, Writer& reply) {
    const std::uint64_t id = id_of(in.opaque());
    switch (procedure) {
      case 1:  // GETATTR
        return write_attributes(reply, id, atime(id));
      case 3: {  // LOOKUP
        const std::uint64_t found = child(id, in.opaque());
        write_handle(reply, found);
        reply.word(1);
        write_attributes(reply, found, atime(found));
        return reply.word(0);
      }
      case 17:  // READDIRPLUS
        return list(id, in, reply);
      default:
        fail("a procedure that nobody should need");
    }
  }

  void list(std::uint64_t directory, Reader& in, Writer& reply) const {
    constexpr std::size_t kEntry = 160;  // about its size in a reply, and that of what ends one
    std::uint64_t cookie = std::uint64_t{in.word()} << 32;
    cookie |= in.word();
    in.word(), in.word(), in.word();  // verifier, dircount
    const std::size_t most = in.word();
    reply.word(0);
    reply.hyper(0);
    for (; cookie < entries_ && reply.size() + kEntry < most; ++cookie) {
      const std::string name = std::to_string(cookie);
      const std::uint64_t id = child(directory, name);
      reply.word(1);
      reply.hyper(id);
      reply.opaque(name);
      reply.hyper(cookie + 1);
      reply.word(1);
      write_attributes(reply, id, atime(id));
      reply.word(1);
      write_handle(reply, id);
    }
    reply.word(0);
    reply.word(cookie >= entries_ ? 1 : 0);
  }

  [[nodiscard]] Moment atime(std::uint64_t id) const {
    const auto found = atimes_.find(id);
    return found == atimes_.end() ? Moment{} : found->second;
  }

  std::uint64_t entries_;
  std::unordered_map<std::uint64_t, Moment> atimes_;
};

struct Connection {
  int socket;
  std::string in{};
};

// False when the peer has closed.
bool serve(Connection& connection, Service& service) {
  static std::vector<char> buffer(1 << 20);
  const auto got = ::recv(connection.socket, buffer.data(), buffer.size(), 0);
  if (got <= 0) return false;
  connection.in.append(buffer.data(), static_cast<std::size_t>(got));
  std::string out;
  std::string_view rest{connection.in};
  while (rest.size() >= 4) {
    const std::size_t size = Reader{rest}.word() & 0x7fffffffU;
    if (rest.size() - 4 < size) break;
    service.answer(rest.substr(4, size), out);
    rest.remove_prefix(4 + size);
  }
  connection.in.erase(0, connection.in.size() - rest.size());
  for (std::string_view left{out}; !left.empty();) {
    const auto sent = ::send(connection.socket, left.data(), left.size(), MSG_NOSIGNAL);
    if (sent < 0) return false;
    left.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

int listen_on(std::uint32_t host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(host);
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // which connections inherit
  if (::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(socket, 64) != 0)
    fail("listen");
  return socket;
}

[[noreturn]] void run(std::uint16_t port, std::uint32_t hosts, Service& service) {
  std::vector<int> listeners;
  for (std::uint32_t host = 0; host < hosts; ++host) listeners.push_back(listen_on(INADDR_LOOPBACK + host, port));
  std::vector<Connection> connections;
  for (;;) {
    std::vector<pollfd> ready;
    for (const auto& connection : connections) ready.push_back({connection.socket, POLLIN, 0});
    for (const int listener : listeners) ready.push_back({listener, POLLIN, 0});
    if (::poll(ready.data(), ready.size(), -1) < 0) fail("poll");
    for (std::size_t index = connections.size(); index-- > 0;) {
      if (ready[index].revents == 0 || serve(connections[index], service)) continue;
      ::close(connections[index].socket);
      connections.erase(connections.begin() + static_cast<std::ptrdiff_t>(index));
    }
    for (const auto& listener : std::span{ready}.last(listeners.size())) {
      if (listener.revents != 0) connections.push_back({::accept4(listener.fd, nullptr, nullptr, SOCK_CLOEXEC)});
    }
  }
}

}  // namespace

int main(int argc, char* argv[]) try {
  if (argc != 3 && argc != 4) fail("wrong arguments");
  Service service{std::stoull(argv[2])};
  const auto hosts = argc == 4 ? static_cast<std::uint32_t>(std::stoul(argv[3])) : 1;
  run(static_cast<std::uint16_t>(std::stoul(argv[1])), hosts, service);
} catch (const std::exception& error) {
  std::cerr << "trivial_server: " << error.what() << '\n';
  return EXIT_FAILURE;
}
