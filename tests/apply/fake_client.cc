// SPDX-License-Identifier: MIT
#include "apply/fake_client.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "base/path.h"

namespace qatime::apply {
namespace {

using nfs::Status;

constexpr std::uint64_t kRoot = 1;

// Calls `visit` with each component of a normal path.
template <class Visit>
void for_each_component(std::string_view path, Visit visit) {
  path.remove_prefix(1);
  while (!path.empty()) {
    const auto end = std::min(path.find('/'), path.size());
    visit(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
}

}  // namespace

FakeClient::FakeClient(std::vector<std::string> roots) : mounts(roots.size(), Status::ok), roots_{std::move(roots)} {
  nodes_[kRoot].is_directory = true;
  tick(nodes_[kRoot]);
  for (const auto& root : roots_) make_directory(root);
}

// The tree.

FakeClient::Id FakeClient::find(std::string_view path) const {
  Id id = kRoot;
  for_each_component(path, [&](std::string_view name) {
    if (id == 0) return;
    const auto& children = nodes_.at(id).children;
    const auto found = children.find(name);
    id = found == children.end() ? 0 : found->second;
  });
  return id;
}

FakeClient::Id FakeClient::make(std::string_view path, bool is_directory) {
  if (const Id id = find(path)) return id;
  const auto [parent, name] = parent_of(path);
  const Id id = ++last_;
  Node& node = nodes_[id];
  node.is_directory = is_directory;
  node.epoch = epoch_;
  tick(node);
  nodes_.at(parent).children.emplace(name, id);
  orders_.clear();
  node.places.emplace(parent, name);
  return id;
}

std::pair<FakeClient::Id, std::string> FakeClient::parent_of(std::string_view path) {
  const auto slash = path.rfind('/');
  return {make(slash == 0 ? "/" : path.substr(0, slash), true), std::string{path.substr(slash + 1)}};
}

void FakeClient::make_file(std::string_view path) { make(path, false); }
void FakeClient::make_directory(std::string_view path) { make(path, true); }

void FakeClient::link(std::string_view from, std::string_view to) {
  const auto [parent, name] = parent_of(to);
  const Id id = find(from);
  nodes_.at(parent).children.emplace(name, id);
  orders_.clear();
  nodes_.at(id).places.emplace(parent, name);
  tick(nodes_.at(id));
}

void FakeClient::rename(std::string_view from, std::string_view to) {
  const Id id = find(from);
  remove(from);
  if (exists(to)) remove(to);
  const auto [parent, name] = parent_of(to);
  nodes_.at(parent).children.emplace(name, id);
  orders_.clear();
  nodes_.at(id).places.emplace(parent, name);
  tick(nodes_.at(id));
}

void FakeClient::remove(std::string_view path) {
  const auto [parent, name] = parent_of(path);
  Node& node = nodes_.at(find(path));
  node.places.erase({parent, name});
  tick(node);
  nodes_.at(parent).children.erase(name);
  orders_.clear();
}

void FakeClient::set_atime_of(std::string_view path, Time time) {
  Node& node = nodes_.at(find(path));
  node.atime = time;
  tick(node);
}

// A handle is the object's number and the epoch in which it was made; of a stale one, the number is 0.
nfs::Handle FakeClient::handle_of(Id id) const {
  std::array<char, sizeof(Id) + sizeof(std::uint32_t)> bytes{};
  std::memcpy(bytes.data(), &id, sizeof id);
  std::memcpy(bytes.data() + sizeof id, &nodes_.at(id).epoch, sizeof(std::uint32_t));
  return nfs::Handle{bytes};
}

FakeClient::Id FakeClient::id_of(const nfs::Handle& handle) const {
  Id id = 0;
  std::uint32_t epoch = 0;
  std::memcpy(&id, handle.bytes().data(), sizeof id);
  std::memcpy(&epoch, handle.bytes().data() + sizeof id, sizeof epoch);
  const auto found = nodes_.find(id);
  if (found == nodes_.end() || found->second.epoch != epoch || path_of(id) == "?") return 0;
  return id;
}

std::string FakeClient::path_of(Id id) const {
  if (id == kRoot) return "/";
  const auto found = nodes_.find(id);
  if (found == nodes_.end() || found->second.places.empty()) return "?";
  const auto& [parent, name] = *found->second.places.begin();
  const auto above = path_of(parent);
  return above == "?" ? above : join(above, name);
}

nfs::Attributes FakeClient::attributes_of(Id id) const {
  const Node& node = nodes_.at(id);
  const auto links = static_cast<std::uint32_t>(node.is_directory ? 2 : node.places.size());
  return {node.is_directory, links, owner, id, node.atime, node.mtime, node.ctime};
}

void FakeClient::forget_handles() {
  ++epoch_;
  for (auto& [id, node] : nodes_) {
    if (std::none_of(roots_.begin(), roots_.end(), [&, file = id](const auto& root) { return find(root) == file; })) {
      node.epoch = epoch_;
    }
  }
}

// Requests.

std::size_t FakeClient::room_now(std::size_t export_index) const {
  if (!root(export_index) || limit <= outstanding_.size()) return 0;
  const auto is_its = [&](const Outstanding& each) { return each.request.export_index == export_index; };
  const auto its = static_cast<std::size_t>(std::ranges::count_if(outstanding_, is_its));
  return its < share ? std::min(limit - outstanding_.size(), share - its) : 0;
}

std::optional<nfs::Handle> FakeClient::root(std::size_t export_index) const {
  if (!connected || mounts.at(export_index) != Status::ok) return std::nullopt;
  return handle_of(find(roots_.at(export_index)));
}

void FakeClient::start(std::size_t export_index, Outstanding request) {
  if (room_now(export_index) == 0) violations.push_back("started without room: " + request.request.path);
  if (request.object != 0) {
    if (setting_.contains(request.object)) violations.push_back("two SETATTRs at once: " + request.request.path);
    setting_.insert(request.object);
  }
  request.request.export_index = export_index;
  requests.push_back(request.request);
  if (replies_are_slow && request.object == 0) {
    request.execute = [status = request.execute()] { return status; };
  }
  outstanding_.push_back(std::move(request));
}

void FakeClient::lookup(std::size_t export_index, const nfs::Handle& directory, std::string_view name,
                        ObjectDone done) {
  auto object = std::make_shared<nfs::Object>();
  const Id id = id_of(directory);
  start(export_index, {{Procedure::lookup, id ? join(path_of(id), name) : "?", {}, {}},
                       0,
                       [=, this, name = std::string{name}] { return look(directory, name, *object); },
                       [=](Status status) { done(status, status == Status::ok ? *object : nfs::Object{}); }});
}

void FakeClient::getattr(std::size_t export_index, const nfs::Handle& object, AttributesDone done) {
  auto attributes = std::make_shared<std::optional<nfs::Attributes>>();
  start(export_index, {{Procedure::getattr, path_of(id_of(object)), {}, {}},
                       0,
                       [=, this] {
                         const Id id = id_of(object);
                         if (id == 0) return Status::stale;
                         *attributes = attributes_of(id);
                         return Status::ok;
                       },
                       [=](Status status) { done(status, status == Status::ok ? *attributes : std::nullopt); }});
}

void FakeClient::set_atime(std::size_t export_index, const nfs::Handle& object, Time atime, std::optional<Time> guard,
                           AttributesDone done) {
  auto after = std::make_shared<std::optional<nfs::Attributes>>();
  start(export_index, {{Procedure::setattr, path_of(id_of(object)), atime, guard},
                       id_of(object),
                       [=, this] { return set(object, atime, guard, *after); },
                       [=](Status status) { done(status, status == Status::ok ? *after : std::nullopt); }});
}

void FakeClient::readdirplus(std::size_t export_index, const nfs::Handle& directory, const nfs::Page::Position& begin,
                             std::uint32_t size, PageDone done) {
  auto page = std::make_shared<nfs::Page>();
  start(export_index, {{Procedure::readdirplus, path_of(id_of(directory)), {}, {}, size, begin.cookie},
                       0,
                       [=, this] { return read(directory, begin, size, *page); },
                       [=](Status status) { done(status, *page); }});
}

Status FakeClient::look(const nfs::Handle& directory, const std::string& name, nfs::Object& object) {
  const Id id = id_of(directory);
  if (id == 0) return Status::stale;
  const Node& node = nodes_.at(id);
  if (!node.is_directory) return Status::notdir;
  const auto child = node.children.find(name);
  if (child == node.children.end()) return Status::noent;
  object.handle = handle_of(child->second);
  if (attributes_in_lookup) object.attributes = attributes_of(child->second);
  return Status::ok;
}

// In the order of the hashes of the names, which are the cookies: a name keeps its place whatever comes and goes.
const FakeClient::Order& FakeClient::order_of(Id directory) {
  Order& order = orders_[directory];
  if (!order.empty()) return order;
  order = {{1, {".", directory}}, {2, {"..", directory}}};
  for (const auto& [name, child] : nodes_.at(directory).children) {
    order[std::hash<std::string>{}(name) | 4] = {name, child};
  }
  return order;
}

std::vector<std::string> FakeClient::listing(std::string_view path) {
  std::vector<std::string> names;
  for (const auto& [cookie, entry] : order_of(find(path))) {
    if (cookie >= 4) names.push_back(entry.first);
  }
  return names;
}

Status FakeClient::read(const nfs::Handle& directory, nfs::Page::Position begin, std::uint32_t size, nfs::Page& page) {
  const Id id = id_of(directory);
  if (id == 0) return Status::stale;
  if (!nodes_.at(id).is_directory) return Status::notdir;
  if (begin.cookie != 0 && begin.verifier != verifier) return Status::bad_cookie;
  const Order& order = order_of(id);
  if (attributes_in_pages) page.directory = attributes_of(id);
  if (reads_at) {
    Node& node = nodes_.at(id);
    if (!node.before_read) node.before_read = node.atime;
    node.atime = *reads_at;
  }
  if (page.directory && !pages_are_late) page.directory = attributes_of(id);
  page.names.reserve(size);  // so that it never moves
  page.end = {begin.cookie, verifier};
  std::size_t bytes = 120;  // of what is not an entry
  for (auto at = order.upper_bound(begin.cookie); at != order.end(); ++at) {
    const auto& [name, child] = at->second;
    const auto handle = handle_of(child);
    bytes += 4 + 8 + 4 + (name.size() + 3) / 4 * 4 + 8;
    bytes += attributes_in_pages ? 4 + 84 : 4;
    bytes += handles_in_pages ? 4 + 4 + handle.bytes().size() : 4;
    if (bytes > size) return page.entries.empty() ? Status::toosmall : Status::ok;
    page.entries.push_back({{&*page.names.insert(page.names.end(), name.begin(), name.end()), name.size()}, {}, {}});
    if (handles_in_pages) page.entries.back().handle = handle;
    if (attributes_in_pages) page.entries.back().attributes = attributes_of(child);
    page.end.cookie = at->first;
  }
  page.eof = true;
  return Status::ok;
}

Status FakeClient::set(const nfs::Handle& object, Time atime, std::optional<Time> guard,
                       std::optional<nfs::Attributes>& after) {
  const Id id = id_of(object);
  if (id == 0) return Status::stale;
  Node& node = nodes_.at(id);
  if (guard && !guards) return Status::inval;
  if (guard && (guards_never_match || !is_same(*guard, node.ctime))) return Status::not_sync;
  if (atime < node.atime && atime != node.before_read) violations.push_back("backwards: " + path_of(id));
  const nfs::Attributes before = attributes_of(id);
  for (const auto& [parent, name] : node.places) {
    if (bystanders.contains(name)) violations.push_back("touched: " + path_of(id));
  }
  if (ignores.empty() || find(ignores) != id) {
    node.atime = overwrites.value_or(atime - atime.time_since_epoch() % unit);
    tick(node);
  }
  if (attributes_in_setattr) after = wrong_replies ? before : attributes_of(id);
  return Status::ok;
}

bool FakeClient::is_same(Time guard, Time ctime) const {
  using std::chrono::floor;
  using std::chrono::seconds;
  return guards_by_seconds ? floor<seconds>(guard) == floor<seconds>(ctime) : guard == ctime;
}

// Completions.

FakeClient::Outstanding FakeClient::take(std::size_t index) {
  const auto at = outstanding_.begin() + static_cast<std::ptrdiff_t>(index);
  Outstanding taken = std::move(*at);
  outstanding_.erase(at);
  if (taken.object != 0) setting_.erase(setting_.find(taken.object));
  return taken;
}

void FakeClient::finish(std::size_t index) {
  const Outstanding taken = take(index);
  std::optional<Status> status;
  if (script) status = script(taken.request);
  complete(taken, status ? *status : taken.execute());
}

void FakeClient::complete(const Outstanding& request, Status status) {
  request.complete(status);
  if (++completed_ >= together || outstanding_.empty()) run_deferred();
}

void FakeClient::run_deferred() {
  completed_ = 0;
  for (const auto& later : std::exchange(deferred_, {})) later();
}

bool FakeClient::deliver() {
  const auto answers = [&](const Outstanding& each) { return !hangs.contains(each.request.export_index); };
  const auto first = std::ranges::find_if(outstanding_, answers);
  if (first == outstanding_.end()) return false;
  finish(static_cast<std::size_t>(first - outstanding_.begin()));
  return true;
}

bool FakeClient::deliver_newest() {
  if (outstanding_.empty()) return false;
  finish(outstanding_.size() - 1);
  return true;
}

bool FakeClient::deliver_any(std::minstd_rand& random) {
  if (outstanding_.empty()) return false;
  finish(random() % outstanding_.size());
  return true;
}

void FakeClient::complete_oldest(Status status, Execution execution) {
  const Outstanding taken = take(0);
  if (execution == Execution::first) (void)taken.execute();
  if (execution == Execution::late) late_.push_back(taken.execute);
  complete(taken, status);
}

void FakeClient::deliver_late() {
  for (const auto& execute : std::exchange(late_, {})) (void)execute();
}

void FakeClient::disconnect() {
  connected = false;
  bool execute = false;
  while (!outstanding_.empty()) {
    const Outstanding taken = take(0);
    if (execute) (void)taken.execute();
    execute = !execute;
    complete(taken, Status::lost);
  }
}

std::size_t FakeClient::count(Procedure procedure) const {
  return static_cast<std::size_t>(std::count_if(
      requests.begin(), requests.end(), [&](const Request& request) { return request.procedure == procedure; }));
}

std::size_t FakeClient::count(Procedure procedure, std::string_view path) const {
  return static_cast<std::size_t>(std::count_if(requests.begin(), requests.end(), [&](const Request& request) {
    return request.procedure == procedure && request.path == path;
  }));
}

}  // namespace qatime::apply
