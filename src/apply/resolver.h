// SPDX-License-Identifier: MIT
// The resolver of directory paths to handles, component by component.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
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

// Looks a directory up from the deepest ancestor that the cache knows; the handle of the export's root stands for the
// export's own path. Several who want one directory at once share one LOOKUP. Symlinks are not followed: the server
// says NOTDIR to a LOOKUP in one. Lives on the apply thread.
class Resolver {
 public:
  struct Answer {
    nfs::Status status = nfs::Status::ok;
    nfs::Handle handle;      // if the status is ok
    std::string_view where;  // else: the directory in which a LOOKUP failed
  };
  // The answer is borrowed.
  using Done = std::function<void(const Answer&)>;

  Resolver(const nfs::Client& client, Pipeline& pipeline, const Clock& clock, const NfsConfig& config,
           const Exports& exports, metrics::Registry& registry);
  ~Resolver();

  // `done` is called once: at once if the answer is known, else from a completion. Status::lost means that the export
  // is not mounted.
  void resolve(std::size_t export_index, std::string_view directory, Done done);

  // A request on `directory` with `handle` showed that the handle is no longer good: forgets it and those of the
  // ancestors, of which it was learned, unless it was replaced already.
  void distrust(std::string_view directory, const nfs::Handle& handle);

  // Names at and below `path` may mean other objects now. Answers that are under way serve those who wait for them
  // already, and nobody else.
  void forget(std::string_view path);

 private:
  struct Walk {
    std::size_t export_index = 0;
    std::string directory;  // to be resolved
    std::size_t known = 0;  // length of its prefix that is `handle`
    nfs::Handle handle;
    bool doubtful = false;  // part of it was forgotten meanwhile: what follows is neither shared nor remembered
    Done done;
  };
  struct Lookup {
    nfs::Handle parent;
    std::string directory;
    bool doubtful = false;
    std::vector<Walk> waiting;
  };

  bool begin(Walk& walk);
  void go_on(Walk walk);
  void start(std::shared_ptr<Lookup> lookup);
  void finished(Lookup& lookup, nfs::Status status, const nfs::Handle& handle);

  ThreadChecker thread_;
  const nfs::Client& client_;
  Pipeline& pipeline_;
  const Clock& clock_;
  const Exports& exports_;
  const std::unique_ptr<PathCache<nfs::Handle>> cache_;
  std::map<std::string, std::shared_ptr<Lookup>, std::less<>> lookups_;  // under way, by directory
  metrics::Counter& hits_;
  metrics::Counter& misses_;
};

// The parent of `path`, which is not "/".
[[nodiscard]] std::string_view parent(std::string_view path) noexcept;

}  // namespace qatime::apply
