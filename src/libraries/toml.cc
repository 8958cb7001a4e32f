// SPDX-License-Identifier: MIT
// toml++'s own code, compiled once (TOML_HEADER_ONLY=0), because no distribution needs to have a library of it.
#define TOML_IMPLEMENTATION
#include <toml++/toml.h>
