// SPDX-License-Identifier: MIT
#include "redis/reader.h"

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <utility>

#include "store/codec.h"

namespace qatime::backlog::redis {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kPage = 512;  // members
constexpr auto kLeastRest = 10ms;   // between reading a shard in vain and reading it again
constexpr auto kMostRest = 2s;

}  // namespace

Reader::Reader(const Keys& keys, Servers& servers, Claims& claims)
    : keys_{keys}, servers_{servers}, claims_{claims}, scans_(keys.shards()) {}

bool Reader::fill() {
  assert(thread_.is_current());
  const auto now = std::chrono::steady_clock::now();
  std::vector<ShardPage> pages = read_pages(now);
  read_changes();
  claims_.is_current(now);
  bool has_found = false;
  for (ShardPage& page : pages) {
    if (!page.found.empty()) has_found = true;
    read_on(page);
  }
  return has_found;
}

std::vector<Reader::ShardPage> Reader::read_pages(Instant now) {
  const std::size_t room = claims_.room();
  std::vector<ShardPage> pages;
  if (room >= Claims::kSize / 8) {
    const std::size_t limit = std::clamp<std::size_t>(room / keys_.shards(), 16, kPage);
    for (unsigned shard = 0; shard < keys_.shards(); ++shard) {
      if (scans_[shard].next <= now && claims_.is_ours(shard)) pages.push_back({shard, limit, {}});
    }
  }
  for (ShardPage& page : pages) {
    const Scan& scan = scans_[page.shard];
    const std::size_t begin = scan.is_whole ? scan.cursor : claims_.known(page.shard);
    const RedisKey& key = keys_.pending(page.shard);
    Command command{"ZRANGE", key.name};
    command.add(static_cast<std::int64_t>(begin))
        .add(static_cast<std::int64_t>(begin + page.limit - 1))
        .add("WITHSCORES");
    servers_.send(key, std::move(command), [&page](const RedisReply& reply) {
      for (std::size_t i = 0; i + 1 < reply.list.size(); i += 2) {
        const auto score = parse_score(reply.list[i + 1].text);
        if (score) page.found.push_back({reply.list[i].text, *score});
      }
    });
  }
  servers_.finish();
  return pages;
}

// Reads the log of changes to its end.
void Reader::read_changes() {
  for (bool more = true; more;) {
    more = false;
    servers_.send(keys_.changes(), {"XREAD", "COUNT", "1000", "STREAMS", keys_.changes().name, last_change_},
                  [&](const RedisReply& reply) {
                    if (reply.list.empty() || reply.list[0].list.size() < 2) return;
                    for (const RedisReply& item : reply.list[0].list[1].list) {
                      if (item.list.size() < 2) continue;
                      more = true;
                      last_change_ = item.list[0].text;
                      const auto& fields = item.list[1].list;
                      if (fields.size() < 2 || fields[0].text != "c") continue;
                      decode_changes(fields[1].text, [&](const Event& change) {
                        claims_.learn(change, arrival(leading_number(last_change_)));
                      });
                    }
                  });
    servers_.finish();
  }
}

// Takes a page in, and decides what to read next of its shard.
void Reader::read_on(ShardPage& page) {
  Scan& scan = scans_[page.shard];
  const auto offer = claims_.offer(page.shard, page.found);
  if (!scan.is_whole) {
    if (offer.taken < page.found.size()) scan = {.is_whole = true, .next = scan.next, .rest = scan.rest};
    return;
  }
  scan.cursor += page.found.size();
  scan.is_useful = scan.is_useful || offer.taken > 0;
  if (page.found.size() == page.limit) return;
  const auto rest = scan.is_useful ? std::chrono::milliseconds{}
                                   : std::clamp<std::chrono::milliseconds>(scan.rest * 2, kLeastRest, kMostRest);
  scan = {.is_whole = false, .next = std::chrono::steady_clock::now() + rest, .rest = rest};
}

}  // namespace qatime::backlog::redis
