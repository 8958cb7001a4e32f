// SPDX-License-Identifier: MIT
// Boost.JSON's own code, compiled once, because Debian has no static library of it.
#include <boost/json/src.hpp>
