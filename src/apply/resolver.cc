// SPDX-License-Identifier: MIT
// A walk starts at the deepest ancestor that is known and goes down one LOOKUP at a time. Each LOOKUP is listed under
// the directory that it resolves; a walk that comes to a listed one waits for it. A walk is never recursive, however
// deep the path is: a completion moves its walks on by one component.
//
// A move or removal that becomes known while a LOOKUP is under way makes its answer doubtful. It is the right answer
// for those who wait, whose work is older, so they get it; but it leaves the list and the cache does not learn it.
#include "apply/resolver.h"

#include <algorithm>
#include <cassert>
#include <optional>
#include <utility>

#include "apply/path_cache.h"

namespace qatime::apply {

std::string_view parent(std::string_view path) noexcept {
  return path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
}

std::string_view first_component(std::string_view root, std::string_view path) noexcept {
  path.remove_prefix(std::min(path.size(), root == "/" ? 1 : root.size() + 1));
  return path.substr(0, path.find('/'));
}

Resolver::Resolver(const nfs::Client& client, Pipeline& pipeline, const Clock& clock, const NfsConfig& config,
                   const Exports& exports, metrics::Registry& registry)
    : client_{client},
      pipeline_{pipeline},
      clock_{clock},
      exports_{exports},
      cache_{std::make_unique<PathCache<nfs::Handle>>(config.handle_cache, config.handle_ttl)},
      hits_{registry.counter("qatime_handle_cache_hits_total", "Directories whose handle was in the cache.")},
      misses_{registry.counter("qatime_handle_cache_misses_total", "Directories that had to be looked up.")} {}

Resolver::~Resolver() = default;

void Resolver::resolve(std::size_t export_index, std::string_view directory, Done done) {
  assert(thread_.is_current());
  const std::string& top = exports_.path(export_index);
  if (directory == top) {
    const auto root = client_.root(export_index);
    return done(root ? Answer{nfs::Status::ok, *root, {}, nullptr} : Answer{nfs::Status::lost, {}, directory, nullptr});
  }
  if (const auto* handle = cache_->find(directory, clock_.now())) {
    hits_.add();
    return done({nfs::Status::ok, *handle, {}, nullptr});
  }
  misses_.add();
  Walk walk{.export_index = export_index, .directory = std::string{directory}, .handle = {}, .done = std::move(done)};
  if (!begin(walk)) return walk.done({nfs::Status::lost, {}, top, nullptr});
  go_on(std::move(walk));
}

// Sets the walk on the deepest ancestor whose handle is known. False if there is none, not even the root.
bool Resolver::begin(Walk& walk) {
  const std::string_view directory = walk.directory;
  const std::string_view top = exports_.path(walk.export_index);
  for (auto at = parent(directory); at.size() > top.size(); at = parent(at)) {
    if (const auto* handle = cache_->find(at, clock_.now())) {
      walk.handle = *handle;
      walk.known = at.size();
      return true;
    }
  }
  const auto root = client_.root(walk.export_index);
  if (!root) return false;
  walk.handle = *root;
  walk.known = top.size();
  return true;
}

// Takes the walk through what is known by now to the LOOKUP that it needs next, or to its end.
void Resolver::go_on(Walk walk) {
  while (walk.known < walk.directory.size()) {
    const auto end = std::min(walk.directory.find('/', walk.known + 1), walk.directory.size());
    const std::string_view next{walk.directory.data(), end};
    if (!walk.doubtful) {
      if (const auto* handle = cache_->find(next, clock_.now())) {
        walk.handle = *handle;
        walk.attributes.reset();
        walk.known = end;
        continue;
      }
      if (const auto found = lookups_.find(next); found != lookups_.end()) {
        found->second->waiting.push_back(std::move(walk));
        return;
      }
    }
    auto lookup = std::make_shared<Lookup>();
    lookup->export_index = walk.export_index;
    lookup->parent = walk.handle;
    lookup->directory = next;
    lookup->doubtful = walk.doubtful;
    if (!walk.doubtful) lookups_.emplace(next, lookup);
    lookup->waiting.push_back(std::move(walk));
    return start(std::move(lookup));
  }
  walk.done({nfs::Status::ok, walk.handle, {}, walk.attributes ? &*walk.attributes : nullptr});
}

void Resolver::start(std::shared_ptr<Lookup> lookup) {
  const std::size_t export_index = lookup->export_index;
  pipeline_.submit(export_index, [this, lookup = std::move(lookup)](nfs::Client& client, Pipeline::Token token) {
    lookup->request = std::move(token);
    const std::string_view name = std::string_view{lookup->directory}.substr(lookup->directory.rfind('/') + 1);
    client.lookup(lookup->export_index, lookup->parent, name,
                  [this, lookup](nfs::Status status, const nfs::Object& object) {
                    const Pipeline::Completion completion{lookup->request};
                    finished(*lookup, status, object);
                  });
  });
}

void Resolver::finished(Lookup& lookup, nfs::Status status, const nfs::Object& object) {
  if (!lookup.doubtful) {
    lookups_.erase(lookup.directory);
    if (status == nfs::Status::ok) cache_->insert(lookup.directory, object.handle, clock_.now());
  }
  const std::string_view where = parent(lookup.directory);
  if (status == nfs::Status::stale || status == nfs::Status::badhandle) distrust(where, lookup.parent);
  for (auto& walk : std::exchange(lookup.waiting, {})) {
    if (status != nfs::Status::ok) {
      walk.done({status, {}, where, nullptr});
      continue;
    }
    walk.handle = object.handle;
    walk.attributes = object.attributes;
    walk.known = lookup.directory.size();
    walk.doubtful = walk.doubtful || lookup.doubtful;
    go_on(std::move(walk));
  }
}

void Resolver::distrust(std::string_view directory, const nfs::Handle& handle) {
  assert(thread_.is_current());
  const auto* known = cache_->find(directory, clock_.now());
  if (known == nullptr || *known != handle) return;
  for (; directory != "/"; directory = parent(directory)) cache_->drop(directory);
}

void Resolver::forget(std::string_view path) {
  assert(thread_.is_current());
  cache_->drop_subtree(path);
  auto forget_range = [this](auto begin, auto end) {
    for (auto at = begin; at != end; ++at) at->second->doubtful = true;
    lookups_.erase(begin, end);
  };
  if (path == "/") return forget_range(lookups_.begin(), lookups_.end());
  if (const auto found = lookups_.find(path); found != lookups_.end()) forget_range(found, std::next(found));
  std::string bound{path};
  bound += '/';
  const auto begin = lookups_.lower_bound(bound);
  bound.back() = '/' + 1;
  forget_range(begin, lookups_.lower_bound(bound));
}

}  // namespace qatime::apply
