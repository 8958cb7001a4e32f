// SPDX-License-Identifier: MIT
// The store on files that are damaged: it opens, says so, and gives nothing that was never committed.
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "catch.h"
#include "config/config.h"
#include "store/batches.h"
#include "store/salvage.h"
#include "store/sqlite.h"
#include "store/store.h"
#include "store/verify.h"

namespace qatime::backlog::store_damage_test {
namespace {

constexpr std::size_t kPage = 16384;

bool is_long() { return std::getenv("QATIME_TEST_LONG") != nullptr; }

std::string content(const std::string& file) {
  std::ifstream stream{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{stream}, {}};
}

void replace_content(const std::string& file, const std::string& bytes) {
  std::ofstream{file, std::ios::binary | std::ios::trunc} << bytes;
}

constexpr std::size_t kSizes[] = {100, 1000, 3900, 20'000, 5000, 200, 9000};
constexpr std::uint64_t kDeleted[] = {2, 5};

Batch original(std::uint64_t sequence) { return batch(sequence, kSizes[sequence % 7]); }

// The two files of a store that was not closed: half of it is in each.
struct Files {
  std::string file;
  std::string log;
};

const Files& sample() {
  static const Files files = [] {
    const TemporaryDirectory directory{fast_place()};
    const std::string path = directory.path() + "/backlog.db";
    {
      Store store{directory.path()};
      for (std::uint64_t i = 1; i <= 20; ++i) commit(store, original(i));
    }
    Store store{directory.path()};
    for (std::uint64_t i = 21; i <= 30; ++i) commit(store, original(i));
    store.commit(nullptr, kDeleted);
    return Files{content(path), content(path + "-wal")};
  }();
  return files;
}

// How many batches a store gives that finds `files`, all of which it was given once.
std::size_t right_batches(const Files& files) {
  const TemporaryDirectory directory{fast_place()};
  replace_content(directory.path() + "/backlog.db", files.file);
  if (!files.log.empty()) replace_content(directory.path() + "/backlog.db-wal", files.log);
  std::size_t count = 0;
  Store store{directory.path()};
  for (const std::uint64_t sequence : sequences(store)) {
    const auto changes = store.read_changes(sequence);
    if (changes) CHECK(*changes == original(sequence).changes);
    const auto found = store.read(sequence);
    if (found) REQUIRE(same(*found, original(sequence)));
    if (found) ++count;
  }
  commit(store, batch(1000));  // it goes on
  CHECK(store.read(1000));
  return count;
}

void flip(std::string& bytes, std::size_t bit) {
  bytes.at(bit / 8) = static_cast<char>(static_cast<unsigned char>(bytes.at(bit / 8)) ^ (1U << bit % 8));
}

std::string corrupt_file(const std::string& directory) {
  for (const auto& entry : std::filesystem::directory_iterator{directory}) {
    const std::string name = entry.path().string();
    if (name.find(".corrupt-") != std::string::npos && !name.ends_with("-wal")) return name;
  }
  return "";
}

}  // namespace

TEST_CASE("TheUndamagedFilesGiveAll") { CHECK(right_batches(sample()) == 28); }

TEST_CASE("SalvageFindsAllThatWasCommittedAndNotDeletedWithoutSQLite") {
  const TemporaryDirectory directory{fast_place()};
  const std::string file = directory.path() + "/x";
  replace_content(file, sample().file);
  replace_content(file + "-wal", sample().log);
  std::size_t accesses = 0;
  std::size_t count = 0;
  const Salvaged found = salvage(file, [&](const Batch& one) {
    CHECK(same(one, original(one.sequence)));
    CHECK(one.sequence != 2);
    CHECK(one.sequence != 5);
    accesses += one.accesses;
    ++count;
  });
  CHECK(found.batches == 28);
  CHECK(count == 28);
  CHECK(found.accesses == accesses);
  CHECK(found.damaged == 0);
  CHECK(salvage(directory.path() + "/none", [](const Batch&) {}).batches == 0);
}

TEST_CASE("AFileCutAtAnyPageGivesWhatIsLeftOfIt") {
  for (std::size_t size = 0; size < sample().file.size(); size += kPage / 4) {
    CAPTURE(size);
    right_batches({sample().file.substr(0, size), sample().log});
    right_batches({sample().file.substr(0, size + kPage / 8), ""});
  }
}

TEST_CASE("ALogCutAnywhereGivesWhatWasCommittedUpToThere") {
  std::size_t before = 0;
  const std::size_t step = is_long() ? 1030 : 4120;
  for (std::size_t size = 0; size < sample().log.size(); size += step) {
    CAPTURE(size);
    const std::size_t count = right_batches({sample().file, sample().log.substr(0, size)});
    if (size < sample().log.size() - 20'000) CHECK(count >= before);
    before = count;
  }
  CHECK(before >= 28);
}

// user_version and application_id: https://www.sqlite.org/fileformat.html#the_database_header
TEST_CASE("ABitFlippedInTheNumbersThatSayWhoseAFileIsCostsNothing") {
  for (const std::size_t begin : {60U, 68U}) {
    for (std::size_t bit = begin * 8; bit < (begin + 4) * 8; ++bit) {
      CAPTURE(bit);
      Files files{sample().file, ""};
      const std::size_t whole = right_batches(files);
      flip(files.file, bit);
      CHECK(right_batches(files) == whole);
    }
  }
}

TEST_CASE("ABitFlippedAnywhereInTheFileOrItsLogLosesLittleAndInventsNothing", "[one-thread]") {
  const std::size_t step = is_long() ? 997 : 19'997;
  for (std::size_t bit = 3; bit < sample().file.size() * 8; bit += bit < kPage * 8 ? 97 : step) {
    CAPTURE(bit);
    Files files = sample();
    flip(files.file, bit);
    right_batches(files);
    files.log.clear();  // then what is on the pages that the log hides, too
    CHECK(right_batches(files) >= 4);
  }
  for (std::size_t bit = 3; bit < sample().log.size() * 8; bit += step) {
    CAPTURE(bit);
    Files files = sample();
    flip(files.log, bit);
    CHECK(right_batches(files) >= 18);
  }
}

TEST_CASE("AFileThatSQLiteRefusesIsKeptAndWhatIsInItGoesOn") {
  const TemporaryDirectory directory{fast_place()};
  const std::string file = directory.path() + "/backlog.db";
  std::string bytes = sample().file;
  bytes.replace(0, 100, std::string(100, '?'));
  replace_content(file, bytes);
  replace_content(file + "-wal", "");
  Store store{directory.path()};
  CHECK(sequences(store).size() == 20);
  const std::string kept = corrupt_file(directory.path());
  CHECK(content(kept) == bytes);
  CHECK(std::filesystem::exists(kept + "-wal"));
}

TEST_CASE("AFileOfSmallPagesGoesOnAndIsReadEvenIfItsHeaderIsLost") {
  const TemporaryDirectory directory{fast_place()};
  const std::string file = directory.path() + "/backlog.db";
  replace_content(file, "");
  sqlite::Database{file}.run("PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL; VACUUM");
  {
    Store store{directory.path()};
    for (std::uint64_t i = 1; i <= 20; ++i) commit(store, original(i));
  }
  std::string bytes = content(file);
  REQUIRE(bytes.substr(16, 2) == std::string{"\x10\0", 2});  // the size of its pages
  bytes.replace(0, 100, std::string(100, '?'));
  CHECK(right_batches({bytes, ""}) == 20);
}

TEST_CASE("ARowWhoseChecksumIsWrongIsSetAsideAndDeletedTheOthersGoOn") {
  const TemporaryDirectory directory{fast_place()};
  const std::string file = directory.path() + "/backlog.db";
  Batch marked = batch(2);
  marked.entries.replace(500, 6, "marker");
  {
    Store store{directory.path()};
    commit(store, batch(1));
    commit(store, marked);
    commit(store, batch(3));
  }
  std::string bytes = content(file);
  bytes.replace(bytes.find("marker"), 6, "MARKER");
  replace_content(file, bytes);
  Store store{directory.path()};
  CHECK(sequences(store) == std::vector<std::uint64_t>{1, 2, 3});
  CHECK(store.read_changes(2) == marked.changes);  // they have a checksum of their own
  CHECK_FALSE(store.read(2));
  CHECK(sequences(store) == std::vector<std::uint64_t>{1, 3});
  CHECK(same(store.read(3).value(), batch(3)));
  const std::string kept = content(corrupt_file(directory.path()));
  CHECK_THAT(kept, Catch::StartsWith("batch 2 of 2026-01-27T14:12:23.000000002Z, damaged: 10 accesses"));
  CHECK_THAT(kept, Catch::Contains("MARKER"));
}

TEST_CASE("AReplacementThatACrashInterruptedIsFinishedByTheNextStart") {
  const TemporaryDirectory directory{fast_place()};
  const std::string file = directory.path() + "/backlog.db";
  {
    Store store{directory.path()};
    commit(store, batch(7));
  }
  std::filesystem::rename(file, file + ".whole");
  replace_content(file, "what was damaged");
  replace_content(file + "-wal", "its log");
  replace_content(file + ".new", "half of another one");
  Store store{directory.path()};
  CHECK(sequences(store) == std::vector<std::uint64_t>{7});
  CHECK(content(corrupt_file(directory.path())) == "what was damaged");
}

TEST_CASE("AReplacementThatTheDiskInterruptedIsFinishedByTheNextCall") {
  const TemporaryDirectory directory{fast_place()};
  const std::string file = directory.path() + "/backlog.db";
  {
    Store store{directory.path()};
    commit(store, batch(7));
  }
  std::filesystem::rename(file, file + ".away");
  std::filesystem::create_directory(file);
  Store store{directory.path()};
  CHECK_THROWS_AS(store.rows(), StoreError);
  std::filesystem::remove(file);
  std::filesystem::rename(file + ".away", file + ".whole");
  CHECK(sequences(store) == std::vector<std::uint64_t>{7});
  commit(store, batch(8));
  CHECK_FALSE(std::filesystem::exists(file + ".whole"));
}

namespace {

// Opens what cannot be read in full by SQLite, with `room` bytes on the disk. Returns its sequences.
std::vector<std::uint64_t> opened_with_room(const std::string& directory, std::size_t room) {
  std::string bytes = sample().file;
  bytes.replace(0, 100, std::string(100, '?'));
  replace_content(directory + "/backlog.db", bytes);
  replace_content(directory + "/backlog.db-wal", "");
  pretended_room = room;
  Store store{directory};
  pretended_room.reset();
  const auto found = sequences(store);
  CHECK(content(corrupt_file(directory)) == bytes);
  for (const std::uint64_t sequence : found) CHECK(same(store.read(sequence).value(), original(sequence)));
  commit(store, batch(1000));
  return found;
}

}  // namespace

TEST_CASE("ADamagedFileIsSetAsideWhateverTheRoomAndTheLatestBatchesThatHaveRoomGoOn") {
  std::size_t before = 0;
  for (std::size_t room = 0; room < 1 << 20; room += 32 << 10) {
    CAPTURE(room);
    const TemporaryDirectory directory{fast_place()};
    const auto found = opened_with_room(directory.path(), room);
    CHECK(found.size() >= before);
    for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i] == 20 - found.size() + 1 + i);
    if (room == 0) CHECK(found.empty());
    std::uintmax_t size = 0;
    for (const std::uint64_t sequence : found) size += original(sequence).entries.size();
    CHECK(2 * size <= room);
    before = found.size();
  }
  CHECK(before == 20);
}

TEST_CASE("OfWhatIsSetAsideTheLatestFilesAreKept") {
  const TemporaryDirectory directory{fast_place()};
  const std::string prefix = directory.path() + "/backlog.db.corrupt-";
  const std::vector<std::string> old{"20250101T000000Z",   "20260101T000000Z",    "20260101T000000Z-2",
                                     "20260101T000000Z-9", "20260101T000000Z-10", "20260102T000000Z",
                                     "20260103T000000Z"};
  for (const auto& time : old) {
    replace_content(prefix + time, "x");
    replace_content(prefix + time + "-wal", "x");
  }
  opened_with_room(directory.path(), SIZE_MAX / 2);
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator{directory.path()}) {
    const std::string name = entry.path().string();
    if (name.starts_with(prefix) && !name.ends_with("-wal")) ++count;
  }
  CHECK(count == Store::kMostKept);
  for (std::size_t i = 0; i < old.size(); ++i) {
    CAPTURE(old[i]);
    CHECK(std::filesystem::exists(prefix + old[i]) == (i >= 3));
    CHECK(std::filesystem::exists(prefix + old[i] + "-wal") == (i >= 3));
  }
}

TEST_CASE("VerifyingReadsAllWithoutWritingAndSaysWhatIsDamaged") {
  const TemporaryDirectory directory{fast_place()};
  const std::string file = directory.path() + "/backlog.db";
  CHECK(verify(directory.path()).text.empty());
  {
    Store store{directory.path()};
    commit(store, batch(1));
    const Verification busy = verify(directory.path());
    CHECK(busy.right);
    CHECK_THAT(busy.text, Catch::Contains("in use"));
  }
  replace_content(file, sample().file);
  replace_content(file + "-wal", sample().log);
  const Verification right = verify(directory.path());
  CHECK(right.right);
  CHECK_THAT(right.text,
             Catch::Contains("28 batches") && Catch::Contains("the oldest of 2026-01-27T14:12:23.000000001Z"));
  CHECK(content(file) == sample().file);
  CHECK(content(file + "-wal") == sample().log);
  std::string bytes = sample().file;
  bytes[bytes.size() - 50] = 'X';
  replace_content(file, bytes);
  replace_content(file + "-wal", "");
  const Verification damaged = verify(directory.path());
  CHECK_FALSE(damaged.right);
  CHECK_THAT(damaged.text, Catch::Contains("19 batches") && Catch::Contains("1 more batches are damaged"));
  bytes[0] = 'X';
  replace_content(file, bytes);
  CHECK_THAT(verify(directory.path()).text, Catch::Contains("the file is damaged"));
}

}  // namespace qatime::backlog::store_damage_test
