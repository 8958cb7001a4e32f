// SPDX-License-Identifier: MIT
// The steps of an update:
//
// 1. The resolver gets the handle of the entry's directory (resolver.h).
// 2. LOOKUP finds the object, each time, because names change hands. An export's root has no name: GETATTR stands in.
//    Where several names of one directory are pending, a scan finds most of them instead (directory_scan.h).
// 3. GETATTR gets the attributes, if the server left them out.
// 4. The policy decides whether the atime moves (atime_policy.h).
// 5. SETATTR sets it, guarded with the ctime just seen (atime/update.h).
// 6. The status becomes the entry's outcome (outcome.h).
//
// A file that is accessed again and again is not looked up each time: hot_file_cache.h.
//
// Several names can lead to one object. While a SETATTR of it is on its way, all others who come to it wait and look
// again afterwards: servers keep no order among requests, so two at once could leave the older time. Where guards are
// not exact, attributes that were seen before may be older than our own last SETATTR of a file with several names. So
// they are read once more, when nobody else has one in flight.
//
// A task that looks again asks the backlog first: names may have changed hands since its entry was taken.
#include "apply/updates.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "apply/logger.h"

namespace qatime::apply {
namespace {

using nfs::Status;
using Kind = Task::Kind;
using Phase = Task::Phase;

constexpr std::size_t kLeastPaced = 32;  // entries in work where nfs.max_rate is low
constexpr std::chrono::milliseconds kPaceTick{1};
constexpr std::chrono::milliseconds kFirstRetry{200};
constexpr std::chrono::seconds kLastRetry{30};
constexpr std::chrono::seconds kNotOurs{1};  // until an entry that may be somebody else's is looked at again

// Entries in work at that rate.
constexpr std::size_t most_paced(std::size_t max_rate) noexcept {
  return max_rate == 0 ? SIZE_MAX : std::max(kLeastPaced, max_rate / 4);
}

bool has_object(const Task& task) noexcept {
  return task.phase == Phase::reading || task.phase == Phase::pacing || task.phase == Phase::setting ||
         task.phase == Phase::reading_back;
}

}  // namespace

Updates::Updates(backlog::Backlog& backlog, const Clock& clock, const NfsConfig& config, const Exports& exports,
                 const PolicyConfig& policy, metrics::Registry& registry, bool dry_run, std::uint64_t seed,
                 Pipeline& pipeline, Resolver& resolver, std::vector<ExportState>& states,
                 std::function<void()> catch_up)
    : backlog_{backlog},
      clock_{clock},
      exports_{exports},
      pipeline_{pipeline},
      resolver_{resolver},
      states_{states},
      catch_up_{std::move(catch_up)},
      policy_{policy},
      dry_run_{dry_run},
      outcomes_{registry},
      counts_(exports.size()),
      max_rate_{config.max_rate},
      rate_limiter_{config.max_rate},
      most_paced_{most_paced(config.max_rate)},
      paced_(exports.size()),
      backoff_{kFirstRetry, kLastRetry, seed} {}

void Updates::reconfigure(const PolicyConfig& policy, std::size_t max_rate) {
  assert(thread_.is_current());
  policy_ = AtimePolicy{policy};
  if (max_rate != max_rate_) rate_limiter_.change(max_rate, clock_.now());
  max_rate_ = max_rate;
  most_paced_ = most_paced(max_rate);
}

void Updates::forget(std::string_view path) {
  hot_files_.forget(path);
  const std::string_view directory = parent(path);
  const std::string_view name = path.substr(path.rfind('/') + 1);
  for (Task& task : tasks_) {
    const bool is_it = task.entry.name == name && *task.directory == directory;
    if (is_it || is_within(*task.directory, path)) task.is_doubtful = true;
  }
}

bool Updates::is_hot(std::string_view directory, std::string_view name) {
  return hot_files_.find(directory, name, clock_.now()) != nullptr;
}

// Their beginnings.

Task& Updates::create(std::size_t export_index, std::shared_ptr<const std::string> directory, backlog::Entry entry) {
  Task& task = tasks_.emplace_back();
  task.self = std::prev(tasks_.end());
  task.export_index = export_index;
  task.directory = std::move(directory);
  task.entry = std::move(entry);
  task.taken = states_[export_index].breaker.stamp();
  ++counts_[export_index];
  return task;
}

void Updates::erase(Task& task) {
  --counts_[task.export_index];
  tasks_.erase(task.self);
}

void Updates::begin(std::size_t export_index, std::shared_ptr<const std::string> directory, backlog::Entry entry) {
  assert(thread_.is_current());
  locate(create(export_index, std::move(directory), std::move(entry)));
}

void Updates::begin(const DirectoryScan& scan, backlog::Entry&& entry, const nfs::Object* object) {
  assert(thread_.is_current());
  Task& task = create(scan.export_index, scan.directory, std::move(entry));
  if (object == nullptr) return locate(task);
  task.taken = scan.taken;
  task.parent = scan.handle;
  looked(task, Status::ok, *object);
}

bool Updates::know(std::size_t export_index, std::string_view directory, const backlog::Entry& entry,
                   const nfs::Object& object, Clock::Instant read) {
  const auto& traits = states_[export_index].traits;
  const auto& attributes = object.attributes;
  if (!attributes || !traits.replies_are_right) return false;
  if (!traits.guards.usable(clock_.now()) || traits.guards.is_coarse()) return false;
  if (!policy_.moves(*attributes, traits.time_delta.kept(entry.time))) return false;
  if (!is_hot(directory, entry.name)) hot_files_.learn(directory, entry.name, {object.handle, *attributes}, read);
  return true;
}

void Updates::probe_root(std::size_t export_index) {
  assert(thread_.is_current());
  Task& task = create(export_index, std::make_shared<const std::string>(exports_.path(export_index)), {});
  task.kind = Kind::root_probe;
  locate(task);
}

bool Updates::hold(const nfs::Handle& directory) {
  assert(thread_.is_current());
  return setting_.try_emplace(directory).second;
}

void Updates::repair(const DirectoryScan& scan, Time atime, const nfs::Attributes& moved) {
  assert(thread_.is_current());
  Task& task = create(scan.export_index, scan.directory, {});
  task.kind = Kind::repair;
  task.phase = Phase::reading;
  task.entry.time = atime;
  task.object = scan.handle;
  task.found = moved;
  read(task);
}

void Updates::go_on_repairing(Task& task) {
  const auto [at, is_free] = setting_.try_emplace(task.object);
  task.phase = is_free ? Phase::reading : Phase::waiting;
  if (!is_free) return at->second.push_back(&task);
  read(task);
}

// Their steps.

void Updates::locate(Task& task) {
  task.phase = Phase::finding;
  task.is_recalled = recall(task);
  if (task.is_recalled) return;
  resolver_.resolve(task.export_index, *task.directory, [this, &task](const Resolver::Answer& answer) {
    if (answer.status != Status::ok) return failed(task, answer.status, answer.where);
    task.parent = answer.handle;
    look(task);
  });
}

// Goes on with what is known of the object from a moment ago. Only to set a newer time, which an exact guard makes
// safe: that there is none to be set takes a look.
bool Updates::recall(Task& task) {
  const auto& [breaker, traits] = states_[task.export_index];
  const auto now = clock_.now();
  if (breaker.suspended() || !traits.guards.usable(now)) return false;
  const auto* known = hot_files_.find(*task.directory, task.entry.name, now);
  if (known == nullptr || !is_forward(task, known->attributes)) return false;
  task.proves_guard = !traits.guards.is_exact(now);
  if (task.proves_guard) return false;
  task.object = known->handle;
  set(task, known->attributes);
  return true;
}

void Updates::look(Task& task) {
  task.phase = Phase::finding;
  if (task.entry.name.empty()) {
    task.object = task.parent;
    return read(task);
  }
  pipeline_.submit(task.export_index, [this, &task](nfs::Client& client, Pipeline::Token token) {
    task.request = std::move(token);
    client.lookup(task.export_index, task.parent, task.entry.name,
                  [this, &task](Status status, const nfs::Object& object) {
                    const Pipeline::Completion completion{task.request};
                    looked(task, status, object);
                  });
  });
}

void Updates::looked(Task& task, Status status, const nfs::Object& object) {
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

void Updates::read(Task& task) {
  pipeline_.submit(task.export_index, [this, &task](nfs::Client& client, Pipeline::Token token) {
    task.request = std::move(token);
    client.getattr(task.export_index, task.object,
                   [this, &task](Status status, const std::optional<nfs::Attributes>& attributes) {
                     const Pipeline::Completion completion{task.request};
                     was_read(task, status, attributes);
                   });
  });
}

void Updates::was_read(Task& task, Status status, const std::optional<nfs::Attributes>& attributes) {
  if (status != Status::ok || !attributes) {
    leave_if_held(task);
    return failed(task, status == Status::ok ? Status::garbage : status, *task.directory);
  }
  if (task.phase != Phase::reading_back) return decide(task, *attributes);
  task.update.on_read_back(*attributes, states_[task.export_index].traits);
  set_ended(task, attributes);
}

bool Updates::is_forward(const Task& task, const nfs::Attributes& attributes) const {
  return policy_.moves(attributes, states_[task.export_index].traits.time_delta.kept(task.entry.time));
}

void Updates::decide(Task& task, const nfs::Attributes& attributes) {
  auto& breaker = states_[task.export_index].breaker;
  breaker.answered(task.taken);
  if (task.kind == Kind::root_probe) {
    breaker.root_owned_by(attributes.uid);
    task.entry.time = attributes.atime;
  }
  if (stays(task, attributes)) return;
  if (dry_run_) {
    task.sent = breaker.stamp();
    return applied(task);
  }
  set(task, attributes);
}

// Whether the name might mean another object now, as far as the backlog has heard.
bool Updates::is_doubtful(const Task& task) {
  if (backlog_.has_invalidations()) catch_up_();
  return task.kind == Kind::entry && task.is_doubtful;
}

// To the backlog, which follows the change.
void Updates::give_back(Task& task) {
  states_[task.export_index].breaker.undecided(clock_.now());
  put_back(task, {}, task.entry.retry);
}

// Whether there is nothing to set. Then the task has ended, or waits.
bool Updates::stays(Task& task, const nfs::Attributes& attributes) {
  if (task.kind == Kind::root_probe) return false;
  if (task.kind == Kind::repair) {
    if (attributes.atime == task.found.atime && attributes.ctime == task.found.ctime) return false;
    leave_if_held(task);
    erase(task);
    return true;
  }
  if (is_forward(task, attributes)) return false;
  // A directory that is being read may be about to get its atime back.
  if (const auto at = setting_.find(task.object);
      attributes.is_directory && !has_object(task) && at != setting_.end()) {
    task.phase = Phase::waiting;
    at->second.push_back(&task);
    return true;
  }
  if (is_doubtful(task)) {
    leave_if_held(task);
    give_back(task);
    return true;
  }
  if (policy_.is_ahead(attributes, now())) {
    if (policy_.repairs_future()) return false;
    outcomes_.ahead(*task.directory, task.entry.name, attributes.atime);
  }
  leave_if_held(task);
  settle(task);
  outcomes_.unchanged(task.entry.time);
  erase(task);
  return true;
}

void Updates::set(Task& task, const nfs::Attributes& attributes) {
  if (!has_object(task)) {
    const auto [at, is_free] = setting_.try_emplace(task.object);
    if (!is_free) {
      task.phase = Phase::waiting;
      return at->second.push_back(&task);
    }
    task.found = attributes;
    if (may_be_old(task)) {
      task.phase = Phase::reading;
      return read(task);
    }
  }
  task.found = attributes;
  if (rate_limiter_.limits() && task.kind == Kind::entry) {  // the others move no time forward
    task.phase = Phase::pacing;
    ++paced_count_;
    return paced_[task.export_index].push_back(&task);
  }
  send(task);
}

// Whether a SETATTR of ours may have come between, which a guard would not show.
bool Updates::may_be_old(const Task& task) const {
  const auto& guards = states_[task.export_index].traits.guards;
  return task.found.links > 1 && !task.found.is_directory && !guards.is_exact(clock_.now());
}

void Updates::send_due() {
  if (paced_count_ == 0) return;
  for (const auto now = clock_.now(); rate_limiter_.next() <= now;) {
    auto* const queue = next_paced();
    if (queue == nullptr) return;
    rate_limiter_.take(now);
    Task& task = *queue->front();
    queue->pop_front();
    --paced_count_;
    send(task);
  }
}

// The queue whose turn it is, of an export that servers have room for. A task of another would wait although the rate
// had counted it.
std::deque<Task*>* Updates::next_paced() {
  for (std::size_t tried = 0; tried < paced_.size(); ++tried) {
    auto& queue = paced_[next_paced_];
    const bool may_go = !queue.empty() && pipeline_.has_room(next_paced_);
    next_paced_ = (next_paced_ + 1) % paced_.size();
    if (may_go) return &queue;
  }
  return nullptr;
}

std::optional<Clock::Instant> Updates::next_due() const {
  const auto may_go = [this](std::size_t index) { return !paced_[index].empty() && pipeline_.has_room(index); };
  for (std::size_t index = 0; paced_count_ > 0 && index < paced_.size(); ++index) {
    if (may_go(index)) return std::max(rate_limiter_.next(), clock_.now() + kPaceTick);
  }
  return std::nullopt;
}

void Updates::send(Task& task) {
  task.phase = Phase::setting;
  pipeline_.submit(task.export_index, [this, &task](nfs::Client& client, Pipeline::Token token) {
    auto& [breaker, traits] = states_[task.export_index];
    const auto now = clock_.now();
    const bool is_entry = task.kind == Kind::entry;
    const bool is_ours = !is_entry || backlog_.is_ours(task.entry.ticket);
    if (!is_ours || is_doubtful(task)) {
      token.unused();
      task.update.abandon(traits);
      leave(task.object);
      if (is_ours) return give_back(task);
      breaker.undecided(now);
      return put_back(task, kNotOurs, task.entry.retry);
    }
    task.request = std::move(token);
    task.sent = breaker.stamp();
    const auto [atime, guard] = task.update.next(task.found, task.entry.time, task.proves_guard, traits, now);
    say_notice(task.export_index);
    client.set_atime(task.export_index, task.object, atime, guard,
                     [this, &task](Status status, const std::optional<nfs::Attributes>& after) {
                       const Pipeline::Completion completion{task.request};
                       was_set(task, status, after);
                     });
  });
}

void Updates::was_set(Task& task, Status status, const std::optional<nfs::Attributes>& after) {
  const auto step = task.update.on_reply(status, after, states_[task.export_index].traits, clock_.now());
  say_notice(task.export_index);
  switch (step) {
    case atime::Update::Next::done:
      return set_ended(task, after);
    case atime::Update::Next::again:
      return send(task);
    case atime::Update::Next::read_back:
      task.phase = Phase::reading_back;
      return read(task);
    case atime::Update::Next::look:
      leave(task.object);
      // Its atime is not worth the risk of a SETATTR without a guard.
      if (task.kind != Kind::entry && !task.update.is_guarded()) return failed(task, status, *task.directory);
      if (task.kind == Kind::repair) return erase(task);
      return look_again(task);
  }
}

// The update has its outcome.
void Updates::set_ended(Task& task, const std::optional<nfs::Attributes>& after) {
  const Status status = task.update.status();
  leave(task.object);
  if (status != Status::ok && status != Status::ignored) {
    hot_files_.drop(*task.directory, task.entry.name);
    return failed(task, status, *task.directory);
  }
  task.status = status;
  remember(task, after);
  applied(task);
}

// Keeps the attributes that the server reported after a guarded SETATTR, of a file that is accessed so often that it
// pays, and that nobody else has just changed.
void Updates::remember(const Task& task, const std::optional<nfs::Attributes>& after) {
  const std::string& name = task.entry.name;
  const auto& traits = states_[task.export_index].traits;
  const bool is_useful = after && traits.replies_are_right && !traits.guards.is_coarse();
  if (!is_useful || task.status == Status::ignored) return hot_files_.drop(*task.directory, name);
  if (task.is_recalled) return hot_files_.renew(*task.directory, name, *after, clock_.now());
  const bool pays = !name.empty() && task.entry.time - task.found.atime <= HotFileCache::kTtl;
  if (pays && task.update.went_smoothly() && !task.is_doubtful) {
    hot_files_.learn(*task.directory, name, {task.object, *after}, task.looked);
  } else {
    hot_files_.drop(*task.directory, name);  // the attributes of before
  }
}

// After a SETATTR that was not done, or that of another: what is remembered does not hold.
void Updates::look_again(Task& task) {
  hot_files_.drop(*task.directory, task.entry.name);
  if (task.kind == Kind::repair) return go_on_repairing(task);
  if (is_doubtful(task)) return give_back(task);
  if (task.is_recalled) return locate(task);
  look(task);
}

// The SETATTR of `object` has ended: those who waited for it look again.
void Updates::leave(const nfs::Handle& object) {
  const auto at = setting_.find(object);
  const auto waiting = std::move(at->second);
  setting_.erase(at);
  for (Task* task : waiting) look_again(*task);
}

void Updates::leave_if_held(Task& task) {
  if (!has_object(task)) return;
  task.phase = Phase::finding;
  leave(task.object);
}

void Updates::say_notice(std::size_t export_index) {
  using Notice = atime::Traits::Notice;
  auto& traits = states_[export_index].traits;
  const auto notice = traits.take_notice();
  if (!notice) return;
  const auto path = log::field("export", exports_.path(export_index));
  switch (*notice) {
    case Notice::rounds:
      return kLog.info("export of {}: the server keeps access times to {}: newer ones within that are unchanged", path,
                       log::field("unit", traits.time_delta.name()));
    case Notice::has_no_guards:
      return kLog.warning(
          "export of {}: the server cannot guard SETATTR with ctime, going without: a request that it delays may undo "
          "a newer time",
          path);
    case Notice::coarse_guards:
      return kLog.info(
          "export of {}: the server guards SETATTR by whole seconds: each file is looked up before it is set", path);
    case Notice::wrong_replies:
      return kLog.info("export of {}: replies of the server to SETATTR have another atime than it keeps: ignoring them",
                       path);
  }
}

}  // namespace qatime::apply
