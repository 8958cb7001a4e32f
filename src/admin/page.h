// SPDX-License-Identifier: MIT
// The page for browsers. embed.py makes this code of page.html.
#pragma once

#include <string_view>

namespace qatime::admin {

extern const std::string_view kPage;  // NOLINT(readability-identifier-naming)
// Its Content-Security-Policy.
extern const std::string_view kPagePolicy;  // NOLINT(readability-identifier-naming)

}  // namespace qatime::admin
