// SPDX-License-Identifier: MIT
// The memory of listings: in which directories pages pay, and what comes behind those that were read.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "apply/path_cache.h"
#include "apply/resolver.h"
#include "base/clock.h"
#include "nfs/client.h"

namespace qatime::apply {

// With nfs-ganesha, an entry of a page costs 5 to 6 us, a LOOKUP 37 to 51 us. A page also costs one request. So it pays
// if at least one entry in eight, and one more, is wanted.
inline constexpr std::size_t kBreakEven = 8;
// Bytes of the largest first page: some 45 entries. They show for the cost of six LOOKUPs whether more pages pay.
inline constexpr std::uint32_t kProbe = 8 << 10;
// Bytes of the smallest page: two entries with the longest names, ten with short ones.
inline constexpr std::uint32_t kSmallestPage = 2 << 10;
// Bytes of the largest page: some 190 entries. They keep a server busy for a millisecond, and bring no more work at
// once than a slice does.
inline constexpr std::uint32_t kLargestPage = 32 << 10;
// The fewest waiting names for a scan. A page with this many entries costs as much as two LOOKUPs, so with fewer names
// it saves little.
inline constexpr std::size_t kFewestNames = 8;

// Returns the bytes of the first page for `names` waiting names: room for a directory with no others, at most kProbe.
// So a useless page costs little compared with the LOOKUPs of the names.
[[nodiscard]] inline std::uint32_t first_page(std::size_t names) noexcept {
  constexpr std::size_t kEntry = 200;  // bytes, with a name of middling length
  constexpr std::size_t kDots = 2;
  return static_cast<std::uint32_t>(std::clamp<std::size_t>((names + kDots) * kEntry, kSmallestPage, kProbe));
}

// Returns the bytes of the page after one of `size` bytes with `entries` entries. `hits` of them were wanted; `left`
// names are still wanted. Returns 0 if the page would cost more than it saves. Otherwise returns the bytes that `left`
// names need at the same rate of hits, from kProbe to kLargestPage. So a wrong guess costs as much as the LOOKUPs.
[[nodiscard]] inline std::uint32_t next_page(std::size_t size, std::size_t entries, std::size_t hits,
                                             std::size_t left) noexcept {
  if (hits == 0 || hits * kBreakEven < entries + kBreakEven) return 0;
  return static_cast<std::uint32_t>(std::clamp<std::size_t>(size * left / hits, kProbe, kLargestPage));
}

// The sums over some pages.
struct ListingYield {
  std::size_t bytes = 0;    // that were asked for
  std::size_t entries = 0;  // shown
  std::size_t hits = 0;     // of them, wanted
};

// The place where the pages of a directory stopped, and the entries of the last one that were not wanted then. A
// program that accesses files in the order of their directory (a backup, tar, a virus scanner) comes to those next.
struct Trail {
  struct EntryAhead {
    nfs::Object object;    // a file with all its attributes
    std::size_t position;  // in the page
  };

  nfs::Page::Position end;  // the beginning of the next page
  ListingYield all;         // of the scan that stopped there
  std::size_t size = 0;     // bytes of its last page
  std::size_t entries = 0;  // in this page
  std::size_t late = 0;     // of them, wanted later or one by one
  std::size_t reached = 0;  // position behind the last of all these
  Clock::Instant read{};
  std::map<std::string, EntryAhead, std::less<>> ahead;  // not wanted yet

  // Returns the bytes of the next page for `names` that wait; 0 if it does not pay. For few at a time only those tell
  // that came one by one, and a page is for the names of a second.
  [[nodiscard]] std::uint32_t next(std::size_t names, Clock::Instant now) const {
    if (names >= kFewestNames) return next_page(all.bytes, all.entries, all.hits + late, names);
    if (reached * 4 < entries * 3) return 0;  // this one is off the trail
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(now - read).count();
    const auto a_second = late * 1000 / static_cast<std::size_t>(std::max<std::int64_t>(milliseconds, 1));
    return next_page(size, entries, late, std::max(a_second, names));
  }
};

// Bounds: the trails of kTrails directories, with the entries of a page each, some 4 MB; a few words for each of
// kFruitless directories. Thread: apply.
class ListingMemory {
 public:
  static constexpr std::size_t kTrails = 64;
  static constexpr std::chrono::minutes kTrailLife{10};  // after its page
  static constexpr std::size_t kFruitless = 1024;
  static constexpr std::chrono::hours kFruitlessLife{1};
  static constexpr std::size_t kManyMore = 4;  // times as many names as when pages did not pay

  // Returns the trail of a directory, or null. Valid until the next call.
  [[nodiscard]] Trail* trail(std::string_view directory, Clock::Instant now) {
    return trails_.size() == 0 ? nullptr : trails_.find(directory, now);
  }
  void keep(std::string_view directory, Trail trail) {
    const auto read = trail.read;
    trails_.insert(directory, std::move(trail), read);
  }
  void drop_trail(std::string_view directory) { trails_.drop(directory); }

  // Whether pages may pay for so many names that wait.
  [[nodiscard]] bool may_pay(std::string_view directory, std::size_t names, Clock::Instant now) {
    const Fruitless* const known = fruitless_.find(directory, now);
    return known == nullptr || names >= kManyMore * known->waiting;
  }
  void pays(std::string_view directory) { fruitless_.drop(directory); }
  void pays_not(std::string_view directory, std::size_t names, Clock::Instant now) {
    note(directory, now).waiting = names;
  }

  // Counts names that are looked up one by one. Returns whether so many of them came in the last moments that somebody
  // may be walking through the directory, so that a page is worth a try. If so, it notes the attempt.
  [[nodiscard]] bool may_be_walked(std::string_view directory, std::size_t names, std::size_t fewest,
                                   Clock::Instant now) {
    const std::size_t hash = std::hash<std::string_view>{}(directory);
    RecentNames& recent = recent_[hash % recent_.size()];
    if (recent.hash != hash || now - recent.since >= kMoment) recent = {hash, 0, now};
    recent.names += names;
    if (recent.names < fewest) return false;
    const Fruitless* const known = fruitless_.find(directory, now);
    if (known != nullptr && recent.names < kManyMore * known->walked) return false;
    note(directory, now).walked = recent.names;
    return true;
  }

  // Takes in that names at and below `path` might mean other objects now.
  void forget(std::string_view path, Clock::Instant now) {
    if (trails_.size() == 0) return;
    trails_.drop_subtree(path);
    if (path == "/") return;
    Trail* const above = trails_.find(parent(path), now);
    if (above == nullptr) return;
    const auto entry = above->ahead.find(path.substr(path.rfind('/') + 1));
    if (entry != above->ahead.end()) above->ahead.erase(entry);
  }

 private:
  static constexpr std::chrono::seconds kMoment{2};

  // Names for which pages did not pay.
  struct Fruitless {
    std::size_t waiting = 0;  // all at once
    std::size_t walked = 0;   // one by one
  };
  // One directory, until another takes its place: who accesses many at a time walks through none of them.
  struct RecentNames {
    std::size_t hash = 0;
    std::size_t names = 0;
    Clock::Instant since{};
  };

  Fruitless& note(std::string_view directory, Clock::Instant now) {
    if (fruitless_.find(directory, now) == nullptr) fruitless_.insert(directory, {}, now);
    return *fruitless_.find(directory, now);
  }

  PathCache<Trail> trails_{kTrails, kTrailLife};
  PathCache<Fruitless> fruitless_{kFruitless, kFruitlessLife};
  std::array<RecentNames, 256> recent_{};
};

}  // namespace qatime::apply
