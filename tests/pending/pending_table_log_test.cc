// SPDX-License-Identifier: MIT
// What the table knows of the log: which of its items are in a row, and which are to be written.
#include <algorithm>
#include <string>
#include <vector>

#include "catch.h"
#include "manual_clock.h"
#include "pending/log_index.h"
#include "pending/pending_table.h"

namespace qatime::backlog::pending_table_log_test {
namespace {

Time at(int second) { return Time{std::chrono::seconds{second}}; }

struct Fixture {
  PendingTable::Added add(std::string_view path, int time) { return table.add(*exports.place(path), at(time), true); }

  // Writes what is to be written to a row of its own, and says what that was; what leaves by that ends with a dash.
  std::vector<std::string> write(bool evicts = false) {
    row = rows.open(++sequence, at(0));
    std::vector<std::string> written;
    std::vector<Slot> slots;
    for (const auto& unwritten : table.take_unwritten()) slots.push_back(unwritten.item);
    table.write(
        row, slots, [&] { return evicts; },
        [&](const PendingTable::Written& access) {
          written.push_back(join(access.directory, access.name) + ' ' +
                            std::to_string(access.time.time_since_epoch() / std::chrono::seconds{1}) +
                            (access.stays ? "" : " -"));
          rows.append(row, !access.stays);
          return true;
        });
    rows.commit(row, 100);
    return written;
  }

  [[nodiscard]] bool is_dead(Slot one) const {
    const auto unneeded = rows.unneeded(at(0), std::chrono::seconds{60});
    return std::find(unneeded.begin(), unneeded.end(), one) != unneeded.end();
  }

  Exports exports;
  ManualClock clock;
  LogIndex rows;
  PendingTable table{exports, clock.now(), {}, &rows};
  std::uint64_t sequence = 0;
  Slot row = kNoSlot;
};

using Written = std::vector<std::string>;

}  // namespace

TEST_CASE_METHOD(Fixture, "an item is written once, and again when it has a newer time") {
  add("/a", 1);
  add("/a", 2);
  CHECK(write() == Written{"/a 2"});
  const Slot first = row;
  add("/a", 1);
  CHECK(write().empty());
  add("/a", 3);
  CHECK_FALSE(is_dead(first));
  CHECK(write() == Written{"/a 3"});
  CHECK(is_dead(first));
}

TEST_CASE_METHOD(Fixture, "an item that is gone is not written, nor is another one in its place by mistake") {
  add("/a", 1);
  table.settle(table.take(0, 1, 0).entries.at(0).ticket);
  CHECK(write().empty());
  add("/b", 1);
  table.settle(table.take(0, 1, 0).entries.at(0).ticket);
  add("/c", 2);
  CHECK(write() == Written{"/c 2"});
}

TEST_CASE_METHOD(Fixture, "what is to be written does not grow with what is settled before") {
  for (int i = 0; i < 100'000; ++i) {
    add("/a" + std::to_string(i), i);
    table.settle(table.take(0, 1, 0).entries.at(0).ticket);
  }
  CHECK(table.unwritten() < 10'000);
}

TEST_CASE_METHOD(Fixture, "only what just waits leaves when it is written") {
  for (const char* const path : {"/d/flies", "/d/flies-and-waits", "/d/tried", "/d/delayed"}) add(path, 1);
  const Slice slice = table.take(0, 10, 0);
  REQUIRE(slice.entries.size() == 4);
  add("/d/flies-and-waits", 2);
  table.put_back(slice.entries[2].ticket, clock.now(), {1, clock.now(), false});
  table.advance(clock.now());
  CHECK(table.take(0, 0, 0).entries.empty());  // what was tried waits again
  table.put_back(slice.entries[3].ticket, clock.now() + std::chrono::seconds{1}, {});
  add("/d/waits", 1);
  add("/e/waits", 1);
  const Written written = write(true);
  CHECK(written ==
        Written{"/d/flies 1", "/d/flies-and-waits 2", "/d/tried 1", "/d/delayed 1", "/d/waits 1 -", "/e/waits 1 -"});
  CHECK(table.pending() == 5);
  CHECK(rows[row].in_memory == 4);
  CHECK(rows.on_disk() == 2);
  CHECK(rows[row].is_on_disk == std::vector<bool>{false, false, false, false, true, true});
  add("/d/waits", 3);
  CHECK(write(false) == Written{"/d/waits 3"});
}

TEST_CASE_METHOD(Fixture, "of many at once each that leaves is written and gone") {
  std::vector<std::string> all;
  for (int i = 0; i < 90; ++i) {
    const std::string path = "/d" + std::to_string(i % 7) + "/" + std::string(static_cast<std::size_t>(i), 'x') + "y";
    add(path, i);
    all.push_back(path + ' ' + std::to_string(i) + " -");
  }
  CHECK(write(true) == all);
  CHECK(table.pending() == 0);
  CHECK(rows.on_disk() == 90);
  CHECK_FALSE(is_dead(row));
}

TEST_CASE_METHOD(Fixture, "what comes back is in its row unless something newer is there") {
  const Slot old = rows.open(++sequence, at(0));
  rows.commit(old, 100);
  add("/newer", 5);
  add("/older", 1);
  CHECK(table.restore(*exports.place("/newer"), at(3), {old, true}) == PendingTable::Added::coalesced);
  CHECK(table.restore(*exports.place("/older"), at(3), {old, true}) == PendingTable::Added::coalesced);
  CHECK(table.restore(*exports.place("/other"), at(3), {old, true}) == PendingTable::Added::waits);
  CHECK(rows[old].in_memory == 3);
  CHECK(write() == Written{"/newer 5"});
  CHECK(rows[old].in_memory == 2);
}

TEST_CASE_METHOD(Fixture, "what is to be written holds the rows of all accesses that it stands for") {
  std::vector<Slot> old;
  for (int i = 0; i < 4; ++i) {
    old.push_back(rows.open(++sequence, at(0)));
    rows.commit(old.back(), 100);
  }
  const auto dead = [&] {
    rows.end_joints();
    return std::count_if(old.begin(), old.end(), [&](Slot one) { return is_dead(one); });
  };
  add("/a", 5);
  for (std::size_t i = 0; i < 3; ++i) table.restore(*exports.place("/a"), at(static_cast<int>(i)), {old[i], true});
  std::vector<PendingTable::Withdrawn> withdrawn;
  table.withdraw("/a", false, at(9), [&](PendingTable::Withdrawn one) { withdrawn.push_back(std::move(one)); });
  REQUIRE(withdrawn.size() == 1);
  table.restore(*exports.place("/b"), at(6), {old[3], false});
  table.restore(*exports.place("/b"), withdrawn[0].time, {withdrawn[0].row, false});
  CHECK(dead() == 0);
  CHECK(write() == Written{"/b 6"});
  CHECK(dead() == 4);
}

TEST_CASE_METHOD(Fixture, "what is left of a sparse row is written again") {
  add("/a", 1);
  write();
  const Slot sparse = row;
  add("/b", 1);
  write();
  CHECK_FALSE(table.renew(0, 2000, [&](Slot one) { return one == sparse; }));
  CHECK(write() == Written{"/a 1"});
  CHECK(is_dead(sparse));
}

TEST_CASE("a row of changes is needed as long as accesses that have to go through them") {
  LogIndex rows;
  const auto open = [&](std::uint64_t sequence, int written, std::uint32_t accesses, std::uint32_t changes) {
    const Slot row = rows.open(sequence, at(written));
    rows[row].accesses = accesses;
    rows[row].changes = changes;
    rows.commit(row, 100);
    rows.set_on_disk(row, accesses);
    return row;
  };
  const auto unneeded = [&](int now) { return rows.unneeded(at(now), std::chrono::seconds{60}); };
  const Slot before = open(1, 1000, 0, 1);
  const Slot accesses = open(2, 1050, 3, 0);
  const Slot after = open(3, 1100, 0, 1);
  CHECK(unneeded(5000).empty());  // the first came less than 60 s before the accesses
  rows.set_on_disk(accesses, 0);
  CHECK(unneeded(1100) == std::vector<Slot>{before, accesses});
  CHECK(unneeded(1161) == std::vector<Slot>{before, accesses, after});
}

}  // namespace qatime::backlog::pending_table_log_test
