// SPDX-License-Identifier: MIT
// The resolver of directory paths to handles, component by component.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apply/pipeline.h"
#include "base/clock.h"
#include "base/path.h"
#include "base/thread_checker.h"
#include "config/config.h"
#include "nfs/client.h"
#include "telemetry/metrics.h"

namespace qatime::apply {

template <class Value>
class PathCache;

// Looks up a directory from its deepest cached ancestor, or from the export's root. Concurrent calls for one directory
// share a LOOKUP. It follows no symlink: the server answers NOTDIR to a LOOKUP in one. Thread: apply.
class Resolver {
 public:
  struct Answer {
    nfs::Status status = nfs::Status::ok;
    nfs::Handle handle;                           // if the status is ok
    std::string_view where;                       // otherwise: the directory in which a LOOKUP failed
    const nfs::Attributes* attributes = nullptr;  // if a LOOKUP has just reported them
  };
  // Takes the answer, which is valid until it returns.
  using Done = std::function<void(const Answer&)>;

  Resolver(const nfs::Client& client, Pipeline& pipeline, const Clock& clock, const NfsConfig& config,
           const Exports& exports, metrics::Registry& registry);
  ~Resolver();

  // Calls `done` exactly once: before it returns if it knows the answer, otherwise from a completion. Status::lost
  // means that the export is not mounted.
  void resolve(std::size_t export_index, std::string_view directory, Done done);

  // Drops `handle` of `directory`, which a request found invalid. Drops the handles of its ancestors, too, because it
  // was found through them. Does nothing if the cache has another handle by now.
  void distrust(std::string_view directory, const nfs::Handle& handle);

  // Takes in that names at and below `path` might mean other objects now. LOOKUPs in flight serve the calls that wait
  // for them already, and no others.
  void forget(std::string_view path);

 private:
  struct Walk {
    std::size_t export_index = 0;
    std::string directory;  // to resolve
    std::size_t known = 0;  // length of the prefix that `handle` stands for
    nfs::Handle handle;
    std::optional<nfs::Attributes> attributes{};  // if a LOOKUP has just reported them
    bool doubtful = false;  // forget() hit a part of it: its further LOOKUPs are neither shared nor cached
    Done done;
  };
  struct Lookup {
    std::size_t export_index = 0;
    nfs::Handle parent;
    std::string directory;
    bool doubtful = false;
    std::vector<Walk> waiting;
    Pipeline::Token request{};
  };

  bool begin(Walk& walk);
  void go_on(Walk walk);
  void start(std::shared_ptr<Lookup> lookup);
  void finished(Lookup& lookup, nfs::Status status, const nfs::Object& object);

  ThreadChecker thread_;
  const nfs::Client& client_;
  Pipeline& pipeline_;
  const Clock& clock_;
  const Exports& exports_;
  const std::unique_ptr<PathCache<nfs::Handle>> cache_;
  std::map<std::string, std::shared_ptr<Lookup>, std::less<>> lookups_;  // in flight, by directory
  metrics::Counter& hits_;
  metrics::Counter& misses_;
};

// Returns the parent of `path`, which is not "/".
[[nodiscard]] std::string_view parent(std::string_view path) noexcept;

// Returns the first component of `path` below `root`; nothing if they are the same.
[[nodiscard]] std::string_view first_component(std::string_view root, std::string_view path) noexcept;

}  // namespace qatime::apply
