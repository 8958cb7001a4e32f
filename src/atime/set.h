// SPDX-License-Identifier: MIT
// The setting of one object's atime, waiting for each reply.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>

#include "base/timestamp.h"
#include "nfs/client.h"
#include "nfs/session.h"
#include "nfs/status.h"

namespace qatime::atime {

// Returns the atime for an object with these attributes; nothing to leave it unchanged.
using Choose = std::function<std::optional<Time>(const nfs::Attributes&)>;

// Sets the atime of an object of an export as the daemon does, by the rules of Update. If the object changed in
// between, looks and chooses again. Returns Status::ignored if the server says ok and leaves the atime unchanged.
[[nodiscard]] nfs::Status set(nfs::Session& session, std::size_t export_index, const nfs::Object& object,
                              const Choose& choose);

}  // namespace qatime::atime
