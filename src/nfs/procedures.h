// SPDX-License-Identifier: MIT
// The procedures that qatime calls, with their arguments and results (RFC 1813, RFC 1833).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/timestamp.h"
#include "nfs/client.h"
#include "nfs/rpc.h"
#include "telemetry/metrics.h"

namespace qatime::nfs {

// qatime_rpcs_total{procedure} and qatime_rpc_seconds{procedure}.
struct ProcedureMetrics {
  explicit ProcedureMetrics(metrics::Registry& metrics) : registry{metrics} {}

  metrics::Registry& registry;
  Rpc::Procedure null{registry, "null"};
  Rpc::Procedure getport{registry, "getport"};
  Rpc::Procedure mnt{registry, "mnt"};
  Rpc::Procedure getattr{registry, "getattr"};
  Rpc::Procedure lookup{registry, "lookup"};
  Rpc::Procedure setattr{registry, "setattr"};
  Rpc::Procedure readdirplus{registry, "readdirplus"};
};

// Each starts a request, which completes as rpc.h says. Arguments are copied.
namespace procedures {

// The one who waits for results of this type.
template <class Results>
struct TypedCaller : Rpc::Caller {
  Results results{};  // which mean something only if the status is ok
};

// Takes a callable for (Status, const Results&). It and the results share one allocation, because malloc is slow.
template <class Results>
class Done {
 public:
  template <class Callable>
  Done(Callable done) : caller_{std::make_unique<Holder<Callable>>(std::move(done))} {}  // NOLINT(*-explicit-*)
  [[nodiscard]] std::unique_ptr<TypedCaller<Results>> caller() && { return std::move(caller_); }

 private:
  template <class Callable>
  struct Holder final : TypedCaller<Results> {
    explicit Holder(Callable callable) : done{std::move(callable)} {}
    void tell(Status status) override { done(status, this->results); }
    Callable done;
  };

  std::unique_ptr<TypedCaller<Results>> caller_;
};

struct Nothing {};

// NULL of NFS version 3.
void null(Rpc& rpc, Done<Nothing> done);

// GETPORT of the portmapper, version 2: the TCP port of a program, 0 if it has none.
void getport(Rpc& rpc, std::uint32_t program, std::uint32_t version, Done<std::uint32_t> done);

// MNT of MOUNT version 3: the root of an export.
void mnt(Rpc& rpc, const std::string& path, Done<Handle> done);

// Of NFS version 3, as nfs::Client promises them.
void lookup(Rpc& rpc, const Handle& directory, std::string_view name, Done<Object> done);
void getattr(Rpc& rpc, const Handle& object, Done<std::optional<Attributes>> done);
void set_atime(Rpc& rpc, const Handle& object, Time atime, std::optional<Time> guard,
               Done<std::optional<Attributes>> done);
void readdirplus(Rpc& rpc, const Handle& directory, const Page::Position& begin, std::uint32_t size, Done<Page> done);

}  // namespace procedures

}  // namespace qatime::nfs
