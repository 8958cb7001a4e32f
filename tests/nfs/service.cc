// SPDX-License-Identifier: MIT
#include "nfs/service.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "nfs/messages.h"
#include "nfs/xdr.h"

namespace qatime::nfs::testing {

std::string Service::execute(const Request& request, const Action& action) {
  switch (request.procedure) {
    case Procedure::null:
      return {};
    case Procedure::getport:
      return XdrWriter{}.word(action.port.value_or(port)).bytes();
    case Procedure::mnt:
      return mnt(request, action);
    case Procedure::getattr:
      return getattr(request, action);
    case Procedure::lookup:
      return lookup(request, action);
    case Procedure::setattr:
      return setattr(request, action);
    case Procedure::readdirplus:
      return readdirplus(request, action);
  }
  return {};
}

std::string Service::mnt(const Request& request, const Action& action) const {
  if (action.status) return status_only(*action.status).bytes();
  const bool exported = exports.empty() || std::count(exports.begin(), exports.end(), request.name) != 0;
  const auto node = exported ? tree.find(request.name) : nullptr;
  if (node == nullptr) return status_only(Status::noent).bytes();
  const bool huge = action.fault == Action::Fault::huge_handle;
  XdrWriter out = status_only(Status::ok);
  out.opaque(huge ? std::string(100, 'h') : MemoryTree::handle(*node));
  out.word(static_cast<std::uint32_t>(action.flavors.size()));
  for (const std::uint32_t flavor : action.flavors) out.word(flavor);
  return out.bytes();
}

std::string Service::getattr(const Request& request, const Action& action) const {
  const auto node = tree.by_handle(request.handle);
  const Status status = action.status.value_or(node == nullptr ? Status::stale : Status::ok);
  XdrWriter out = status_only(status);
  if (status == Status::ok) write_attributes(out, *node);
  return out.bytes();
}

std::string Service::lookup(const Request& request, const Action& action) const {
  const auto directory = tree.by_handle(request.handle);
  std::shared_ptr<Node> found;
  Status status = Status::noent;
  if (directory == nullptr) {
    status = Status::stale;
  } else if (directory->type != Node::Type::directory) {
    status = Status::notdir;
  } else if (const auto child = directory->children.find(request.name); child != directory->children.end()) {
    status = Status::ok;
    found = child->second;
  }
  status = action.status.value_or(status);
  XdrWriter out = status_only(status);
  const bool with_attributes = action.fault != Action::Fault::no_attributes;
  if (status == Status::ok) {
    out.opaque(action.fault == Action::Fault::huge_handle ? std::string(100, 'h') : MemoryTree::handle(*found));
    write_optional(out, found.get(), with_attributes);
  }
  write_optional(out, directory.get(), with_attributes);
  return out.bytes();
}

std::string Service::setattr(const Request& request, const Action& action) {
  const auto node = tree.by_handle(request.handle);
  Status status = Status::stale;
  if (action.status) {
    status = *action.status;
  } else if (node != nullptr) {
    status = tree.set_atime(*node, request.atime, request.guard);
  }
  XdrWriter out = status_only(status);
  out.word(0);  // pre_op_attr
  write_optional(out, node.get(), action.fault != Action::Fault::no_attributes);
  return out.bytes();
}

namespace {

constexpr std::uint64_t kCookieVerifier = 0x636f6f6b69657321;

// entryplus3, after the mark that there is one.
std::string entry(const std::string& name, const Node& node, std::uint64_t cookie, Action::Fault fault) {
  XdrWriter out;
  out.word(1).hyper(node.id).opaque(name).hyper(cookie);
  write_optional(out, &node, fault != Action::Fault::no_attributes);
  out.word(fault != Action::Fault::no_handles ? 1 : 0);
  if (fault == Action::Fault::no_handles) return out.bytes();
  return out.opaque(fault == Action::Fault::huge_handle ? std::string(100, 'h') : MemoryTree::handle(node)).bytes();
}

}  // namespace

// A cookie is the number of entries up to it.
std::string Service::readdirplus(const Request& request, const Action& action) const {
  const auto directory = tree.by_handle(request.handle);
  Status status = directory == nullptr ? Status::stale : Status::ok;
  if (directory != nullptr && directory->type != Node::Type::directory) status = Status::notdir;
  if (request.cookie != 0 && request.verifier != kCookieVerifier) status = Status::bad_cookie;
  status = action.status.value_or(status);
  XdrWriter out = status_only(status);
  write_optional(out, directory.get(), action.fault != Action::Fault::no_attributes);
  if (status != Status::ok) return out.bytes();

  std::vector<std::pair<std::string, std::shared_ptr<Node>>> all{{".", directory}, {"..", tree.at("/")}};
  all.insert(all.end(), directory->children.begin(), directory->children.end());
  out.hyper(kCookieVerifier);
  if (action.fault == Action::Fault::crowd) {
    for (std::size_t count = 0; count < action.entries; ++count) {
      out.word(1).hyper(count).opaque({}).hyper(count + 1).word(0).word(0);
    }
    return out.word(0).word(1).bytes();
  }
  std::uint64_t cookie = request.cookie;
  for (; cookie < all.size(); ++cookie) {
    const std::string next = entry(all[cookie].first, *all[cookie].second, cookie + 1, action.fault);
    const std::size_t size = out.bytes().size() + next.size() + 8;  // with the end
    if (action.fault != Action::Fault::oversize && size > request.maxcount) break;
    out.raw(next);
  }
  if (cookie == request.cookie && cookie < all.size()) return status_only(Status::toosmall).word(0).bytes();
  return out.word(0).word(cookie == all.size() ? 1 : 0).bytes();
}

}  // namespace qatime::nfs::testing
