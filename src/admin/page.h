// SPDX-License-Identifier: MIT
// The page for browsers; page.html, which embed.py makes code of.
#pragma once

#include <string_view>

namespace qatime::admin {

extern const std::string_view kPage;  // NOLINT(readability-identifier-naming)
// Its Content-Security-Policy.
extern const std::string_view kPagePolicy;  // NOLINT(readability-identifier-naming)

}  // namespace qatime::admin
