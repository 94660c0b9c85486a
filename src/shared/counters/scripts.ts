/**
 * The counters' arithmetic as Lua for Redis: what `exchange.ts` says, one atomic script per batch.
 * Must not know: connections. Governed by: `exchange.ts` (the tests hold both against each other) and Redis' number rules:
 * numbers given to commands are written with 17 digits, numbers joined to strings with 14, so big ones are never joined.
 * Runs: in Redis, once per batch.
 */

import { ANSWER_SECONDS, LEASE_PART, SHARES_MAX, SILENT_SECONDS } from "./exchange.js";
import { ASK_FORMAT, REPLY_FORMAT } from "./packed.js";

/**
 * KEYS: counters. ARGV: microseconds ("0": Redis' clock; anything else is for tests), then all asks in one string of bytes,
 * as `packed.ts` writes them; the answer is such a string as well. A number in the protocol costs the client ten times as much.
 * A counter is a hash: `b` birth, `e` end, `t` taken, and per holder `w<name>` = "mine held second".
 */
export const EXCHANGE = `
local us = tonumber(ARGV[1])
if us == 0 then
  local t = redis.call('TIME')
  us = tonumber(t[1]) * 1000000 + tonumber(t[2])
end
local ms = math.floor(us / 1000)
local second = math.floor(ms / 1000)
local out = {}
local at = 1
for i = 1, #KEYS do
  local key = KEYS[i]
  local limit, per, need, want, held, mine, claimed, claimEnd, aligned, holder
  limit, per, need, want, held, mine, claimed, claimEnd, aligned, holder, at = struct.unpack('${ASK_FORMAT}', ARGV[2], at)
  aligned = aligned == 1
  holder = 'w' .. holder
  local claims = claimed > 0 and (claimEnd == 0 or claimEnd > ms)
  local found = redis.call('HMGET', key, 'b', 'e', 't', holder)
  local birth, ends, taken, share = tonumber(found[1]), tonumber(found[2]), tonumber(found[3]), found[4]
  local expire = false
  if birth and (ends == 0 or ms < ends) then
    if per == 0 then
      expire = ends ~= 0
      ends = 0
    elseif ends == 0 or ends - ms > per then
      expire = true
      ends = ms + per
    end
  else
    if birth then redis.call('DEL', key) end
    expire = true
    birth = math.max(us, (birth or 0) + 1)
    taken = 0
    share = false
    if per == 0 then ends = 0
    elseif aligned then ends = (math.floor(ms / per) + 1) * per
    elseif claims and claimEnd > 0 and claimEnd - ms <= per then ends = claimEnd
    else ends = ms + per end
  end
  local known = false
  if share then known = tonumber(string.match(share, '^(%d+)')) end
  if not claims then mine = 0 end
  if known then taken = taken + mine - known
  elseif birth ~= claimed then taken = taken + mine end
  if taken < 0 then taken = 0 end
  local left = math.max(0, limit - taken)
  local granted = math.min(left, math.max(need, math.min(want, math.floor(left / ${LEASE_PART}))))
  taken = taken + granted
  mine = mine + granted
  if held < 0 then
    redis.call('HSET', key, 'b', birth, 'e', ends, 't', taken)
    redis.call('HDEL', key, holder)
  else
    held = held + granted - math.min(granted, need)
    if not known and redis.call('HLEN', key) >= ${SHARES_MAX + 3} then
      local all, seen = redis.call('HGETALL', key), {}
      for j = 1, #all, 2 do
        if string.sub(all[j], 1, 1) == 'w' then
          seen[#seen + 1] = { all[j], tonumber(string.match(all[j + 1], '(%d+)$')) }
        end
      end
      table.sort(seen, function(x, y) return x[2] < y[2] end)
      for j = 1, #seen - ${SHARES_MAX / 2} do redis.call('HDEL', key, seen[j][1]) end
    end
    redis.call('HSET', key, 'b', birth, 'e', ends, 't', taken, holder, mine .. ' ' .. held .. ' ' .. second)
  end
  if expire then
    if ends == 0 then redis.call('PERSIST', key) else redis.call('PEXPIREAT', key, ends) end
  end
  local away = 0
  if left <= granted then
    local all = redis.call('HGETALL', key)
    for j = 1, #all, 2 do
      if all[j] ~= holder and string.sub(all[j], 1, 1) == 'w' then
        local m, h, s = string.match(all[j + 1], '^(%d+) (%-?%d+) (%d+)$')
        h = tonumber(h)
        local silent = second - tonumber(s)
        if h > 0 and silent >= ${SILENT_SECONDS} then
          redis.call('HSET', key, all[j], m .. ' -' .. h .. ' ' .. second)
          away = away + h
        elseif h > 0 or silent < ${ANSWER_SECONDS} then
          away = away + math.abs(h)
        end
      end
    end
  end
  out[i] = struct.pack('${REPLY_FORMAT}', granted, left - granted, ends == 0 and -1 or ends - math.ceil(us / 1000), ends, birth, mine, away, ms)
end
return table.concat(out)
`;

/** KEYS: logs. ARGV: microseconds or "0", a mark that makes members of one instant differ, then limit and per of each. */
export const SLIDE = `
local us = tonumber(ARGV[1])
if us == 0 then
  local t = redis.call('TIME')
  us = tonumber(t[1]) * 1000000 + tonumber(t[2])
end
local out = {}
for i = 1, #KEYS do
  local key, limit, per = KEYS[i], tonumber(ARGV[1 + i * 2]), tonumber(ARGV[2 + i * 2])
  local edge = string.format('%.0f', us - per * 1000)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', edge)
  local n = redis.call('ZCARD', key)
  local admitted = 0
  if n < limit then
    admitted = 1
    n = n + 1
    redis.call('ZADD', key, us, ARGV[2] .. '.' .. i)
    redis.call('PEXPIRE', key, math.ceil(per) + 1)
  end
  local wait = 0
  if n >= limit and limit > 0 then
    local blocking = redis.call('ZRANGE', key, n - limit, n - limit, 'WITHSCORES')
    wait = math.max(0, math.ceil((tonumber(blocking[2]) + per * 1000 - us) / 1000))
  end
  local o = #out
  out[o + 1] = admitted
  out[o + 2] = math.max(0, limit - n)
  out[o + 3] = wait
  out[o + 4] = us
end
return out
`;

/** Takes one member of that instant out again. */
export const UNSLIDE = `
local found = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[1], ARGV[1], 'LIMIT', 0, 1)
if found[1] then redis.call('ZREM', KEYS[1], found[1]) end
return 0
`;

/**
 * The set of living workers. ARGV: name, ms after which a silent one is dropped. The member `@epoch` has the microsecond
 * in which the set was made as its score, so that it is never dropped, and is another one after everything was lost.
 */
export const BEAT = `
local t = redis.call('TIME')
local ms = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
redis.call('ZADD', KEYS[1], 'NX', ms * 1000, '@epoch')
redis.call('ZADD', KEYS[1], ms, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', ms - tonumber(ARGV[2])))
local out = redis.call('ZRANGE', KEYS[1], 0, -2)
out[#out + 1] = redis.call('ZSCORE', KEYS[1], '@epoch')
return out
`;

/**
 * The counters that ran dry lately. ARGV: for how long one is named, how many may be, then the ones that did. Answers all.
 */
export const RECALL = `
local t = redis.call('TIME')
local ms = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
for i = 3, #ARGV do redis.call('ZADD', KEYS[1], ms, ARGV[i]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', ms - tonumber(ARGV[1])))
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[2]))
return redis.call('ZRANGE', KEYS[1], 0, -1)
`;

/** An operator's reset: the counter and its window stay, the uses go; workers that report are not taken for a loss. */
export const CLEAR = `
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local all = redis.call('HKEYS', KEYS[1])
for j = 1, #all do
  if string.sub(all[j], 1, 1) == 'w' then redis.call('HDEL', KEYS[1], all[j]) end
end
return redis.call('HSET', KEYS[1], 't', 0)
`;
