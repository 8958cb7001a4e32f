// SPDX-License-Identifier: MIT
// The file that keeps our own addresses for the next start.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/log.h"
#include "config/config.h"
#include "ingest/self_addresses.h"

namespace qatime {

// The file `addresses` in the backlog's directory: a line that names the form, then a line for each address.
//
//   qatime addresses 1
//   192.0.2.7 2026-01-27T14:12:23.955800000Z
//
// The time is the latest at which the address is known to have been ours. One thread at a time.
class AddressFile {
 public:
  // `addresses` outlives it. Without a directory, in `config` or by default, there is no file.
  AddressFile(const BacklogConfig& config, ingest::SelfAddresses& addresses);

  // Adds the addresses of the file to the former ones. Returns whether there were any. A file that is damaged, of
  // another form or unreadable costs one log line.
  bool read();

  // Writes the file if other addresses are known than it has, or if its times are kRefresh old. A reader finds the
  // old or the new content (rename(2)). If the disk refuses, says so and tries again after kRetry.
  void write_if_due();

 private:
  // Well below SelfAddresses::kGrace, because a killed process writes no time of its end.
  static constexpr std::chrono::minutes kRefresh{10};
  static constexpr std::chrono::seconds kRetry{10};

  const std::string path_;
  ingest::SelfAddresses& addresses_;
  std::vector<Address> written_;
  std::chrono::steady_clock::time_point due_{};    // its times are old by then
  std::chrono::steady_clock::time_point retry_{};  // after the disk refused
  log::Throttle refused_;
};

}  // namespace qatime
