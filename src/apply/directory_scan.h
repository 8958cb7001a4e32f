// SPDX-License-Identifier: MIT
// Directories that are read by pages (READDIRPLUS), since so many of their names wait that a LOOKUP for each costs
// more.
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

// Of nfs-ganesha, an entry of a page takes 5 to 6 us, a LOOKUP 37 to 51 us. So a page, which is a request itself, costs
// more than the LOOKUPs that it saves if fewer than one entry in eight, and one more, are wanted.
inline constexpr std::size_t kBreakEven = 8;
// Bytes of the largest first page: some 45 entries, which show whether others are worth it for the price of six
// LOOKUPs.
inline constexpr std::uint32_t kProbe = 8 << 10;
// Bytes of the smallest page: two entries of the longest names, ten of short ones.
inline constexpr std::uint32_t kSmallestPage = 2 << 10;
// Bytes: some 190 entries, which keep a server for a millisecond and bring no more work at once than a slice does.
inline constexpr std::uint32_t kLargestPage = 32 << 10;
// With fewer names, even a page that shows all of them saves little. That of so many costs as much as two LOOKUPs.
inline constexpr std::size_t kFewestNames = 8;

// Bytes of the first page where so many names wait: room for a directory that has no others. So what it costs in vain
// is a small part of what the names cost in any case.
[[nodiscard]] std::uint32_t first_page(std::size_t names) noexcept;

// Bytes to ask for after a page of `size` bytes with `entries`, of which `hits` were wanted and `left` still are;
// 0 if that would cost more than it saves. Asks for no more than what is left needs if it goes on like that, so that a
// wrong guess costs about as much as the LOOKUPs.
[[nodiscard]] std::uint32_t next_page(std::uint32_t size, std::size_t entries, std::size_t hits,
                                      std::size_t left) noexcept;

// One directory and the entries whose names are looked for in its pages, all taken before the first page was asked for:
// no page is older than what it is used for.
struct DirectoryScan {
  std::size_t export_index = 0;
  std::shared_ptr<const std::string> directory;
  Breaker::Stamp taken = 0;
  nfs::Handle handle;  // of the directory
  std::vector<backlog::Entry> entries;
  boost::unordered_flat_map<std::string_view, std::uint32_t>
      wanted;                 // names not found yet, to their places in `entries`
  std::size_t handed_on = 0;  // of `entries`, if no more pages are asked for
  nfs::Page::Position position;
  std::uint32_t page = 0;    // bytes to ask for next; 0: no more
  std::size_t expected = 0;  // of the request under way, in entries
};

// A scan takes its steps when it is told to; each ends as soon as the rest of its names is cheaper looked up. A page
// that fails, however that is, ends it, too: LOOKUP then meets the reason. Lives on the apply thread.
class DirectoryScans {
 public:
  // Entries in all scans. Of a directory with eight times as many, pages no longer show enough of them.
  static constexpr std::size_t kMostEntries = 32 << 10;
  // After a page that failed for no reason of its directory, the export is done without for so long.
  static constexpr std::chrono::seconds kPause{60};

  // An entry leaves the scan: with its object, or null to be looked up.
  using Leave = std::function<void(const DirectoryScan&, const backlog::Entry&, const nfs::Object*)>;

  // With `enabled` false, none ever begins. `catch_up` calls forget() with all that has changed since; a page is not
  // looked at before.
  DirectoryScans(backlog::Backlog& backlog, Pipeline& pipeline, Resolver& resolver, const Clock& clock,
                 const Exports& exports, bool enabled, std::function<void()> catch_up, Leave leave);

  // How many more entries of its directory a slice is to take for a scan; nothing if there is to be none.
  [[nodiscard]] std::optional<std::size_t> extra_entries(const backlog::Slice& slice) const;

  // Precondition: extra_entries().
  void begin(backlog::Slice slice, Breaker::Stamp taken);

  // The next step of the scan whose turn it is: asks for a page, or lets `limit` entries at most leave to be looked
  // up. False if none can take one now.
  bool step(std::size_t limit);

  // Puts what it has of this export back into the backlog.
  void withdraw(std::size_t export_index);

  // Names at and below `path` may mean other objects now: puts the entries that it concerns back into the backlog,
  // which follows the change.
  void forget(std::string_view path);

  [[nodiscard]] std::size_t entries() const noexcept {
    assert(thread_.is_current());
    return entries_;
  }
  // What is to be expected of the requests under way, in entries.
  [[nodiscard]] std::size_t expected() const noexcept {
    assert(thread_.is_current());
    return expected_;
  }

 private:
  using Shared = std::shared_ptr<DirectoryScan>;

  void expect(DirectoryScan& scan, std::size_t entries);
  void ask(const Shared& scan);
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
  const std::function<void()> catch_up_;
  const Leave leave_;
  std::vector<Clock::Instant> not_before_;    // by export
  std::map<std::string_view, Shared> scans_;  // by directory
  std::deque<Shared> ready_;                  // for their next steps
  std::size_t entries_ = 0;
  std::size_t expected_ = 0;  // of the scans that wait for their directory or for a page
};

}  // namespace qatime::apply
