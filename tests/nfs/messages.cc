// SPDX-License-Identifier: MIT
#include "nfs/messages.h"

#include <array>
#include <map>
#include <optional>

namespace qatime::nfs::testing {

namespace {

constexpr std::uint32_t kPortmapper = 100000;
constexpr std::uint32_t kNfs = 100003;
constexpr std::uint32_t kMount = 100005;

std::optional<Procedure> procedure_of(std::uint32_t program, std::uint32_t version, std::uint32_t number) {
  static const std::map<std::array<std::uint32_t, 3>, Procedure> kProcedures{
      {{kPortmapper, 2, 0}, Procedure::null},  {{kPortmapper, 2, 3}, Procedure::getport},
      {{kMount, 3, 0}, Procedure::null},       {{kMount, 3, 1}, Procedure::mnt},
      {{kNfs, 3, 0}, Procedure::null},         {{kNfs, 3, 1}, Procedure::getattr},
      {{kNfs, 3, 2}, Procedure::setattr},      {{kNfs, 3, 3}, Procedure::lookup},
      {{kNfs, 3, 17}, Procedure::readdirplus},
  };
  const auto found = kProcedures.find({program, version, number});
  return found == kProcedures.end() ? std::nullopt : std::optional{found->second};
}

Time read_time(XdrReader& in) {
  const std::chrono::seconds seconds{in.word()};
  return Time{seconds + std::chrono::nanoseconds{in.word()}};
}

std::optional<Time> read_set_time(XdrReader& in, Request& request) {
  constexpr std::uint32_t kServerTime = 1;
  constexpr std::uint32_t kClientTime = 2;
  const std::uint32_t how = in.word();
  request.sets_more |= how == kServerTime;
  return how == kClientTime ? std::optional{read_time(in)} : std::nullopt;
}

void read_setattr(XdrReader& in, Request& request) {
  request.handle = in.opaque();
  for (const int words : {1, 1, 1, 2}) {  // mode, uid, gid, size
    if (in.word() == 0) continue;
    request.sets_more = true;
    for (int word = 0; word < words; ++word) in.word();
  }
  request.atime = read_set_time(in, request);
  request.sets_more |= read_set_time(in, request).has_value();
  if (in.word() != 0) request.guard = read_time(in);
}

void read_arguments(XdrReader& in, Request& request) {
  switch (request.procedure) {
    case Procedure::null:
      return;
    case Procedure::getport:
      in.word(), in.word(), in.word(), in.word();
      return;
    case Procedure::mnt:
      request.name = in.opaque();
      return;
    case Procedure::getattr:
      request.handle = in.opaque();
      return;
    case Procedure::lookup:
      request.handle = in.opaque();
      request.name = in.opaque();
      return;
    case Procedure::setattr:
      read_setattr(in, request);
      return;
    case Procedure::readdirplus:
      request.handle = in.opaque();
      request.cookie = in.hyper();
      request.verifier = in.hyper();
      request.dircount = in.word();
      request.maxcount = in.word();
      return;
  }
}

void write_time(XdrWriter& out, Time time) {
  const auto since = time.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  out.word(static_cast<std::uint32_t>(seconds.count())).word(static_cast<std::uint32_t>((since - seconds).count()));
}

}  // namespace

Call read_call(std::string_view record) {
  XdrReader in{record};
  Call call;
  call.xid = in.word();
  in.word();  // CALL
  in.word();  // the version of RPC
  const std::uint32_t program = in.word();
  const std::uint32_t version = in.word();
  const auto procedure = procedure_of(program, version, in.word());
  const bool has_user = in.word() == 1;  // AUTH_SYS; AUTH_NONE has none
  const std::string credentials = in.opaque();
  if (has_user) {
    XdrReader auth{credentials};
    auth.word();
    auth.opaque();
    call.request.uid = auth.word();
    call.request.gid = auth.word();
  }
  in.word();
  in.opaque();
  if (!procedure) {
    call.acceptable = kProcUnavail;
    return call;
  }
  call.request.procedure = *procedure;
  read_arguments(in, call.request);
  if (!in.at_end()) call.acceptable = kGarbageArgs;
  return call;
}

std::string accepted(std::uint32_t xid, AcceptStat status, std::string_view results) {
  return XdrWriter{}.word(xid).word(1).word(0).word(0).word(0).word(status).raw(results).bytes();
}

std::string denied(std::uint32_t xid, std::uint32_t auth_stat) {
  return XdrWriter{}.word(xid).word(1).word(1).word(1).word(auth_stat).bytes();
}

std::string rpc_mismatch(std::uint32_t xid) {
  return XdrWriter{}.word(xid).word(1).word(1).word(0).word(3).word(3).bytes();  // it speaks version 3 of RPC alone
}

void write_attributes(XdrWriter& out, const Node& node) {
  out.word(static_cast<std::uint32_t>(node.type)).word(0644).word(1).word(node.uid).word(0);
  out.hyper(0).hyper(0).word(0).word(0).hyper(1).hyper(node.id);
  write_time(out, node.times.atime);
  write_time(out, node.times.mtime);
  write_time(out, node.times.ctime);
}

void write_optional(XdrWriter& out, const Node* node, bool with_attributes) {
  out.word(node != nullptr && with_attributes ? 1 : 0);
  if (node != nullptr && with_attributes) write_attributes(out, *node);
}

XdrWriter status_only(Status status) {
  XdrWriter out;
  out.word(static_cast<std::uint32_t>(status));
  return out;
}

}  // namespace qatime::nfs::testing
