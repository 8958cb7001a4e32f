// SPDX-License-Identifier: MIT
// What a record of the CSV form costs in allocations: nothing.
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include <fmt/core.h>

#include "catch.h"
#include "ingest/intake.h"
#include "ingest/parse/framing.h"

namespace {

std::atomic<std::size_t> allocations{0};

}  // namespace

// Of this whole program.
void* operator new(std::size_t size, const std::nothrow_t& /*tag*/) noexcept {
  ++allocations;
  return std::malloc(size > 0 ? size : 1);
}

void* operator new(std::size_t size) {
  if (void* const memory = operator new(size, std::nothrow)) return memory;
  throw std::bad_alloc{};
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t /*size*/) noexcept { std::free(memory); }

namespace qatime::ingest::allocation_test {
namespace {

// Records with and without what has to be unescaped, some that qualify and some that do not, moves and removals.
std::string make_stream() {
  std::string stream;
  for (int i = 0; i < 400; ++i) {
    stream += fmt::format(
        R"(<14>1 2026-01-27T14:12:23.{:06}Z q-1 qumulo - - - 192.0.2.1,"AD\user",smb2,{},ok,{},"/a/{}/b{}.dat","{}"{})",
        i,
        i % 5 < 3    ? "fs_read_data"
        : i % 5 == 3 ? "fs_open"
                     : "fs_rename",
        i, i, i % 7 == 0 ? R"("")" : "", i % 5 == 4 ? "/a/moved" : "", '\n');
  }
  return stream;
}

TEST_CASE("A CSV record costs no allocation") {
  const Exports exports;
  const SelfAddresses self;
  const Policy policy{PolicyConfig{}, exports, self};
  metrics::Registry metrics;
  std::size_t events = 0;
  Intake intake{policy, {}, metrics, [&](Events batch) { events += batch.size(); }};
  const std::string stream = make_stream();
  Framer framer{256 << 10};

  const auto take_in = [&] {
    intake.begin(Transport::tcp, stream.size());
    const std::span<char> space = framer.writable();
    stream.copy(space.data(), stream.size());
    framer.commit(stream.size());
    while (const auto frame = framer.next()) intake.message(frame->bytes);
    intake.flush();
  };
  take_in();  // the batch and the buffer have grown to their size then
  REQUIRE(events == 320);
  const std::size_t before = allocations;
  for (int i = 0; i < 10; ++i) take_in();
  CHECK(allocations == before);
  CHECK(events == 11 * 320);
}

}  // namespace
}  // namespace qatime::ingest::allocation_test
