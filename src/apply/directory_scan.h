// SPDX-License-Identifier: MIT
// Scans of directories by READDIRPLUS. They are cheaper than LOOKUPs where many names of a directory wait.
#pragma once

#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "apply/breaker.h"
#include "apply/listing_memory.h"
#include "apply/pipeline.h"
#include "apply/resolver.h"
#include "backlog/backlog.h"
#include "base/clock.h"
#include "base/path.h"
#include "base/thread_checker.h"
#include "nfs/client.h"

namespace qatime::apply {

// One directory and the entries whose names it looks for in the pages. Entries join while pages are read, and wait for
// the next one, so no page is older than an entry that uses it.
struct DirectoryScan {
  struct WantedEntry {
    backlog::Entry entry;
    std::uint32_t since = 0;  // pages asked for when it joined
  };

  std::size_t export_index = 0;
  std::shared_ptr<const std::string> directory;
  Breaker::Stamp taken = 0;
  nfs::Handle handle;              // of the directory
  std::list<WantedEntry> entries;  // not found yet, in the order in which they joined
  using Wanted = boost::unordered_flat_map<std::string_view, std::list<WantedEntry>::iterator>;
  Wanted wanted;                          // the same by name
  std::size_t names = 0;                  // of those it began with
  std::optional<nfs::Attributes> before;  // those of the directory, before the first page
  bool is_held = false;                   // nobody else sets its atime
  bool is_ending = false;                 // a last look at its atime is on its way, or done
  Pipeline::Token request{};
  nfs::Page::Position position;
  std::uint32_t page = 0;             // bytes of the next page; 0: none, unless entries joined
  std::uint32_t pages = 0;            // asked for
  std::optional<std::uint32_t> lap;   // how many they were when reading began at the directory's beginning
  std::optional<std::uint32_t> past;  // entries that joined up to this number are looked up, not expected any more
  ListingYield yield;                 // of its pages
  bool has_paid = false;              // one page
  bool is_doubtful = false;           // since the page was asked for, names in it might mean other objects
  std::size_t expected = 0;           // entries expected from the request in flight

  // Whether there may be more pages.
  [[nodiscard]] bool has_pages() const noexcept { return page > 0 || past != pages; }
  // Whether it reads one page for few names, and for those that come next.
  [[nodiscard]] bool is_walk() const noexcept { return names < kFewestNames; }
  // Whether its one page so far was the one behind those of another scan.
  [[nodiscard]] bool is_resumed() const noexcept { return !lap && pages == 1 && !is_walk(); }
  // Few names do not wait for the many that a scan looks for.
  [[nodiscard]] bool may_join(std::size_t waiting) const noexcept {
    return has_pages() && (waiting >= kFewestNames || is_walk());
  }
};

// All scans. Each takes a step at a time, when step() says so. It stops reading pages once LOOKUPs for the rest of its
// names are cheaper. It also stops after a page that failed in any way, because the LOOKUPs then meet the error. More
// entries of the directory join it meanwhile; at the end it begins again for those that have not seen a whole lap.
//
// The memory of listings (listing_memory.h) makes three things cheap. Where pages did not pay, they are not tried again
// soon. The next scan of a directory goes on where the last one stopped. Names that come one by one in the order of the
// directory are expected: a page shows them before they come. HotFileCache's rule holds for what is known of them.
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
    std::function<void(const DirectoryScan&, backlog::Entry&&, const nfs::Object*)> leave;
    // Updates::know().
    std::function<bool(std::size_t export_index, std::string_view directory, const backlog::Entry&, const nfs::Object&,
                       Clock::Instant)>
        know;
    // Updates::hold(), release() and repair().
    std::function<bool(const nfs::Handle&)> hold;
    std::function<void(const nfs::Handle&)> release;
    std::function<void(const DirectoryScan&, Time, const nfs::Attributes&)> repair;
  };

  // If `enabled` is false, extra_entries() allows no scan.
  DirectoryScans(backlog::Backlog& backlog, Pipeline& pipeline, Resolver& resolver, const Clock& clock,
                 const Exports& exports, bool enabled, Callbacks callbacks);

  // Whether all entries of the slice are in a page that was read ahead. Updates::begin() then needs no LOOKUP.
  [[nodiscard]] bool recall(const backlog::Slice& slice);

  // Returns how many more entries of the directory `slice` should take for a scan; nothing if a scan does not pay.
  [[nodiscard]] std::optional<std::size_t> extra_entries(const backlog::Slice& slice);

  // Whether `entries` more of the export can be in scans. If not, those of directories that are being read had better
  // wait.
  [[nodiscard]] bool has_room(std::size_t export_index, std::size_t entries) const {
    return entries <= room(export_index);
  }
  [[nodiscard]] bool is_reading(std::string_view directory) const;

  // Begins a scan, or joins the one of the same directory. Precondition: extra_entries() returned a number for the
  // slice.
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

  [[nodiscard]] std::size_t room(std::size_t export_index) const;
  void join(DirectoryScan& scan, std::vector<backlog::Entry> entries);
  void choose_begin(DirectoryScan& scan);
  void begin_lap(DirectoryScan& scan);
  void end_lap(DirectoryScan& scan);
  void give_up(DirectoryScan& scan);
  void remember(const DirectoryScan& scan, const nfs::Page& page, std::uint32_t size, std::size_t hits);
  bool recall(Trail& trail, std::size_t export_index, std::string_view directory, const backlog::Entry& entry);
  backlog::Entry extract(DirectoryScan& scan, DirectoryScan::Wanted::iterator wanted);
  void expect(DirectoryScan& scan, std::size_t entries);
  void ask(const Shared& scan);
  void read(const Shared& scan);
  [[nodiscard]] bool hold(DirectoryScan& scan);
  void end_pages(const Shared& scan);
  void release(DirectoryScan& scan);
  [[nodiscard]] bool repair_if_moved(DirectoryScan& scan, const std::optional<nfs::Attributes>& after);
  void turn(const Shared& scan, nfs::Status status, const nfs::Page& page);
  void turn_page(DirectoryScan& scan, const nfs::Page& page);
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
  ListingMemory memory_;
  std::list<DirectoryScan::WantedEntry> spare_;  // nodes of entries that have left, for others
  std::vector<std::size_t> passed_;              // entries of the last page that were not wanted
  std::size_t reached_ = 0;                      // position behind the last one that was
  std::vector<bool> keeps_no_atimes_;            // by export: reading a directory has left its atime as it was
  std::vector<Clock::Instant> not_before_;       // by export
  std::map<std::string_view, Shared> scans_;     // by directory
  std::vector<std::deque<Shared>> ready_;        // by export, for a step
  std::vector<std::size_t> of_export_;           // entries in scans, by export
  std::size_t entries_ = 0;
  std::vector<std::size_t> expected_;  // by export: of scans that wait for their directory or a page
};

}  // namespace qatime::apply
