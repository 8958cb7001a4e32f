// SPDX-License-Identifier: MIT
#include "telemetry/alerts.h"

#include <algorithm>

namespace qatime {

std::deque<Alerts::Alert>::iterator Alerts::find(std::string_view reason, std::string_view subject) {
  return std::ranges::find_if(active_,
                              [&](const Alert& each) { return each.reason == reason && each.subject == subject; });
}

void Alerts::raise(std::string_view reason, std::string_view subject, std::string_view text, Effect effect) {
  const MutexLock lock{mutex_};
  const auto known = find(reason, subject);
  if (known == active_.end()) {
    active_.push_back({std::string{reason}, std::string{subject}, std::string{text}, effect, now()});
  } else {
    known->text = text;
    known->effect = effect;
  }
}

void Alerts::resolve(std::string_view reason, std::string_view subject) {
  const MutexLock lock{mutex_};
  if (const auto known = find(reason, subject); known != active_.end()) active_.erase(known);
}

std::vector<Alerts::Alert> Alerts::active() const {
  const MutexLock lock{mutex_};
  return {active_.begin(), active_.end()};
}

// The strings of a place in the ring keep their memory.
void Alerts::fail(std::string_view subject, std::string_view reason) {
  const Time time = now();
  const MutexLock lock{mutex_};
  if (failures_.size() < kFailures) failures_.emplace_back();
  Failure& failure = failures_[next_];
  next_ = (next_ + 1) % kFailures;
  failure.subject = subject.substr(0, kLongest);
  failure.reason = reason;
  failure.time = time;
}

std::vector<Alerts::Failure> Alerts::failures() const {
  const MutexLock lock{mutex_};
  std::vector<Failure> latest;
  for (std::size_t i = 1; i <= failures_.size(); ++i) {
    latest.push_back(failures_[(next_ + failures_.size() - i) % failures_.size()]);
  }
  return latest;
}

}  // namespace qatime
