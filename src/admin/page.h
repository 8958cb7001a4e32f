// SPDX-License-Identifier: MIT
// The page for browsers; page.html, which embed.py makes code of.
#pragma once

#include <string_view>

namespace qatime::admin {

extern const std::string_view kPage;
// Its Content-Security-Policy.
extern const std::string_view kPagePolicy;

}  // namespace qatime::admin
