// Adds the frames of one stream to its Redis stream with a Lua script. The script skips frames that the Redis stream
// already contains.
#include "transport/redis_streams/redis_streams.h"

#include <charconv>
#include <string>
#include <utility>
#include <vector>

#include "client/redis/script.h"
#include "transport/redis_streams/redacted_entries.h"
#include "transport/redis_streams/service.h"

namespace sealcast::transport::redis_streams {
namespace {

// KEYS[1] is the Redis stream. ARGV[1] is the maximum age of entries in ms. The next arguments are offset, prev and
// frame of each message. A frame with a greater offset than the newest entry is always new. Other frames belong to a
// repeated publish, to a replayed dead letter, or to the log of a restored database. The script searches the newest
// 1000 entries for the same offset with the same frame.
constexpr std::string_view kScript = R"lua(
local function field(entry, name)
  for i = 1, #entry[2], 2 do
    if entry[2][i] == name then return entry[2][i + 1] end
  end
end
local function offset_of(entry) return tonumber(field(entry, 'offset')) or 0 end
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local last = newest and offset_of(newest) or 0
local now = redis.call('TIME')
local oldest = math.max(0, now[1] * 1000 + math.floor(now[2] / 1000) - tonumber(ARGV[1]))
local newest_frames
local function known(offset, frame)
  if not newest_frames then
    newest_frames = {}
    for _, entry in ipairs(redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1000)) do
      local at = offset_of(entry)
      newest_frames[at] = newest_frames[at] or field(entry, 'frame')
    end
  end
  return newest_frames[offset] == frame
end
for i = 2, #ARGV, 3 do
  local offset = tonumber(ARGV[i])
  if offset > last or not known(offset, ARGV[i + 2]) then
    redis.call('XADD', KEYS[1], 'MINID', '~', string.format('%.0f', oldest), '*',
      'offset', ARGV[i], 'prev', ARGV[i + 1], 'frame', ARGV[i + 2])
    last = math.max(last, offset)
  end
end
return #ARGV
)lua";

constexpr std::size_t kMaxBatch = 128;

class RedisStreams final : public outside::Adapter {
 public:
  RedisStreams(const asio::any_io_executor& executor, const config::Settings::RedisStreams& settings,
               redis::Options options)
      : client_(executor, std::move(options)),
        script_(kScript),
        key_(settings.key),
        max_age_(std::to_string(settings.max_age.count())) {}

  std::size_t max_batch() const override { return kMaxBatch; }
  void start() override { client_.start(); }
  void stop() override { client_.stop(); }

  asio::awaitable<outside::Outcome> publish(std::span<const FramePtr> frames, Clock::time_point deadline) override {
    const std::string key = outside::expand_template(key_, frames.front()->stream_id);
    std::vector<std::string> numbers;
    numbers.reserve(2 * frames.size());
    std::vector<std::string_view> arguments{max_age_};
    for (const FramePtr& frame : frames) {
      arguments.push_back(numbers.emplace_back(std::to_string(frame->offset)));
      arguments.push_back(numbers.emplace_back(std::to_string(frame->prev)));
      arguments.push_back(frame->text);
    }
    const std::string_view keys[] = {key};
    const redis::Result result = co_await script_.call(client_, keys, arguments, deadline);
    outside::Outcome outcome = outcome_of(result);
    // The announcement is in the Redis stream before the content leaves it, so that no reader takes the message for
    // lost.
    for (std::size_t i = 0; i < frames.size() && outcome.kind == outside::Outcome::Kind::done; ++i) {
      if (frames[i]->redaction == nullptr) continue;
      outcome = co_await redacted_.erase(client_, key, *frames[i]->redaction, deadline);
      outcome.delivered = i;
    }
    co_return outcome;
  }

 private:
  redis::Client client_;
  redis::Script script_;
  RedactedEntries redacted_{RedactedEntries::Action::remove};
  std::string key_;
  std::string max_age_;
};

}  // namespace

std::unique_ptr<outside::Adapter> make_redis_streams(asio::any_io_executor executor, const config::Settings& settings) {
  const auto& own = settings.redis_streams;
  if (own.url.empty()) return nullptr;
  return std::make_unique<RedisStreams>(executor, own,
                                        service_options("redis_streams", own, settings.delivery.timeout));
}

}  // namespace sealcast::transport::redis_streams
