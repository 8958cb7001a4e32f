// SPDX-License-Identifier: MIT
#include "app/progress.h"

#include <cstdio>

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"

namespace qatime {
namespace {

// Of the terminal that standard error is; the usual number if it does not say.
std::size_t terminal_columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

Progress::Progress() : visible_{isatty(STDERR_FILENO) == 1} {
  if (visible_) log::set_line_begin(log::kClearLine);
}

Progress::~Progress() {
  clear();
  if (visible_) log::set_line_begin("");
}

bool Progress::due() const noexcept { return visible_ && SteadyClock{}.now() >= next_; }

void Progress::show(std::string_view line) {
  if (!visible_) return;
  fmt::print(stderr, "{}{}", log::kClearLine, line.substr(0, terminal_columns() - 1));
  shown_ = true;
  next_ = SteadyClock{}.now() + kInterval;
}

void Progress::clear() {
  if (shown_) fmt::print(stderr, "{}", log::kClearLine);
  shown_ = false;
}

}  // namespace qatime
