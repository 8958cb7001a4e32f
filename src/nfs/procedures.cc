// SPDX-License-Identifier: MIT
//
// The procedures of Rpc: their arguments, and what is taken from their results (RFC 1813, RFC 1833).
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <netinet/in.h>

#include "nfs/libnfs_api.h"
#include "nfs/rpc.h"

namespace qatime::nfs {

namespace {

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

Reply with_handle(const char* bytes, std::size_t size) {
  Reply reply;
  if (is_handle(bytes, size)) {
    reply.handle = Handle{{bytes, size}};
  } else {
    reply.status = Status::garbage;
  }
  return reply;
}

// Whether an export takes AUTH_SYS by its flavors (RFC 1813 section 5.2.1). AUTH_NONE stands for any, as for Linux's
// client, and an empty list says nothing.
bool takes_auth_sys(const mountres3_ok& mounted) {
  std::vector<int> flavors(mounted.auth_flavors.auth_flavors_len);
  if (flavors.empty()) return true;
  std::memcpy(flavors.data(), mounted.auth_flavors.auth_flavors_val, flavors.size() * sizeof(int));  // not aligned
  return std::ranges::any_of(flavors, [](int flavor) { return flavor == AUTH_UNIX || flavor == AUTH_NONE; });
}

Reply decode(const mountres3& result) {
  if (const Status status = status_of(result.fhs_status); status != Status::ok) return {status};
  const mountres3_ok& mounted = result.mountres3_u.mountinfo;
  if (!takes_auth_sys(mounted)) return {Status::no_auth_sys};
  return with_handle(mounted.fhandle.fhandle3_val, mounted.fhandle.fhandle3_len);
}

Reply decode(const LOOKUP3res& result) {
  if (const Status status = status_of(result.status); status != Status::ok) return {status};
  const LOOKUP3resok& found = result.LOOKUP3res_u.resok;
  Reply reply = with_handle(found.object.data.data_val, found.object.data.data_len);
  reply.attributes = attributes_of(found.obj_attributes);
  return reply;
}

Reply decode(const GETATTR3res& result) {
  Reply reply{status_of(result.status)};
  if (reply.status == Status::ok) reply.attributes = attributes_of(result.GETATTR3res_u.resok.obj_attributes);
  return reply;
}

Reply decode(const SETATTR3res& result) {
  Reply reply{status_of(result.status)};
  if (reply.status == Status::ok) reply.attributes = attributes_of(result.SETATTR3res_u.resok.obj_wcc.after);
  return reply;
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

Reply decode(const READDIRPLUS3res& result) {
  if (const Status status = status_of(result.status); status != Status::ok) return {status};
  const READDIRPLUS3resok& found = result.READDIRPLUS3res_u.resok;
  const auto page = std::make_shared<Page>();
  entryplus3 entry{};
  for (const void* next = found.reply.entries; next != nullptr; next = entry.nextentry) {
    std::memcpy(&entry, next, sizeof entry);  // libnfs does not align what it decodes
    add(*page, entry);
  }
  const char* name = page->names.data();
  for (auto& each : page->entries) {
    each.name = {name, each.name.size()};
    name += each.name.size();
  }
  static_assert(sizeof found.cookieverf == sizeof page->end.verifier);
  std::memcpy(&page->end.verifier, found.cookieverf, sizeof page->end.verifier);
  page->eof = found.reply.eof != 0;
  page->directory = attributes_of(found.dir_attributes);
  Reply reply;
  reply.page = page;
  return reply;
}

Reply decode(const std::uint32_t& port) {
  Reply reply;
  reply.port = port;
  return reply;
}

struct Nothing {};

// What libnfs calls back. `data` is the result, or the text of an error.
template <class Result>
void on_reply(rpc_context* /*context*/, int status, void* data, void* record) {
  auto& call = *static_cast<Rpc::Call*>(record);
  if (status == RPC_STATUS_ERROR && data != nullptr) {
    return Rpc::finish(call, {rejection(static_cast<const char*>(data))});
  }
  if (status != RPC_STATUS_SUCCESS) return Rpc::finish(call, {Status::lost});
  if constexpr (std::is_same_v<Result, Nothing>) {
    Rpc::finish(call, {});
  } else {
    Rpc::finish(call, data != nullptr ? decode(*static_cast<const Result*>(data)) : Reply{Status::garbage});
  }
}

}  // namespace

void Rpc::null(Done done) {
  start(client_context_.null, std::move(done),
        [&](Call& call) { return libnfs::queued(libnfs::null(context_, on_reply<Nothing>, &call)); });
}

void Rpc::getport(std::uint32_t program, std::uint32_t version, Done done) {
  start(client_context_.getport, std::move(done), [&](Call& call) {
    return libnfs::queued(libnfs::getport(context_, static_cast<int>(program), static_cast<int>(version), IPPROTO_TCP,
                                          on_reply<std::uint32_t>, &call));
  });
}

void Rpc::mnt(const std::string& path, Done done) {
  start(client_context_.mnt, std::move(done), [&](Call& call) {
    std::string copy = path;  // libnfs does not promise to leave it alone
    return copy.size() <= MNTPATHLEN && libnfs::queued(libnfs::mnt(context_, on_reply<mountres3>, copy.data(), &call));
  });
}

void Rpc::lookup(const Handle& directory, std::string_view name, Done done) {
  start(client_context_.lookup, std::move(done), [&](Call& call) {
    std::string terminated{name};
    LOOKUP3args arguments{};
    arguments.what = {wire_handle(directory), terminated.data()};
    return libnfs::queued(libnfs::lookup(context_, on_reply<LOOKUP3res>, &arguments, &call));
  });
}

void Rpc::getattr(const Handle& object, Done done) {
  start(client_context_.getattr, std::move(done), [&](Call& call) {
    GETATTR3args arguments{wire_handle(object)};
    return libnfs::queued(libnfs::getattr(context_, on_reply<GETATTR3res>, &arguments, &call));
  });
}

void Rpc::set_atime(const Handle& object, Time atime, std::optional<Time> guard, Done done) {
  start(client_context_.setattr, std::move(done), [&](Call& call) {
    SETATTR3args arguments{};
    arguments.object = wire_handle(object);
    arguments.new_attributes.atime.set_it = SET_TO_CLIENT_TIME;
    arguments.new_attributes.atime.set_atime_u.atime = wire_time(atime);
    if (guard) {
      arguments.guard.check = 1;
      arguments.guard.sattrguard3_u.obj_ctime = wire_time(*guard);
    }
    return libnfs::queued(libnfs::setattr(context_, on_reply<SETATTR3res>, &arguments, &call));
  });
}

void Rpc::readdirplus(const Handle& directory, const Page::Position& begin, std::uint32_t size, Done done) {
  start(client_context_.readdirplus, std::move(done), [&](Call& call) {
    READDIRPLUS3args arguments{};
    arguments.dir = wire_handle(directory);
    arguments.cookie = begin.cookie;
    std::memcpy(arguments.cookieverf, &begin.verifier, sizeof begin.verifier);
    arguments.dircount = arguments.maxcount = call.page = size;
    return libnfs::queued(libnfs::readdirplus(context_, on_reply<READDIRPLUS3res>, &arguments, &call));
  });
}

}  // namespace qatime::nfs
