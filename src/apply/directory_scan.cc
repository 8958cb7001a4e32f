// SPDX-License-Identifier: MIT
#include "apply/directory_scan.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "apply/hot_file_cache.h"
#include "apply/logger.h"

namespace qatime::apply {

namespace {

constexpr std::size_t kMostExpected = 32;  // entries of a page, a guess that keeps several scans under way

// Whether reading a directory with these attributes moves its atime: by the rule of Linux's relatime, at least.
bool would_move(const nfs::Attributes& before) noexcept {
  return before.atime <= std::max(before.mtime, before.ctime) || now() - before.atime > std::chrono::hours{24};
}

}  // namespace

DirectoryScans::DirectoryScans(backlog::Backlog& backlog, Pipeline& pipeline, Resolver& resolver, const Clock& clock,
                               const Exports& exports, bool enabled, Callbacks callbacks)
    : backlog_{backlog},
      pipeline_{pipeline},
      resolver_{resolver},
      clock_{clock},
      exports_{exports},
      callbacks_{std::move(callbacks)},
      keeps_no_atimes_(exports.size(), false),
      not_before_(exports.size(), enabled ? Clock::Instant::min() : Clock::Instant::max()),
      ready_(exports.size()),
      of_export_(exports.size()),
      expected_(exports.size()) {}

bool DirectoryScans::recall(const backlog::Slice& slice) {
  assert(thread_.is_current());
  Trail* const trail = memory_.trail(slice.directory, clock_.now());
  if (trail == nullptr) return false;
  bool knows_all = true;
  for (const auto& entry : slice.entries) {
    if (!recall(*trail, slice.export_index, slice.directory, entry)) knows_all = false;
  }
  return knows_all;
}

// One that is known too long to be of use still shows that somebody follows the trail.
bool DirectoryScans::recall(Trail& trail, std::size_t export_index, std::string_view directory,
                            const backlog::Entry& entry) {
  const auto found = trail.ahead.find(entry.name);
  if (found == trail.ahead.end()) return false;
  const auto [object, position] = found->second;
  trail.ahead.erase(found);
  const bool is_fresh = clock_.now() - trail.read < HotFileCache::kTtl;
  const bool is_known = is_fresh && callbacks_.know(export_index, directory, entry, object, trail.read);
  if (is_fresh && !is_known) return false;
  ++trail.late;
  trail.reached = std::max(trail.reached, position + 1);
  return is_known;
}

// One of several exports leaves half of what is free to the others, even if its entries stay for long.
std::size_t DirectoryScans::room(std::size_t export_index) const {
  const std::size_t free = kMostEntries - entries_;
  if (exports_.size() == 1) return free;
  const std::size_t own = of_export_[export_index];
  return free > own ? (free - own) / 2 : 0;
}

std::optional<std::size_t> DirectoryScans::extra_entries(const backlog::Slice& slice) {
  assert(thread_.is_current());
  const auto now = clock_.now();
  const std::size_t room = this->room(slice.export_index);
  const std::size_t taken = slice.entries.size();
  const std::size_t waiting = taken + slice.left;
  if (room < std::max(taken, kFewestNames) || now < not_before_[slice.export_index]) return std::nullopt;
  if (const auto scan = scans_.find(slice.directory); scan != scans_.end()) {
    return scan->second->may_join(waiting) ? std::optional{room - taken} : std::nullopt;
  }
  const Trail* const trail = memory_.trail(slice.directory, now);
  const bool pays = (trail != nullptr && trail->next(waiting, now) > 0) ||
                    (waiting < kFewestNames ? memory_.may_be_walked(slice.directory, taken, kFewestNames, now)
                                            : memory_.may_pay(slice.directory, waiting, now));
  return pays ? std::optional{room - taken} : std::nullopt;
}

bool DirectoryScans::is_reading(std::string_view directory) const {
  const auto scan = scans_.find(directory);
  return scan != scans_.end() && scan->second->has_pages();
}

void DirectoryScans::begin(backlog::Slice slice, Breaker::Stamp taken) {
  assert(thread_.is_current());
  if (const auto found = scans_.find(slice.directory); found != scans_.end()) {
    return join(*found->second, std::move(slice.entries));
  }
  const auto scan = std::make_shared<DirectoryScan>();
  scan->export_index = slice.export_index;
  scan->directory = std::make_shared<const std::string>(std::move(slice.directory));
  scan->taken = taken;
  join(*scan, std::move(slice.entries));
  scan->names = scan->entries.size();
  scans_.emplace(*scan->directory, scan);
  choose_begin(*scan);
  expect(*scan, scan->entries.size());
  resolver_.resolve(scan->export_index, *scan->directory, [this, scan](const Resolver::Answer& answer) {
    expect(*scan, 0);
    scan->handle = answer.handle;
    const bool may_read = answer.status == nfs::Status::ok && (keeps_no_atimes_[scan->export_index] || hold(*scan));
    if (!may_read) give_up(*scan);
    if (answer.attributes != nullptr) scan->before = *answer.attributes;
    go_on(scan);
  });
}

void DirectoryScans::join(DirectoryScan& scan, std::vector<backlog::Entry> entries) {
  scan.wanted.reserve(scan.wanted.size() + entries.size());
  entries_ += entries.size();
  of_export_[scan.export_index] += entries.size();
  for (auto& entry : entries) {
    if (spare_.empty()) spare_.emplace_back();
    const auto at = spare_.begin();
    scan.entries.splice(scan.entries.end(), spare_, at);
    *at = {std::move(entry), scan.pages};
    scan.wanted.emplace(at->entry.name, at);
  }
  assert(scan.wanted.size() == scan.entries.size() && entries_ <= kMostEntries);
}

// Where the pages of the last scan stopped, if they paid.
void DirectoryScans::choose_begin(DirectoryScan& scan) {
  const auto now = clock_.now();
  const Trail* const trail = memory_.trail(*scan.directory, now);
  scan.page = trail == nullptr ? 0 : trail->next(scan.names, now);
  if (scan.page == 0) return begin_lap(scan);
  scan.position = trail->end;
  if (scan.position.cookie == 0) scan.lap = 0;
}

// A page for few names is for the next ones.
void DirectoryScans::begin_lap(DirectoryScan& scan) {
  scan.page = scan.is_walk() ? kProbe : first_page(scan.entries.size());
  scan.position = {};
  scan.lap = scan.pages;
}

// At the end of the directory. Some entries may have joined after their names had gone by.
void DirectoryScans::end_lap(DirectoryScan& scan) {
  if (scan.is_walk() || scan.entries.size() < kFewestNames) return give_up(scan);
  scan.page = 0;
  scan.past = scan.lap;
}

// The rest of the names is looked up.
void DirectoryScans::give_up(DirectoryScan& scan) {
  scan.page = 0;
  scan.past = scan.pages;
}

bool DirectoryScans::hold(DirectoryScan& scan) {
  scan.is_held = callbacks_.hold(scan.handle);
  return scan.is_held;
}

// A scan is ready again, unless it has come to its end or was withdrawn.
void DirectoryScans::go_on(const Shared& scan) {
  if (!scan->wanted.empty()) return ready_[scan->export_index].push_back(scan);
  const auto at = scans_.find(*scan->directory);
  if (at != scans_.end() && at->second == scan) scans_.erase(at);
}

bool DirectoryScans::step(std::size_t export_index, std::size_t limit) {
  assert(thread_.is_current());
  auto& ready = ready_.at(export_index);
  while (!ready.empty()) {
    const Shared scan = std::move(ready.front());
    ready.pop_front();
    if (scan->wanted.empty()) {  // withdrawn
      end_pages(scan);
      continue;
    }
    if (scan->page > 0) {
      ask(scan);
    } else {
      hand_on(*scan, limit);
      go_on(scan);
    }
    return true;
  }
  return false;
}

void DirectoryScans::expect(DirectoryScan& scan, std::size_t entries) {
  std::size_t& all = expected_[scan.export_index];
  all -= scan.expected;
  scan.expected = std::min(entries, kMostExpected);
  all += scan.expected;
}

void DirectoryScans::ask(const Shared& scan) {
  expect(*scan, scan->wanted.size());
  if (scan->before || !scan->is_held) return read(scan);
  pipeline_.submit(scan->export_index, [this, scan](nfs::Client& client, Pipeline::Token token) {
    scan->request = std::move(token);
    client.getattr(scan->export_index, scan->handle,
                   [this, scan](nfs::Status status, const std::optional<nfs::Attributes>& attributes) {
                     const Pipeline::Completion completion{scan->request};
                     scan->before = attributes;
                     if (status == nfs::Status::ok && attributes && !scan->wanted.empty()) return read(scan);
                     turn(scan, status, {});
                   });
  });
}

void DirectoryScans::read(const Shared& scan) {
  pipeline_.submit(scan->export_index, [this, scan](nfs::Client& client, Pipeline::Token token) {
    scan->request = std::move(token);
    scan->is_doubtful = false;
    ++scan->pages;
    client.readdirplus(scan->export_index, scan->handle, scan->position, scan->page,
                       [this, scan](nfs::Status status, const nfs::Page& page) {
                         const Pipeline::Completion completion{scan->request};
                         turn(scan, status, page);
                       });
  });
}

void DirectoryScans::turn(const Shared& scan, nfs::Status status, const nfs::Page& page) {
  expect(*scan, 0);
  callbacks_.catch_up();
  if (status != nfs::Status::ok) {
    failed(*scan, status);
    memory_.drop_trail(*scan->directory);
    status == nfs::Status::bad_cookie && scan->is_resumed() ? begin_lap(*scan) : give_up(*scan);
  } else {
    turn_page(*scan, page);
    if (repair_if_moved(*scan, page.directory)) give_up(*scan);
  }
  if (!scan->has_pages() || scan->wanted.empty()) end_pages(scan);
  go_on(scan);
}

void DirectoryScans::turn_page(DirectoryScan& scan, const nfs::Page& page) {
  const std::size_t hits = pick(scan, page);
  const std::uint32_t size = std::exchange(scan.page, 0);
  scan.position = page.end;
  scan.yield.bytes += size;
  scan.yield.entries += page.entries.size();
  if (!scan.is_walk()) scan.yield.hits += hits;  // of a walk they are Trail::late
  if (!scan.is_walk()) scan.page = next_page(size, page.entries.size(), hits, scan.wanted.size());
  if (scan.page > 0) scan.has_paid = true;
  const bool is_last = scan.page == 0 || scan.wanted.empty() || page.eof;
  if (is_last) remember(scan, page, size, hits);
  if (page.eof) return end_lap(scan);
  if (scan.page > 0) return;
  scan.is_resumed() && scan.entries.size() >= kFewestNames ? begin_lap(scan) : give_up(scan);
}

// Keeps in memory_ where the scan stopped and whether its pages paid.
void DirectoryScans::remember(const DirectoryScan& scan, const nfs::Page& page, std::uint32_t size, std::size_t hits) {
  const auto now = clock_.now();
  if (!scan.has_paid && !scan.is_walk()) {
    if (scan.lap) memory_.pays_not(*scan.directory, scan.names, now);
    return memory_.drop_trail(*scan.directory);
  }
  if (scan.has_paid) memory_.pays(*scan.directory);
  if (scan.is_doubtful) return memory_.drop_trail(*scan.directory);
  Trail trail{.end = page.eof ? nfs::Page::Position{} : page.end,
              .all = scan.yield,
              .size = size,
              .entries = page.entries.size(),
              .late = scan.is_walk() ? hits : 0,
              .reached = hits == 0 ? 0 : reached_,
              .read = now,
              .ahead = {}};
  for (const std::size_t position : passed_) {
    const auto& [name, handle, attributes] = page.entries[position];
    if (!handle || !attributes || attributes->is_directory) continue;
    trail.ahead.emplace(name, Trail::EntryAhead{{*handle, attributes}, position});
  }
  memory_.keep(*scan.directory, std::move(trail));
}

// The scan reads no more pages. Servers may report attributes of before: nfs-ganesha does with its first page. So where
// the atime should have moved, a last look tells, and that for all directories of the export.
void DirectoryScans::end_pages(const Shared& scan) {
  if (!scan->is_held || std::exchange(scan->is_ending, true)) return;  // it may be withdrawn during the last look
  const auto& before = scan->before;
  if (scan->pages == 0 || !before || !would_move(*before)) return release(*scan);
  pipeline_.submit(scan->export_index, [this, scan](nfs::Client& client, Pipeline::Token token) {
    scan->request = std::move(token);
    client.getattr(scan->export_index, scan->handle,
                   [this, scan](nfs::Status, const std::optional<nfs::Attributes>& attributes) {
                     const Pipeline::Completion completion{scan->request};
                     if (repair_if_moved(*scan, attributes)) return;
                     if (attributes) keeps_no_atimes_[scan->export_index] = true;
                     release(*scan);
                   });
  });
}

void DirectoryScans::release(DirectoryScan& scan) {
  scan.is_held = false;
  callbacks_.release(scan.handle);
}

// Gives the directory its atime back if our reading has moved it. Others who set it move its ctime as well.
bool DirectoryScans::repair_if_moved(DirectoryScan& scan, const std::optional<nfs::Attributes>& after) {
  const auto& before = scan.before;
  if (!scan.is_held || !before || !after) return false;
  if (after->atime == before->atime || after->ctime != before->ctime) return false;
  scan.is_held = false;  // until the repair has ended
  callbacks_.repair(scan, before->atime, *after);
  auto& not_before = not_before_[scan.export_index];
  if (std::exchange(not_before, Clock::Instant::max()) != Clock::Instant::max()) {
    kLog.info(
        "export of {}: the server moves the access time of a directory that is read; giving it back, and looking up "
        "each name from now on",
        log::field("export", exports_.path(scan.export_index)));
  }
  return true;
}

// Lets those leave that the page has with their handles. How many. The others are in `passed_`.
std::size_t DirectoryScans::pick(DirectoryScan& scan, const nfs::Page& page) {
  passed_.clear();
  for (std::size_t position = 0; position < page.entries.size(); ++position) {
    const auto& [name, handle, attributes] = page.entries[position];
    const auto found = scan.wanted.find(name);
    if (found == scan.wanted.end() || !handle || found->second->since >= scan.pages) {
      passed_.push_back(position);
      continue;
    }
    reached_ = position + 1;
    const nfs::Object object{*handle, attributes};
    callbacks_.leave(scan, extract(scan, found), &object);
  }
  return page.entries.size() - passed_.size();
}

// Remembers a status that concerns READDIRPLUS rather than this directory.
void DirectoryScans::failed(const DirectoryScan& scan, nfs::Status status) {
  using nfs::Status;
  auto& not_before = not_before_[scan.export_index];
  switch (status) {
    case Status::notsupp:
      if (not_before == Clock::Instant::max()) return;
      not_before = Clock::Instant::max();
      return kLog.info("export of {}: the server has no READDIRPLUS, looking up each name",
                       log::field("path", exports_.path(scan.export_index)));
    case Status::toosmall:
    case Status::serverfault:
    case Status::garbage:
    case Status::timeout:
      not_before = std::max(not_before, clock_.now() + kPause);
      return;
    default:
      return;
  }
}

// Lets those leave that no page shows any more. Then the others have their lap.
void DirectoryScans::hand_on(DirectoryScan& scan, std::size_t limit) {
  Trail* const trail = memory_.trail(*scan.directory, clock_.now());
  for (; !scan.entries.empty() && scan.past && scan.entries.front().since <= *scan.past; --limit) {
    if (limit == 0) return;
    backlog::Entry entry = extract(scan, scan.wanted.find(scan.entries.front().entry.name));
    if (trail != nullptr) (void)recall(*trail, scan.export_index, *scan.directory, entry);
    callbacks_.leave(scan, std::move(entry), nullptr);
  }
  if (!scan.entries.empty()) begin_lap(scan);
}

// Takes an entry out.
backlog::Entry DirectoryScans::extract(DirectoryScan& scan, DirectoryScan::Wanted::iterator wanted) {
  const auto at = wanted->second;
  scan.wanted.erase(wanted);
  backlog::Entry entry = std::move(at->entry);
  spare_.splice(spare_.begin(), scan.entries, at);
  --entries_;
  --of_export_[scan.export_index];
  return entry;
}

void DirectoryScans::put_back(DirectoryScan& scan, std::string_view name) {
  const auto found = scan.wanted.find(name);
  if (found == scan.wanted.end()) return;
  const backlog::Entry entry = extract(scan, found);
  backlog_.put_back(entry.ticket, clock_.now(), entry.retry);
}

template <class Condition>
void DirectoryScans::withdraw_if(Condition condition) {
  std::erase_if(scans_, [&](const auto& each) {
    DirectoryScan& scan = *each.second;
    if (!condition(scan)) return false;
    scan.is_doubtful = true;
    while (!scan.entries.empty()) put_back(scan, scan.entries.front().entry.name);
    return true;
  });
}

void DirectoryScans::withdraw(std::size_t export_index) {
  assert(thread_.is_current());
  withdraw_if([export_index](const DirectoryScan& scan) { return scan.export_index == export_index; });
}

void DirectoryScans::forget(std::string_view path) {
  assert(thread_.is_current());
  withdraw_if([path](const DirectoryScan& scan) { return is_within(*scan.directory, path); });
  memory_.forget(path, clock_.now());
  if (path == "/") return;
  const auto above = scans_.find(parent(path));
  if (above == scans_.end()) return;
  above->second->is_doubtful = true;
  put_back(*above->second, path.substr(path.rfind('/') + 1));
  if (above->second->wanted.empty()) scans_.erase(above);
}

}  // namespace qatime::apply
