// SPDX-License-Identifier: MIT
#include "telemetry/metrics.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "telemetry/alerts.h"
#include "telemetry/node_stats.h"

namespace qatime::metrics {
namespace {

// Read behind all others and in this order: what is counted in one of them has been counted in those that follow it.
constexpr std::array<std::string_view, 5> kReadLast{"qatime_pending_entries", "qatime_claimed_total",
                                                    "qatime_recovered_total", "qatime_accepted_total",
                                                    "qatime_received_messages_total"};

// When a family is read.
std::size_t turn_of(std::string_view name) noexcept {
  const auto at = std::ranges::find(kReadLast, name);
  return at == kReadLast.end() ? 0 : 1 + static_cast<std::size_t>(at - kReadLast.begin());
}

}  // namespace

void Histogram::observe(std::chrono::nanoseconds duration) noexcept {
  const double seconds = std::chrono::duration<double>{duration}.count();
  const auto bucket = std::ranges::lower_bound(bounds_, seconds) - bounds_.begin();
  counts_[static_cast<std::size_t>(bucket)].add();
  nanoseconds_.add(static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0)));
}

Histogram::Reading Histogram::read() const noexcept {
  Reading reading;
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    total += counts_[i].value();
    reading.counts[i] = total;
  }
  reading.sum = static_cast<double>(nanoseconds_.value()) / 1e9;
  return reading;
}

Registry::Registry() : nodes_{std::make_unique<NodeStats>()}, alerts_{std::make_unique<Alerts>()} {}

Registry::~Registry() = default;

Counter& Registry::counter(std::string_view name, std::string_view help, Label label, Label second) {
  return series(name, help, std::move(label), std::move(second), Type::counter).counter;
}

Gauge& Registry::gauge(std::string_view name, std::string_view help, Label label, Label second) {
  return series(name, help, std::move(label), std::move(second), Type::gauge).gauge;
}

Histogram& Registry::histogram(std::string_view name, std::string_view help, Label label,
                               const Histogram::Bounds& bounds) {
  return *series(name, help, std::move(label), {}, Type::histogram, &bounds).histogram;
}

Gauge& Registry::degraded(std::string_view reason) {
  return gauge("qatime_degraded",
               "What keeps access times from being true, by reason: exports that get no work, a backlog that cannot "
               "be written or read, a Redis that cannot be used.",
               {"reason", std::string{reason}});
}

Registry::Series& Registry::series(std::string_view name, std::string_view help, Label label, Label second, Type type,
                                   const Histogram::Bounds* bounds) {
  const MutexLock lock{mutex_};
  auto family = std::ranges::find(families_, name, &Family::name);
  if (family == families_.end()) family = families_.insert(families_.end(), Family{name, help, type, {}});
  assert(family->type == type && family->help == help);  // one name, one meaning
  auto& all = family->series;
  const auto known = std::ranges::find_if(
      all, [&](const Series& each) { return each.label.value == label.value && each.second.value == second.value; });
  if (known != all.end()) return *known;
  Series& made = all.emplace_back();
  made.label = std::move(label);
  made.second = std::move(second);
  if (bounds != nullptr) made.histogram = std::make_unique<Histogram>(*bounds);
  return made;
}

void Registry::remove(const Label& label) {
  const MutexLock lock{mutex_};
  for (Family& family : families_) {
    std::erase_if(family.series, [&](const Series& series) {
      return series.label.name == label.name && series.label.value == label.value;
    });
  }
}

std::int64_t Registry::value_of(const Family& family, const Series& series) noexcept {
  switch (family.type) {
    case Type::counter:
      return static_cast<std::int64_t>(series.counter.value());
    case Type::gauge:
      return series.gauge.value();
    case Type::histogram:
      return static_cast<std::int64_t>(series.histogram->read().count());
  }
  return 0;
}

void Registry::visit(const std::function<void(const Sample&)>& visit) const {
  const MutexLock lock{mutex_};
  std::vector<std::vector<std::int64_t>> values(families_.size());
  for (std::size_t turn = 0; turn <= kReadLast.size(); ++turn) {
    for (std::size_t i = 0; i < families_.size(); ++i) {
      if (turn_of(families_[i].name) != turn) continue;
      for (const Series& series : families_[i].series) values[i].push_back(value_of(families_[i], series));
    }
  }
  for (std::size_t i = 0; i < families_.size(); ++i) {
    const Family& family = families_[i];
    auto value = values[i].begin();
    for (const Series& series : family.series) {
      visit({family.name, family.help, series.label, series.second, family.type, *value++, series.histogram.get()});
    }
  }
}

std::int64_t Registry::sum(std::string_view name) const {
  std::int64_t total = 0;
  visit([&](const Sample& sample) {
    if (sample.name == name) total += sample.value;
  });
  return total;
}

}  // namespace qatime::metrics
