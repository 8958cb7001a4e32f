// SPDX-License-Identifier: MIT
//
// libnfs, versions 4 to 7, encodes arguments before a call returns, and has results only while it calls back. So they
// go into the record of the caller, who is told later (rpc.cc).
#include "nfs/procedures.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <netinet/in.h>

// libnfs.h comes first, because it tells the version and the others need it.
#include <nfsc/libnfs.h>
//
#include <nfsc/libnfs-raw-mount.h>
#include <nfsc/libnfs-raw-nfs.h>
#include <nfsc/libnfs-raw-portmap.h>
#include <nfsc/libnfs-raw.h>

// A call was `int name_async(...)` up to version 5, 0 if queued. It is `rpc_pdu* name_task(...)` since then, not null
// if queued.
#ifdef LIBNFS_API_V2
#define QATIME_LIBNFS(name) name##_task
#else
#define QATIME_LIBNFS(name) name##_async
#endif

namespace qatime::nfs {

namespace {

template <class Queued>
bool is_queued(Queued result) noexcept {
  return std::is_pointer_v<Queued> ? result != Queued{} : result == Queued{};
}

// Statuses of our own begin here; no server may send one.
constexpr auto kFirstOwnStatus = static_cast<std::uint32_t>(Status::timeout);

// The number on the wire, which need not be one that the enumeration of libnfs has.
template <class Enum>
std::uint32_t number_of(const Enum& value) {
  static_assert(sizeof(Enum) == sizeof(std::uint32_t));
  std::uint32_t number = 0;
  std::memcpy(&number, &value, sizeof number);
  return number;
}

// nfsstat3, or mountstat3, which has the same numbers.
template <class Enum>
Status status_of(const Enum& value) {
  const std::uint32_t number = number_of(value);
  return number < kFirstOwnStatus ? static_cast<Status>(number) : Status::garbage;
}

// libnfs reports an RPC that was answered but not executed by a text alone.
Status rejection(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, Status>, 7> kTexts{{
      {"Message rejected by server", Status::garbage},  // its reply cannot be decoded
      {"RPC Packet not accepted by the server", Status::auth},
      {"Server responded: Program not available", Status::no_program},
      {"Server responded: Program version mismatch", Status::notsupp},
      {"Server responded: Procedure not available", Status::notsupp},
      {"Server responded: Garbage arguments", Status::garbage},
      {"Server responded: System Error", Status::serverfault},
  }};
  for (const auto& [known, status] : kTexts) {
    if (text == known) return status;
  }
  return Status::lost;
}

Time time_of(const nfstime3& time) {
  return Time{std::chrono::seconds{time.seconds} + std::chrono::nanoseconds{time.nseconds}};
}

// Precondition: fits_nfstime3(time), which also holds for any time that came from a server.
nfstime3 wire_time(Time time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  return {static_cast<u_int>(seconds.time_since_epoch().count()), static_cast<u_int>((time - seconds).count())};
}

nfs_fh3 wire_handle(const Handle& handle) {
  // libnfs only reads it.
  return {{static_cast<u_int>(handle.bytes().size()), const_cast<char*>(handle.bytes().data())}};
}

Attributes attributes_of(const fattr3& from) {
  return {number_of(from.type) == NF3DIR,
          from.nlink,
          from.uid,
          from.fileid,
          time_of(from.atime),
          time_of(from.mtime),
          time_of(from.ctime)};
}

std::optional<Attributes> attributes_of(const post_op_attr& from) {
  if (from.attributes_follow == 0) return std::nullopt;
  return attributes_of(from.post_op_attr_u.attributes);
}

// libnfs does not check the size that a server claims.
bool is_handle(const void* bytes, std::size_t size) { return bytes != nullptr && size > 0 && size <= Handle::kMaxSize; }

// Each takes the results if the status is ok.

Status take(const char* bytes, std::size_t size, Handle& handle) {
  if (!is_handle(bytes, size)) return Status::garbage;
  handle = Handle{{bytes, size}};
  return Status::ok;
}

// Whether an export takes AUTH_SYS by its flavors (RFC 1813 section 5.2.1). AUTH_NONE stands for any, as for Linux's
// client, and an empty list says nothing.
bool takes_auth_sys(const mountres3_ok& mounted) {
  std::vector<int> flavors(mounted.auth_flavors.auth_flavors_len);
  if (flavors.empty()) return true;
  std::memcpy(flavors.data(), mounted.auth_flavors.auth_flavors_val, flavors.size() * sizeof(int));  // not aligned
  return std::ranges::any_of(flavors, [](int flavor) { return flavor == AUTH_UNIX || flavor == AUTH_NONE; });
}

Status take(const std::uint32_t& result, std::uint32_t& port) {
  port = result;
  return Status::ok;
}

Status take(const mountres3& result, Handle& root) {
  if (const Status status = status_of(result.fhs_status); status != Status::ok) return status;
  const mountres3_ok& mounted = result.mountres3_u.mountinfo;
  if (!takes_auth_sys(mounted)) return Status::no_auth_sys;
  return take(mounted.fhandle.fhandle3_val, mounted.fhandle.fhandle3_len, root);
}

Status take(const LOOKUP3res& result, Object& object) {
  if (const Status status = status_of(result.status); status != Status::ok) return status;
  const LOOKUP3resok& found = result.LOOKUP3res_u.resok;
  object.attributes = attributes_of(found.obj_attributes);
  return take(found.object.data.data_val, found.object.data.data_len, object.handle);
}

Status take(const GETATTR3res& result, std::optional<Attributes>& attributes) {
  const Status status = status_of(result.status);
  if (status == Status::ok) attributes = attributes_of(result.GETATTR3res_u.resok.obj_attributes);
  return status;
}

Status take(const SETATTR3res& result, std::optional<Attributes>& attributes) {
  const Status status = status_of(result.status);
  if (status == Status::ok) attributes = attributes_of(result.SETATTR3res_u.resok.obj_wcc.after);
  return status;
}

// Names point into the result, which is gone after the callback: they are copied.
void add(Page& page, const entryplus3& from) {
  Page::DirectoryEntry& entry = page.entries.emplace_back();
  const std::string_view name{from.name};
  const auto& handle = from.name_handle.post_op_fh3_u.handle.data;
  page.names.insert(page.names.end(), name.begin(), name.end());
  entry.name = name;
  if (from.name_handle.handle_follows != 0 && is_handle(handle.data_val, handle.data_len)) {
    entry.handle.emplace(std::span{handle.data_val, handle.data_len});
  }
  entry.attributes = attributes_of(from.name_attributes);
  page.end.cookie = from.cookie;
}

Status take(const READDIRPLUS3res& result, Page& page) {
  if (const Status status = status_of(result.status); status != Status::ok) return status;
  const READDIRPLUS3resok& found = result.READDIRPLUS3res_u.resok;
  entryplus3 entry{};
  for (const void* next = found.reply.entries; next != nullptr; next = entry.nextentry) {
    std::memcpy(&entry, next, sizeof entry);  // libnfs does not align what it decodes
    add(page, entry);
  }
  const char* name = page.names.data();
  for (auto& each : page.entries) {
    each.name = {name, each.name.size()};
    name += each.name.size();
  }
  static_assert(sizeof found.cookieverf == sizeof page.end.verifier);
  std::memcpy(&page.end.verifier, found.cookieverf, sizeof page.end.verifier);
  page.eof = found.reply.eof != 0;
  page.directory = attributes_of(found.dir_attributes);
  return Status::ok;
}

// The status of a reply, whose results go to the caller, if that one still waits. `data` is what libnfs calls back
// with: a Result, or the text of an error.
template <class Result, class Results>
Status take_reply(int rpc_status, const void* data, Rpc::Caller* caller) {
  if (rpc_status == RPC_STATUS_ERROR && data != nullptr) return rejection(static_cast<const char*>(data));
  if (rpc_status != RPC_STATUS_SUCCESS) return Status::lost;
  if constexpr (std::is_same_v<Results, procedures::Nothing>) {
    return Status::ok;
  } else {
    if (data == nullptr) return Status::garbage;
    if (caller == nullptr) return Status::ok;
    return take(*static_cast<const Result*>(data), static_cast<procedures::TypedCaller<Results>*>(caller)->results);
  }
}

// `queue` gives libnfs a request, with a callback and its argument, and returns whether libnfs took it.
template <class Result, class Results, class Queue>
void start(Rpc& rpc, const Rpc::Procedure& procedure, procedures::Done<Results> done, const Queue& queue,
           std::uint32_t page = 0) {
  constexpr rpc_cb kOnReply = [](rpc_context*, int status, void* data, void* record) {
    auto& call = *static_cast<Rpc::Call*>(record);
    Rpc::finish(call, take_reply<Result, Results>(status, data, call.caller.get()));
  };
  rpc.start(procedure, std::move(done).caller(), page,
            [&](rpc_context* context, Rpc::Call& call) { return queue(context, kOnReply, &call); });
}

// How a function of libnfs that takes its arguments as one structure is given a request.
template <class Function, class Arguments>
auto queue_by(const Function& function, Arguments& arguments) {
  return [&](rpc_context* context, rpc_cb on_reply, void* call) {
    return is_queued(function(context, on_reply, &arguments, call));
  };
}

}  // namespace

void procedures::null(Rpc& rpc, Done<Nothing> done) {
  start<Nothing>(rpc, rpc.procedures().null, std::move(done), [](rpc_context* context, rpc_cb on_reply, void* call) {
    return is_queued(QATIME_LIBNFS(rpc_nfs3_null)(context, on_reply, call));
  });
}

void procedures::getport(Rpc& rpc, std::uint32_t program, std::uint32_t version, Done<std::uint32_t> done) {
  const auto queue = [&](rpc_context* context, rpc_cb on_reply, void* call) {
    return is_queued(QATIME_LIBNFS(rpc_pmap2_getport)(context, static_cast<int>(program), static_cast<int>(version),
                                                      IPPROTO_TCP, on_reply, call));
  };
  start<std::uint32_t>(rpc, rpc.procedures().getport, std::move(done), queue);
}

void procedures::mnt(Rpc& rpc, const std::string& path, Done<Handle> done) {
  std::string copy = path;  // libnfs does not promise to leave it alone
  start<mountres3>(rpc, rpc.procedures().mnt, std::move(done), [&](rpc_context* context, rpc_cb on_reply, void* call) {
    return copy.size() <= MNTPATHLEN && is_queued(QATIME_LIBNFS(rpc_mount3_mnt)(context, on_reply, copy.data(), call));
  });
}

void procedures::lookup(Rpc& rpc, const Handle& directory, std::string_view name, Done<Object> done) {
  std::string terminated{name};
  LOOKUP3args arguments{{wire_handle(directory), terminated.data()}};
  start<LOOKUP3res>(rpc, rpc.procedures().lookup, std::move(done), queue_by(QATIME_LIBNFS(rpc_nfs3_lookup), arguments));
}

void procedures::getattr(Rpc& rpc, const Handle& object, Done<std::optional<Attributes>> done) {
  GETATTR3args arguments{wire_handle(object)};
  start<GETATTR3res>(rpc, rpc.procedures().getattr, std::move(done),
                     queue_by(QATIME_LIBNFS(rpc_nfs3_getattr), arguments));
}

void procedures::set_atime(Rpc& rpc, const Handle& object, Time atime, std::optional<Time> guard,
                           Done<std::optional<Attributes>> done) {
  SETATTR3args arguments{};
  arguments.object = wire_handle(object);
  arguments.new_attributes.atime.set_it = SET_TO_CLIENT_TIME;
  arguments.new_attributes.atime.set_atime_u.atime = wire_time(atime);
  if (guard) {
    arguments.guard.check = 1;
    arguments.guard.sattrguard3_u.obj_ctime = wire_time(*guard);
  }
  start<SETATTR3res>(rpc, rpc.procedures().setattr, std::move(done),
                     queue_by(QATIME_LIBNFS(rpc_nfs3_setattr), arguments));
}

void procedures::readdirplus(Rpc& rpc, const Handle& directory, const Page::Position& begin, std::uint32_t size,
                             Done<Page> done) {
  READDIRPLUS3args arguments{};
  arguments.dir = wire_handle(directory);
  arguments.cookie = begin.cookie;
  std::memcpy(arguments.cookieverf, &begin.verifier, sizeof begin.verifier);
  arguments.dircount = arguments.maxcount = size;
  start<READDIRPLUS3res>(rpc, rpc.procedures().readdirplus, std::move(done),
                         queue_by(QATIME_LIBNFS(rpc_nfs3_readdirplus), arguments), size);
}

}  // namespace qatime::nfs
