// SPDX-License-Identifier: MIT
#include "nfs/socket_interposer.h"

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "catch.h"
#include "nfs/xdr.h"

namespace qatime::nfs::socket_interposer_test {
namespace {

using testing::XdrWriter;

// Two connected sockets that do not block.
struct Pair {
  Pair() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0); }
  ~Pair() {
    close(0);
    close(1);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  void close(std::size_t end) {
    if (ends.at(end) >= 0) (void)::close(std::exchange(ends.at(end), -1));
  }
  // Has the peer send these.
  void come(const std::string& bytes) const {
    REQUIRE(::write(ends[1], bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  }
  // The bytes that have come to the other end.
  [[nodiscard]] std::string take() const {
    std::string all(1 << 20, '\0');
    const auto got = ::read(ends[1], all.data(), all.size());
    all.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return all;
  }

  std::array<int, 2> ends{-1, -1};
};

std::string receive(int descriptor, std::size_t size) {
  std::string bytes(size, '\0');
  const auto got = ::recv(descriptor, bytes.data(), size, MSG_DONTWAIT);
  if (got < 0) return errno == EAGAIN ? "nothing yet" : "error";
  bytes.resize(static_cast<std::size_t>(got));
  return bytes;
}

TEST_CASE("What is written is sent together") {
  Pair pair;
  SocketInterposer stream;
  {
    const SocketInterposer::Use use{stream, pair.ends[0]};
    CHECK(::send(pair.ends[0], "one", 3, MSG_NOSIGNAL) == 3);
    CHECK(::send(pair.ends[0], "two", 3, MSG_NOSIGNAL) == 3);
  }
  CHECK(stream.has_unsent());
  CHECK(pair.take().empty());
  CHECK(stream.flush(pair.ends[0]) == 0);
  CHECK_FALSE(stream.has_unsent());
  CHECK(pair.take() == "onetwo");
}

TEST_CASE("What the kernel does not take at once follows, in order") {
  Pair pair;
  SocketInterposer stream;
  std::string all;
  for (int word = 0; word < 1 << 18; ++word) all += std::to_string(word);
  CHECK(stream.write(all.data(), all.size()) == static_cast<ssize_t>(all.size()));
  CHECK(stream.flush(pair.ends[0]) == 0);
  CHECK(stream.has_unsent());
  CHECK(stream.write("end", 3) == 3);
  std::string came;
  while (came.size() < all.size() + 3) {
    came += pair.take();
    REQUIRE(stream.flush(pair.ends[0]) == 0);
  }
  CHECK(came == all + "end");
}

TEST_CASE("That the peer is gone is told by what is sent") {
  Pair pair;
  SocketInterposer stream;
  pair.close(1);
  (void)stream.write("x", 1);
  CHECK(stream.flush(pair.ends[0]) == EPIPE);
}

// ---- replies

constexpr std::uint32_t kLast = 0x80000000;

std::string record(const XdrWriter& message) {
  return XdrWriter{}.word(kLast | static_cast<std::uint32_t>(message.bytes().size())).raw(message.bytes()).bytes();
}

// NULL of NFS version 3, without credentials.
std::string call(std::uint32_t xid) {
  return record(XdrWriter{}.word(xid).word(0).word(2).word(100003).word(3).word(0).hyper(0).hyper(0));
}

// To NULL, with so many bytes behind it.
std::string reply(std::uint32_t xid, std::size_t more = 0) {
  return record(XdrWriter{}.word(xid).word(1).word(0).hyper(0).word(0).raw(std::string(more, 'x')));
}

TEST_CASE("Replies are read in pieces, with those that came later behind them, and then the end") {
  Pair pair;
  SocketInterposer stream;
  for (std::uint32_t xid = 1; xid <= 2; ++xid) CHECK(stream.write(call(xid).data(), call(xid).size()) > 0);
  pair.come(reply(1) + reply(2).substr(0, 20));
  {
    const SocketInterposer::Use use{stream, pair.ends[0]};
    CHECK(receive(pair.ends[0], 20) == reply(1).substr(0, 20));
  }
  CHECK(stream.has_unread());
  pair.come(reply(2).substr(20));
  {
    const SocketInterposer::Use use{stream, pair.ends[0]};
    CHECK(receive(pair.ends[0], 20) == reply(1).substr(20));
    CHECK_FALSE(stream.has_unread());
    CHECK(receive(pair.ends[0], 100) == reply(2));
    CHECK(receive(pair.ends[0], 4) == "nothing yet");
  }
  pair.close(1);
  const SocketInterposer::Use use{stream, pair.ends[0]};
  CHECK(receive(pair.ends[0], 4).empty());
}

TEST_CASE("A read of many bytes ends with what there is") {
  Pair pair;
  SocketInterposer stream;
  std::string all;
  for (std::uint32_t xid = 0; xid < 10; ++xid) {
    CHECK(stream.write(call(xid).data(), call(xid).size()) > 0);
    all += reply(xid, 10'000);
  }
  pair.come(all);
  const SocketInterposer::Use use{stream, pair.ends[0]};
  std::string came;
  for (std::string part; (part = receive(pair.ends[0], 1000)) != "nothing yet";) came += part;
  CHECK(came == all);
}

TEST_CASE("Calls are known however they were written") {
  Pair pair;
  SocketInterposer stream;
  const std::string both = call(1) + call(2);
  const std::string rest = call(3) + call(4);
  {
    const SocketInterposer::Use use{stream, pair.ends[0]};
    const std::size_t cut = GENERATE(as<std::size_t>{}, 1, 4, 30, 60);
    const std::string parts = both.substr(cut) + rest.substr(0, cut);
    const std::array<iovec, 2> vector{iovec{const_cast<char*>(both.data()), cut},
                                      iovec{const_cast<char*>(parts.data()), parts.size()}};
    CHECK(::writev(pair.ends[0], vector.data(), 2) == static_cast<ssize_t>(both.size() + cut));
    if (GENERATE(true, false)) CHECK(stream.flush(pair.ends[0]) == 0);
    CHECK(::send(pair.ends[0], rest.data() + cut, rest.size() - cut, MSG_NOSIGNAL) > 0);
  }
  CHECK(stream.flush(pair.ends[0]) == 0);
  CHECK(pair.take() == both + rest);
  const std::string all = reply(4) + reply(1) + reply(3) + reply(2);
  pair.come(all);
  const SocketInterposer::Use use{stream, pair.ends[0]};
  CHECK(receive(pair.ends[0], 1000) == all);
}

TEST_CASE("Replies before one that is refused are read, and then there is an error") {
  Pair pair;
  SocketInterposer stream;
  CHECK(stream.write(call(1).data(), call(1).size()) > 0);
  pair.come(reply(1) + reply(2));
  const SocketInterposer::Use use{stream, pair.ends[0]};
  CHECK(receive(pair.ends[0], 1000) == reply(1));
  CHECK(receive(pair.ends[0], 1000) == "error");
  CHECK(stream.refusal() == "dropped: its reply answers no call that waits for one");
}

TEST_CASE("Other sockets, and this one elsewhere, are the kernel's alone") {
  Pair pair;
  Pair other;
  SocketInterposer stream;
  {
    const SocketInterposer::Use use{stream, pair.ends[0]};
    CHECK(::send(other.ends[0], "x", 1, MSG_NOSIGNAL) == 1);
    CHECK(::send(other.ends[1], "y", 1, MSG_NOSIGNAL) == 1);
    CHECK(receive(other.ends[0], 4) == "y");
    std::string byte = "w";
    const iovec part{byte.data(), 1};
    CHECK(::writev(other.ends[0], &part, 1) == 1);
  }
  CHECK(other.take() == "xw");
  CHECK(::send(pair.ends[0], "z", 1, MSG_NOSIGNAL) == 1);
  CHECK(pair.take() == "z");
  CHECK(receive(-1, 4) == "error");
}

TEST_CASE("A shared libnfs finds our recv(), send() and writev()") {
  CHECK(::dlsym(RTLD_DEFAULT, "recv") == reinterpret_cast<void*>(&::recv));
  CHECK(::dlsym(RTLD_DEFAULT, "send") == reinterpret_cast<void*>(&::send));
  CHECK(::dlsym(RTLD_DEFAULT, "writev") == reinterpret_cast<void*>(&::writev));
}

}  // namespace
}  // namespace qatime::nfs::socket_interposer_test
