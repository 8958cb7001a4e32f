// SPDX-License-Identifier: MIT
// The steps of an update:
//
// 1. The resolver gets the handle of the entry's directory (resolver.h).
// 2. LOOKUP finds the object, each time, because names change hands. An export's root has no name: GETATTR stands in.
//    Where several names of one directory are pending, a scan finds most of them instead (directory_scan.h).
// 3. GETATTR gets the attributes, if the server left them out.
// 4. The policy decides whether the atime moves (atime_policy.h).
// 5. SETATTR sets it, guarded with the ctime just seen.
// 6. The status becomes the entry's outcome (outcome.h).
//
// A file that is accessed again and again is not looked up each time: hot_file_cache.h.
//
// Several names can lead to one object. While a SETATTR of it is on its way, all others who come to it wait and look
// again afterwards: servers keep no order among requests, so two at once could leave the older time.
//
// An entry that fails is looked at by the backlog first, which may know why its name is gone. Then classify() tells
// whether it is tried again, and when. A wait for the server is not the entry's fault, so it starts the day anew after
// which an entry is given up; the backlog carries that day's beginning in Retry::since.
#include <chrono>
#include <iterator>
#include <string>
#include <utility>

#include "apply/engine.h"
#include "apply/logger.h"
#include "apply/outcome.h"

namespace qatime::apply {
namespace {

using nfs::Status;

constexpr unsigned kMaxLooks = 3;     // at once, after stale handles
constexpr unsigned kMaxNotSyncs = 3;  // in a row, before going without the guard
constexpr std::chrono::hours kGiveUp{24};
constexpr std::chrono::seconds kNewsDelay{2};  // for the record of a rename or removal to come
constexpr std::chrono::seconds kNotOurs{1};    // until an entry that may be somebody else's is looked at again

// Whether a move or a removal may be the reason.
bool name_is_gone(Status status) noexcept {
  return status == Status::noent || status == Status::notdir || status == Status::stale || status == Status::badhandle;
}

}  // namespace

Task& Engine::begin(std::size_t export_index, std::shared_ptr<const std::string> directory, backlog::Entry entry) {
  Task& task = tasks_.emplace_back();
  task.self = std::prev(tasks_.end());
  task.export_index = export_index;
  task.directory = std::move(directory);
  task.entry = std::move(entry);
  task.taken = states_[export_index].breaker.stamp();
  return task;
}

void Engine::locate(Task& task) {
  task.is_recalled = recall(task);
  if (task.is_recalled) return;
  resolver_.resolve(task.export_index, *task.directory, [this, &task](const Resolver::Answer& answer) {
    if (answer.status != Status::ok) return failed(task, answer.status, answer.where);
    task.parent = answer.handle;
    look(task);
  });
}

void Engine::scanned(const DirectoryScan& scan, const backlog::Entry& entry, const nfs::Object* object) {
  Task& task = begin(scan.export_index, scan.directory, entry);
  if (object == nullptr) return locate(task);
  task.taken = scan.taken;
  task.parent = scan.handle;
  looked(task, Status::ok, *object);
}

// Goes on with what is known of the object from a moment ago. Only to set a newer time, which a guard makes safe: that
// there is none to be set takes a look.
bool Engine::recall(Task& task) {
  if (states_[task.export_index].breaker.suspended() || !states_[task.export_index].guards.usable()) return false;
  const auto* known = hot_files_.find(*task.directory, task.entry.name, clock_.now());
  if (known == nullptr || !is_forward(task, known->attributes)) return false;
  task.object = known->handle;
  set(task, known->attributes);
  return true;
}

void Engine::look(Task& task) {
  if (task.entry.name.empty()) {
    task.object = task.parent;
    return read(task);
  }
  pipeline_.submit([this, &task](nfs::Client& client) {
    client.lookup(task.parent, task.entry.name, [this, &task](Status status, const nfs::Object& object) {
      looked(task, status, object);
      pipeline_.completed();
    });
  });
}

void Engine::looked(Task& task, Status status, const nfs::Object& object) {
  if (status != Status::ok) {
    if (status == Status::stale || status == Status::badhandle) resolver_.distrust(*task.directory, task.parent);
    return failed(task, status, *task.directory);
  }
  task.looked = clock_.now();
  states_[task.export_index].breaker.found(task.taken, task.looked);
  task.object = object.handle;
  if (!object.attributes) return read(task);
  decide(task, *object.attributes);
}

void Engine::read(Task& task) {
  pipeline_.submit([this, &task](nfs::Client& client) {
    client.getattr(task.object, [this, &task](Status status, const std::optional<nfs::Attributes>& attributes) {
      if (status != Status::ok) {
        failed(task, status, *task.directory);
      } else if (!attributes) {
        failed(task, Status::garbage, *task.directory);
      } else {
        decide(task, *attributes);
      }
      pipeline_.completed();
    });
  });
}

bool Engine::is_forward(const Task& task, const nfs::Attributes& attributes) const {
  return policy_.moves(attributes, states_[task.export_index].time_delta.kept(task.entry.time));
}

void Engine::decide(Task& task, const nfs::Attributes& attributes) {
  auto& breaker = states_[task.export_index].breaker;
  breaker.answered(task.taken);
  if (std::exchange(task.rejected, {}) == attributes.ctime) doubt_guards(task.export_index);
  if (task.is_probe) {
    task.entry.time = attributes.atime;
  } else if (!is_forward(task, attributes)) {
    settle(task);
    outcomes_.unchanged();
    tasks_.erase(task.self);
    return;
  }
  if (dry_run_) {
    task.sent = breaker.stamp();
    return applied(task);
  }
  set(task, attributes);
}

void Engine::set(Task& task, const nfs::Attributes& attributes) {
  const auto [at, free] = setting_.try_emplace(task.object);
  if (!free) return at->second.push_back(&task);
  task.found = attributes.atime;
  task.guard.reset();
  if (!task.unguarded && states_[task.export_index].guards.usable()) task.guard = attributes.ctime;
  if (rate_limiter_.limits() && !task.is_probe) return paced_.push_back(&task);  // a probe changes no time
  send(task);
}

// Sends the SETATTRs whose turn it is by nfs.max_rate.
void Engine::send_due() {
  for (const auto now = clock_.now(); !paced_.empty() && client_.room() > 0 && rate_limiter_.next() <= now;) {
    rate_limiter_.take(now);
    send(*paced_.front());
    paced_.pop_front();
  }
}

void Engine::send(Task& task) {
  pipeline_.submit([this, &task](nfs::Client& client) {
    if (!task.is_probe && !backlog_.is_ours(task.entry.ticket)) {
      pipeline_.unused();
      leave(task.object);
      states_[task.export_index].breaker.undecided(clock_.now());
      return put_back(task, kNotOurs, task.entry.retry);
    }
    task.sent = states_[task.export_index].breaker.stamp();
    client.set_atime(task.object, task.entry.time, task.guard,
                     [this, &task](Status status, const std::optional<nfs::Attributes>& after) {
                       was_set(task, status, after);
                       pipeline_.completed();
                     });
  });
}

void Engine::was_set(Task& task, Status status, const std::optional<nfs::Attributes>& after) {
  leave(task.object);
  if (status == Status::ok) {
    if (task.guard) states_[task.export_index].guards.honoured();
    if (task.guard_refused) doubt_guards(task.export_index);
    if (after && !took(task, after->atime)) task.status = Status::ignored;
    remember(task, after);
    return applied(task);
  }
  if (task.guard && status == Status::not_sync && !task.is_probe) {
    task.rejected = task.guard;
    task.unguarded = ++task.not_syncs >= kMaxNotSyncs;
    return look_again(task);
  }
  if (task.guard && (status == Status::inval || status == Status::notsupp)) {
    task.unguarded = task.guard_refused = true;
    return look_again(task);
  }
  hot_files_.drop(*task.directory, task.entry.name);
  failed(task, status, *task.directory);
}

// Whether the server, which says that the object has the atime `reported` now, has done something.
bool Engine::took(const Task& task, Time reported) {
  auto& time_delta = states_[task.export_index].time_delta;
  switch (time_delta.observe(task.entry.time, reported)) {
    case TimeDelta::Observation::as_expected:
      return true;
    case TimeDelta::Observation::rounded:
      kLog.info("export of {}: the server keeps access times to {}: newer ones within that are unchanged",
                log::field("path", exports_.path(task.export_index)), log::field("unit", time_delta.name()));
      return true;
    case TimeDelta::Observation::different:
      break;
  }
  return reported != task.found;
}

// What the server reported after a guarded SETATTR, of a file that is accessed so often that it pays, and that nobody
// else has just changed.
void Engine::remember(const Task& task, const std::optional<nfs::Attributes>& after) {
  const std::string& name = task.entry.name;
  if (!after || task.status == Status::ignored) return hot_files_.drop(*task.directory, name);
  if (task.is_recalled) return hot_files_.renew(*task.directory, name, *after, clock_.now());
  const bool pays = !name.empty() && task.entry.time - task.found <= HotFileCache::kTtl;
  if (pays && task.guard && task.not_syncs == 0 && !task.is_doubtful) {
    hot_files_.learn(*task.directory, name, {task.object, *after}, task.looked);
  }
}

// After a SETATTR that was not done: what is remembered does not hold.
void Engine::look_again(Task& task) {
  hot_files_.drop(*task.directory, task.entry.name);
  if (task.is_recalled) return locate(task);
  look(task);
}

// The SETATTR of `object` has ended: those who waited for it look again.
void Engine::leave(const nfs::Handle& object) {
  const auto at = setting_.find(object);
  const auto waiting = std::move(at->second);
  setting_.erase(at);
  for (Task* task : waiting) look_again(*task);
}

void Engine::doubt_guards(std::size_t export_index) {
  if (!states_[export_index].guards.doubted()) return;
  kLog.warning(
      "export of {}: the server cannot guard SETATTR with ctime, going without: a request that it delays may undo a "
      "newer time",
      log::field("path", exports_.path(export_index)));
}

// Its end.

void Engine::carry_out(const Breaker::Verdicts& verdicts) {
  for (Task* task : verdicts.fail) {
    if (name_is_gone(task->status) && backlog_.reconsider(task->entry.ticket)) {
      tasks_.erase(task->self);
    } else {
      fail(*task);
    }
  }
  for (Task* task : verdicts.put_back) put_back(*task, {}, task->entry.retry);
}

// `where` is the directory in which a name was looked up, or that of the object.
void Engine::failed(Task& task, Status status, std::string_view where) {
  auto& breaker = states_[task.export_index].breaker;
  const auto now = clock_.now();
  const Outcome outcome = classify(status);
  if (outcome != Outcome::unauthorized && outcome != Outcome::wait) breaker.answered(task.taken);
  if (task.is_probe) {
    if (outcome == Outcome::denied) breaker.root_denied(status, now);
    tasks_.erase(task.self);
    return;
  }
  task.status = status;
  if (name_is_gone(status) && backlog_.reconsider(task.entry.ticket)) {
    breaker.undecided(now);
    tasks_.erase(task.self);
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
      return breaker.denied(task, status, where, now);
    case Outcome::unauthorized:
      return breaker.unauthorized(task, now);
    case Outcome::failed:
      return status == Status::noent ? missed(task, where) : fail(task);
  }
}

// A name that does not exist. At first sight it waits for the record of a rename or a removal, which the backlog
// follows: nodes report independently, and the access was heard of first. At the second the file is gone, unless the
// mapping may be wrong.
void Engine::missed(Task& task, std::string_view where) {
  auto& breaker = states_[task.export_index].breaker;
  const auto now = clock_.now();
  const std::string_view root = exports_.path(task.export_index);
  if (where != root) breaker.found(task.taken, now);
  const bool is_mapping_wrong = breaker.suspended() == Reason::mapping;
  if (!task.entry.retry.missed && !is_mapping_wrong) {
    breaker.undecided(now);
    backlog::Retry next = task.entry.retry;
    next.missed = true;
    return put_back(task, kNewsDelay, next);
  }
  if (where == root && (*task.directory != root || is_mapping_wrong)) return breaker.missing(task, now);
  fail(task);
}

void Engine::retry(Task& task, bool limited) {
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

void Engine::put_back(Task& task, Clock::Duration delay, const backlog::Retry& retry) {
  backlog_.put_back(task.entry.ticket, clock_.now() + delay, retry);
  tasks_.erase(task.self);
}

void Engine::applied(Task& task) {
  states_[task.export_index].breaker.applied(task.taken, task.sent);
  if (task.is_probe) {
    tasks_.erase(task.self);
    return;
  }
  if (task.status == Status::ignored) return fail(task);
  settle(task);
  outcomes_.applied();
  tasks_.erase(task.self);
}

void Engine::fail(Task& task) {
  settle(task);
  outcomes_.failed(task.status, *task.directory, task.entry.name);
  tasks_.erase(task.self);
}

// Before its outcome is counted: it is pending no more.
void Engine::settle(const Task& task) {
  states_[task.export_index].breaker.undecided(clock_.now());
  backlog_.settle(task.entry.ticket);
}

}  // namespace qatime::apply
