// SPDX-License-Identifier: MIT
#include "metrics.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace qatime::metrics {

Counter& Registry::counter(std::string_view name, std::string_view help, Label label) {
  return series(name, help, std::move(label), true).counter;
}

Gauge& Registry::gauge(std::string_view name, std::string_view help, Label label) {
  return series(name, help, std::move(label), false).gauge;
}

Registry::Series& Registry::series(std::string_view name, std::string_view help, Label label, bool is_counter) {
  const std::lock_guard lock{mutex_};
  auto family = std::ranges::find(families_, name, &Family::name);
  if (family == families_.end()) family = families_.insert(families_.end(), Family{name, help, is_counter, {}});
  assert(family->is_counter == is_counter);
  auto& all = family->series;
  const auto known = std::ranges::find(all, label.value, [](const Series& s) { return s.label.value; });
  if (known != all.end()) return *known;
  Series& made = all.emplace_back();
  made.label = std::move(label);
  return made;
}

void Registry::visit(const std::function<void(const Sample&)>& visit) const {
  const std::lock_guard lock{mutex_};
  for (const Family& family : families_) {
    for (const Series& series : family.series) {
      const auto value = family.is_counter ? static_cast<std::int64_t>(series.counter.value()) : series.gauge.value();
      visit({family.name, family.help, series.label, family.is_counter, value});
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
