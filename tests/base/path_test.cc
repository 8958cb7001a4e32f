// SPDX-License-Identifier: MIT
#include "base/path.h"

#include "catch.h"

namespace qatime::path_test {

TEST_CASE("One trailing slash marks a directory and is no part of a path") {
  CHECK(normal_path("/Demo/") == "/Demo");
  CHECK(normal_path("/Demo/file") == "/Demo/file");
  CHECK(normal_path("/") == "/");
}

TEST_CASE("Paths that are relative, empty in a component or climbing are not normal") {
  for (const char* path : {"", "a", "a/b", "//", "//a", "/a//", "/a//b", "/.", "/..", "/a/../b", "/a/./b", "/a/.."}) {
    CAPTURE(path);
    CHECK_FALSE(normal_path(path));
  }
  CHECK_FALSE(normal_path({"/a\0b", 4}));
}

TEST_CASE("Names that only look special are normal") {
  for (const char* path : {"/...", "/.a", "/..a/b", "/-", "/ ", "/a\tb", "/\xff\xfe", "/*", "/#012", "/a,b", "/\""}) {
    CAPTURE(path);
    CHECK(normal_path(path) == path);
  }
}

TEST_CASE("A component has 255 bytes at most") {
  CHECK(normal_path("/" + std::string(255, 'x') + "/y"));
  CHECK_FALSE(normal_path("/" + std::string(256, 'x') + "/y"));
}

TEST_CASE("Prefixes match whole components") {
  CHECK(is_within("/a/b", "/a"));
  CHECK(is_within("/a", "/a"));
  CHECK(is_within("/a", "/"));
  CHECK_FALSE(is_within("/ab", "/a"));
  CHECK_FALSE(is_within("/a", "/a/b"));
}

TEST_CASE("A component is found only when it is whole") {
  CHECK(has_component("/.snapshot", ".snapshot"));
  CHECK(has_component("/a/.snapshot/b", ".snapshot"));
  CHECK(has_component("/x.snapshot/.snapshot", ".snapshot"));
  CHECK_FALSE(has_component("/a/.snapshots", ".snapshot"));
  CHECK_FALSE(has_component("/a/x.snapshot", ".snapshot"));
}

TEST_CASE("What lies below a renamed directory follows it") {
  CHECK(rebase("/a/b", "/a", "/c") == "/c/b");
  CHECK(rebase("/a", "/a", "/c/d") == "/c/d");
  CHECK(rebase("/a/b", "/a", "/") == "/b");
  CHECK(rebase("/a", "/a", "/") == "/");
  CHECK(rebase("/a/b", "/", "/c") == "/c/a/b");
  CHECK(rebase("/", "/", "/c") == "/c");
}

TEST_CASE("A directory and a name make a path") {
  CHECK(join("/", "a") == "/a");
  CHECK(join("/a", "b") == "/a/b");
  CHECK(join("/a", "") == "/a");
  CHECK(join("/", "") == "/");
}

TEST_CASE("The export with the longest matching path has the object, its root without a name") {
  const Exports exports{{"/", "/data", "/data/deep"}};
  const Exports reversed{{"/data/deep", "/data", "/"}};
  const auto check = [&](std::string_view path, std::size_t export_index, std::string_view directory,
                         std::string_view name) {
    CAPTURE(path);
    const auto place = exports.place(path);
    REQUIRE(place);
    CHECK(place->export_index == export_index);
    CHECK(place->directory == directory);
    CHECK(place->name == name);
    CHECK(reversed.place(path)->export_index == 2 - export_index);
  };
  check("/", 0, "/", "");
  check("/x", 0, "/", "x");
  check("/x/y", 0, "/x", "y");
  check("/database", 0, "/", "database");
  check("/data", 1, "/data", "");
  check("/data/x", 1, "/data", "x");
  check("/data/deep", 2, "/data/deep", "");
  check("/data/deep/x/y", 2, "/data/deep/x", "y");
}

TEST_CASE("A path below no export has no place") {
  const Exports exports{{"/data"}};
  CHECK_FALSE(exports.place("/other/x"));
  CHECK_FALSE(exports.place("/"));
  CHECK_FALSE(exports.place("/dat"));
}

}  // namespace qatime::path_test
