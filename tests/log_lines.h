// SPDX-License-Identifier: MIT
// The log lines that a test's action writes on standard error.
#pragma once

#include <fstream>
#include <iterator>
#include <string>

#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "temporary_directory.h"

namespace qatime {

// Runs `act` and returns what the process writes on standard error meanwhile. The log has `format` for that time.
template <class Act>
std::string said(log::Format format, const Act& act) {
  const TemporaryDirectory directory;
  const std::string file = directory.path() + "/log";
  const int before = dup(STDERR_FILENO);
  const int to = open(file.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600);
  dup2(to, STDERR_FILENO);
  log::set_format(format);
  act();
  log::set_format(log::Format::text);
  dup2(before, STDERR_FILENO);
  close(to);
  close(before);
  std::ifstream text{file};
  return {std::istreambuf_iterator<char>{text}, {}};
}

}  // namespace qatime
