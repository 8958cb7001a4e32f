// SPDX-License-Identifier: MIT
#include "nfs/reply_batching.h"

#include "catch.h"

namespace qatime::nfs::reply_batching_test {

using namespace std::chrono_literals;

TEST_CASE("Replies gather for an eighth of the latency, which is bounded") {
  CHECK(ReplyBatching::due(64, 800us, 100us, 1) == 100us);
  CHECK(ReplyBatching::due(64, 2400us, 100us, 1) == 300us);
  CHECK(ReplyBatching::due(64, 1s, 100us, 1) == 500us);
  CHECK(ReplyBatching::due(64, 792us, 100us, 1) == 0us);  // it would sleep for longer than that
}

TEST_CASE("Where few requests wait, or replies come together, none gather") {
  CHECK(ReplyBatching::due(24, 2400us, 100us, 11) == 300us);
  CHECK(ReplyBatching::due(24, 2400us, 100us, 12) == 0us);
  CHECK(ReplyBatching::due(23, 2400us, 100us, 0) == 0us);
  CHECK(ReplyBatching::due(0, 2400us, 100us, 0) == 0us);
}

TEST_CASE("Where most of the latency is the way, none gather") {
  CHECK(ReplyBatching::due(64, 2000us, 1000us, 1) == 250us);
  CHECK(ReplyBatching::due(64, 2000us, 1001us, 1) == 0us);
}

TEST_CASE("A loop sleeps once in a turn, whatever its connections") {
  boost::asio::io_context io;
  ReplyBatching reply_batching{io};
  CHECK_FALSE(reply_batching.sleep(0us));
  CHECK(reply_batching.sleep(1us));
  CHECK_FALSE(reply_batching.sleep(1us));
  io.poll();
  CHECK(reply_batching.sleep(1us));
}

}  // namespace qatime::nfs::reply_batching_test
