// SPDX-License-Identifier: MIT
// A file server in memory that answers when and how a test says.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nfs/client.h"

namespace qatime::apply {

enum class Procedure { lookup, getattr, setattr, readdirplus };

// Requests are executed when they are delivered, not when they are started. Records every request, and what
// must never happen.
class FakeClient final : public nfs::Client {
 public:
  struct Request {
    Procedure procedure;
    std::string path;  // of the object, by where it is when the request is started; "?" if its handle is stale
    std::optional<Time> atime;
    std::optional<Time> guard;
    std::uint32_t size = 0;  // of a page
    std::uint64_t cookie = 0;
    std::size_t export_index = 0;
  };
  // The status that a request meets instead of its execution; nothing: it is executed.
  using Script = std::function<std::optional<nfs::Status>(const Request&)>;

  // The exports' roots, each a directory of the tree.
  explicit FakeClient(std::vector<std::string> roots = {"/"});

  // The tree. Paths are those of the server. Missing directories above are made, too.
  void make_file(std::string_view path);
  void make_directory(std::string_view path);
  void link(std::string_view from, std::string_view to);
  void rename(std::string_view from, std::string_view to);
  void remove(std::string_view path);
  [[nodiscard]] bool exists(std::string_view path) const { return find(path) != 0; }
  [[nodiscard]] Time atime(std::string_view path) const { return nodes_.at(find(path)).atime; }
  // The names in a directory, in the order in which its pages have them.
  [[nodiscard]] std::vector<std::string> listing(std::string_view path);
  [[nodiscard]] Time mtime(std::string_view path) const { return nodes_.at(find(path)).mtime; }
  void set_atime_of(std::string_view path, Time time);
  void touch_ctime(std::string_view path) { tick(nodes_.at(find(path))); }

  // The server's ways.
  Script script;
  bool attributes_in_lookup = true;
  bool handles_in_pages = true;
  bool attributes_in_pages = true;
  std::uint64_t verifier = 1;       // of cookies: those with another are BAD_COOKIE
  bool guards = true;               // else a guard is INVAL
  bool guards_never_match = false;  // a guard is always NOT_SYNC
  bool guards_by_seconds = false;   // a guard is compared by whole seconds
  std::optional<Time> reads_at;     // READDIRPLUS sets the directory's atime to this
  bool pages_are_late = false;      // a page has the directory's attributes of before
  bool replies_are_slow = false;    // all but SETATTR are executed when they are started
  bool wrong_replies = false;       // a reply to SETATTR has the atime of before
  bool attributes_in_setattr = true;
  std::chrono::nanoseconds unit{1};  // to which times are rounded down
  std::uint32_t owner = 0;           // of all objects
  std::set<std::string> bystanders;  // which nobody is to touch, by name
  std::string ignores;               // says ok to a SETATTR of this path and leaves it as it is
  std::optional<Time> overwrites;    // somebody else sets this right after each SETATTR
  std::size_t limit = 64;            // requests outstanding
  std::size_t share = SIZE_MAX;      // of one export
  std::set<std::size_t> hangs;       // exports whose requests deliver() leaves unanswered
  std::vector<nfs::Status> mounts;   // by export; not ok: not mounted
  bool connected = true;
  std::size_t together = 1;  // completions, until what they deferred has its turn

  // Completes an outstanding request; false if there is none. The oldest, any, or the newest.
  bool deliver();
  bool deliver_any(std::minstd_rand& random);
  bool deliver_newest();
  // Completes the oldest with `status`; executed first, or late by deliver_late(), or never.
  enum class Execution { never, first, late };
  void complete_oldest(nfs::Status status, Execution execution);
  void deliver_late();
  // Every outstanding request ends with Status::lost, every other one of them executed.
  void disconnect();
  // As a restart of a server whose handles do not survive it, but for those of the roots.
  void forget_handles();

  // Seen so far.
  std::vector<Request> requests;
  std::vector<std::string> violations;
  [[nodiscard]] std::size_t outstanding() const noexcept { return outstanding_.size(); }
  [[nodiscard]] std::size_t count(Procedure procedure) const;
  [[nodiscard]] std::size_t count(Procedure procedure, std::string_view path) const;

  mutable std::size_t rooms_asked = 0;

  [[nodiscard]] std::size_t room(std::size_t export_index) const override {
    ++rooms_asked;
    return room_now(export_index);
  }
  [[nodiscard]] bool has_room(std::size_t export_index) override { return room_now(export_index) > 0; }
  [[nodiscard]] bool is_full() const override { return outstanding_.size() >= limit; }
  [[nodiscard]] std::optional<nfs::Handle> root(std::size_t export_index) const override;
  [[nodiscard]] nfs::Status mount_status(std::size_t export_index) const override { return mounts.at(export_index); }
  void lookup(std::size_t export_index, const nfs::Handle& directory, std::string_view name, ObjectDone done) override;
  void getattr(std::size_t export_index, const nfs::Handle& object, AttributesDone done) override;
  void set_atime(std::size_t export_index, const nfs::Handle& object, Time atime, std::optional<Time> guard,
                 AttributesDone done) override;
  void readdirplus(std::size_t export_index, const nfs::Handle& directory, const nfs::Page::Position& begin,
                   std::uint32_t size, PageDone done) override;
  void on_change(std::function<void()>) override {}
  void defer(std::function<void()> later) override { deferred_.push_back(std::move(later)); }

 private:
  using Id = std::uint64_t;
  struct Node {
    bool is_directory = false;
    std::uint32_t epoch = 0;  // of its handle
    std::map<std::string, Id, std::less<>> children;
    std::set<std::pair<Id, std::string>> places;  // parent and name, one per hard link
    Time atime, mtime, ctime;
    std::optional<Time> before_read;  // its atime, before READDIRPLUS moved it
  };
  struct Outstanding {
    Request request;
    Id object = 0;                         // of a SETATTR
    std::function<nfs::Status()> execute;  // keeps what it finds
    std::function<void(nfs::Status)> complete;
  };

  [[nodiscard]] std::size_t room_now(std::size_t export_index) const;
  [[nodiscard]] Id find(std::string_view path) const;
  // The entries of a directory by their cookies.
  using Order = std::map<std::uint64_t, std::pair<std::string, Id>>;
  const Order& order_of(Id directory);
  Id make(std::string_view path, bool is_directory);
  std::pair<Id, std::string> parent_of(std::string_view path);
  void tick(Node& node) { node.ctime = Time{std::chrono::seconds{1'000'000} + std::chrono::nanoseconds{++ticks_}}; }
  [[nodiscard]] nfs::Handle handle_of(Id id) const;
  [[nodiscard]] Id id_of(const nfs::Handle& handle) const;
  [[nodiscard]] std::string path_of(Id id) const;
  [[nodiscard]] nfs::Attributes attributes_of(Id id) const;
  void start(std::size_t export_index, Outstanding request);
  nfs::Status look(const nfs::Handle& directory, const std::string& name, nfs::Object& object);
  nfs::Status read(const nfs::Handle& directory, nfs::Page::Position begin, std::uint32_t size, nfs::Page& page);
  nfs::Status set(const nfs::Handle& object, Time atime, std::optional<Time> guard,
                  std::optional<nfs::Attributes>& after);
  [[nodiscard]] bool is_same(Time guard, Time ctime) const;
  void finish(std::size_t index);
  Outstanding take(std::size_t index);
  void complete(const Outstanding& request, nfs::Status status);
  void run_deferred();

  std::vector<std::string> roots_;
  std::map<Id, Node> nodes_;
  std::map<Id, Order> orders_;  // until a name changes
  Id last_ = 1;
  std::uint32_t epoch_ = 0;
  std::uint64_t ticks_ = 0;
  std::vector<Outstanding> outstanding_;
  std::vector<std::function<nfs::Status()>> late_;
  std::multiset<Id> setting_;
  std::vector<std::function<void()>> deferred_;
  std::size_t completed_ = 0;  // since it had its turn
};

}  // namespace qatime::apply
