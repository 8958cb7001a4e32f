// SPDX-License-Identifier: MIT
#include "atime/time_delta.h"

#include <algorithm>
#include <array>

namespace qatime::atime {
namespace {

using std::chrono::nanoseconds;

struct Grid {
  nanoseconds unit;
  std::string_view name;
};

// From fine to coarse.
constexpr std::array kGrids{
    Grid{nanoseconds{1}, "1 ns"},
    Grid{nanoseconds{100}, "100 ns"},  // NTFS, SMB
    Grid{std::chrono::microseconds{1}, "1 us"},
    Grid{std::chrono::milliseconds{1}, "1 ms"},
    Grid{std::chrono::milliseconds{10}, "10 ms"},  // exFAT
    Grid{std::chrono::seconds{1}, "1 s"},          // ext3, HFS+
    Grid{std::chrono::seconds{2}, "2 s"},          // FAT
};

Time round_down(Time time, nanoseconds unit) noexcept { return time - time.time_since_epoch() % unit; }

}  // namespace

TimeDelta::Observation TimeDelta::observe(Time asked, Time reported) noexcept {
  if (reported == kept(asked)) return Observation::as_expected;
  const auto* const grid = std::find_if(kGrids.begin(), kGrids.end(),
                                        [&](const Grid& each) { return reported == round_down(asked, each.unit); });
  if (grid == kGrids.end()) return Observation::different;
  unit_ = grid->unit;
  if (unit_ <= coarsest_) return Observation::as_expected;
  coarsest_ = unit_;
  return Observation::rounded;
}

Time TimeDelta::kept(Time time) const noexcept { return round_down(time, unit_); }

std::string_view TimeDelta::name() const noexcept {
  const auto* const grid =
      std::find_if(kGrids.begin(), kGrids.end(), [&](const Grid& each) { return each.unit == unit_; });
  return grid->name;
}

}  // namespace qatime::atime
