// SPDX-License-Identifier: MIT
// The scripts that Redis runs as one step. Each has one key, so that it runs in any Cluster.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace qatime::backlog::redis {

enum class Script : std::uint8_t { settle, rename, hold, release, announce };

inline constexpr std::array<std::string_view, 5> kScripts{
    // settle: KEYS[1] pending; ARGV member, score, member, score, ... Removes each member that still has its score.
    // Returns a digit for each: 0 there was none, 1 removed, 2 it has another score.
    R"(local result = {}
for i = 1, #ARGV, 2 do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if not score then
    result[#result + 1] = '0'
  elseif tonumber(score) == tonumber(ARGV[i + 1]) then
    redis.call('ZREM', KEYS[1], ARGV[i])
    result[#result + 1] = '1'
  else
    result[#result + 1] = '2'
  end
end
return table.concat(result))",
    // rename: KEYS[1] pending; ARGV old member, new member or "", ... Gives each member that is there its new name, or
    // removes it. Returns a digit for each: 0 there was none, 1 renamed, 2 removed, or one with the same name.
    R"(local result = {}
for i = 1, #ARGV, 2 do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if not score then
    result[#result + 1] = '0'
  else
    redis.call('ZREM', KEYS[1], ARGV[i])
    local is_new = ARGV[i + 1] ~= '' and redis.call('ZADD', KEYS[1], 'GT', score, ARGV[i + 1]) == 1
    result[#result + 1] = is_new and '1' or '2'
  end
end
return table.concat(result))",
    // hold: KEYS[1] lease; ARGV instance, milliseconds. Takes the lease, or holds it for longer. Returns 1 if it is
    // ours.
    R"(local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1)",
    // release: KEYS[1] lease; ARGV instance. Returns 1 if it was ours.
    R"(if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1]))",
    // announce: KEYS[1] instances; ARGV instance, milliseconds for which it lives. Returns all that live, in their
    // order.
    R"(local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. now)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
local living = redis.call('ZRANGE', KEYS[1], 0, -1)
table.sort(living)
return living)"};

[[nodiscard]] inline std::string_view text_of(Script script) { return kScripts.at(static_cast<std::size_t>(script)); }

}  // namespace qatime::backlog::redis
