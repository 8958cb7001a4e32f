// SPDX-License-Identifier: MIT
#include "store/store.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <stdlib.h>

#include "catch.h"
#include "config/config.h"
#include "store/batches.h"
#include "store/verify.h"

namespace qatime::backlog::store_test {

TEST_CASE("WhatIsCommittedIsReadBackByThisStoreAndByTheNext") {
  const TemporaryDirectory directory;
  const std::vector<Batch> batches{batch(1), batch(2, 100'000), batch(300, 5'000'000), {4, {}, 0, 0, "", ""}};
  const auto check = [&](Store& store) {
    for (const Batch& one : batches) {
      const auto found = store.read(one.sequence);
      REQUIRE(found);
      CHECK(same(*found, one));
      CHECK(store.read_changes(one.sequence) == one.changes);
    }
    const auto rows = store.rows();
    REQUIRE(rows.size() == batches.size());
    CHECK(rows[0].sequence == 1);
    CHECK(rows[2].sequence == 4);
    CHECK(rows[3].sequence == 300);
    CHECK(rows[3].written == batches[2].written);
    CHECK(rows[3].accesses == 50'000);
    CHECK(rows[1].changes == 2);
    CHECK(rows[1].bytes == 110'000);
    CHECK(store.bytes() > 5'610'000);
  };
  {
    Store store{directory.path()};
    CHECK(store.rows().empty());
    for (const Batch& one : batches) commit(store, one);
    check(store);
    CHECK_FALSE(store.read(5));
    CHECK_FALSE(store.read_changes(5));
  }
  Store next{directory.path()};
  check(next);
}

TEST_CASE("WhatIsDeadIsDeletedWithTheCommitThatSaysSo") {
  const TemporaryDirectory directory;
  {
    Store store{directory.path()};
    for (std::uint64_t i = 1; i <= 10; ++i) commit(store, batch(i));
    const std::vector<std::uint64_t> unneeded{1, 5, 77};
    const Batch next = batch(11);
    store.commit(&next, unneeded);
    store.commit(nullptr, std::vector<std::uint64_t>{2});
    CHECK(store.rows().size() == 8);
  }
  Store store{directory.path()};
  CHECK(store.rows().front().sequence == 3);
  CHECK(store.rows().back().sequence == 11);
  CHECK_FALSE(store.read(5));
}

namespace {

unsigned mode(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 0777U : 0;
}

std::string refusal(const std::string& directory) {
  try {
    const Store store{directory};
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

// As the sqlite3 program would do.
void edit(const std::string& file, const char* sql) {
  sqlite::Database database{file};
  database.run(sql);
}

}  // namespace

TEST_CASE("NobodyElseCanReadTheFilesWhateverTheyWere") {
  const TemporaryDirectory directory;
  const std::string state = directory.path() + "/state";
  {
    Store store{state};
    commit(store, batch(1));
    CHECK(mode(state) == 0700);
    CHECK(mode(state + "/backlog.db") == 0600);
    CHECK(mode(state + "/backlog.db-wal") == 0600);
    CHECK(mode(state + "/lock") == 0600);
  }
  std::filesystem::permissions(state + "/backlog.db", std::filesystem::perms{0644});
  Store store{state};
  commit(store, batch(2));
  CHECK(mode(state + "/backlog.db") == 0600);
  CHECK(mode(state + "/backlog.db-wal") == 0600);
}

TEST_CASE("ANewerFormatAndTheFilesOfOthersAreRefusedAndLeftAlone") {
  const TemporaryDirectory directory;
  const std::string file = directory.path() + "/backlog.db";
  {
    Store store{directory.path()};
    commit(store, batch(1));
  }
  edit(file, "PRAGMA user_version = 2");
  CHECK_THAT(refusal(directory.path()), Catch::Contains("format 2") && Catch::Contains("knows format 1"));
  edit(file, "PRAGMA user_version = 1; PRAGMA application_id = 7");
  CHECK_THAT(refusal(directory.path()), Catch::Contains("not a backlog of qatime"));
  edit(file, "PRAGMA application_id = 1902212201");
  Store store{directory.path()};
  CHECK(store.read(1));
}

TEST_CASE("TheFileGivesBackWhatALargeBacklogTookABitWithEachCommit") {
  const TemporaryDirectory directory;
  Store store{directory.path()};
  std::vector<std::uint64_t> all;
  for (std::uint64_t i = 1; i <= 40; ++i) {
    commit(store, batch(i, 2'000'000));
    all.push_back(i);
  }
  CHECK(store.bytes() > 80'000'000);
  store.commit(nullptr, all);
  for (std::uint64_t i = 41; i <= 140; ++i) {
    commit(store, batch(i));
    store.commit(nullptr, std::vector<std::uint64_t>{i});
  }
  CHECK(std::filesystem::file_size(directory.path() + "/backlog.db-wal") < 50'000'000);
  CHECK(store.bytes() < 40'000'000);  // of the write-ahead log
  for (std::uint64_t i = 141; i <= 145; ++i) commit(store, batch(i, 8'000'000));
  CHECK(std::filesystem::file_size(directory.path() + "/backlog.db") < 60'000'000);
}

TEST_CASE("ADirectoryThatIsDeletedOrReplacedUnderItIsMadeAgainWithAllThatWasInIt") {
  const TemporaryDirectory directory;
  const std::string state = directory.path() + "/state";
  const std::string file = state + "/backlog.db";
  std::string then;
  {
    Store store{state};
    for (std::uint64_t i = 1; i <= 3; ++i) commit(store, batch(i));
    SECTION("deleted") { std::filesystem::remove_all(state); }
    SECTION("renamed") { std::filesystem::rename(state, state + "-away"); }
    SECTION("only the file") { std::filesystem::remove(file); }
    SECTION("only its log") { std::filesystem::remove(file + "-wal"); }
    SECTION("replaced") {
      std::filesystem::rename(state, state + "-away");
      const Store other{state};
    }
    const Batch fourth = batch(4);
    store.commit(&fourth, std::vector<std::uint64_t>{2});
    CHECK(same(store.read(3).value(), batch(3)));
    commit(store, batch(5));
    CHECK_THAT(refusal(state), Catch::Contains("in use"));
  }
  Store store{state};
  CHECK(sequences(store) == std::vector<std::uint64_t>{1, 3, 4, 5});
  CHECK(same(store.read(1).value(), batch(1)));
  CHECK(same(store.read(4).value(), batch(4)));
}

TEST_CASE("WhileTheDirectoryCannotBeMadeAgainACommitFailsAndNothingIsLost") {
  const TemporaryDirectory directory;
  const std::string parent = directory.path() + "/parent";
  std::filesystem::create_directory(parent);
  Store store{parent + "/state"};
  commit(store, batch(1));
  std::filesystem::remove_all(parent);
  const Batch second = batch(2);
  CHECK_THROWS_AS(store.commit(&second, {}), StoreError);
  CHECK_THROWS_AS(store.commit(&second, {}), StoreError);
  CHECK(same(store.read(1).value(), batch(1)));
  std::filesystem::create_directory(parent);
  store.commit(&second, {});
  CHECK(sequences(store) == std::vector<std::uint64_t>{1, 2});
  CHECK(std::filesystem::exists(parent + "/state/backlog.db"));
}

TEST_CASE("AStoreThatTheDiskRefusesAtTheStartIsOpenedByTheFirstCallThatCan") {
  const TemporaryDirectory directory;
  const std::string state = directory.path() + "/parent/state";
  const std::string file = state + "/backlog.db";
  Store store{state};
  CHECK_THROWS_WITH(store.rows(), Catch::StartsWith(state + ": No such file"));
  std::filesystem::create_directories(file);
  CHECK_THROWS_WITH(store.rows(), Catch::StartsWith(file + ": Is a directory"));
  std::filesystem::remove(file);
  CHECK(store.rows().empty());
  commit(store, batch(1));
  CHECK_THAT(refusal(state), Catch::Contains("in use"));
}

TEST_CASE("AStoreThatIsOpenedLaterHasTheLockOfTheDirectoryThatIsThereThen") {
  const TemporaryDirectory directory;
  const std::string state = directory.path() + "/state";
  std::filesystem::create_directories(state + "/backlog.db");
  Store store{state};
  CHECK_THROWS_AS(store.rows(), StoreError);
  std::filesystem::rename(state, state + "-away");  // or another file system is mounted there
  std::filesystem::create_directory(state);
  CHECK(store.rows().empty());
  CHECK_THAT(refusal(state), Catch::Contains("in use"));
}

TEST_CASE("WhatAnAdministratorHasToDecideIsWaitedForOnceTheStoreIsThere") {
  const TemporaryDirectory directory;
  const std::string state = directory.path() + "/parent/state";
  Store store{state};
  std::filesystem::create_directories(state);
  {
    const StateDirectory other{state};
    CHECK_THROWS_AS(store.rows(), StoreError);
  }
  CHECK(store.rows().empty());
}

namespace {

std::string content(const std::string& file) {
  std::ifstream stream{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{stream}, {}};
}

// The names, modes and contents of the files in a directory.
std::map<std::string, std::pair<unsigned, std::string>> files(const std::string& directory) {
  std::map<std::string, std::pair<unsigned, std::string>> found;
  for (const auto& entry : std::filesystem::directory_iterator{directory}) {
    found[entry.path()] = {mode(entry.path()), content(entry.path())};
  }
  return found;
}

// Copies a store that is open, as a crash would leave it.
void copy_open(const std::string& from, const std::string& to) {
  std::filesystem::copy(from, to);
  std::filesystem::remove(to + "/lock");
  std::ofstream{to + "/lock"} << fmt::format("{}\n", ::getpid());
  std::filesystem::permissions(to + "/lock", std::filesystem::perms{0600});
}

}  // namespace

TEST_CASE("OpeningAFileThatIsThereWritesNothing") {
  const TemporaryDirectory directory;
  const std::string state = directory.path() + "/state";
  const std::string crashed = directory.path() + "/crashed";
  std::optional<Store> store{state};
  commit(*store, batch(1));
  copy_open(state, crashed);
  store.reset();
  for (const std::string& one : {state, crashed}) {
    CAPTURE(one);
    const auto before = files(one);
    store.emplace(one);
    CHECK(sequences(*store) == std::vector<std::uint64_t>{1});
    CHECK(same(store->read(1).value(), batch(1)));
    CHECK(files(one) == before);
  }
}

TEST_CASE("WhatIsRefusedIsLeftAsItIs") {
  const TemporaryDirectory directory;
  const std::string state = directory.path() + "/state";
  const std::string crashed = directory.path() + "/crashed";
  const char* whose = GENERATE("PRAGMA user_version = 2", "PRAGMA user_version = 0x7fffffff",
                               "PRAGMA application_id = 7", "PRAGMA application_id = 0; PRAGMA user_version = 7");
  CAPTURE(whose);
  {
    Store store{state};
    commit(store, batch(1));
  }
  {
    sqlite::Database database{state + "/backlog.db"};
    database.run("PRAGMA locking_mode = EXCLUSIVE");
    database.run(whose);
    CHECK(std::filesystem::file_size(state + "/backlog.db-wal") > 0);
    copy_open(state, crashed);  // only the write-ahead log says whose it is
  }
  std::filesystem::permissions(crashed + "/backlog.db", std::filesystem::perms{0644});
  for (const std::string& one : {state, crashed}) {
    CAPTURE(one);
    const auto before = files(one);
    CHECK_THAT(refusal(one), Catch::StartsWith(one + "/backlog.db is "));
    CHECK_THROWS_AS(verify(one), ConfigError);
    CHECK(files(one) == before);
  }
  // Even where an interrupted replacement is to be finished.
  std::filesystem::rename(state + "/backlog.db", state + "/backlog.db.whole");
  std::filesystem::copy(crashed + "/backlog.db", state + "/backlog.db");
  const auto before = files(state);
  CHECK_THAT(refusal(state), Catch::StartsWith(state + "/backlog.db.whole is "));
  CHECK(files(state) == before);
}

TEST_CASE("AFileWithoutAVersionIsReadAndGetsOneWithTheFirstCommit") {
  const TemporaryDirectory directory;
  const std::string file = directory.path() + "/backlog.db";
  {
    Store store{directory.path()};
    commit(store, batch(1));
  }
  edit(file, "PRAGMA user_version = 0; PRAGMA application_id = 0");
  {
    Store store{directory.path()};
    CHECK(same(store.read(1).value(), batch(1)));
    commit(store, batch(2));
  }
  sqlite::Database database{file};
  CHECK(database.number("PRAGMA user_version") == 1);
  CHECK(database.number("PRAGMA application_id") == 0x71617469);
  CHECK(database.number("SELECT count(*) FROM batch") == 2);
}

}  // namespace qatime::backlog::store_test
