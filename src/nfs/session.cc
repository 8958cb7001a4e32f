// SPDX-License-Identifier: MIT
#include "nfs/session.h"

#include <chrono>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <fmt/core.h>

#include "base/log.h"
#include "nfs/libnfs_client.h"

namespace qatime::nfs {

namespace asio = boost::asio;

namespace {

// A server that keeps silent is found out by the client, with a better reason, just before we give up.
constexpr std::chrono::milliseconds kGrace{500};

constexpr std::uint32_t kPage = 32 << 10;  // bytes, some 150 entries

}  // namespace

Session::Session(const NfsConfig& config)
    : config_{config},
      exports_{config.export_paths()},
      io_{std::make_unique<asio::io_context>(1)},
      client_{std::make_unique<LibnfsClient>(*io_, config_, registry_)} {}

Session::~Session() = default;

Handle await_root(asio::io_context& io, const LibnfsClient& client, const NfsConfig& config, std::size_t export_index) {
  const auto work = asio::make_work_guard(io);
  const auto deadline = std::chrono::steady_clock::now() + config.timeout + kGrace;
  for (;;) {
    if (const auto root = client.root(export_index)) return *root;
    if (const auto trouble = client.trouble(export_index)) throw Unreachable{*trouble};
    if (io.run_one_until(deadline) == 0) throw Unreachable{"no server of nfs.servers answers within nfs.timeout"};
  }
}

Handle Session::root(std::size_t export_index) { return await_root(*io_, *client_, config_, export_index); }

void Session::run_until(const bool& done) {
  const auto work = asio::make_work_guard(*io_);
  while (!done) io_->run_one();
}

Session::Found Session::walk(std::string_view path) {
  const auto place = exports_.place(path);
  if (!place) throw Unreachable{fmt::format("no path of [[nfs.exports]] holds {}", log::escaped(path))};
  const std::size_t export_index = place->export_index;
  Found walk;
  walk.export_index = export_index;
  walk.object.handle = root(export_index);
  std::string_view rest = path.substr(exports_.path(export_index) == "/" ? 0 : exports_.path(export_index).size());
  while (rest.size() > 1) {
    rest.remove_prefix(1);
    const std::string_view component = rest.substr(0, rest.find('/'));
    walk = lookup(export_index, walk.object.handle, component);
    if (walk.status != Status::ok) return walk;
    rest.remove_prefix(component.size());
  }
  if (!walk.object.attributes) {
    const Result outcome = getattr(export_index, walk.object.handle);
    walk.status = outcome.status;
    walk.object.attributes = outcome.attributes;
  }
  return walk;
}

Session::Found Session::lookup(std::size_t export_index, const Handle& directory, std::string_view name) {
  Found walk{Status::ok, std::string{name}, export_index, {}};
  bool done = false;
  client_->lookup(export_index, directory, name, [&](Status status, const Object& object) {
    walk.status = status;
    walk.object = object;
    done = true;
  });
  run_until(done);
  return walk;
}

Session::Result Session::getattr(std::size_t export_index, const Handle& object) {
  Result outcome;
  bool done = false;
  client_->getattr(export_index, object, [&](Status status, const std::optional<Attributes>& attributes) {
    outcome = {status, attributes};
    done = true;
  });
  run_until(done);
  return outcome;
}

std::vector<Object> Session::first_page(std::size_t export_index, const Handle& directory) {
  std::vector<Object> objects;
  bool done = false;
  client_->readdirplus(export_index, directory, {}, kPage, [&](Status, const Page& page) {
    for (const auto& entry : page.entries) {
      if (entry.handle) objects.push_back({*entry.handle, entry.attributes});
    }
    done = true;
  });
  run_until(done);
  return objects;
}

Session::Result Session::set_atime(std::size_t export_index, const Handle& object, Time atime,
                                   std::optional<Time> guard) {
  Result outcome;
  bool done = false;
  client_->set_atime(export_index, object, atime, guard,
                     [&](Status status, const std::optional<Attributes>& attributes) {
                       outcome = {status, attributes};
                       done = true;
                     });
  run_until(done);
  return outcome;
}

}  // namespace qatime::nfs
