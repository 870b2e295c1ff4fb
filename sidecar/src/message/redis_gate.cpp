// The gate's Lua scripts, the names of their keys, and their calls in Redis.
#include "message/redis_gate.h"

namespace sealcast::message {
namespace {

using std::chrono::milliseconds;

// KEYS: the sender's rate counter for this type, the key that marks the txn_id as seen (absent if the request has no
// txn_id), the key that lasts as long as the sender's pause in a stream in slow mode (absent if the stream has no
// rules), and the key that lasts as long as the sender may not repeat the text (absent if there is no such rule). ARGV:
// the limit, the rate window in ms, the replay window in ms, the pause in ms (0: no slow mode), and the time in ms for
// which a text may not be repeated. Returns the number 8 * n + outcome. For outcome 0 (pass) and 1 (seen), n is the
// number of messages in this rate window. For outcome 2 (limited), 3 (slowed) and 4 (repeated), n is the time in ms
// until the rate window, the pause or that time ends, and the txn_id is not marked.
// The txn_id is marked with the pause that its message has begun. So a retry in the same stream neither waits nor
// begins a pause, and a txn_id that was marked without a pause, or in another stream, does. The key of a text has the
// txn_id that sent it, so that a retry repeats no text. A key may have no expiry, for example after the command
// PERSIST, or that of a longer rule. A script that refuses sets it again. Otherwise the gate would refuse this sender
// for ever.
constexpr std::string_view kScript = R"lua(
local used = redis.call('INCR', KEYS[1])
if used == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
local slow = ARGV[4] ~= '0' and KEYS[3]
local text = KEYS[4] and redis.call('GET', KEYS[4])
local key, longest, outcome
if used > tonumber(ARGV[1]) then
  key, longest, outcome = KEYS[1], ARGV[2], 2
elseif text and text ~= KEYS[2] then
  key, longest, outcome = KEYS[4], ARGV[5], 4
elseif slow and redis.call('GET', KEYS[2]) ~= slow and not redis.call('SET', slow, '1', 'NX', 'PX', ARGV[4]) then
  key, longest, outcome = slow, ARGV[4], 3
end
if key then
  local left = redis.call('PTTL', key)
  if left < 0 or left > tonumber(longest) then
    left = tonumber(longest)
    redis.call('PEXPIRE', key, left)
  end
  return 8 * left + outcome
end
if KEYS[4] and not text then redis.call('SET', KEYS[4], KEYS[2], 'PX', ARGV[5]) end
if not KEYS[2] or redis.call('SET', KEYS[2], slow or '1', 'NX', 'PX', ARGV[3]) then return 8 * used end
if slow then redis.call('SET', KEYS[2], slow, 'XX', 'KEEPTTL') end
return 8 * used + 1
)lua";

// KEYS: the set of the users who have sent the text to the stream. ARGV: the sender, the most users, and the time in ms
// after which the set ends. Returns 0, or 8 * n + 5 (copied), where n is the time in ms until the set ends. A user who
// is in the set is never refused, so neither a retry nor a second question counts as a copy.
constexpr std::string_view kCopiesScript = R"lua(
if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 1 then return 0 end
local users = redis.call('SCARD', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if users > 0 and (left < 0 or left > tonumber(ARGV[3])) then
  left = tonumber(ARGV[3])
  redis.call('PEXPIRE', KEYS[1], left)
end
if users >= tonumber(ARGV[2]) then return 8 * left + 5 end
redis.call('SADD', KEYS[1], ARGV[1])
if users == 0 then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 0
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

// NOSCRIPT: Redis has lost the script by a restart, a failover or SCRIPT FLUSH. EVALSHA has changed nothing, so EVAL is
// safe.
bool is_missing_script(const redis::Result& result) {
  return result.status == redis::Status::error && result.text().starts_with("NOSCRIPT");
}

// Returns whether the script may give this answer to the request.
bool fits(GateOutcome outcome, const GateRequest& request) {
  switch (outcome) {
    case GateOutcome::slowed:
      return request.rules.slow_mode.count() > 0;
    case GateOutcome::repeated:
      return request.rules.unique.count() > 0 && !request.text.empty();
    case GateOutcome::copied:
      return false;
    default:
      return true;
  }
}

std::string in_ms(std::chrono::seconds time) { return std::to_string(milliseconds(time).count()); }

}  // namespace

RedisGate::RedisGate(redis::Client& client, Metrics& metrics, const config::Settings::Gate& settings)
    : client_(client),
      metrics_(metrics),
      timeout_(settings.timeout),
      replay_window_(std::to_string(settings.replay_window.count())),
      script_(kScript),
      copies_script_(kCopiesScript) {
  for (std::size_t outcome = 0; outcome < kGateOutcomes; ++outcome) {
    checks_[outcome] = &metrics.gate_checks(to_string(static_cast<GateOutcome>(outcome)));
  }
}

asio::awaitable<redis::Result> RedisGate::run(const GateRequest& request, redis::Clock::time_point deadline) {
  redis::Result result = co_await client_.call(command(request, "EVALSHA", script_.sha1()), deadline);
  if (is_missing_script(result)) {
    result = co_await client_.call(command(request, "EVAL", script_.source()), deadline);
  }
  co_return result;
}

asio::awaitable<redis::Result> RedisGate::count_copies(const GateRequest& request, redis::Clock::time_point deadline) {
  redis::Result result = co_await client_.call(copies_command(request, "EVALSHA", copies_script_.sha1()), deadline);
  if (is_missing_script(result)) {
    result = co_await client_.call(copies_command(request, "EVAL", copies_script_.source()), deadline);
  }
  co_return result;
}

asio::awaitable<GateAnswer> RedisGate::check(GateRequest request) {
  const auto began = redis::Clock::now();
  redis::Result result = co_await run(request, began + timeout_);
  const GateAnswer unavailable{GateOutcome::unavailable, request.limit, 0, kUnavailableRetry};
  GateAnswer answer = unavailable;
  bool valid = result.status == redis::Status::ok && read_answer(*result.reply, answer);
  valid = valid && fits(answer.outcome, request);
  const bool within = answer.outcome == GateOutcome::pass || answer.outcome == GateOutcome::seen;
  if (valid && within && request.rules.raid_copies > 0 && !request.text.empty()) {
    result = co_await count_copies(request, began + timeout_);
    GateAnswer copies = unavailable;
    valid = result.status == redis::Status::ok && read_answer(*result.reply, copies) &&
            (copies.outcome == GateOutcome::pass || copies.outcome == GateOutcome::copied);
    if (copies.outcome == GateOutcome::copied) answer = copies;
  }
  if (!valid) {
    answer = unavailable;
    log_unavailable(result);
  }
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
  const StreamLimits& rules = request.rules;
  const bool unique = rules.unique.count() > 0 && !request.text.empty();
  if (rules.slow_mode.count() == 0 && !unique) {
    return redis::Command({verb, script, "2", rate, txn, limit, kWindow, replay_window_}, rate);
  }
  const std::string pause = key(request, "slow:", request.stream_id);
  const std::string pause_ms = in_ms(rules.slow_mode);
  if (!unique) {
    return redis::Command({verb, script, "3", rate, txn, pause, limit, kWindow, replay_window_, pause_ms}, rate);
  }
  const std::string text = key(request, "text:", request.stream_id + ":" + request.text);
  const std::string unique_ms = in_ms(rules.unique);
  return redis::Command(
      {verb, script, "4", rate, txn, pause, text, limit, kWindow, replay_window_, pause_ms, unique_ms}, rate);
}

redis::Command RedisGate::copies_command(const GateRequest& request, std::string_view verb,
                                         std::string_view script) const {
  const std::string users = "sealcast:{" + request.stream_id + "}:copies:" + request.text;
  const std::string most = std::to_string(request.rules.raid_copies);
  const std::string within = in_ms(request.rules.raid_within);
  return redis::Command({verb, script, "1", users, request.sender_id, most, within}, users);
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
  options.tls_files = {"gate.redis_", settings.redis_ca_file, settings.redis_cert_file, settings.redis_key_file};
  options.timeout = settings.timeout;
  options.max_waiting = settings.max_waiting;
  options.max_reply = kMaxReply;
  return options;
}

}  // namespace sealcast::message
