// Adds to partitions, and trims them.
#include "transport/redis_streams/redis_events.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "redis/script.h"
#include "transport/redis_streams/service.h"

namespace sealcast {
namespace {

// KEYS: the partition. ARGV: stream_id, offset and frame of each message.
constexpr std::string_view kAdd = R"lua(
for i = 1, #ARGV, 3 do
  redis.call('XADD', KEYS[1], '*', 'stream_id', ARGV[i], 'offset', ARGV[i + 1], 'frame', ARGV[i + 2])
end
return #ARGV
)lua";

// KEYS: the partition. ARGV: the age in ms beyond which entries go when no group reads them. A group still needs what
// it was given and has not acknowledged, and all that comes after what it was given last.
constexpr std::string_view kTrim = R"lua(
local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
if groups.err then return 0 end
local function earlier(a, b)
  local a_ms, a_seq = a:match('(%d+)-(%d+)')
  local b_ms, b_seq = b:match('(%d+)-(%d+)')
  if a_ms ~= b_ms then return tonumber(a_ms) < tonumber(b_ms) end
  return tonumber(a_seq) < tonumber(b_seq)
end
local oldest
for _, group in ipairs(groups) do
  local of = {}
  for i = 1, #group, 2 do of[group[i]] = group[i + 1] end
  local pending = redis.call('XPENDING', KEYS[1], of['name'])
  local needed = pending[1] > 0 and pending[2] or of['last-delivered-id']
  if not oldest or earlier(needed, oldest) then oldest = needed end
end
if not oldest then
  local now = redis.call('TIME')
  oldest = string.format('%.0f', math.max(0, now[1] * 1000 + math.floor(now[2] / 1000) - tonumber(ARGV[1])))
end
return redis.call('XTRIM', KEYS[1], 'MINID', '~', oldest)
)lua";

constexpr std::size_t kMaxBatch = 256;

// One publish, over all the partitions that it concerns.
struct Round {
  std::size_t left = 0;
  Outcome outcome;
  asio::steady_timer done;
};

class RedisEvents final : public Adapter {
 public:
  RedisEvents(const asio::any_io_executor& executor, const Settings::RedisEvents& settings, redis::Options options)
      : executor_(executor), service_(std::make_shared<Service>(executor, settings, std::move(options))) {}

  std::size_t max_batch() const override { return kMaxBatch; }
  void start() override {
    service_->client.start();
    asio::co_spawn(executor_, trim(service_), asio::detached);
  }
  void stop() override {
    service_->stopped = true;
    service_->next_trim.cancel();
    service_->client.stop();
  }

  asio::awaitable<Outcome> publish(std::span<const FramePtr> frames, Clock::time_point deadline) override {
    std::map<std::size_t, std::vector<FramePtr>> parts;
    for (const FramePtr& frame : frames) {
      parts[partition_of(envelope_sender(frame->text), service_->keys.size())].push_back(frame);
    }
    Round round{.left = parts.size(), .outcome = {}, .done = asio::steady_timer(executor_, Clock::time_point::max())};
    for (const auto& [partition, part] : parts) {
      asio::co_spawn(executor_, add(partition, part, deadline, round), asio::detached);
    }
    while (round.left > 0) co_await round.done.async_wait(asio::as_tuple(asio::use_awaitable));
    co_return std::move(round.outcome);
  }

 private:
  // Outlives the adapter while a trim is under way.
  struct Service {
    Service(const asio::any_io_executor& executor, const Settings::RedisEvents& settings, redis::Options options)
        : client(executor, std::move(options)),
          max_age(std::to_string(settings.max_age.count())),
          trim_every(settings.trim_every),
          next_trim(executor) {
      for (std::int64_t n = 0; n < settings.partitions; ++n) {
        keys.push_back(expand_template(settings.key, std::to_string(n), "{n}"));
      }
    }
    redis::Client client;
    redis::Script add{kAdd};
    redis::Script trim{kTrim};
    std::vector<std::string> keys;
    std::string max_age;
    std::chrono::milliseconds trim_every;
    asio::steady_timer next_trim;
    bool stopped = false;
  };

  asio::awaitable<void> add(std::size_t partition, const std::vector<FramePtr>& frames, Clock::time_point deadline,
                            Round& round) {
    std::vector<std::string> offsets;
    offsets.reserve(frames.size());
    std::vector<std::string_view> arguments;
    for (const FramePtr& frame : frames) {
      arguments.push_back(frame->stream_id);
      arguments.push_back(offsets.emplace_back(std::to_string(frame->offset)));
      arguments.push_back(frame->text);
    }
    const std::string_view keys[] = {service_->keys[partition]};
    const redis::Result result = co_await service_->add.call(service_->client, keys, arguments, deadline);
    Outcome outcome = outcome_of(result);
    // What holds all up goes before what holds up one partition.
    const bool worse = outcome.kind == Outcome::Kind::retry_transport || round.outcome.kind == Outcome::Kind::done;
    if (outcome.kind != Outcome::Kind::done && worse) round.outcome = std::move(outcome);
    if (--round.left == 0) round.done.cancel();
  }

  static asio::awaitable<void> trim(std::shared_ptr<Service> service) {
    while (!service->stopped) {
      service->next_trim.expires_after(service->trim_every);
      co_await service->next_trim.async_wait(asio::as_tuple(asio::use_awaitable));
      for (std::size_t i = 0; i < service->keys.size() && !service->stopped; ++i) {
        const std::string_view keys[] = {service->keys[i]};
        const std::string_view arguments[] = {service->max_age};
        const auto deadline = Clock::now() + service->client.options().timeout;
        // One that fails is trimmed the next time.
        co_await service->trim.call(service->client, keys, arguments, deadline);
      }
    }
  }

  asio::any_io_executor executor_;
  std::shared_ptr<Service> service_;
};

}  // namespace

std::size_t partition_of(std::string_view sender_id, std::size_t partitions) {
  std::uint64_t hash = 14'695'981'039'346'656'037u;
  for (const char c : sender_id) hash = (hash ^ static_cast<unsigned char>(c)) * 1'099'511'628'211u;
  return hash % partitions;
}

std::unique_ptr<Adapter> make_redis_events(asio::any_io_executor executor, const Settings& settings) {
  const auto& own = settings.redis_events;
  if (own.url.empty()) return nullptr;
  return std::make_unique<RedisEvents>(executor, own, service_options("redis_events", own, settings.delivery.timeout));
}

}  // namespace sealcast
