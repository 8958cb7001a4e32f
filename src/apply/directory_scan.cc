// SPDX-License-Identifier: MIT
#include "apply/directory_scan.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "apply/logger.h"

namespace qatime::apply {

namespace {

constexpr std::size_t kEntry = 200;        // bytes, with a name of middling length
constexpr std::size_t kMostExpected = 32;  // entries of a page, a guess that keeps several scans under way

// Whether reading a directory with these attributes moves its atime: by the rule of Linux's relatime, at least.
bool would_move(const nfs::Attributes& before) noexcept {
  return before.atime <= std::max(before.mtime, before.ctime) || now() - before.atime > std::chrono::hours{24};
}

}  // namespace

std::uint32_t first_page(std::size_t names) noexcept {
  constexpr std::size_t kDots = 2;
  return static_cast<std::uint32_t>(std::clamp<std::size_t>((names + kDots) * kEntry, kSmallestPage, kProbe));
}

std::uint32_t next_page(std::uint32_t size, std::size_t entries, std::size_t hits, std::size_t left) noexcept {
  if (hits == 0 || hits * kBreakEven < entries + kBreakEven) return 0;
  return static_cast<std::uint32_t>(std::clamp<std::size_t>(size * left / hits, kProbe, kLargestPage));
}

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
      expected_(exports.size()) {}

std::optional<std::size_t> DirectoryScans::extra_entries(const backlog::Slice& slice) const {
  assert(thread_.is_current());
  // With other exports, some is left for them, even if these entries stay for long.
  const std::size_t room = (kMostEntries - entries_) / (exports_.size() > 1 ? 2 : 1);
  const std::size_t taken = slice.entries.size();
  if (taken + slice.left < kFewestNames || room < std::max(taken, kFewestNames)) return std::nullopt;
  if (clock_.now() < not_before_[slice.export_index] || scans_.contains(slice.directory)) return std::nullopt;
  return room - taken;
}

void DirectoryScans::begin(backlog::Slice slice, Breaker::Stamp taken) {
  assert(thread_.is_current());
  const auto scan = std::make_shared<DirectoryScan>();
  scan->export_index = slice.export_index;
  scan->directory = std::make_shared<const std::string>(std::move(slice.directory));
  scan->taken = taken;
  scan->entries = std::move(slice.entries);
  scan->wanted.reserve(scan->entries.size());
  for (std::uint32_t i = 0; i < scan->entries.size(); ++i) scan->wanted.emplace(scan->entries[i].name, i);
  entries_ += scan->entries.size();
  assert(scan->wanted.size() == scan->entries.size() && entries_ <= kMostEntries);
  scans_.emplace(*scan->directory, scan);
  scan->page = first_page(scan->entries.size());
  expect(*scan, scan->entries.size());
  resolver_.resolve(scan->export_index, *scan->directory, [this, scan](const Resolver::Answer& answer) {
    expect(*scan, 0);
    scan->handle = answer.handle;
    const bool may_read = answer.status == nfs::Status::ok && (keeps_no_atimes_[scan->export_index] || hold(*scan));
    if (!may_read) scan->page = 0;
    if (answer.attributes != nullptr) scan->before = *answer.attributes;
    go_on(scan);
  });
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
    scan->page = 0;
  } else {
    const std::size_t hits = pick(*scan, page);
    scan->page = page.eof ? 0 : next_page(scan->page, page.entries.size(), hits, scan->wanted.size());
    scan->position = page.end;
    if (repair_if_moved(*scan, page.directory)) scan->page = 0;
  }
  if (scan->page == 0 || scan->wanted.empty()) end_pages(scan);
  go_on(scan);
}

// The scan reads no more pages. Servers may report attributes of before: nfs-ganesha does with its first page. So where
// the atime should have moved, a last look tells, and that for all directories of the export.
void DirectoryScans::end_pages(const Shared& scan) {
  if (!scan->is_held) return;
  const auto& before = scan->before;
  if (scan->position.cookie == 0 || !before || !would_move(*before)) return release(*scan);
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

// Lets those leave that the page has with their handles. How many.
std::size_t DirectoryScans::pick(DirectoryScan& scan, const nfs::Page& page) {
  std::size_t hits = 0;
  for (const auto& [name, handle, attributes] : page.entries) {
    const auto found = scan.wanted.find(name);
    if (found == scan.wanted.end() || !handle) continue;
    const backlog::Entry& entry = scan.entries[found->second];
    scan.wanted.erase(found);
    --entries_;
    ++hits;
    const nfs::Object object{*handle, attributes};
    callbacks_.leave(scan, entry, &object);
  }
  return hits;
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

void DirectoryScans::hand_on(DirectoryScan& scan, std::size_t limit) {
  while (limit > 0 && !scan.wanted.empty()) {
    const backlog::Entry& entry = scan.entries[scan.handed_on++];
    if (scan.wanted.erase(entry.name) == 0) continue;
    --limit;
    --entries_;
    callbacks_.leave(scan, entry, nullptr);
  }
}

void DirectoryScans::put_back(DirectoryScan& scan, std::string_view name) {
  const auto found = scan.wanted.find(name);
  if (found == scan.wanted.end()) return;
  const backlog::Entry& entry = scan.entries[found->second];
  scan.wanted.erase(found);
  --entries_;
  backlog_.put_back(entry.ticket, clock_.now(), entry.retry);
}

template <class Condition>
void DirectoryScans::withdraw_if(Condition condition) {
  std::erase_if(scans_, [&](const auto& each) {
    DirectoryScan& scan = *each.second;
    if (!condition(scan)) return false;
    for (const auto& entry : scan.entries) put_back(scan, entry.name);
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
  if (path == "/") return;
  const auto above = scans_.find(parent(path));
  if (above == scans_.end()) return;
  put_back(*above->second, path.substr(path.rfind('/') + 1));
  if (above->second->wanted.empty()) scans_.erase(above);
}

}  // namespace qatime::apply
