// At each tick, once per second: asks Postgres for the due actions and applies them in batches. Writes the payloads of
// migrate messages. Has the webhook called.
#include "leader/switching/switching.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <span>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/log.h"
#include "client/postgres/params.h"
#include "leader/switching/webhook_calls.h"

namespace sealcast::leader::switching {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr char kDue[] =
    "select stream_id, action, step, viewers, warm_up, happened_at "
    "from sealcast_internal.due_switches($1, $2, $3, $4, $5, $6, $7, $8, $9)";
constexpr char kSwitch[] =
    "select taken, state, reason from sealcast_internal.switch_streams($1, $2, $3, $4,"
    " pg_catalog.array_replace($5, '00000000-0000-0000-0000-000000000000', null), $6)";
// Actions per statement. Each is a subtransaction, and Postgres keeps up to 64 of them per transaction in shared
// memory.
constexpr std::size_t kBatch = 50;
constexpr std::int64_t kMsPerSecond = 1000;
constexpr std::int64_t kLongestSpreadMs = 3'600'000;  // the longest that clients accept

std::int32_t count(milliseconds time) { return static_cast<std::int32_t>(time.count()); }

// True if switch_stream() sends a transport_migrate message for this action.
bool migrates(std::string_view action) { return action == "join" || action == "leave" || action == "tell"; }

}  // namespace

class Switching::Ticks {
 public:
  Ticks(asio::any_io_executor executor, const config::Settings::Switching& settings, Parts parts);

  void start() { loop_.start(); }
  void stop();
  void resume_webhook() { webhook_.resume(); }

 private:
  struct DueAction {
    std::string stream_id;
    std::string action;  // empty if nothing is due
    std::string step;    // the stream's step in switching: standard, warming, joining, hot, leaving or cooling
    std::int32_t viewers;
    std::string warm_up;      // UUID that identifies the warm-up of the stream; empty before the first warm-up
    std::string happened_at;  // for `notify`: the time at which the announced step began

    std::string event() const { return step == "cooling" ? "cool_down" : "warm_up"; }  // for `notify`
    std::string call_id() const { return event() + "-" + warm_up; }                    // for `notify`
  };
  struct Outcome {
    // False if the action is no longer due, if this sidecar no longer leads the shard, or if Postgres refused the
    // action.
    bool taken = false;
    std::string sqlstate;  // of the refusal; empty if there was none
    std::string reason;
  };
  asio::awaitable<LeaderLoop::Milliseconds> tick(const LedShards& led);
  asio::awaitable<std::vector<DueAction>> due_actions(const LedShards& led);
  asio::awaitable<std::vector<Outcome>> apply(const LedShards& led, std::span<const DueAction> batch);
  asio::awaitable<void> apply_batch(const LedShards& led, std::span<const DueAction> batch);
  std::vector<DueAction> in_order(const std::vector<DueAction>& actions);
  void note_applied(const DueAction& due);
  void note_refused(const DueAction& due, std::string_view sqlstate, std::string_view reason);
  void call_webhook(const DueAction& due);
  asio::awaitable<std::string> record_call(DueAction due);
  std::string migrate_payload(const DueAction& due) const;
  void update_metrics(const std::vector<DueAction>& actions);
  void forget_obsolete_calls(const std::vector<DueAction>& actions);

  asio::any_io_executor executor_;
  const config::Settings::Switching& settings_;
  Parts parts_;
  LeaderLoop loop_;
  WebhookCalls webhook_;
  std::unordered_set<std::string> refused_;  // streams whose due action Postgres refused
  log::Throttle refused_throttle_;
};

Switching::Ticks::Ticks(asio::any_io_executor executor, const config::Settings::Switching& settings, Parts parts)
    : executor_(executor),
      settings_(settings),
      parts_(std::move(parts)),
      loop_(executor, {.dsn = parts_.dsn,
                       .name = "switching",
                       .timeout = parts_.timeout,
                       .log_tag = log::tag::kSwitching,
                       .failure = "Postgres refused to switch streams; retrying",
                       .leads = parts_.leads,
                       .tick = [this](const LedShards& led) { return tick(led); }}),
      webhook_(executor, std::move(parts_.webhook)) {}

void Switching::Ticks::stop() {
  loop_.stop();
  webhook_.stop();
}

asio::awaitable<LeaderLoop::Milliseconds> Switching::Ticks::tick(const LedShards& led) {
  std::vector<DueAction> actions;
  if (!led.shards.empty()) actions = co_await due_actions(led);
  update_metrics(actions);
  forget_obsolete_calls(actions);
  const auto began = Clock::now();
  const std::vector<DueAction> steps = in_order(actions);
  for (std::size_t at = 0; at < steps.size(); at += kBatch) {
    // A more urgent action may be due meanwhile.
    if (Clock::now() - began > LeaderLoop::kSecond) co_return LeaderLoop::Milliseconds{0};
    co_await apply_batch(led, std::span(steps).subspan(at, std::min(kBatch, steps.size() - at)));
  }
  co_return LeaderLoop::kSecond;
}

// Calls the webhook where that is due. Returns the other actions in the order of Postgres, the most urgent first, but
// streams that were refused before come last, unless their readers are to go back.
std::vector<Switching::Ticks::DueAction> Switching::Ticks::in_order(const std::vector<DueAction>& actions) {
  std::vector<DueAction> first;
  std::vector<DueAction> last;
  std::unordered_set<std::string> refused;
  for (const DueAction& due : actions) {
    if (due.action == "notify") {
      call_webhook(due);
    } else if (!due.action.empty()) {
      const bool late = refused_.contains(due.stream_id) && due.action != "leave";
      if (late) refused.insert(due.stream_id);
      (late ? last : first).push_back(due);
    }
  }
  refused_ = std::move(refused);
  std::ranges::move(last, std::back_inserter(first));
  return first;
}

asio::awaitable<std::vector<Switching::Ticks::DueAction>> Switching::Ticks::due_actions(const LedShards& led) {
  postgres::Params params;
  led.add_to(params);
  if (settings_.target.empty()) {
    params.add_null(postgres::oid::kText);
  } else {
    params.add(std::string_view(settings_.target));
  }
  for (const std::int32_t value :
       {settings_.soft, settings_.hard, settings_.low, count(settings_.hold), count(settings_.window)}) {
    params.add(value);
  }
  params.add_boolean(webhook_.wanted());
  const postgres::Result rows = co_await loop_.connection().query(kDue, params);
  std::vector<DueAction> actions;
  for (int row = 0; row < rows.size(); ++row) {
    DueAction due{rows.uuid(row, 0),
                  std::string(rows.text(row, 1)),
                  std::string(rows.text(row, 2)),
                  static_cast<std::int32_t>(rows.integer(row, 3)),
                  rows.uuid(row, 4),
                  std::string(rows.text(row, 5))};
    actions.push_back(std::move(due));
  }
  co_return actions;
}

asio::awaitable<std::vector<Switching::Ticks::Outcome>> Switching::Ticks::apply(const LedShards& led,
                                                                                std::span<const DueAction> batch) {
  postgres::Params params;
  led.add_to(params);
  params.begin_array(postgres::oid::kUuidArray, postgres::oid::kUuid, batch.size());
  for (const DueAction& due : batch) params.element(postgres::uuid_bytes(due.stream_id));
  params.end_array();
  params.begin_array(postgres::oid::kTextArray, postgres::oid::kText, batch.size());
  for (const DueAction& due : batch) params.element(std::string_view(due.action));
  params.end_array();
  params.begin_array(postgres::oid::kUuidArray, postgres::oid::kUuid, batch.size());
  for (const DueAction& due : batch) {
    params.element(due.warm_up.empty() ? postgres::Uuid{} : postgres::uuid_bytes(due.warm_up));
  }
  params.end_array();
  params.begin_array(postgres::oid::kTextArray, postgres::oid::kText, batch.size());
  for (const DueAction& due : batch) params.element(std::string_view(migrate_payload(due)));
  params.end_array();
  const postgres::Result rows = co_await loop_.connection().query(kSwitch, params);
  std::vector<Outcome> outcomes;
  for (int row = 0; row < rows.size(); ++row) {
    outcomes.push_back({rows.boolean(row, 0), std::string(rows.text(row, 1)), std::string(rows.text(row, 2))});
  }
  co_return outcomes;
}

// Applies the actions of a batch with one statement. An action that Postgres refuses, for example because another
// transaction has locked the stream, is due again at the next tick. The other streams do not wait for it.
asio::awaitable<void> Switching::Ticks::apply_batch(const LedShards& led, std::span<const DueAction> batch) {
  const auto any = [&](auto condition) { return std::ranges::any_of(batch, condition); };
  // Before the probe is sent, this sidecar must know that the target transport carries the stream.
  if (any([](const DueAction& due) { return due.action == "probe"; })) co_await parts_.reroute();
  std::vector<Outcome> outcomes;
  bool too_slow = false;
  try {
    outcomes = co_await apply(led, batch);
  } catch (const postgres::Error& error) {
    if (!error.took_too_long()) throw;
    too_slow = true;
    if (batch.size() == 1) note_refused(batch.front(), error.sqlstate(), error.what());
  }
  // One of the streams is slow, for example by a trigger. Which one shows when each has a statement of its own.
  if (too_slow && batch.size() > 1) {
    for (const DueAction& due : batch) co_await apply_batch(led, std::span(&due, 1));
    co_return;
  }
  bool sent = false;
  bool rerouted = false;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const DueAction& due = batch[i];
    if (!outcomes[i].sqlstate.empty()) note_refused(due, outcomes[i].sqlstate, outcomes[i].reason);
    if (!outcomes[i].taken) continue;
    note_applied(due);
    sent = sent || due.action == "probe" || migrates(due.action);
    rerouted = rerouted || (due.action != "probe" && due.action != "tell");
  }
  if (sent) parts_.on_sent();
  if (rerouted) co_await parts_.reroute();
}

void Switching::Ticks::note_applied(const DueAction& due) {
  refused_.erase(due.stream_id);
  parts_.metrics.switches(due.action).Increment();
  if (due.action == "tell") return;  // no step
  log::write(log::Level::info, log::tag::kSwitching, "a switching action was applied",
             {{"stream_id", due.stream_id},
              {"from", due.step},
              {"action", due.action},
              {"viewers", std::int64_t{due.viewers}}});
}

void Switching::Ticks::note_refused(const DueAction& due, std::string_view sqlstate, std::string_view reason) {
  refused_.insert(due.stream_id);
  if (!refused_throttle_.allows()) return;
  log::write(log::Level::warn, log::tag::kSwitching, "Postgres refused to switch a stream; retrying",
             {{"stream_id", due.stream_id}, {"action", due.action}, {"sqlstate", sqlstate}, {"reason", reason}});
}

// Returns the payload of the transport_migrate message that the action sends. Returns an empty text if it sends none.
std::string Switching::Ticks::migrate_payload(const DueAction& due) const {
  if (!migrates(due.action)) return {};
  const bool to_home = due.action == "leave" || due.step == "leaving";
  const std::string& target = to_home ? settings_.home : settings_.target;
  std::string payload;
  JsonObject json(payload);
  json.text("type", "migrate").text("target", target);
  if (const std::string channel = parts_.channel_of(target, due.stream_id); !channel.empty()) {
    json.text("channel_id", channel);
    if (parts_.needs_token(target)) json.text("token", "required");
  }
  json.number("overlap_ms", settings_.overlap.count());
  if (const std::int64_t rate = parts_.readers_per_second(target); rate > 0) {
    json.number("spread_ms", std::min((due.viewers * kMsPerSecond + rate - 1) / rate, kLongestSpreadMs));
  }
  json.end();
  return payload;
}

void Switching::Ticks::call_webhook(const DueAction& due) {
  webhook_.call({.id = due.call_id(),
                 .type = due.event(),
                 .stream_id = due.stream_id,
                 .viewers = due.viewers,
                 .time = due.happened_at},
                [this, due] { return record_call(due); });
}

// Returns the problem if Postgres did not record that the webhook accepted. Then the call is repeated.
asio::awaitable<std::string> Switching::Ticks::record_call(DueAction due) {
  try {
    const LedShards led = loop_.led();
    const std::vector<Outcome> outcomes = co_await apply(led, std::span(&due, 1));
    co_return outcomes.front().reason;
  } catch (const postgres::Error& error) {
    co_return std::string(error.what());
  }
}

void Switching::Ticks::update_metrics(const std::vector<DueAction>& actions) {
  constexpr std::array<std::string_view, 6> kSteps{"standard", "warming", "joining", "hot", "leaving", "cooling"};
  for (const std::string_view name : kSteps) {
    const auto streams = std::ranges::count_if(actions, [name](const DueAction& due) {
      return due.step == name && due.action != "notify" && !due.warm_up.empty();
    });
    parts_.metrics.switching_streams(name).Set(static_cast<double>(streams));
  }
}

void Switching::Ticks::forget_obsolete_calls(const std::vector<DueAction>& actions) {
  std::unordered_set<std::string> due;
  for (const DueAction& action : actions) {
    if (action.action == "notify") due.insert(action.call_id());
  }
  webhook_.keep_only(due);
}

Switching::Switching(asio::any_io_executor executor, const config::Settings::Switching& settings, Parts parts)
    : ticks_(std::make_unique<Ticks>(std::move(executor), settings, std::move(parts))) {}

Switching::~Switching() = default;

void Switching::start() { ticks_->start(); }

void Switching::stop() { ticks_->stop(); }

void Switching::resume_webhook() { ticks_->resume_webhook(); }

}  // namespace sealcast::leader::switching
