// Adds entries to event partitions and trims them, with Lua scripts that notice lost entries.
#include "events/event_partitions.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <charconv>
#include <cstdint>
#include <map>
#include <utility>

#include "base/event.h"
#include "base/log.h"
#include "transport/redis_streams/service.h"

namespace sealcast::events {
namespace {

using transport::outside::Outcome;

// The first part of both scripts. It fails when the partition has lost entries. KEYS[1] is the partition. ARGV[1] is
// the id of the newest entry that the partition is known to have had. The second part of each script uses the other
// arguments.
constexpr std::string_view kLossCheck = R"lua(
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

// The second part of the script that adds messages. ARGV[2] and the following arguments are stream_id, offset and frame
// of each message. Returns the id of the newest entry.
constexpr std::string_view kAdd = R"lua(
for i = 2, #ARGV, 3 do
  newest = redis.call('XADD', KEYS[1], '*', 'stream_id', ARGV[i], 'offset', ARGV[i + 1], 'frame', ARGV[i + 2])
end
return newest
)lua";

// The second part of the script that trims. ARGV[2] is the maximum age of entries in ms; it counts only while the
// partition has no group. ARGV[3] and the following arguments are the names of the groups to create. A group still
// needs its pending entries (read but not acknowledged) and all entries after the last one that it read. Returns the id
// of the newest entry, then four values for each group: its name, its number of pending entries, its number of unread
// entries (-1: unknown), and the age in ms of its oldest pending entry, or else of its oldest unread entry (0: there is
// none).
constexpr std::string_view kTrim = R"lua(
local known = {}
if not stream.err then
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do known[map(group)['name']] = true end
end
-- Without the group, its entries would be trimmed. So a failure ends the script.
for i = 3, #ARGV do
  if not known[ARGV[i]] then redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[i], '0', 'MKSTREAM') end
end
if stream.err and #ARGV < 3 then return {newest} end
local groups = redis.call('XINFO', 'GROUPS', KEYS[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answer = {newest}
local oldest
for _, group in ipairs(groups) do
  group = map(group)
  local pending = redis.call('XPENDING', KEYS[1], group['name'])
  local needed = group['last-delivered-id']
  local entry = redis.call('XRANGE', KEYS[1], '(' .. needed, '+', 'COUNT', 1)[1]
  -- Redis does not know the lag, for example, after XDEL.
  local unread = group['lag'] or -1
  if not entry then
    unread = 0
  elseif unread == -1 and entry[1] == redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][1] then
    unread = redis.call('XLEN', KEYS[1])
  end
  local waiting = entry and entry[1]
  if pending[1] > 0 then
    needed = pending[2]
    waiting = needed
  end
  if not oldest or earlier(needed, oldest) then oldest = needed end
  answer[#answer + 1] = group['name']
  answer[#answer + 1] = pending[1]
  answer[#answer + 1] = unread
  answer[#answer + 1] = waiting and math.max(1, now - tonumber(waiting:match('%d+'))) or 0
end
if not oldest then oldest = string.format('%.0f', math.max(0, now - tonumber(ARGV[2]))) end
redis.call('XTRIM', KEYS[1], 'MINID', '~', oldest)
return answer
)lua";

const std::string kAddScript = std::string(kLossCheck).append(kAdd);
const std::string kTrimScript = std::string(kLossCheck).append(kTrim);

bool reports_loss(const redis::Result& result) {
  return result.status == redis::Status::error && result.text().find(kLost) != std::string_view::npos;
}

// Returns the number in the line "name:123\r\n" of a reply to INFO, or 0 when the line is missing.
std::uint64_t info_number(std::string_view info, std::string_view name) {
  std::uint64_t value = 0;
  const std::string line = "\n" + std::string(name) + ":";
  const std::size_t at = info.find(line);
  if (at != info.npos) std::from_chars(info.data() + at + line.size(), info.data() + info.size(), value);
  return value;
}

}  // namespace

// The state of one call of add(), which writes to several partitions concurrently.
struct EventPartitions::Addition {
  Addition(const asio::any_io_executor& executor, std::size_t partitions) : running(partitions), done(executor) {}

  std::size_t running;
  Outcome outcome;
  Event done;
};

EventPartitions::EventPartitions(const asio::any_io_executor& executor, const config::Settings::RedisEvents& settings,
                                 redis::Options options)
    : executor_(executor),
      client_(executor, std::move(options)),
      add_(kAddScript),
      trim_(kTrimScript),
      key_template_(settings.key) {}

void EventPartitions::set_count(std::size_t count) {
  count_ = count;
  while (keys_.size() < count) {
    keys_.push_back(transport::outside::expand_template(key_template_, std::to_string(keys_.size()), "{n}"));
  }
  newest_.resize(keys_.size());
}

std::size_t partition_of(std::string_view sender_id, std::size_t partitions) {
  std::uint64_t hash = 14'695'981'039'346'656'037u;
  for (const char c : sender_id) hash = (hash ^ static_cast<unsigned char>(c)) * 1'099'511'628'211u;
  return hash % partitions;
}

asio::awaitable<std::vector<std::string>> registered_groups(postgres::Connection& connection) {
  const postgres::Result rows = co_await connection.query("select g from sealcast_internal.event_groups() g");
  std::vector<std::string> groups;
  groups.reserve(static_cast<std::size_t>(rows.size()));
  for (int row = 0; row < rows.size(); ++row) groups.emplace_back(rows.text(row, 0));
  co_return groups;
}

void warn_of_other_setting(std::size_t setting, std::size_t count) {
  log::write(log::Level::warn, log::tag::kDelivery,
             "redis_events.partitions is not the number of event partitions in Postgres, which is used; write that "
             "number into the settings, or change it with sealcast.set_event_partitions()",
             {{"redis_events.partitions", static_cast<std::int64_t>(setting)},
              {"in_postgres", static_cast<std::int64_t>(count)}});
}

// Adds the frames up to an announcement, then erases, and continues after it. So a failed erasure repeats nothing but
// its announcement.
asio::awaitable<Outcome> EventPartitions::add(std::span<const transport::FramePtr> frames,
                                              redis::Clock::time_point deadline) {
  Outcome outcome;
  std::size_t done = 0;
  while (done < frames.size()) {
    const auto rest = frames.subspan(done);
    const auto announcement = std::ranges::find_if(rest, [](const auto& frame) { return frame->redaction != nullptr; });
    const bool erases = announcement != rest.end();
    const std::size_t count = static_cast<std::size_t>(announcement - rest.begin()) + (erases ? 1 : 0);
    outcome = co_await add_all(rest.first(count), deadline);
    outcome.delivered = done;
    if (outcome.kind != Outcome::Kind::done) break;
    done += count;
    if (!erases) continue;
    const transport::Redaction& redaction = *rest[count - 1]->redaction;
    const std::string& key = keys_[partition_of(redaction.sender_id, this->count())];
    outcome = co_await redacted_.erase(client_, key, redaction, deadline);
    outcome.delivered = done - 1;
    if (outcome.kind != Outcome::Kind::done) break;
  }
  co_return std::move(outcome);
}

asio::awaitable<Outcome> EventPartitions::add_all(std::span<const transport::FramePtr> frames,
                                                  redis::Clock::time_point deadline) {
  std::map<std::size_t, std::vector<transport::FramePtr>> parts;
  for (const transport::FramePtr& frame : frames) {
    if (transport::is_gone(frame->text)) continue;  // no handler applies a message that is gone
    parts[partition_of(transport::envelope_sender(frame->text), count())].push_back(frame);
  }
  Addition addition(executor_, parts.size());
  for (const auto& [partition, part] : parts) {
    asio::co_spawn(executor_, add_to(partition, part, deadline, addition), asio::detached);
  }
  while (addition.running > 0) co_await addition.done.wait_until();
  co_return std::move(addition.outcome);
}

asio::awaitable<void> EventPartitions::add_to(std::size_t partition, const std::vector<transport::FramePtr>& frames,
                                              redis::Clock::time_point deadline, Addition& addition) {
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
  Outcome outcome = transport::redis_streams::outcome_of(result);
  if (outcome.kind == Outcome::Kind::done) {
    if (const auto added = parse_entry_id(result.text())) newest_[partition] = std::max(newest_[partition], *added);
  }
  has_lost_entries_ = has_lost_entries_ || reports_loss(result);
  // The caller gets one outcome for all partitions. A failure that concerns all streams (retry_transport) replaces a
  // failure that concerns one stream.
  const bool worse = outcome.kind == Outcome::Kind::retry_transport || addition.outcome.kind == Outcome::Kind::done;
  if (outcome.kind != Outcome::Kind::done && worse) addition.outcome = std::move(outcome);
  if (--addition.running == 0) addition.done.set();
}

asio::awaitable<std::optional<std::vector<GroupProgress>>> EventPartitions::trim(std::size_t partition,
                                                                                 std::span<const std::string> groups,
                                                                                 std::chrono::milliseconds max_age) {
  const std::string newest = to_string(newest_[partition]);
  const std::string age = std::to_string(max_age.count());
  std::vector<std::string_view> arguments{newest, age};
  arguments.insert(arguments.end(), groups.begin(), groups.end());
  const std::string_view keys[] = {keys_[partition]};
  const auto deadline = redis::Clock::now() + client_.options().timeout;
  const redis::Result result = co_await trim_.call(client_, keys, arguments, deadline);
  has_lost_entries_ = has_lost_entries_ || reports_loss(result);
  if (result.status != redis::Status::ok) {
    log_refusal(result);
    co_return std::nullopt;
  }
  TrimReply trimmed = parse_trim_reply(result.reply.get());
  if (trimmed.newest) newest_[partition] = std::max(newest_[partition], *trimmed.newest);
  co_return std::move(trimmed.groups);
}

asio::awaitable<int> EventPartitions::memory_percent() {
  // In a cluster the partitions are on several nodes. The fullest one counts.
  const std::size_t asked = client_.is_cluster() ? count() : 1;
  int highest = 0;
  for (std::size_t n = 0; n < asked; ++n) {
    const std::string_view info[] = {"INFO", "memory"};
    const redis::Command command(info, keys_[n]);
    const redis::Result result = co_await client_.call(command);
    if (result.status != redis::Status::ok) {
      log_refusal(result);
      continue;
    }
    const std::uint64_t limit = info_number(result.text(), "maxmemory");
    if (limit == 0) continue;
    highest = std::max(highest, static_cast<int>(info_number(result.text(), "used_memory") * 100 / limit));
  }
  co_return highest;
}

void EventPartitions::log_refusal(const redis::Result& result) {
  if (result.status != redis::Status::error || reports_loss(result) || !log_throttle_.allows()) return;
  log::write(log::Level::error, log::tag::kDelivery, "Redis refuses to maintain the event partitions; retrying",
             {{"reason", result.text().substr(0, 200)}});
}

void EventPartitions::expect(std::vector<EntryId> newest) {
  newest.resize(keys_.size());
  newest_ = std::move(newest);
  has_lost_entries_ = false;
}

void EventPartitions::merge(std::span<const EntryId> newest) {
  for (std::size_t n = 0; n < std::min(newest.size(), count()); ++n) newest_[n] = std::max(newest_[n], newest[n]);
}

}  // namespace sealcast::events
