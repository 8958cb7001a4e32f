// SPDX-License-Identifier: MIT
// The seam to the servers: NFSv3 requests (RFC 1813) on objects, whichever node answers them.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/timestamp.h"
#include "nfs/status.h"

namespace qatime::nfs {

// nfs_fh3: opaque, valid on every node of a cluster.
class Handle {
 public:
  static constexpr std::size_t kMaxSize = 64;  // bytes, NFS3_FHSIZE

  Handle() = default;
  // Precondition: at most kMaxSize bytes.
  explicit Handle(std::span<const char> bytes) noexcept : size_{static_cast<std::uint8_t>(bytes.size())} {
    std::memcpy(bytes_.data(), bytes.data(), bytes.size());
  }

  [[nodiscard]] std::string_view bytes() const noexcept { return {bytes_.data(), size_}; }
  friend bool operator==(const Handle& a, const Handle& b) noexcept { return a.bytes() == b.bytes(); }

 private:
  std::array<char, kMaxSize> bytes_{};
  std::uint8_t size_ = 0;
};

// The fields of fattr3 that qatime uses.
struct Attributes {
  bool is_directory = false;
  std::uint32_t links = 1;  // names of the object
  std::uint32_t uid = 0;    // of the owner
  std::uint64_t file_id = 0;
  Time atime;
  Time mtime;
  Time ctime;
};

struct Object {
  Handle handle;
  std::optional<Attributes> attributes;  // a server may leave them out
};

// Some entries of a directory, in the server's order, "." and ".." among them.
struct Page {
  // A position in the directory (cookie3, cookieverf3). The default is its beginning.
  struct Position {
    std::uint64_t cookie = 0;
    std::uint64_t verifier = 0;  // opaque
  };
  struct DirectoryEntry {
    std::string_view name;         // in `names`
    std::optional<Handle> handle;  // a server may leave out this and the next
    std::optional<Attributes> attributes;
  };

  std::vector<DirectoryEntry> entries;
  std::vector<char> names;
  std::optional<Attributes> directory;  // its attributes after this; a server may leave them out
  Position end;                         // the beginning of the next page
  bool eof = false;                     // there is no next page

  Page() = default;
  Page(Page&&) = default;
  Page& operator=(Page&&) = default;
  Page(const Page&) = delete;  // because `entries` would point into the other
  Page& operator=(const Page&) = delete;
  ~Page() = default;
};

// Takes the outcome of a request: its status, and its results, which mean something only if that is ok.
template <class Results>
using Completion = std::function<void(Status, const Results&)>;

// Exports are named by their indexes in the configuration. A request goes only to servers that have its export mounted
// with the root that root() returns: others refuse the export, or give other files under its name.
//
// Guarantee: a request completes exactly once, on the thread of the client's loop. It never completes inside the call
// that started it, nor after the client is destroyed, which forgets outstanding requests. Arguments are copied.
//
// Thread: the loop's, for everything.
class Client {
 public:
  using ObjectDone = Completion<Object>;
  using AttributesDone = Completion<std::optional<Attributes>>;
  using PageDone = Completion<Page>;

  virtual ~Client() = default;

  // The number of further requests that may be started for the export now: 0 while no server that answers has it
  // mounted. Without room, a request completes with Status::lost. Exports share the room of a server, but none gets all
  // of it. Its cost grows with the number of servers; that of the next two does not.
  [[nodiscard]] virtual std::size_t room(std::size_t export_index) const = 0;

  // Whether a further request may be started for the export now.
  [[nodiscard]] virtual bool has_room(std::size_t export_index) = 0;

  // Whether no server takes a further request, of whatever export.
  [[nodiscard]] virtual bool is_full() const = 0;

  // The root of the export, if it is mounted on a server that answers.
  [[nodiscard]] virtual std::optional<Handle> root(std::size_t export_index) const = 0;

  // The status of the last attempt to mount the export; ok if it is mounted or was not tried yet.
  [[nodiscard]] virtual Status mount_status(std::size_t export_index) const = 0;

  // LOOKUP. `name` has 1 to 255 bytes and no '/' or NUL. Symlinks are not followed.
  virtual void lookup(std::size_t export_index, const Handle& directory, std::string_view name, ObjectDone done) = 0;

  // GETATTR.
  virtual void getattr(std::size_t export_index, const Handle& object, AttributesDone done) = 0;

  // SETATTR of atime alone (SET_TO_CLIENT_TIME). With `guard`, only while ctime is still `guard` (sattrguard3), else
  // Status::not_sync. Completes with the new attributes if the server reports them. `atime` fits nfstime3.
  virtual void set_atime(std::size_t export_index, const Handle& object, Time atime, std::optional<Time> guard,
                         AttributesDone done) = 0;

  // READDIRPLUS of the entries after `begin`: as many as a reply of `size` bytes holds, or fewer.
  virtual void readdirplus(std::size_t export_index, const Handle& directory, const Page::Position& begin,
                           std::uint32_t size, PageDone done) = 0;

  // Calls `changed` whenever a room() or an export's state might have changed: servers found or lost, exports mounted
  // or refused. Completion of a request is no such change.
  virtual void on_change(std::function<void()> changed) = 0;

  // Calls `later` on the loop, behind the completions of the replies that have arrived. A client that is destroyed
  // forgets it.
  virtual void defer(std::function<void()> later) = 0;
};

}  // namespace qatime::nfs

template <>
struct std::hash<qatime::nfs::Handle> {
  std::size_t operator()(const qatime::nfs::Handle& handle) const noexcept {
    return std::hash<std::string_view>{}(handle.bytes());
  }
};
