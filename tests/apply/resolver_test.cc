// SPDX-License-Identifier: MIT
#include "apply/resolver.h"

#include <string>
#include <vector>

#include "apply/fake_client.h"
#include "catch.h"
#include "manual_clock.h"

namespace qatime::apply::resolver_test {
namespace {

using nfs::Status;

struct Bed {
  explicit Bed(const std::vector<std::string>& paths = {"/"}) : exports{paths}, client{paths} {}

  // The statuses, and for failures where, in the order of the answers.
  void resolve(std::string_view directory, std::size_t export_index = 0) {
    resolver.resolve(export_index, directory, [this](const Resolver::Answer& answer) {
      answers.push_back(answer.status);
      handles.push_back(answer.handle);
      where.emplace_back(answer.where);
    });
    pipeline.run();
  }
  void deliver_all() {
    while (client.deliver()) {
    }
  }

  ManualClock clock;
  metrics::Registry registry;
  NfsConfig config;
  Exports exports;
  FakeClient client;
  Pipeline pipeline{client, exports.size(), [this](auto) { pipeline.run(); }};
  Resolver resolver{client, pipeline, clock, config, exports, registry};
  std::vector<Status> answers;
  std::vector<nfs::Handle> handles;
  std::vector<std::string> where;
};

TEST_CASE("ParentIsOneComponentUp", "[apply]") {
  CHECK(parent("/a/b/c") == "/a/b");
  CHECK(parent("/a") == "/");
}

TEST_CASE("ADirectoryIsLookedUpComponentByComponentOnce", "[apply]") {
  Bed bed;
  bed.client.make_directory("/a/b/c");
  bed.resolve("/a/b/c");
  CHECK(bed.answers.empty());
  bed.deliver_all();
  CHECK(bed.answers == std::vector{Status::ok});
  CHECK(bed.client.requests.size() == 3);
  bed.resolve("/a/b/c");
  CHECK(bed.answers.size() == 2);
  CHECK(bed.handles[0] == bed.handles[1]);
  CHECK(bed.client.requests.size() == 3);
  CHECK(bed.registry.sum("qatime_handle_cache_hits_total") == 1);
  CHECK(bed.registry.sum("qatime_handle_cache_misses_total") == 1);
}

TEST_CASE("AWalkBeginsAtTheDeepestKnownAncestor", "[apply]") {
  Bed bed;
  bed.client.make_directory("/a/b/c/d");
  bed.resolve("/a/b");
  bed.deliver_all();
  bed.client.requests.clear();
  bed.resolve("/a/b/c/d");
  bed.deliver_all();
  CHECK(bed.client.requests.size() == 2);
  CHECK(bed.client.requests[0].path == "/a/b/c");
}

TEST_CASE("ConcurrentLookupsOfOneDirectoryAreOneRequest", "[apply]") {
  Bed bed;
  bed.client.make_directory("/a/b");
  bed.client.make_directory("/a/c");
  for (int i = 0; i < 10; ++i) {
    bed.resolve("/a/b");
    bed.resolve("/a/c");
  }
  bed.deliver_all();
  CHECK(bed.answers == std::vector<Status>(20, Status::ok));
  CHECK(bed.client.requests.size() == 3);
}

TEST_CASE("TheExportsRootIsNeverLookedUp", "[apply]") {
  Bed bed{{"/", "/x/y"}};
  bed.client.make_directory("/x/y/a");
  bed.resolve("/x/y", 1);
  bed.resolve("/", 0);
  CHECK(bed.answers == std::vector{Status::ok, Status::ok});
  bed.resolve("/x/y/a", 1);
  bed.deliver_all();
  CHECK(bed.client.requests.size() == 1);
}

TEST_CASE("AnExportThatIsNotMountedAnswersLost", "[apply]") {
  Bed bed;
  bed.client.connected = false;
  bed.resolve("/");
  bed.resolve("/a");
  CHECK(bed.answers == std::vector{Status::lost, Status::lost});
}

TEST_CASE("AFailureNamesTheDirectoryInWhichItHappened", "[apply]") {
  Bed bed;
  bed.client.make_directory("/a");
  bed.client.make_file("/f");
  bed.resolve("/a/b/c");
  bed.resolve("/z/b/c");
  bed.resolve("/f/b/c");
  bed.deliver_all();
  CHECK(bed.answers == std::vector{Status::noent, Status::noent, Status::notdir});
  CHECK(bed.where == std::vector<std::string>{"/", "/a", "/f"});
}

TEST_CASE("AStaleAncestorIsForgottenWithThoseAboveIt", "[apply]") {
  Bed bed;
  bed.client.make_directory("/a/b/c");
  bed.resolve("/a/b");
  bed.deliver_all();
  bed.client.forget_handles();
  bed.client.requests.clear();
  bed.resolve("/a/b/c");
  bed.deliver_all();
  CHECK(bed.answers.back() == Status::stale);
  bed.resolve("/a/b/c");
  bed.deliver_all();
  CHECK(bed.answers.back() == Status::ok);
  CHECK(bed.client.requests.size() == 1 + 3);
}

TEST_CASE("AHandleThatWasReplacedAlreadyIsNotForgottenAgain", "[apply]") {
  Bed bed;
  bed.client.make_directory("/a");
  bed.resolve("/a");
  bed.deliver_all();
  const auto old = bed.handles.back();
  bed.client.forget_handles();
  bed.resolver.distrust("/a", old);
  bed.resolve("/a");
  bed.deliver_all();
  bed.resolver.distrust("/a", old);
  bed.resolve("/a");
  CHECK(bed.answers.size() == 3);
  CHECK(bed.client.requests.size() == 2);
}

TEST_CASE("WhatIsForgottenIsLookedUpAgain", "[apply]") {
  Bed bed;
  bed.client.make_directory("/a/b");
  bed.client.make_directory("/a-");
  bed.resolve("/a/b");
  bed.resolve("/a-");
  bed.deliver_all();
  bed.client.rename("/a", "/z");
  bed.client.make_directory("/a/b");
  bed.resolver.forget("/a");
  bed.client.requests.clear();
  bed.resolve("/a-");
  bed.resolve("/a/b");
  bed.deliver_all();
  CHECK(bed.client.requests.size() == 2);
  CHECK(bed.handles.front() != bed.handles.back());
}

TEST_CASE("AnAnswerThatBecameDoubtfulOnItsWayIsForThoseWhoWaitAlone", "[apply]") {
  Bed bed;
  bed.client.make_directory("/a/b/c");
  const int delivered = GENERATE(0, 1, 2);
  bed.resolve("/a/b/c");
  for (int i = 0; i < delivered; ++i) REQUIRE(bed.client.deliver());
  bed.resolver.forget(GENERATE("/a", "/"));
  bed.resolve("/a/b/c");  // asks afresh
  CHECK(bed.client.outstanding() == 2);
  CHECK(bed.client.count(Procedure::lookup, "/a") == 2);
  // The doubtful one answers first, with the directory as it was.
  for (int i = delivered; i < 3; ++i) {
    while (bed.client.outstanding() > 1 && bed.answers.empty()) REQUIRE(bed.client.deliver());
  }
  bed.client.rename("/a", "/z");
  bed.client.make_directory("/a/b/c");
  bed.resolver.forget("/a");
  bed.deliver_all();
  bed.resolve("/a/b/c");
  bed.deliver_all();
  const auto found = bed.handles.back();
  bed.resolver.forget("/");
  bed.resolve("/a/b/c");
  bed.deliver_all();
  CHECK(found == bed.handles.back());
  for (const auto status : bed.answers) CHECK(status == Status::ok);
}

TEST_CASE("AVeryDeepPathNeedsNoDeepStack", "[apply]") {
  Bed bed;
  std::string path;
  for (int i = 0; i < 16'000; ++i) path += "/a";
  bed.client.script = [&](const FakeClient::Request&) -> std::optional<Status> { return Status::noent; };
  bed.resolve(path);
  bed.deliver_all();
  CHECK(bed.answers == std::vector{Status::noent});
}

}  // namespace
}  // namespace qatime::apply::resolver_test
