// SPDX-License-Identifier: MIT
#include "apply/breaker.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "apply/task.h"
#include "catch.h"
#include "manual_clock.h"

namespace qatime::apply::breaker_test {
namespace {

using nfs::Status;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Tasks = std::vector<Task*>;

struct Bench {
  ManualClock clock{};
  Breaker breaker{};
  Task a{}, b{}, c{}, d{};

  void denied(Task& task, const char* directory, Status status = Status::perm) {
    breaker.denied(task, status, directory, clock.now());
  }
  void missing(Task& task, const char* component) { breaker.missing(task, component, clock.now()); }
  void found() { breaker.found(breaker.stamp(), clock.now()); }
  void applied(Breaker::Stamp sent) { breaker.applied(sent, sent, clock.now()); }
};

TEST_CASE("ADenialIsHeldUntilALaterSuccess", "[apply]") {
  Bench t;
  const auto sent_before = t.breaker.stamp();
  t.denied(t.a, "/1");
  t.applied(sent_before);
  CHECK_FALSE(t.breaker.has_verdicts());
  const auto sent_between = t.breaker.stamp();
  t.denied(t.b, "/1");
  t.applied(sent_between);
  CHECK(t.breaker.take_verdicts().fail == Tasks{&t.a});
  t.applied(t.breaker.stamp());
  CHECK(t.breaker.take_verdicts().fail == Tasks{&t.b});
  CHECK(t.breaker.held() == 0);
}

TEST_CASE("AsRootDenialsFromSeveralDirectoriesAskTheRootFirst", "[apply]") {
  Bench t;
  t.denied(t.a, "/1");
  t.denied(t.b, "/2");
  t.denied(t.c, "/2");
  CHECK_FALSE(t.breaker.root_probe_due(t.clock.now()));
  t.denied(t.d, "/3", Status::rofs);
  CHECK_FALSE(t.breaker.suspended());
  CHECK(t.breaker.next_deadline().value() <= t.clock.now());
  REQUIRE(t.breaker.root_probe_due(t.clock.now()));

  SECTION("a root that can be set makes the denials final") {
    t.breaker.root_applied(t.breaker.stamp(), t.breaker.stamp(), t.clock.now());
    CHECK(t.breaker.take_verdicts().fail == Tasks{&t.a, &t.b, &t.c, &t.d});
    CHECK_FALSE(t.breaker.suspended());
  }
  SECTION("a root that is denied suspends the export") {
    t.breaker.root_denied(Status::rofs, t.clock.now());
    CHECK(t.breaker.confirmed() == Reason::read_only);
    CHECK(t.breaker.take_verdicts().put_back == Tasks{&t.a, &t.b, &t.c, &t.d});
  }
  CHECK(t.breaker.held() == 0);
}

TEST_CASE("ForAnotherUserDenialsFromSeveralDirectoriesSuspend", "[apply]") {
  Bench t{.breaker = Breaker{false}};
  t.denied(t.a, "/1");
  t.denied(t.b, "/2");
  CHECK_FALSE(t.breaker.suspended());
  t.denied(t.c, "/3");
  CHECK(t.breaker.suspended() == Reason::denied);
  CHECK_FALSE(t.breaker.confirmed());
  CHECK(t.breaker.take_verdicts().put_back == Tasks{&t.a, &t.b, &t.c});
  CHECK(t.breaker.held() == 0);

  SECTION("at first for a moment, then for longer and longer") {
    Clock::Duration pause = Breaker::kFirstProbe;
    for (int i = 0; i < 10; ++i) {
      t.clock.advance(pause - milliseconds{1});
      CHECK_FALSE(t.breaker.entry_probe_due(t.clock.now()));
      t.clock.advance(milliseconds{1});
      REQUIRE(t.breaker.entry_probe_due(t.clock.now()));
      t.breaker.probed(t.clock.now());
      pause = std::min<Clock::Duration>(2 * pause, Breaker::kProbeInterval);
    }
  }
  SECTION("an entry that is denied once more confirms it, and waits") {
    t.d.taken = t.breaker.stamp();
    t.denied(t.d, "/4");
    CHECK(t.breaker.confirmed() == Reason::denied);
    CHECK(t.breaker.take_verdicts().put_back == Tasks{&t.d});
  }
  SECTION("if others could be set a moment ago, it takes several that were never denied") {
    t.applied(t.breaker.stamp());
    t.denied(t.d, "/4");
    for (const char* const directory : {"/5", "/6"}) {
      t.d.entry.retry.denied = false;
      t.denied(t.d, directory);
    }
    REQUIRE(t.breaker.suspended());
    for (int i = 0; i < 3; ++i) {
      CHECK_FALSE(t.breaker.confirmed());
      t.a.taken = t.breaker.stamp();
      t.a.entry.retry.denied = false;
      t.denied(t.a, "/1");
      t.denied(t.a, "/1");
    }
    CHECK(t.breaker.confirmed() == Reason::denied);
  }
  SECTION("an entry that is denied again after the export was resumed is final") {
    t.applied(t.breaker.stamp());
    CHECK_FALSE(t.breaker.suspended());
    t.denied(t.a, "/1");
    CHECK(t.breaker.take_verdicts().fail == Tasks{&t.a});
    t.denied(t.d, "/4");
    CHECK_FALSE(t.breaker.has_verdicts());
  }
}

TEST_CASE("ARootThatIsDeniedAloneDecidesNoMore", "[apply]") {
  Bench t;
  t.denied(t.a, "/1");
  t.breaker.root_denied(Status::perm, t.clock.now());
  REQUIRE(t.breaker.suspended());
  int roots = 0;
  for (; !t.breaker.entry_probe_due(t.clock.now()); ++roots) {
    t.clock.advance(Breaker::kProbeInterval);
    if (t.breaker.root_probe_due(t.clock.now())) t.breaker.probed(t.clock.now());
    REQUIRE(roots < 5);
  }
  CHECK(roots >= 2);
  t.applied(t.breaker.stamp());
  CHECK_FALSE(t.breaker.suspended());
  REQUIRE(t.breaker.root_probe_due(t.clock.now()));

  SECTION("if it is denied again") {
    t.breaker.root_denied(Status::perm, t.clock.now());
    CHECK_FALSE(t.breaker.suspended());
    t.breaker.root_denied(Status::perm, t.clock.now());
    CHECK_FALSE(t.breaker.suspended());
  }
  SECTION("but not if that is later, and may be another squash") {
    t.clock.advance(Breaker::kPatience);
    t.breaker.root_denied(Status::perm, t.clock.now());
    CHECK(t.breaker.suspended());
  }
  SECTION("nor if all has been put right") {
    t.breaker.root_applied(t.breaker.stamp(), t.breaker.stamp(), t.clock.now());
    t.breaker.root_denied(Status::perm, t.clock.now());
    CHECK(t.breaker.suspended());
  }
}

TEST_CASE("ASuccessBetweenStartsTheCountAnew", "[apply]") {
  Bench t{.breaker = Breaker{false}};
  const auto sent_before = t.breaker.stamp();
  t.denied(t.a, "/1");
  t.denied(t.b, "/2");
  t.applied(sent_before);
  t.denied(t.c, "/3");
  CHECK_FALSE(t.breaker.suspended());
  CHECK(t.breaker.held() == 3);
}

TEST_CASE("ATripForgetsTheWitnessesBeforeIt", "[apply]") {
  Bench t{.breaker = Breaker{false}};
  t.denied(t.a, "/1");
  t.denied(t.b, "/2");
  t.breaker.unauthorized(t.c, t.clock.now());
  t.breaker.answered(t.breaker.stamp());
  REQUIRE_FALSE(t.breaker.suspended());
  t.denied(t.d, "/3");
  CHECK_FALSE(t.breaker.suspended());
}

TEST_CASE("OnlyWhatWasTakenAfterTheTripResumes", "[apply]") {
  Bench t;
  const auto taken_before = t.breaker.stamp();
  t.breaker.root_denied(Status::acces, t.clock.now());
  CHECK(t.breaker.suspended() == Reason::denied);
  t.breaker.applied(taken_before, t.breaker.stamp(), t.clock.now());
  t.found();
  t.breaker.answered(t.breaker.stamp());
  CHECK(t.breaker.suspended() == Reason::denied);
  t.applied(t.breaker.stamp());
  CHECK_FALSE(t.breaker.suspended());
}

TEST_CASE("WhatFailsWhileSuspendedIsPutBack", "[apply]") {
  Bench t;
  t.breaker.root_denied(Status::acces, t.clock.now());
  t.denied(t.a, "/1");
  t.missing(t.b, "b");
  t.breaker.unauthorized(t.c, t.clock.now());
  CHECK(t.breaker.take_verdicts().put_back == Tasks{&t.a, &t.b, &t.c});
  CHECK(t.breaker.suspended() == Reason::denied);
}

TEST_CASE("SeveralMissingFirstComponentsSuspend", "[apply]") {
  Bench t;
  t.missing(t.a, "a");
  t.missing(t.b, "b");
  CHECK_FALSE(t.breaker.suspended());
  t.missing(t.c, "c");
  CHECK(t.breaker.suspended() == Reason::mapping);
  CHECK(t.breaker.take_verdicts().put_back == Tasks{&t.a, &t.b, &t.c});
  CHECK_FALSE(t.breaker.may_probe("b"));
  CHECK(t.breaker.may_probe("d"));
  t.missing(t.d, "d");
  CHECK_FALSE(t.breaker.may_probe("d"));
  t.applied(t.breaker.stamp());
  CHECK(t.breaker.suspended());
  t.found();
  CHECK_FALSE(t.breaker.suspended());
}

TEST_CASE("WhatIsMissingConfirmsNoDenial", "[apply]") {
  Bench t{.breaker = Breaker{false}};
  t.denied(t.a, "/1");
  t.denied(t.b, "/2");
  t.denied(t.c, "/3");
  REQUIRE(t.breaker.suspended() == Reason::denied);
  t.d.taken = t.breaker.stamp();
  t.missing(t.d, "gone");
  t.breaker.unauthorized(t.d, t.clock.now());
  CHECK_FALSE(t.breaker.confirmed());
}

TEST_CASE("MuchBelowOneMissingComponentIsOneWitness", "[apply]") {
  Bench t;
  t.breaker.found(t.breaker.stamp(), t.clock.now());
  t.clock.advance(Breaker::kMappingTrust);
  std::vector<Task> tasks(2'000);
  for (Task& task : tasks) t.missing(task, "gone");
  CHECK_FALSE(t.breaker.suspended());
  CHECK_FALSE(t.breaker.full());
  const auto verdicts = t.breaker.take_verdicts();
  CHECK(t.breaker.held() + verdicts.put_back_for_later.size() == 2'000);
  CHECK(verdicts.fail.empty());
  const auto held = t.breaker.held();
  t.clock.advance(Breaker::kMissingHold);
  t.breaker.tick(t.clock.now());
  CHECK(t.breaker.take_verdicts().fail.size() == held);

  SECTION("what is below it is final from now on") {
    CHECK(t.breaker.is_gone("gone", t.clock.now()));
    CHECK_FALSE(t.breaker.is_gone("other", t.clock.now()));
    t.missing(t.a, "gone");
    CHECK(t.breaker.take_verdicts().fail == Tasks{&t.a});
  }
  SECTION("for a minute since the last") {
    t.clock.advance(Breaker::kMappingTrust);
    CHECK_FALSE(t.breaker.is_gone("gone", t.clock.now()));
  }
}

TEST_CASE("MuchBelowOneMissingComponentSuspendsWhereNoneWasEverFound", "[apply]") {
  Bench t;
  t.missing(t.a, "a");
  t.missing(t.b, "a");
  t.missing(t.c, "a");
  CHECK_FALSE(t.breaker.suspended());
  t.clock.advance(Breaker::kMissingHold);
  t.breaker.tick(t.clock.now());
  CHECK(t.breaker.suspended() == Reason::mapping);
  CHECK(t.breaker.take_verdicts().put_back == Tasks{&t.a, &t.b, &t.c});
}

TEST_CASE("AMissingFirstComponentIsGoneAfterTenSecondsOrWhenAnotherExists", "[apply]") {
  Bench t;
  t.missing(t.a, "a");
  t.clock.advance(seconds{6});
  t.missing(t.b, "b");
  CHECK(t.breaker.next_deadline() == t.clock.now() + seconds{4});
  t.clock.advance(seconds{4});
  t.breaker.tick(t.clock.now());
  CHECK(t.breaker.take_verdicts().fail == Tasks{&t.a});
  t.missing(t.c, "c");
  CHECK_FALSE(t.breaker.suspended());
  t.found();
  CHECK(t.breaker.take_verdicts().fail == Tasks{&t.b, &t.c});
}

TEST_CASE("WhileAFirstComponentWasFoundAMinuteAgoOthersAreJustGone", "[apply]") {
  Bench t;
  t.found();
  t.clock.advance(Breaker::kMappingTrust - milliseconds{1});
  t.missing(t.a, "a");
  t.missing(t.b, "b");
  t.missing(t.c, "c");
  CHECK_FALSE(t.breaker.suspended());
  CHECK(t.breaker.take_verdicts().fail == Tasks{&t.a, &t.b, &t.c});
  t.clock.advance(milliseconds{1});
  t.missing(t.d, "d");
  CHECK_FALSE(t.breaker.has_verdicts());
}

TEST_CASE("ADeniedRootDecidesNothingForWhoIsNotRoot", "[apply]") {
  Bench t{.breaker = Breaker{false}};
  t.denied(t.a, "/1");
  t.breaker.root_denied(Status::perm, t.clock.now());
  CHECK_FALSE(t.breaker.suspended());
  t.clock.advance(Breaker::kIndecision);
  t.breaker.tick(t.clock.now());
  CHECK_FALSE(t.breaker.suspended());
  CHECK(t.breaker.take_verdicts().fail == Tasks{&t.a});
  t.breaker.root_denied(Status::rofs, t.clock.now());
  CHECK(t.breaker.suspended() == Reason::read_only);
}

TEST_CASE("TheRootIsProbedAfterSomePatienceAndOncePerTenSeconds", "[apply]") {
  Bench t;
  CHECK_FALSE(t.breaker.root_probe_due(t.clock.now()));
  t.denied(t.a, "/1");
  CHECK_FALSE(t.breaker.root_probe_due(t.clock.now()));
  CHECK(t.breaker.next_deadline() == t.clock.now() + Breaker::kPatience);
  t.clock.advance(Breaker::kPatience);
  CHECK(t.breaker.root_probe_due(t.clock.now()));
  t.breaker.probed(t.clock.now());
  CHECK(t.breaker.next_deadline() == t.clock.now() + Breaker::kProbeInterval);
  t.clock.advance(Breaker::kProbeInterval - milliseconds{1});
  CHECK_FALSE(t.breaker.root_probe_due(t.clock.now()));
  t.clock.advance(milliseconds{1});
  CHECK(t.breaker.root_probe_due(t.clock.now()));
}

TEST_CASE("AFullBreakerProbesTheRootAtOnce", "[apply]") {
  Bench t;
  for (std::size_t i = 0; i < Breaker::kMaxHeld; ++i) t.denied(t.a, "/1");
  CHECK(t.breaker.full());
  CHECK(t.breaker.root_probe_due(t.clock.now()));
}

TEST_CASE("WhatNothingDecidesSuspendsInTheEnd", "[apply]") {
  Bench t;
  t.denied(t.a, "/1");
  t.clock.advance(Breaker::kIndecision - milliseconds{1});
  t.breaker.tick(t.clock.now());
  CHECK_FALSE(t.breaker.suspended());
  t.clock.advance(milliseconds{1});
  t.breaker.tick(t.clock.now());
  CHECK(t.breaker.suspended() == Reason::denied);
}

TEST_CASE("AProbeThatSaysNothingDoesNotDelayTheNext", "[apply]") {
  Bench t;
  t.breaker.root_denied(Status::perm, t.clock.now());
  CHECK(t.breaker.next_deadline() == t.clock.now() + Breaker::kFirstProbe);
  t.clock.advance(Breaker::kFirstProbe);
  CHECK(t.breaker.root_probe_due(t.clock.now()));
  CHECK_FALSE(t.breaker.entry_probe_due(t.clock.now()));
  t.breaker.probed(t.clock.now());
  CHECK_FALSE(t.breaker.root_probe_due(t.clock.now()));
  t.breaker.undecided(t.clock.now());
  CHECK(t.breaker.root_probe_due(t.clock.now()));
}

TEST_CASE("RejectedCredentialsSuspendUntilTheServerTakesARequest", "[apply]") {
  Bench t;
  t.breaker.unauthorized(t.a, t.clock.now());
  CHECK(t.breaker.suspended() == Reason::auth);
  CHECK(t.breaker.take_verdicts().put_back == Tasks{&t.a});
  t.breaker.answered(t.breaker.stamp());
  CHECK_FALSE(t.breaker.suspended());
}

}  // namespace
}  // namespace qatime::apply::breaker_test
