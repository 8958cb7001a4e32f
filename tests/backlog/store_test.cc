// SPDX-License-Identifier: MIT
#include "backlog/store.h"

#include <string>
#include <vector>

#include "catch.h"
#include "temporary_directory.h"

using namespace std::chrono_literals;
using namespace qatime;
using namespace qatime::backlog;

namespace {

Batch batch(std::uint64_t sequence, std::size_t size = 1000) {
  Batch made{sequence,
             Time{1769523143s + std::chrono::nanoseconds{sequence}},
             static_cast<std::uint32_t>(size / 100),
             static_cast<std::uint32_t>(sequence % 3),
             std::string(size / 10, 'c'),
             std::string(size, 'e')};
  made.entries[size / 2] = static_cast<char>(sequence);
  return made;
}

void commit(Store& store, const Batch& one) { store.commit(&one, {}); }

bool same(const Batch& a, const Batch& b) {
  return a.sequence == b.sequence && a.written == b.written && a.accesses == b.accesses &&
         a.changes_count == b.changes_count && a.changes == b.changes && a.entries == b.entries;
}

}  // namespace

TEST_CASE("what is committed is read back, by this store and by the next") {
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

TEST_CASE("what is dead is deleted with the commit that says so") {
  const TemporaryDirectory directory;
  {
    Store store{directory.path()};
    for (std::uint64_t i = 1; i <= 10; ++i) commit(store, batch(i));
    const std::vector<std::uint64_t> dead{1, 5, 77};
    const Batch next = batch(11);
    store.commit(&next, dead);
    store.commit(nullptr, std::vector<std::uint64_t>{2});
    CHECK(store.rows().size() == 8);
  }
  Store store{directory.path()};
  CHECK(store.rows().front().sequence == 3);
  CHECK(store.rows().back().sequence == 11);
  CHECK_FALSE(store.read(5));
}
