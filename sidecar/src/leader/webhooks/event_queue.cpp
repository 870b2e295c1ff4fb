// At each tick: reads events that are due, posts them, and records which were accepted.
#include "leader/webhooks/event_queue.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>

#include "base/log.h"
#include "client/postgres/params.h"

namespace sealcast::leader::webhooks {
namespace {

using Milliseconds = LeaderLoop::Milliseconds;
using client::webhook::Webhook;

constexpr char kSubscribe[] = "select unnest(sealcast_internal.subscribe_webhook($1))";
constexpr char kDue[] =
    "select stream_id, event_id, attempts, age_ms, body from sealcast_internal.due_webhooks($1, $2, $3, $4)";
constexpr char kEnd[] = "select sealcast_internal.end_webhooks($1)";
constexpr char kFail[] = "select sealcast_internal.fail_webhooks($1, $2, $3, $4)";
enum DueColumn { kStream, kId, kAttempts, kAge, kBody };

constexpr std::string_view kMetricsName = "webhook_events";  // the events of moderation; message.sent is "webhooks"
constexpr std::int32_t kPerStream = 16;                      // events of one stream in a tick
constexpr std::chrono::seconds kSubscribeEvery{30};
// Less than the time in which the process shuts down: the relay and the deliveries need the rest. A call that is cut
// off is repeated.
constexpr std::chrono::seconds kLongestFinish{2};
constexpr Milliseconds kLongestOutagePause{60'000};
constexpr Milliseconds kLongestPause{600'000};

Milliseconds pause_after(std::int32_t attempts) {
  const int doublings = std::clamp(attempts - 1, 0, 16);
  const Milliseconds pause = std::min(LeaderLoop::kSecond * (1 << doublings), kLongestPause);
  return random_between(pause, pause * 5 / 4);
}

}  // namespace

EventQueue::EventQueue(asio::any_io_executor executor, Parts parts)
    : executor_(executor),
      endpoint_(parts.endpoint),
      settings_(parts.settings),
      metrics_(parts.metrics.delivery(kMetricsName)),
      backoff_(LeaderLoop::kSecond, kLongestOutagePause),
      idle_(executor),
      loop_(executor, {.dsn = std::move(parts.dsn),
                       .name = "webhooks",
                       .timeout = parts.timeout,
                       .log_tag = log::tag::kDelivery,
                       .failure = "Postgres refused to read or record the events for the webhook; retrying",
                       .leads = std::move(parts.leads),
                       .tick = [this](const LedShards& led) { return tick(led); }}) {
  idle_.set();
}

asio::awaitable<void> EventQueue::finish(Clock::time_point deadline) {
  finishing_ = true;
  co_await idle_.wait_until(std::min(deadline, Clock::now() + kLongestFinish));
  loop_.stop();
}

asio::awaitable<Milliseconds> EventQueue::tick(const LedShards& led) {
  if (Clock::now() >= subscribe_at_) co_await subscribe();
  const bool paused = endpoint_.gone() || Clock::now() < paused_until_;
  if (led.shards.empty() || finishing_ || paused) co_return LeaderLoop::kSecond;
  const auto round = std::make_shared<Round>(executor_);
  co_await read_due(led, *round);
  if (round->streams.empty()) {
    const bool from_first = std::exchange(after_stream_, std::string()).empty();
    co_return from_first ? LeaderLoop::kSecond : Milliseconds(0);
  }
  idle_.clear();
  co_await post(round);
  std::exception_ptr failure;
  try {
    co_await record(*round);
  } catch (const postgres::Error&) {
    failure = std::current_exception();
  }
  idle_.set();
  if (failure) std::rethrow_exception(failure);
  if (round->unavailable) {
    trying_ = true;
    paused_until_ = Clock::now() + std::max(backoff_.next(LeaderLoop::kSecond), round->retry_after);
  } else {
    trying_ = false;
    backoff_.reset();
  }
  co_return Milliseconds(0);
}

asio::awaitable<void> EventQueue::subscribe() {
  postgres::Params params;
  params.add_array(postgres::oid::kTextArray, postgres::oid::kText, settings_.events);
  const postgres::Result rows = co_await loop_.connection().query(kSubscribe, params);
  subscribe_at_ = Clock::now() + kSubscribeEvery;
  std::vector<std::string> unknown;
  for (int row = 0; row < rows.size(); ++row) unknown.emplace_back(rows.text(row, 0));
  if (std::exchange(unknown_events_, unknown) == unknown) co_return;
  for (const std::string& name : unknown) {
    log::write(log::Level::error, log::tag::kDelivery,
               "webhooks.events contains a name that is not an event; docs/webhooks.md lists the events",
               {{"event", std::string_view(name)}});
  }
}

asio::awaitable<void> EventQueue::read_due(const LedShards& led, Round& round) {
  postgres::Params params;
  params.add_array(postgres::oid::kIntegerArray, postgres::oid::kInteger, led.shards);
  if (after_stream_.empty()) {
    params.add_null(postgres::oid::kUuid);
  } else {
    params.add(postgres::uuid_bytes(after_stream_));
  }
  params.add(trying_ ? std::int32_t{1} : static_cast<std::int32_t>(settings_.max_in_flight));
  params.add(kPerStream);
  const postgres::Result rows = co_await loop_.connection().query(kDue, params);
  for (int row = 0; row < rows.size(); ++row) {
    std::string stream = rows.uuid(row, kStream);
    if (row == 0 || stream != after_stream_) round.streams.emplace_back();
    after_stream_ = std::move(stream);
    round.streams.back().push_back({.id = rows.uuid(row, kId),
                                    .attempts = static_cast<std::int32_t>(rows.integer(row, kAttempts)),
                                    .age = Milliseconds(rows.integer(row, kAge)),
                                    .body = std::string(rows.text(row, kBody))});
  }
}

asio::awaitable<void> EventQueue::post(std::shared_ptr<Round> round) {
  round->running = round->streams.size();
  for (std::size_t stream = 0; stream < round->streams.size(); ++stream) {
    asio::co_spawn(executor_, post_stream(round, stream), asio::detached);
  }
  co_await round->ended.wait_until();
}

asio::awaitable<void> EventQueue::post_stream(std::shared_ptr<Round> round, std::size_t stream) {
  for (const Queued& event : round->streams[stream]) {
    if (round->unavailable || finishing_ || Clock::now() >= round->begin_until) break;
    const Webhook::Answer answer = co_await endpoint_.call(event.id, event.body);
    if (!answer.problem.empty()) {
      note_failure(*round, event, answer);
      break;
    }
    round->accepted.push_back(event.id);
    metrics_.delivered.Increment();
  }
  if (--round->running == 0) round->ended.set();
}

void EventQueue::note_failure(Round& round, const Queued& event, const Webhook::Answer& answer) {
  if (answer.gone) return;
  Failure failure{.id = event.id, .reason = answer.problem, .attempts = event.attempts, .pause_ms = 0};
  bool dead = false;
  if (answer.unavailable()) {
    round.unavailable = true;
    round.retry_after = std::max(round.retry_after, answer.retry_after);
    dead = event.age >= settings_.give_up;
  } else {
    // A backend that hangs for long refuses nothing, so missing answers alone never reach max_attempts.
    failure.attempts = answer.late ? std::max(event.attempts, std::min(event.attempts + 1, settings_.max_attempts / 2))
                                   : event.attempts + 1;
    failure.pause_ms = std::max(pause_after(failure.attempts), answer.retry_after).count();
    dead = answer.late ? event.age >= settings_.give_up : failure.attempts >= settings_.max_attempts;
  }
  if (dead) {
    failure.pause_ms = -1;
    metrics_.dead.Increment();
    log::write(log::Level::error, log::tag::kDelivery,
               "an event for the webhook became a dead letter; see sealcast.webhook_events",
               {{"event_id", std::string_view(event.id)}, {"reason", std::string_view(answer.problem)}});
  }
  if (!dead) metrics_.retries.Increment();
  round.failed.push_back(std::move(failure));
}

asio::awaitable<void> EventQueue::record(const Round& round) {
  const auto add_ids = [](postgres::Params& params, const auto& items, auto id_of) {
    params.begin_array(postgres::oid::kUuidArray, postgres::oid::kUuid, items.size());
    for (const auto& item : items) params.element(postgres::uuid_bytes(id_of(item)));
    params.end_array();
  };
  if (!round.accepted.empty()) {
    postgres::Params params;
    add_ids(params, round.accepted, [](const std::string& id) -> const std::string& { return id; });
    co_await loop_.connection().query(kEnd, params);
  }
  if (round.failed.empty()) co_return;
  postgres::Params params;
  add_ids(params, round.failed, [](const Failure& failure) -> const std::string& { return failure.id; });
  const auto add = [&](Oid array, Oid element, auto member) {
    params.begin_array(array, element, round.failed.size());
    for (const Failure& failure : round.failed) params.element(failure.*member);
    params.end_array();
  };
  add(postgres::oid::kTextArray, postgres::oid::kText, &Failure::reason);
  add(postgres::oid::kIntegerArray, postgres::oid::kInteger, &Failure::attempts);
  add(postgres::oid::kBigintArray, postgres::oid::kBigint, &Failure::pause_ms);
  co_await loop_.connection().query(kFail, params);
}

}  // namespace sealcast::leader::webhooks
