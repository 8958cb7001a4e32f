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

Progress::Progress()
    : is_terminal_{isatty(STDERR_FILENO) == 1},
      interval_{is_terminal_ ? kInterval : kLineInterval},
      next_{SteadyClock{}.now() + (is_terminal_ ? std::chrono::milliseconds{0} : interval_)} {
  if (is_terminal_) log::set_line_begin(log::kClearLine);
}

Progress::~Progress() {
  clear();
  if (is_terminal_) log::set_line_begin("");
}

bool Progress::due() const noexcept { return SteadyClock{}.now() >= next_; }

void Progress::show(std::string_view line) {
  next_ = SteadyClock{}.now() + interval_;
  if (!is_terminal_) return log::write_plain(fmt::format("{}\n", line));
  log::write_plain(fmt::format("{}{}", log::kClearLine, line.substr(0, terminal_columns() - 1)));
  shown_ = true;
}

void Progress::clear() {
  if (shown_) log::write_plain(log::kClearLine);
  shown_ = false;
}

}  // namespace qatime
