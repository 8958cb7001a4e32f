// SPDX-License-Identifier: MIT
// Scans of directories by READDIRPLUS. They are cheaper than LOOKUPs where many names of a directory wait.
#pragma once

#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "apply/breaker.h"
#include "apply/pipeline.h"
#include "apply/resolver.h"
#include "backlog/backlog.h"
#include "base/clock.h"
#include "base/path.h"
#include "base/thread_checker.h"
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
[[nodiscard]] std::uint32_t first_page(std::size_t names) noexcept;

// Returns the bytes of the page after one of `size` bytes with `entries` entries. `hits` of them were wanted; `left`
// names are still wanted. Returns 0 if the page would cost more than it saves. Otherwise returns the bytes that `left`
// names need at the same rate of hits, from kProbe to kLargestPage. So a wrong guess costs as much as the LOOKUPs.
[[nodiscard]] std::uint32_t next_page(std::uint32_t size, std::size_t entries, std::size_t hits,
                                      std::size_t left) noexcept;

// One directory and the entries whose names it looks for in the pages. All entries were taken before the first request,
// so no page is older than an entry that uses it.
struct DirectoryScan {
  std::size_t export_index = 0;
  std::shared_ptr<const std::string> directory;
  Breaker::Stamp taken = 0;
  nfs::Handle handle;  // of the directory
  std::vector<backlog::Entry> entries;
  boost::unordered_flat_map<std::string_view, std::uint32_t>
      wanted;                             // names not found yet, to their places in `entries`
  std::size_t handed_on = 0;              // of `entries`, passed on to LOOKUP after the last page
  std::optional<nfs::Attributes> before;  // those of the directory, before the first page
  bool is_held = false;                   // nobody else sets its atime
  Pipeline::Token request{};
  nfs::Page::Position position;
  std::uint32_t page = 0;    // bytes of the next page; 0: no more pages
  std::size_t expected = 0;  // entries expected from the request in flight
};

// All scans. Each takes a step at a time, when step() says so. It stops reading pages once LOOKUPs for the rest of its
// names are cheaper. It also stops after a page that failed in any way, because the LOOKUPs then meet the error.
//
// A server whose file system keeps access times moves that of a directory that is read. So a scan begins with the
// directory's attributes, and each page has those after it. Where the atime has moved, the directory gets
// it back, and the export has no more scans. Where it has not moved but should have, nobody looks at it any more.
//
// Thread: apply.
class DirectoryScans {
 public:
  // Bound of the entries in all scans. In a directory with more than eight times as many, pages would show too few of
  // them.
  static constexpr std::size_t kMostEntries = 32 << 10;
  // The pause of scans in an export after a page failed for a reason beyond its directory. After NOTSUPP it never ends.
  static constexpr std::chrono::seconds kPause{60};

  struct Callbacks {
    // Calls forget() for each new invalidation. Each page is used only after that.
    std::function<void()> catch_up;
    // Takes an entry that leaves the scan, with its object, or with null if it needs a LOOKUP.
    std::function<void(const DirectoryScan&, const backlog::Entry&, const nfs::Object*)> leave;
    // Updates::hold(), release() and repair().
    std::function<bool(const nfs::Handle&)> hold;
    std::function<void(const nfs::Handle&)> release;
    std::function<void(const DirectoryScan&, Time, const nfs::Attributes&)> repair;
  };

  // If `enabled` is false, extra_entries() allows no scan.
  DirectoryScans(backlog::Backlog& backlog, Pipeline& pipeline, Resolver& resolver, const Clock& clock,
                 const Exports& exports, bool enabled, Callbacks callbacks);

  // Returns how many more entries of the directory `slice` should take for a scan; nothing if a scan does not pay.
  [[nodiscard]] std::optional<std::size_t> extra_entries(const backlog::Slice& slice) const;

  // Begins a scan. Precondition: extra_entries() returned a number for the slice.
  void begin(backlog::Slice slice, Breaker::Stamp taken);

  // Takes the next step of one scan of the export: asks for a page, or lets at most `limit` entries leave for LOOKUP.
  // Returns false if no scan is ready.
  bool step(std::size_t export_index, std::size_t limit);

  // Puts back all entries of this export.
  void withdraw(std::size_t export_index);

  // Takes in that names at and below `path` might mean other objects now. Puts back the entries affected, because the
  // backlog follows the change.
  void forget(std::string_view path);

  [[nodiscard]] std::size_t entries() const noexcept {
    assert(thread_.is_current());
    return entries_;
  }
  // The entries expected from the export's requests in flight.
  [[nodiscard]] std::size_t expected(std::size_t export_index) const {
    assert(thread_.is_current());
    return expected_.at(export_index);
  }

 private:
  using Shared = std::shared_ptr<DirectoryScan>;

  void expect(DirectoryScan& scan, std::size_t entries);
  void ask(const Shared& scan);
  void read(const Shared& scan);
  [[nodiscard]] bool hold(DirectoryScan& scan);
  void end_pages(const Shared& scan);
  void release(DirectoryScan& scan);
  [[nodiscard]] bool repair_if_moved(DirectoryScan& scan, const std::optional<nfs::Attributes>& after);
  void turn(const Shared& scan, nfs::Status status, const nfs::Page& page);
  std::size_t pick(DirectoryScan& scan, const nfs::Page& page);
  void failed(const DirectoryScan& scan, nfs::Status status);
  void hand_on(DirectoryScan& scan, std::size_t limit);
  void go_on(const Shared& scan);
  void put_back(DirectoryScan& scan, std::string_view name);
  template <class Condition>
  void withdraw_if(Condition condition);

  ThreadChecker thread_;
  backlog::Backlog& backlog_;
  Pipeline& pipeline_;
  Resolver& resolver_;
  const Clock& clock_;
  const Exports& exports_;
  const Callbacks callbacks_;
  std::vector<bool> keeps_no_atimes_;         // by export: reading a directory has left its atime as it was
  std::vector<Clock::Instant> not_before_;    // by export
  std::map<std::string_view, Shared> scans_;  // by directory
  std::vector<std::deque<Shared>> ready_;     // by export, for a step
  std::size_t entries_ = 0;
  std::vector<std::size_t> expected_;  // by export: of scans that wait for their directory or a page
};

}  // namespace qatime::apply
