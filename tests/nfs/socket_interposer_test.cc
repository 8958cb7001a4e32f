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
#include <unistd.h>

#include "catch.h"

namespace qatime::nfs::socket_interposer_test {
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

TEST_CASE("What has come is read in pieces, with what came later behind it, and then the end") {
  Pair pair;
  SocketInterposer stream;
  stream.set_limit(SIZE_MAX);  // the bytes are no records
  REQUIRE(::write(pair.ends[1], "abcdef", 6) == 6);
  {
    const SocketInterposer::Use use{stream, pair.ends[0]};
    CHECK(receive(pair.ends[0], 4) == "abcd");
  }
  CHECK(stream.has_unread());
  REQUIRE(::write(pair.ends[1], "ghi", 3) == 3);
  {
    const SocketInterposer::Use use{stream, pair.ends[0]};
    CHECK(receive(pair.ends[0], 4) == "ef");
    CHECK_FALSE(stream.has_unread());
    CHECK(receive(pair.ends[0], 4) == "ghi");
    CHECK(receive(pair.ends[0], 4) == "nothing yet");
  }
  pair.close(1);
  const SocketInterposer::Use use{stream, pair.ends[0]};
  CHECK(receive(pair.ends[0], 4).empty());
}

TEST_CASE("A read of many bytes ends with what there is") {
  Pair pair;
  SocketInterposer stream;
  stream.set_limit(SIZE_MAX);
  const std::string all(100'000, 'x');
  REQUIRE(::write(pair.ends[1], all.data(), all.size()) == static_cast<ssize_t>(all.size()));
  const SocketInterposer::Use use{stream, pair.ends[0]};
  std::string came;
  for (std::string part; (part = receive(pair.ends[0], 1000)) != "nothing yet";) came += part;
  CHECK(came == all);
}

// ---- records

constexpr std::uint32_t kLast = 0x80000000;
constexpr std::size_t kLimit = 4096;

// Of a record: its mark and as many bytes as that says.
std::string fragment(std::uint32_t mark) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(mark >> shift & 0xff);
  return bytes.append(mark & ~kLast, 'x');
}

// The refusal that libnfs meets in `bytes` that come so many at a time: "" if it gets them all.
std::string refusal(const std::string& bytes, std::size_t at_a_time) {
  Pair pair;
  SocketInterposer stream;
  stream.set_limit(kLimit);
  std::string came;
  for (std::size_t sent = 0; sent < bytes.size(); sent += at_a_time) {
    const std::string part = bytes.substr(sent, at_a_time);
    REQUIRE(::write(pair.ends[1], part.data(), part.size()) == static_cast<ssize_t>(part.size()));
    const SocketInterposer::Use use{stream, pair.ends[0]};
    for (std::string some; (some = receive(pair.ends[0], 1000)) != "nothing yet";) {
      if (some == "error") return stream.refusal();
      came += some;
    }
  }
  CHECK(came == bytes);
  CHECK(stream.refusal().empty());
  return {};
}

const std::string kGrew = "dropped: its reply grew beyond 4096 bytes, which no sound NFS server sends";

TEST_CASE("Records up to the limit pass, one after the other and in fragments, however they come") {
  const std::string one = fragment(kLast | kLimit);
  const std::string fragments = fragment(kLimit / 4) + fragment(kLimit / 4) + fragment(kLast | kLimit / 2);
  const std::string small = fragment(kLast | 24) + fragment(24) + fragment(kLast | 1);
  const std::size_t at_a_time = GENERATE(as<std::size_t>{}, 1, 3, 1000, 20'000);
  CHECK(refusal(one + one, at_a_time).empty());
  CHECK(refusal(small + fragments + small + fragments + small, at_a_time).empty());
}

TEST_CASE("A record beyond the limit is refused when a mark says so, and not later") {
  const std::string small = fragment(kLast | 24);
  const std::size_t at_a_time = GENERATE(as<std::size_t>{}, 1, 5, 1000);
  CHECK(refusal(small + fragment(kLast | kLimit).replace(0, 4, fragment(kLast | (kLimit + 1)), 0, 4), at_a_time) ==
        kGrew);
  CHECK(refusal(fragment(kLimit / 2) + fragment(kLast | (kLimit / 2 + 1)).substr(0, 4), at_a_time) == kGrew);
  CHECK(refusal("\x7f\xff\xff\xff", at_a_time) == kGrew);
  CHECK(refusal("HTTP/1.1 400 Bad Request", at_a_time) == kGrew);
}

TEST_CASE("A new limit holds for what comes from then on") {
  Pair pair;
  SocketInterposer stream;
  stream.set_limit(2 * kLimit);
  const SocketInterposer::Use use{stream, pair.ends[0]};
  const std::string large = fragment(kLast | (2 * kLimit));
  const auto come = [&](const std::string& bytes) {
    REQUIRE(::write(pair.ends[1], bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    return receive(pair.ends[0], 2 * large.size());
  };
  CHECK(come(large + large.substr(0, kLimit)).size() == large.size() + kLimit);
  const SocketInterposer::Use again{stream, pair.ends[0]};
  stream.set_limit(kLimit);
  CHECK(come(large.substr(kLimit)).size() == large.size() - kLimit);  // let through while the limit was another
  const SocketInterposer::Use last{stream, pair.ends[0]};
  CHECK(come(large) == "error");
}

TEST_CASE("Fragments that hold next to nothing are refused before they are many") {
  std::string tiny;
  for (std::size_t count = 0; count < kLimit / 1024; ++count) tiny += fragment(1);
  CHECK(refusal(tiny, tiny.size()).empty());
  CHECK(refusal(tiny + fragment(1), tiny.size()) == kGrew);
}

TEST_CASE("An empty fragment is refused") {
  const auto mark = GENERATE(std::uint32_t{0}, kLast);
  CHECK(refusal(fragment(kLast | 24) + fragment(mark), 5).find("dropped: its reply has an empty fragment") == 0);
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
}  // namespace qatime::nfs::socket_interposer_test
