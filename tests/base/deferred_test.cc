// SPDX-License-Identifier: MIT
#include "base/deferred.h"

#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "catch.h"

namespace qatime::deferred_test {
namespace {

struct Fixture {
  boost::asio::io_context io;
  std::shared_ptr<Deferred> deferred = std::make_shared<Deferred>(io);
  std::string said;

  void say(const char* word) { said += word; }
  void defer(const char* word) {
    deferred->add([this, word] { say(word); });
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "Work of a turn is done at its end, in order") {
  deferred->turn([this] {
    defer("b");
    defer("c");
    say("a");
  });
  CHECK(said == "abc");
  CHECK(io.poll() == 0);
}

TEST_CASE_METHOD(Fixture, "What deferred work defers is part of the turn") {
  deferred->turn([this] {
    deferred->add([this] {
      say("a");
      defer("c");
    });
    defer("b");
  });
  CHECK(said == "abc");
}

TEST_CASE_METHOD(Fixture, "A turn inside another ends with it") {
  deferred->turn([this] {
    deferred->turn([this] { defer("b"); });
    say("a");
  });
  CHECK(said == "ab");
}

TEST_CASE_METHOD(Fixture, "Outside of a turn work is posted") {
  defer("a");
  defer("b");
  CHECK(said.empty());
  CHECK(io.poll() == 1);
  CHECK(said == "ab");
}

TEST_CASE_METHOD(Fixture, "A turn does what was posted before, once") {
  defer("a");
  deferred->turn([this] { defer("b"); });
  CHECK(said == "ab");
  io.poll();
  CHECK(said == "ab");
}

TEST_CASE_METHOD(Fixture, "Work may give up its owner and forget what is left") {
  const auto same = deferred;
  same->turn([this] {
    deferred->add([this] {
      say("a");
      deferred->forget();
      deferred.reset();
    });
    defer("b");
  });
  CHECK(said == "a");
}

TEST_CASE_METHOD(Fixture, "Posted work of one that is gone is never done") {
  defer("a");
  deferred.reset();
  io.poll();
  CHECK(said.empty());
}

}  // namespace qatime::deferred_test
