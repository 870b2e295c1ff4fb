// Searches Redis streams for redacted messages with a Lua script, page by page.
#include "transport/redis_streams/redacted_entries.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "client/redis/reply.h"
#include "core/envelope.h"
#include "transport/redis_streams/service.h"

namespace sealcast::transport::redis_streams {
namespace {

// KEYS[1] is the Redis stream. ARGV: the first id of the page, then stream_id, sender and txn_id (empty: all messages
// with a ts from ARGV[5] to ARGV[6] and an offset below ARGV[7]), and at last `remove` or `replace`. Returns where the
// next page begins (empty: this is the last one), then the id, the offset and the frame of each entry to replace. A
// frame is redacted if its envelope has no content. The members before `d` contain no text of a user, so the first
// match is in the envelope, and not in a payload.
constexpr std::string_view kFind = R"lua(
local page = 1000
local entries = redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', page)
local answer = {#entries == page and '(' .. entries[page][1] or ''}
local redacted = ',"d":null,"payload_hash":"'
for _, entry in ipairs(entries) do
  local fields = {}
  for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
  local frame = fields['frame'] or ''
  local stream, sender, ts, txn, rest =
    frame:match('"stream_id":"([^"]*)","s":"([^"]*)","ts":(%d+),"txn_id":"([^"]*)"()')
  if stream == ARGV[2] and sender == ARGV[3] and frame:sub(rest, rest + #redacted - 1) ~= redacted
      and (txn == ARGV[4] or ARGV[4] == '' and tonumber(ts) >= tonumber(ARGV[5]) and tonumber(ts) <= tonumber(ARGV[6])
           and (tonumber(fields['offset']) or 0) < tonumber(ARGV[7])) then
    if ARGV[8] == 'remove' then
      redis.call('XDEL', KEYS[1], entry[1])
    else
      answer[#answer + 1] = entry[1]
      answer[#answer + 1] = fields['offset'] or ''
      answer[#answer + 1] = frame
    end
  end
end
return answer
)lua";

// KEYS[1] is the Redis stream, ARGV[1] the stream_id of its entries. The next arguments are the id, the offset and the
// redacted frame of each entry.
constexpr std::string_view kReplace = R"lua(
for i = 2, #ARGV, 3 do
  if redis.call('XDEL', KEYS[1], ARGV[i]) == 1 then
    redis.call('XADD', KEYS[1], '*', 'stream_id', ARGV[1], 'offset', ARGV[i + 1], 'frame', ARGV[i + 2])
  end
end
return #ARGV
)lua";

}  // namespace

RedactedEntries::RedactedEntries(Action action) : action_(action), find_(kFind), replace_(kReplace) {}

asio::awaitable<outside::Outcome> RedactedEntries::erase(redis::Client& client, const std::string& key,
                                                         const Redaction& redaction,
                                                         redis::Clock::time_point deadline) {
  const std::string since = std::to_string(redaction.since), through = std::to_string(redaction.through);
  const std::string before = std::to_string(redaction.offset);
  const std::string search =
      key + ' ' + redaction.sender_id + ' ' + redaction.txn_id + ' ' + since + ' ' + through + ' ' + before;
  const auto begun = continue_at_.find(search);
  std::string from = begun != continue_at_.end()
                         ? begun->second
                         : std::to_string(std::max<std::int64_t>(0, redaction.since - core::kMaxClockSkewMs));
  while (!from.empty()) {
    const std::string_view keys[] = {key};
    const std::string_view arguments[] = {from,
                                          redaction.stream_id,
                                          redaction.sender_id,
                                          redaction.txn_id,
                                          since,
                                          through,
                                          before,
                                          action_ == Action::remove ? "remove" : "replace"};
    redis::Result result = co_await find_.call(client, keys, arguments, deadline);
    std::string next;
    if (result.status == redis::Status::ok) {
      const auto found = redis::elements_of(result.reply.get());
      if (!found.empty()) next = redis::text_of(found[0]);
      if (found.size() > 1) result = co_await replace(client, key, redaction, result.reply.get(), deadline);
    }
    if (result.status != redis::Status::ok) {
      continue_at_[search] = from;
      co_return outcome_of(result);
    }
    from = std::move(next);
  }
  continue_at_.erase(search);
  outside::Outcome done;
  co_return done;
}

asio::awaitable<redis::Result> RedactedEntries::replace(redis::Client& client, const std::string& key,
                                                        const Redaction& redaction, const redisReply* found,
                                                        redis::Clock::time_point deadline) {
  const auto values = redis::elements_of(found);
  std::vector<std::string> frames;
  frames.reserve(values.size());
  std::vector<std::string_view> arguments{redaction.stream_id};
  for (std::size_t i = 1; i + 2 < values.size(); i += 3) {
    std::optional<std::string> frame = redacted_frame(redis::text_of(values[i + 2]), redaction);
    if (!frame) continue;
    arguments.push_back(redis::text_of(values[i]));
    arguments.push_back(redis::text_of(values[i + 1]));
    arguments.push_back(frames.emplace_back(std::move(*frame)));
  }
  const std::string_view keys[] = {key};
  co_return co_await replace_.call(client, keys, arguments, deadline);
}

}  // namespace sealcast::transport::redis_streams
