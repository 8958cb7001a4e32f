// SPDX-License-Identifier: MIT
// The ends of updates.
//
// An entry that fails is looked at by the backlog first, which may know why its name is gone. Then classify() tells
// whether it is tried again, and when. A wait for the server is not the entry's fault, so it starts the day anew after
// which an entry is given up; the backlog carries that day's beginning in Retry::since.
#include <chrono>
#include <string>
#include <utility>

#include "apply/outcome.h"
#include "apply/updates.h"

namespace qatime::apply {
namespace {

using nfs::Status;
using Kind = Task::Kind;
using Phase = Task::Phase;

constexpr unsigned kMaxLooks = 3;      // at once, after stale handles
constexpr unsigned kMaxRepairs = 100;  // attempts at a directory's atime
constexpr std::chrono::hours kGiveUp{24};
constexpr std::chrono::seconds kNewsDelay{2};  // for the record of a rename or removal to come

// Whether a move or a removal may be the reason.
bool name_is_gone(Status status) noexcept {
  return status == Status::noent || status == Status::notdir || status == Status::stale || status == Status::badhandle;
}

}  // namespace

void Updates::carry_out(const Breaker::Verdicts& verdicts) {
  for (Task* task : verdicts.fail) {
    if (name_is_gone(task->status) && backlog_.reconsider(task->entry.ticket)) {
      erase(*task);
    } else {
      fail(*task);
    }
  }
  for (Task* task : verdicts.put_back) put_back(*task, {}, task->entry.retry);
  for (Task* task : verdicts.put_back_for_later) put_back(*task, Breaker::kMissingHold, task->entry.retry);
}

// `where` is the directory in which a name was looked up, or that of the object.
void Updates::failed(Task& task, Status status, std::string_view where) {
  auto& breaker = states_[task.export_index].breaker;
  const auto now = clock_.now();
  const Outcome outcome = classify(status);
  if (outcome != Outcome::unauthorized && outcome != Outcome::wait) breaker.answered(task.taken);
  if (task.kind == Kind::repair && outcome == Outcome::wait && ++task.looks <= kMaxRepairs) {
    return go_on_repairing(task);
  }
  if (task.kind != Kind::entry) {
    if (task.kind == Kind::root_probe && outcome == Outcome::denied) breaker.root_denied(status, now);
    erase(task);
    return;
  }
  task.status = status;
  if (name_is_gone(status) && backlog_.reconsider(task.entry.ticket)) {
    breaker.undecided(now);
    erase(task);
    return;
  }
  switch (outcome) {
    case Outcome::look_again:
      return ++task.looks <= kMaxLooks ? locate(task) : retry(task, true);
    case Outcome::wait:
      return retry(task, false);
    case Outcome::done:
    case Outcome::wait_limited:
      return retry(task, true);
    case Outcome::denied:
      task.phase = Phase::judged;
      return breaker.denied(task, status, where, now);
    case Outcome::unauthorized:
      task.phase = Phase::judged;
      return breaker.unauthorized(task, now);
    case Outcome::failed:
      return status == Status::noent ? missed(task, where) : fail(task);
  }
}

// A name that does not exist. At first sight it waits for the record of a rename or a removal, which the backlog
// follows: nodes report independently, and the access was heard of first. At the second the file is gone, unless the
// mapping may be wrong.
void Updates::missed(Task& task, std::string_view where) {
  auto& breaker = states_[task.export_index].breaker;
  const auto now = clock_.now();
  const std::string_view root = exports_.path(task.export_index);
  if (where != root) breaker.found(task.taken, now);
  const bool is_mapping_wrong = breaker.suspended() == Reason::mapping;
  const std::string path = join(*task.directory, task.entry.name);
  const std::string_view component = first_component(root, path);
  const bool is_first = where == root && (*task.directory != root || is_mapping_wrong);
  if (is_first && !is_mapping_wrong && breaker.is_gone(component, now)) return fail(task);
  if (!task.entry.retry.missed && !is_mapping_wrong) {
    breaker.undecided(now);
    backlog::Retry next = task.entry.retry;
    next.missed = true;
    return put_back(task, kNewsDelay, next);
  }
  if (!is_first) return fail(task);
  task.phase = Phase::judged;
  breaker.missing(task, component, now);
}

void Updates::retry(Task& task, bool limited) {
  backlog::Retry next = task.entry.retry;
  const auto now = clock_.now();
  next.missed = false;  // who knows what becomes of the name until then
  if (!limited) {
    next.since = {};
  } else if (next.since == Clock::Instant{}) {
    next.since = now;
  } else if (now - next.since >= kGiveUp) {
    return fail(task);
  }
  const auto delay = backoff_.delay(next.attempts++);
  put_back(task, delay, next);
}

void Updates::put_back(Task& task, Clock::Duration delay, const backlog::Retry& retry) {
  backlog_.put_back(task.entry.ticket, clock_.now() + delay, retry);
  erase(task);
}

void Updates::applied(Task& task) {
  auto& breaker = states_[task.export_index].breaker;
  const auto now = clock_.now();
  if (task.kind == Kind::root_probe) {
    breaker.root_applied(task.taken, task.sent, now);
  } else {
    breaker.applied(task.taken, task.sent, now);
  }
  if (task.kind == Kind::entry) {
    if (task.status == Status::ignored) return fail(task);
    settle(task);
    outcomes_.applied(task.entry.time);
  }
  erase(task);
}

void Updates::fail(Task& task) {
  settle(task);
  outcomes_.failed(task.status, *task.directory, task.entry.name, task.entry.time);
  erase(task);
}

// Before its outcome is counted: it is pending no more.
void Updates::settle(const Task& task) {
  auto& breaker = states_[task.export_index].breaker;
  if (breaker.suspended()) breaker.undecided(clock_.now());
  backlog_.settle(task.entry.ticket);
}

}  // namespace qatime::apply
