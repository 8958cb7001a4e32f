// SPDX-License-Identifier: MIT
#include "apply/listing.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "apply/logger.h"

namespace qatime::apply {

namespace {

constexpr std::size_t kEntry = 200;        // bytes, with a name of middling length
constexpr std::size_t kMostExpected = 32;  // entries of a page, a guess that keeps several listings under way

}  // namespace

std::uint32_t first_page(std::size_t names) noexcept {
  constexpr std::size_t kDots = 2;
  return static_cast<std::uint32_t>(std::clamp<std::size_t>((names + kDots) * kEntry, kSmallestPage, kProbe));
}

std::uint32_t next_page(std::uint32_t size, std::size_t entries, std::size_t hits, std::size_t left) noexcept {
  if (hits == 0 || hits * kBreakEven < entries + kBreakEven) return 0;
  return static_cast<std::uint32_t>(std::clamp<std::size_t>(size * left / hits, kProbe, kLargestPage));
}

Listings::Listings(backlog::Backlog& backlog, Pipeline& pipeline, Resolver& resolver, const Clock& clock,
                   const Exports& exports, bool enabled, std::function<void()> catch_up, Leave leave)
    : backlog_{backlog},
      pipeline_{pipeline},
      resolver_{resolver},
      clock_{clock},
      exports_{exports},
      catch_up_{std::move(catch_up)},
      leave_{std::move(leave)},
      not_before_(exports.size(), enabled ? Clock::Instant::min() : Clock::Instant::max()) {}

std::optional<std::size_t> Listings::appetite(const backlog::Slice& slice) const {
  const std::size_t room = kMostEntries - entries_;
  const std::size_t taken = slice.entries.size();
  if (taken + slice.left < kFewestNames || room < std::max(taken, kFewestNames)) return std::nullopt;
  if (clock_.now() < not_before_[slice.export_index] || listings_.contains(slice.directory)) return std::nullopt;
  return room - taken;
}

void Listings::begin(backlog::Slice slice, Breaker::Stamp taken) {
  const auto listing = std::make_shared<Listing>();
  listing->export_index = slice.export_index;
  listing->directory = std::make_shared<const std::string>(std::move(slice.directory));
  listing->taken = taken;
  listing->entries = std::move(slice.entries);
  listing->wanted.reserve(listing->entries.size());
  for (std::uint32_t i = 0; i < listing->entries.size(); ++i) listing->wanted.emplace(listing->entries[i].name, i);
  entries_ += listing->entries.size();
  assert(listing->wanted.size() == listing->entries.size() && entries_ <= kMostEntries);
  listings_.emplace(*listing->directory, listing);
  listing->page = first_page(listing->entries.size());
  expect(*listing, listing->entries.size());
  resolver_.resolve(listing->export_index, *listing->directory, [this, listing](const Resolver::Answer& answer) {
    expect(*listing, 0);
    listing->handle = answer.handle;
    if (answer.status != nfs::Status::ok) listing->page = 0;
    go_on(listing);
  });
}

// A listing is ready again, unless it has come to its end or was withdrawn.
void Listings::go_on(const Shared& listing) {
  if (!listing->wanted.empty()) return ready_.push_back(listing);
  const auto at = listings_.find(*listing->directory);
  if (at != listings_.end() && at->second == listing) listings_.erase(at);
}

bool Listings::step(std::size_t limit) {
  while (!ready_.empty()) {
    const Shared listing = std::move(ready_.front());
    ready_.pop_front();
    if (listing->wanted.empty()) continue;  // withdrawn
    if (listing->page > 0) {
      ask(listing);
    } else {
      hand_on(*listing, limit);
      go_on(listing);
    }
    return true;
  }
  return false;
}

void Listings::expect(Listing& listing, std::size_t entries) {
  expected_ -= listing.expected;
  listing.expected = std::min(entries, kMostExpected);
  expected_ += listing.expected;
}

void Listings::ask(const Shared& listing) {
  expect(*listing, listing->wanted.size());
  pipeline_.submit([this, listing](nfs::Client& client) {
    client.readdirplus(listing->handle, listing->position, listing->page,
                       [this, listing](nfs::Status status, const nfs::Page& page) {
                         expect(*listing, 0);
                         turn(listing, status, page);
                         pipeline_.completed();
                       });
  });
}

void Listings::turn(const Shared& listing, nfs::Status status, const nfs::Page& page) {
  catch_up_();
  if (status != nfs::Status::ok) {
    failed(*listing, status);
    listing->page = 0;
  } else {
    const std::size_t hits = pick(*listing, page);
    listing->page = page.eof ? 0 : next_page(listing->page, page.entries.size(), hits, listing->wanted.size());
    listing->position = page.end;
  }
  go_on(listing);
}

// Lets those leave that the page has with their handles. How many.
std::size_t Listings::pick(Listing& listing, const nfs::Page& page) {
  std::size_t hits = 0;
  for (const auto& [name, handle, attributes] : page.entries) {
    const auto found = listing.wanted.find(name);
    if (found == listing.wanted.end() || !handle) continue;
    const backlog::Entry& entry = listing.entries[found->second];
    listing.wanted.erase(found);
    --entries_;
    ++hits;
    const nfs::Object object{*handle, attributes};
    leave_(listing, entry, &object);
  }
  return hits;
}

// What says something about READDIRPLUS rather than about this directory is remembered.
void Listings::failed(const Listing& listing, nfs::Status status) {
  using nfs::Status;
  auto& not_before = not_before_[listing.export_index];
  switch (status) {
    case Status::notsupp:
      if (not_before == Clock::Instant::max()) return;
      not_before = Clock::Instant::max();
      return kLog.info("export of {}: the server has no READDIRPLUS, looking up each name",
                       log::field("path", exports_.path(listing.export_index)));
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

void Listings::hand_on(Listing& listing, std::size_t limit) {
  while (limit > 0 && !listing.wanted.empty()) {
    const backlog::Entry& entry = listing.entries[listing.handed_on++];
    if (listing.wanted.erase(entry.name) == 0) continue;
    --limit;
    --entries_;
    leave_(listing, entry, nullptr);
  }
}

void Listings::put_back(Listing& listing, std::string_view name) {
  const auto found = listing.wanted.find(name);
  if (found == listing.wanted.end()) return;
  const backlog::Entry& entry = listing.entries[found->second];
  listing.wanted.erase(found);
  --entries_;
  backlog_.put_back(entry.ticket, clock_.now(), entry.retry);
}

template <class Condition>
void Listings::withdraw_if(Condition condition) {
  std::erase_if(listings_, [&](const auto& each) {
    Listing& listing = *each.second;
    if (!condition(listing)) return false;
    for (const auto& entry : listing.entries) put_back(listing, entry.name);
    return true;
  });
}

void Listings::withdraw(std::size_t export_index) {
  withdraw_if([export_index](const Listing& listing) { return listing.export_index == export_index; });
}

void Listings::forget(std::string_view path) {
  withdraw_if([path](const Listing& listing) { return is_within(*listing.directory, path); });
  if (path == "/") return;
  const auto above = listings_.find(parent(path));
  if (above == listings_.end()) return;
  put_back(*above->second, path.substr(path.rfind('/') + 1));
  if (above->second->wanted.empty()) listings_.erase(above);
}

}  // namespace qatime::apply
