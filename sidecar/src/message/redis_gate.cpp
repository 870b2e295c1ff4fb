// The gate's Lua script, the names of its keys, and its call in Redis.
#include "message/redis_gate.h"

namespace sealcast::message {
namespace {

using std::chrono::milliseconds;

// KEYS: the sender's rate counter for this type, and the key that marks the txn_id as seen (absent if the request has
// no txn_id). ARGV: the limit, the rate window in ms, the replay window in ms. Returns the number 4 * n + outcome. For
// outcome 0 (pass) and 1 (seen), n is the number of messages in this rate window. For outcome 2 (limited), n is the
// time in ms until the rate window ends, and the txn_id is not marked. The counter may have no expiry, for example
// after the command PERSIST. Above the limit the script sets an expiry again. Otherwise the gate would refuse this
// sender for ever.
constexpr std::string_view kScript = R"lua(
local used = redis.call('INCR', KEYS[1])
if used == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if used > tonumber(ARGV[1]) then
  local left = redis.call('PTTL', KEYS[1])
  if left < 0 then
    left = tonumber(ARGV[2])
    redis.call('PEXPIRE', KEYS[1], left)
  end
  return 4 * left + 2
end
if not KEYS[2] or redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[3]) then return 4 * used end
return 4 * used + 1
)lua";

constexpr std::string_view kWindow = "1000";     // the rate window in ms, because limits are messages per second
constexpr milliseconds kUnavailableRetry{1000};  // retry_after of an answer `unavailable`
constexpr std::size_t kMaxReply = 1U << 16;      // bytes

std::string key(const GateRequest& request, std::string_view kind, std::string_view name) {
  std::string key;
  key.reserve(128);
  key.append("sealcast:{").append(request.sender_id).append("}:").append(kind).append(name);
  return key;
}

std::string_view reason(const redis::Result& result) {
  switch (result.status) {
    case redis::Status::ok:
      return "the script returned an unexpected reply";
    case redis::Status::error:
      return result.text().substr(0, 200);
    case redis::Status::timed_out:
      return "no answer within gate.timeout_ms";
    case redis::Status::disconnected:
      return "no connection";
    case redis::Status::overloaded:
      return "gate.max_waiting checks are already waiting";
  }
  return {};
}

}  // namespace

RedisGate::RedisGate(redis::Client& client, Metrics& metrics, const config::Settings::Gate& settings)
    : client_(client),
      metrics_(metrics),
      timeout_(settings.timeout),
      replay_window_(std::to_string(settings.replay_window.count())),
      script_(kScript) {
  for (std::size_t outcome = 0; outcome < kGateOutcomes; ++outcome) {
    checks_[outcome] = &metrics.gate_checks(to_string(static_cast<GateOutcome>(outcome)));
  }
}

asio::awaitable<redis::Result> RedisGate::run(const GateRequest& request, redis::Clock::time_point deadline) {
  redis::Result result = co_await client_.call(command(request, "EVALSHA", script_.sha1()), deadline);
  // NOSCRIPT: Redis has lost the script by a restart, a failover or SCRIPT FLUSH. EVALSHA has changed nothing, so EVAL
  // is safe.
  if (result.status == redis::Status::error && result.text().starts_with("NOSCRIPT")) {
    result = co_await client_.call(command(request, "EVAL", script_.source()), deadline);
  }
  co_return result;
}

asio::awaitable<GateAnswer> RedisGate::check(GateRequest request) {
  const auto began = redis::Clock::now();
  const redis::Result result = co_await run(request, began + timeout_);
  GateAnswer answer{GateOutcome::unavailable, request.limit, 0, kUnavailableRetry};
  if (result.status != redis::Status::ok || !read_answer(*result.reply, answer)) log_unavailable(result);
  checks_[static_cast<std::size_t>(answer.outcome)]->Increment();
  metrics_.gate_seconds.Observe(std::chrono::duration<double>(redis::Clock::now() - began).count());
  co_return answer;
}

asio::awaitable<std::string> RedisGate::try_write(const std::string& sender) {
  const GateRequest request{sender, std::string(kUnknownType), {}, 1};
  const redis::Result result = co_await run(request, redis::Clock::now() + timeout_);
  std::string problem;
  if (result.status != redis::Status::ok) problem = reason(result);
  co_return problem;
}

redis::Command RedisGate::command(const GateRequest& request, std::string_view verb, std::string_view script) const {
  const std::string rate = key(request, "rate:", request.t);
  const std::string limit = std::to_string(request.limit);
  if (request.txn_id.empty()) return redis::Command({verb, script, "1", rate, limit, kWindow, replay_window_}, rate);
  const std::string txn = key(request, "txn:", request.txn_id);
  return redis::Command({verb, script, "2", rate, txn, limit, kWindow, replay_window_}, rate);
}

void RedisGate::log_unavailable(const redis::Result& result) {
  if (!log_throttle_.allows()) return;
  log::write(log::Level::warn, log::tag::kGate, "the gate is unavailable; messages are refused",
             {{"reason", reason(result)}});
}

redis::Options gate_redis_options(const config::Settings::Gate& settings) {
  redis::Options options = redis::parse_url(settings.redis_url);
  if (!settings.redis_password_file.empty()) {
    options.password = Secret("gate.redis_password_file", settings.redis_password_file);
  }
  if (!settings.redis_sentinel_password_file.empty()) {
    options.sentinel_password = Secret("gate.redis_sentinel_password_file", settings.redis_sentinel_password_file);
  }
  options.ca_file = settings.redis_ca_file;
  options.ca_setting = "gate.redis_ca_file";
  options.timeout = settings.timeout;
  options.max_waiting = settings.max_waiting;
  options.max_reply = kMaxReply;
  return options;
}

}  // namespace sealcast::message
