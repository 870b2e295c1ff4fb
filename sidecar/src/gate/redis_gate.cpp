// The script, its keys, and what each of its answers (and failures) means.
#include "gate/redis_gate.h"

#include <openssl/sha.h>

#include <algorithm>
#include <array>

#include "config/secret_file.h"

namespace sealcast {
namespace {

using std::chrono::milliseconds;

// KEYS: the sender's counter for this type, the txn_id's mark. ARGV: the limit, the window and the replay window in ms.
// Answers {0 pass, 1 seen or 2 limited; messages so far in the window; ms until it ends}. Over the limit the txn_id is
// left unmarked. A counter without an expiry (somebody's PERSIST) gets one again, or it would refuse for ever.
constexpr std::string_view kScript = R"lua(
local used = redis.call('INCR', KEYS[1])
local left = tonumber(ARGV[2])
if used > 1 then left = redis.call('PTTL', KEYS[1]) end
if used == 1 or left < 0 then
  left = tonumber(ARGV[2])
  redis.call('PEXPIRE', KEYS[1], left)
end
if used > tonumber(ARGV[1]) then return {2, used, left} end
if redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[3]) then return {0, used, left} end
return {1, used, left}
)lua";

constexpr std::string_view kWindow = "1000";     // ms; limits are messages a second
constexpr milliseconds kUnavailableRetry{1000};  // what a refused caller is told to wait

std::string sha1_hex(std::string_view text) {
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest;
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string hex;
  for (const unsigned char byte : digest) hex += {kHex[byte >> 4], kHex[byte & 15]};
  return hex;
}

std::string key(const GateRequest& request, std::string_view kind, std::string_view name) {
  std::string key;
  key.reserve(128);
  key.append("sealcast:{").append(request.sender_id).append("}:").append(kind).append(name);
  return key;
}

// The three numbers of the script, or null when this is no answer of it.
bool read_answer(const redis::Result& result, GateAnswer& answer) {
  if (result.status != redis::Status::ok || result.reply->type != REDIS_REPLY_ARRAY || result.reply->elements != 3) {
    return false;
  }
  std::array<long long, 3> numbers;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const redisReply* element = result.reply->element[i];
    if (element->type != REDIS_REPLY_INTEGER) return false;
    numbers[i] = element->integer;
  }
  if (numbers[0] < 0 || numbers[0] > 2) return false;
  answer.outcome = static_cast<GateOutcome>(numbers[0]);
  answer.remaining = static_cast<int>(std::max<long long>(0, answer.limit - numbers[1]));
  answer.retry_after = milliseconds(numbers[2]);
  return true;
}

std::string_view reason(const redis::Result& result) {
  switch (result.status) {
    case redis::Status::ok:
      return "an answer that the script does not give";
    case redis::Status::error:
      return result.text().substr(0, 200);
    case redis::Status::timed_out:
      return "no answer within gate.timeout_ms";
    case redis::Status::disconnected:
      return "no connection";
    case redis::Status::overloaded:
      return "gate.max_waiting checks wait already";
  }
  return {};
}

}  // namespace

RedisGate::RedisGate(redis::Client& client, Metrics& metrics, RedisGateSettings settings)
    : client_(client),
      metrics_(metrics),
      settings_(settings),
      replay_window_(std::to_string(settings.replay_window.count())),
      sha1_(sha1_hex(kScript)) {}

asio::awaitable<GateAnswer> RedisGate::check(GateRequest request) {
  const auto began = redis::Clock::now();
  const redis::Result result = co_await run_script(request, began + settings_.timeout);
  GateAnswer answer{GateOutcome::unavailable, request.limit, 0, kUnavailableRetry};
  if (!read_answer(result, answer)) log_unavailable(result);
  metrics_.gate_checks(answer.outcome).Increment();
  metrics_.gate_seconds.Observe(std::chrono::duration<double>(redis::Clock::now() - began).count());
  co_return answer;
}

asio::awaitable<redis::Result> RedisGate::run_script(const GateRequest& request, redis::Clock::time_point deadline) {
  const std::string rate = key(request, "rate:", request.t);
  const std::string txn = key(request, "txn:", request.txn_id);
  const std::string limit = std::to_string(request.limit);
  const auto command = [&](std::string_view verb, std::string_view script) {
    return redis::Command({verb, script, "2", rate, txn, limit, kWindow, replay_window_}, rate);
  };
  redis::Result result = co_await client_.call(command("EVALSHA", sha1_), deadline);
  // After a restart, a failover or SCRIPT FLUSH; nothing was carried out.
  if (result.status == redis::Status::error && result.text().starts_with("NOSCRIPT")) {
    result = co_await client_.call(command("EVAL", kScript), deadline);
  }
  co_return result;
}

void RedisGate::log_unavailable(const redis::Result& result) {
  if (!complaints_.allows()) return;
  log::write(log::Level::warn, log::tag::kGate, "the gate is unavailable; messages are refused",
             {{"reason", reason(result)}});
}

redis::Options gate_redis_options(const Settings::Gate& settings) {
  redis::Options options = redis::parse_url(settings.redis_url);
  if (!settings.redis_password_file.empty()) {
    options.password = read_secret_file("gate.redis_password_file", settings.redis_password_file);
  }
  options.ca_file = settings.redis_ca_file;
  options.timeout = settings.timeout;
  options.max_waiting = static_cast<std::size_t>(settings.max_waiting);
  return options;
}

}  // namespace sealcast
