// The scripts that add and trim.
#include "events/event_partitions.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <map>
#include <utility>

#include "transport/redis_streams/service.h"

namespace sealcast::events {
namespace {

// Both scripts begin with it. KEYS: the partition. ARGV: the newest entry that was ever seen there, …
constexpr std::string_view kGuard = R"lua(
local function earlier(a, b)
  local a_ms, a_seq = a:match('(%d+)-(%d+)')
  local b_ms, b_seq = b:match('(%d+)-(%d+)')
  if a_ms ~= b_ms then return tonumber(a_ms) < tonumber(b_ms) end
  return tonumber(a_seq) < tonumber(b_seq)
end
local function map(list)
  local of = {}
  for i = 1, #list, 2 do of[list[i]] = list[i + 1] end
  return of
end
local newest = '0-0'
local stream = redis.pcall('XINFO', 'STREAM', KEYS[1])
if not stream.err then
  newest = map(stream)['last-generated-id']
elseif not stream.err:find('no such key') then
  return stream
end
if earlier(newest, ARGV[1]) then return redis.error_reply('LOST entries up to ' .. ARGV[1] .. ', has ' .. newest) end
)lua";
constexpr std::string_view kLost = "LOST";

// ARGV: …, stream_id, offset and frame of each message. Answers the newest entry.
constexpr std::string_view kAdd = R"lua(
for i = 2, #ARGV, 3 do
  newest = redis.call('XADD', KEYS[1], '*', 'stream_id', ARGV[i], 'offset', ARGV[i + 1], 'frame', ARGV[i + 2])
end
return newest
)lua";

// ARGV: …, the age in ms beyond which entries go when no group reads them, the groups that must be there. A group still
// needs what it was given and has not acknowledged, and all that comes after what it was given last. Answers the newest
// entry and name, pending, unread (-1: unknown) and age in ms of the oldest of these, of each group.
constexpr std::string_view kUpkeep = R"lua(
for i = 3, #ARGV do redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[i], '0', 'MKSTREAM') end
local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
if groups.err then return {newest} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answer = {newest}
local oldest
for _, group in ipairs(groups) do
  group = map(group)
  local pending = redis.call('XPENDING', KEYS[1], group['name'])
  local needed = group['last-delivered-id']
  local waiting
  if pending[1] > 0 then
    needed = pending[2]
    waiting = needed
  else
    local entry = redis.call('XRANGE', KEYS[1], '(' .. needed, '+', 'COUNT', 1)[1]
    waiting = entry and entry[1]
  end
  if not oldest or earlier(needed, oldest) then oldest = needed end
  answer[#answer + 1] = group['name']
  answer[#answer + 1] = pending[1]
  answer[#answer + 1] = group['lag'] or -1
  answer[#answer + 1] = waiting and math.max(1, now - tonumber(waiting:match('%d+'))) or 0
end
if not oldest then oldest = string.format('%.0f', math.max(0, now - tonumber(ARGV[2]))) end
redis.call('XTRIM', KEYS[1], 'MINID', '~', oldest)
return answer
)lua";

const std::string kGuardedAdd = std::string(kGuard).append(kAdd);
const std::string kGuardedUpkeep = std::string(kGuard).append(kUpkeep);

bool tells_loss(const redis::Result& result) {
  return result.status == redis::Status::error && result.text().find(kLost) != std::string_view::npos;
}

// "name:123\r\n" of INFO.
std::uint64_t info_number(std::string_view info, std::string_view name) {
  std::uint64_t value = 0;
  const std::string line = "\n" + std::string(name) + ":";
  const std::size_t at = info.find(line);
  if (at != info.npos) std::from_chars(info.data() + at + line.size(), info.data() + info.size(), value);
  return value;
}

}  // namespace

// One add(), over all the partitions that it concerns.
struct EventPartitions::Round {
  std::size_t left = 0;
  transport::outside::Outcome outcome;
  asio::steady_timer done;
};

EventPartitions::EventPartitions(const asio::any_io_executor& executor, const config::Settings::RedisEvents& settings,
                                 redis::Options options)
    : executor_(executor),
      client_(executor, std::move(options)),
      add_(kGuardedAdd),
      upkeep_(kGuardedUpkeep),
      newest_(static_cast<std::size_t>(settings.partitions)) {
  for (std::int64_t n = 0; n < settings.partitions; ++n) {
    keys_.push_back(transport::outside::expand_template(settings.key, std::to_string(n), "{n}"));
  }
}

std::size_t partition_of(std::string_view sender_id, std::size_t partitions) {
  std::uint64_t hash = 14'695'981'039'346'656'037u;
  for (const char c : sender_id) hash = (hash ^ static_cast<unsigned char>(c)) * 1'099'511'628'211u;
  return hash % partitions;
}

asio::awaitable<transport::outside::Outcome> EventPartitions::add(std::span<const transport::FramePtr> frames,
                                                                  redis::Clock::time_point deadline) {
  std::map<std::size_t, std::vector<transport::FramePtr>> parts;
  for (const transport::FramePtr& frame : frames)
    parts[partition_of(transport::envelope_sender(frame->text), count())].push_back(frame);
  Round round{
      .left = parts.size(), .outcome = {}, .done = asio::steady_timer(executor_, redis::Clock::time_point::max())};
  for (const auto& [partition, part] : parts) {
    asio::co_spawn(executor_, add_to(partition, part, deadline, round), asio::detached);
  }
  while (round.left > 0) co_await round.done.async_wait(asio::as_tuple(asio::use_awaitable));
  co_return std::move(round.outcome);
}

asio::awaitable<void> EventPartitions::add_to(std::size_t partition, const std::vector<transport::FramePtr>& frames,
                                              redis::Clock::time_point deadline, Round& round) {
  std::vector<std::string> offsets;
  offsets.reserve(frames.size());
  const std::string newest = to_string(newest_[partition]);
  std::vector<std::string_view> arguments{newest};
  for (const transport::FramePtr& frame : frames) {
    arguments.push_back(frame->stream_id);
    arguments.push_back(offsets.emplace_back(std::to_string(frame->offset)));
    arguments.push_back(frame->text);
  }
  const std::string_view keys[] = {keys_[partition]};
  const redis::Result result = co_await add_.call(client_, keys, arguments, deadline);
  transport::outside::Outcome outcome = transport::redis_streams::outcome_of(result);
  if (outcome.kind == transport::outside::Outcome::Kind::done) {
    if (const auto added = parse_entry_id(result.text())) newest_[partition] = std::max(newest_[partition], *added);
  }
  lost_ = lost_ || tells_loss(result);
  // What holds all up goes before what holds up one partition.
  const bool worse = outcome.kind == transport::outside::Outcome::Kind::retry_transport ||
                     round.outcome.kind == transport::outside::Outcome::Kind::done;
  if (outcome.kind != transport::outside::Outcome::Kind::done && worse) round.outcome = std::move(outcome);
  if (--round.left == 0) round.done.cancel();
}

asio::awaitable<std::vector<GroupLag>> EventPartitions::upkeep(std::size_t partition,
                                                               std::span<const std::string> groups,
                                                               std::chrono::milliseconds max_age) {
  const std::string newest = to_string(newest_[partition]);
  const std::string age = std::to_string(max_age.count());
  std::vector<std::string_view> arguments{newest, age};
  arguments.insert(arguments.end(), groups.begin(), groups.end());
  const std::string_view keys[] = {keys_[partition]};
  const auto deadline = redis::Clock::now() + client_.options().timeout;
  const redis::Result result = co_await upkeep_.call(client_, keys, arguments, deadline);
  lost_ = lost_ || tells_loss(result);
  if (result.status != redis::Status::ok) co_return std::vector<GroupLag>();
  UpkeepAnswer found = parse_upkeep(result.reply.get());
  if (found.newest) newest_[partition] = std::max(newest_[partition], *found.newest);
  co_return std::move(found.lags);
}

asio::awaitable<int> EventPartitions::memory_percent() {
  const redis::Command info({"INFO", "memory"});
  const redis::Result result = co_await client_.call(info);
  if (result.status != redis::Status::ok) co_return 0;
  const std::uint64_t bound = info_number(result.text(), "maxmemory");
  if (bound == 0) co_return 0;
  co_return static_cast<int>(info_number(result.text(), "used_memory") * 100 / bound);
}

void EventPartitions::expect(std::vector<EntryId> newest) {
  newest.resize(count());
  newest_ = std::move(newest);
  lost_ = false;
}

}  // namespace sealcast::events
