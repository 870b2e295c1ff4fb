// Begins leases and reads entries with Lua scripts, which compare epochs. Acknowledges and watches entries with plain
// commands.
#include "events/group_reader.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/event.h"

namespace sealcast::events {
namespace {

using std::chrono::milliseconds;

// Begins a lease: creates its consumer, moves the unacknowledged entries of other epochs to this consumer, and deletes
// the other consumers. Fails with the highest epoch when a newer one has begun. Returns the id of the last entry that
// the group has read. KEYS: the partition. ARGV: the group, the epoch.
constexpr std::string_view kBeginLease = R"lua(
local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if consumers.err then
  redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
  consumers = {}
end
local newest = ARGV[2]
for _, consumer in ipairs(consumers) do
  if tonumber(consumer[2]) and tonumber(consumer[2]) > tonumber(newest) then newest = consumer[2] end
end
if newest ~= ARGV[2] then return redis.error_reply('SUPERSEDED ' .. newest) end
local cursor = '0-0'
repeat
  local page = redis.call('XAUTOCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, cursor, 'COUNT', 1000, 'JUSTID')
  cursor = page[1]
until cursor == '0-0'
for _, consumer in ipairs(consumers) do
  if tonumber(consumer[2]) and consumer[2] ~= ARGV[2] then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer[2])
  end
end
redis.call('XGROUP', 'CREATECONSUMER', KEYS[1], ARGV[1], ARGV[2])
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local of = {}
  for i = 1, #group, 2 do of[group[i]] = group[i + 1] end
  if of['name'] == ARGV[1] then return of['last-delivered-id'] end
end
)lua";

// Reads entries, but only for a lease that has begun and has the highest epoch. KEYS: the partition. ARGV: the group,
// the epoch, the maximum number of entries, and the id after which to read (">" reads entries that are new for the
// group).
constexpr std::string_view kRead = R"lua(
local known = false
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local epoch = tonumber(consumer[2]) or 0
  if epoch > tonumber(ARGV[2]) then return redis.error_reply('SUPERSEDED') end
  known = known or consumer[2] == ARGV[2]
end
if not known then return redis.error_reply('NOGROUP this lease has not begun') end
return redis.call('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', ARGV[3], 'STREAMS', KEYS[1], ARGV[4])
)lua";

// The time for which one XREAD waits for entries. It is long, so that an idle worker sends few commands per second. It
// is short, because a partition that becomes idle during the wait is watched only by the next XREAD.
constexpr milliseconds kBlock{100};

constexpr std::string_view kSuperseded = "SUPERSEDED";

// Returns the number after the word SUPERSEDED, or 0 when there is none.
std::int64_t epoch_of(std::string_view reply) {
  const std::size_t at = reply.find(kSuperseded);
  std::int64_t epoch = 0;
  if (at == reply.npos || reply.size() <= at + kSuperseded.size()) return epoch;
  std::from_chars(reply.data() + at + kSuperseded.size() + 1, reply.data() + reply.size(), epoch);
  return epoch;
}

redis::Options waiting_options(redis::Options options) {
  options.timeout += kBlock;
  return options;
}

}  // namespace

GroupReader::GroupReader(const asio::any_io_executor& executor, const config::Settings::RedisEvents& settings,
                         redis::Options options, std::string group)
    : partitions_(executor, settings, options),
      waiting_client_(executor, waiting_options(std::move(options))),
      begin_lease_(kBeginLease),
      read_(kRead),
      group_(std::move(group)) {}

void GroupReader::start() {
  partitions_.start();
  waiting_client_.start();
}

void GroupReader::stop() {
  partitions_.stop();
  waiting_client_.stop();
}

GroupReader::State GroupReader::state_of(const redis::Result& result) {
  if (result.status == redis::Status::ok) return State::ok;
  if (result.status != redis::Status::error) return State::unavailable;
  const std::string_view text = result.text();
  if (text.find(kSuperseded) != text.npos) return State::superseded;
  // XINFO fails with "no such key" for a missing stream, and with NOGROUP for a missing group.
  if (text.find("NOGROUP") != text.npos || text.find("no such key") != text.npos) return State::no_group;
  if (log_throttle_.allows()) {
    log::write(log::Level::error, log::tag::kWorker, "Redis refuses to read events; retrying",
               {{"group", std::string_view(group_)}, {"reason", text.substr(0, 200)}});
  }
  return State::unavailable;
}

asio::awaitable<GroupReader::LeaseStart> GroupReader::begin_lease(std::size_t partition, std::int64_t epoch) {
  const std::string consumer = std::to_string(epoch);
  const std::string_view keys[] = {partitions_.key(partition)};
  const std::string_view arguments[] = {group_, consumer};
  redis::Client& client = partitions_.client();
  const redis::Result result =
      co_await begin_lease_.call(client, keys, arguments, redis::Clock::now() + client.options().timeout);
  LeaseStart start{state_of(result)};
  if (start.state == State::ok) start.last_read = parse_entry_id(result.text()).value_or(EntryId{});
  if (start.state == State::superseded) start.newer_epoch = epoch_of(result.text());
  co_return start;
}

asio::awaitable<GroupReader::Batch> GroupReader::read(std::size_t partition, std::int64_t epoch, std::size_t count,
                                                      std::optional<EntryId> after) {
  const std::string consumer = std::to_string(epoch), most = std::to_string(count);
  const std::string from = after ? to_string(*after) : ">";
  const std::string_view keys[] = {partitions_.key(partition)};
  const std::string_view arguments[] = {group_, consumer, most, from};
  redis::Client& client = partitions_.client();
  const redis::Result result =
      co_await read_.call(client, keys, arguments, redis::Clock::now() + client.options().timeout);
  Batch batch{state_of(result), {}};
  if (batch.state != State::ok) co_return batch;
  std::size_t trimmed = 0;
  batch.entries = parse_entries(result.reply.get(), trimmed);
  if (trimmed > 0) {
    log::write(
        log::Level::error, log::tag::kWorker,
        "entries were trimmed before the group had finished them; run sealcast.check_effects() to find missing effects",
        {{"group", std::string_view(group_)},
         {"partition", static_cast<std::int64_t>(partition)},
         {"entries", static_cast<std::int64_t>(trimmed)}});
  }
  co_return batch;
}

asio::awaitable<bool> GroupReader::acknowledge(std::size_t partition, std::span<const EntryId> ids) {
  std::vector<std::string> texts;
  texts.reserve(ids.size());
  std::vector<std::string_view> words{"XACK", partitions_.key(partition), group_};
  for (const EntryId& id : ids) words.push_back(texts.emplace_back(to_string(id)));
  const redis::Command command(words, partitions_.key(partition));
  const redis::Result result = co_await partitions_.client().call(command);
  co_return result.status == redis::Status::ok || state_of(result) == State::no_group;
}

asio::awaitable<std::optional<EntryId>> GroupReader::newest(std::size_t partition) {
  const std::string_view words[] = {"XINFO", "STREAM", partitions_.key(partition)};
  const redis::Command command(words, partitions_.key(partition));
  const redis::Result result = co_await partitions_.client().call(command);
  co_return state_of(result) == State::ok ? parse_newest(result.reply.get()) : std::nullopt;
}

asio::awaitable<void> GroupReader::wait_for_entries(std::span<const Watched> watched) {
  const std::string block = std::to_string(kBlock.count());
  std::vector<std::string> positions;
  positions.reserve(watched.size());
  std::vector<std::string_view> words{"XREAD", "COUNT", "1", "BLOCK", block, "STREAMS"};
  for (const Watched& item : watched) words.push_back(partitions_.key(item.partition));
  for (const Watched& item : watched) words.push_back(positions.emplace_back(to_string(item.position)));
  redis::Status status = redis::Status::error;
  if (!watched.empty()) {
    const redis::Command command(words, partitions_.key(watched.front().partition));
    status = (co_await waiting_client_.call(command)).status;
  }
  if (status == redis::Status::ok) co_return;
  // The command was not sent or failed: no partition is idle, Redis is unavailable, or Redis is a cluster (there one
  // command cannot watch keys of different slots). Wait as long as XREAD would.
  co_await sleep_for(kBlock);
}

}  // namespace sealcast::events
