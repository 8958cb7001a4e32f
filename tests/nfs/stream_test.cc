// SPDX-License-Identifier: MIT
#include "nfs/stream.h"

#include <array>
#include <cerrno>
#include <cstddef>
#include <string>
#include <utility>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "catch.h"

namespace qatime::nfs::stream_test {
namespace {

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
  // What has come to the other end.
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
  Stream stream;
  {
    const Stream::Use use{stream, pair.ends[0]};
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
  Stream stream;
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
  Stream stream;
  pair.close(1);
  (void)stream.write("x", 1);
  CHECK(stream.flush(pair.ends[0]) == EPIPE);
}

TEST_CASE("What has come is read in pieces, with what came later behind it, and then the end") {
  Pair pair;
  Stream stream;
  REQUIRE(::write(pair.ends[1], "abcdef", 6) == 6);
  {
    const Stream::Use use{stream, pair.ends[0]};
    CHECK(receive(pair.ends[0], 4) == "abcd");
  }
  CHECK(stream.has_unread());
  REQUIRE(::write(pair.ends[1], "ghi", 3) == 3);
  {
    const Stream::Use use{stream, pair.ends[0]};
    CHECK(receive(pair.ends[0], 4) == "ef");
    CHECK_FALSE(stream.has_unread());
    CHECK(receive(pair.ends[0], 4) == "ghi");
    CHECK(receive(pair.ends[0], 4) == "nothing yet");
  }
  pair.close(1);
  const Stream::Use use{stream, pair.ends[0]};
  CHECK(receive(pair.ends[0], 4).empty());
}

TEST_CASE("A read of many bytes ends with what there is") {
  Pair pair;
  Stream stream;
  const std::string all(100'000, 'x');
  REQUIRE(::write(pair.ends[1], all.data(), all.size()) == static_cast<ssize_t>(all.size()));
  const Stream::Use use{stream, pair.ends[0]};
  std::string came;
  for (std::string part; (part = receive(pair.ends[0], 1000)) != "nothing yet";) came += part;
  CHECK(came == all);
}

TEST_CASE("Other sockets, and this one elsewhere, are the kernel's alone") {
  Pair pair;
  Pair other;
  Stream stream;
  {
    const Stream::Use use{stream, pair.ends[0]};
    CHECK(::send(other.ends[0], "x", 1, MSG_NOSIGNAL) == 1);
    CHECK(::send(other.ends[1], "y", 1, MSG_NOSIGNAL) == 1);
    CHECK(receive(other.ends[0], 4) == "y");
  }
  CHECK(other.take() == "x");
  CHECK(::send(pair.ends[0], "z", 1, MSG_NOSIGNAL) == 1);
  CHECK(pair.take() == "z");
  CHECK(receive(-1, 4) == "error");
}

TEST_CASE("A shared libnfs finds our recv() and send()") {
  CHECK(::dlsym(RTLD_DEFAULT, "recv") == reinterpret_cast<void*>(&::recv));
  CHECK(::dlsym(RTLD_DEFAULT, "send") == reinterpret_cast<void*>(&::send));
}

}  // namespace
}  // namespace qatime::nfs::stream_test
