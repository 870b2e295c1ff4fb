// Publishes the first frames of ready streams, applies each outcome to the queue of its stream, and starts retries when
// they are due.
#include "transport/outside/publisher.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>
#include <vector>

namespace sealcast::transport::outside {

namespace {

// A stream whose publishes fail for a longer time starts to lag, so that the cursor of its shard can advance.
constexpr std::chrono::milliseconds kLagAfter{2000};

}  // namespace

Publisher::Publisher(asio::any_io_executor executor, std::string_view transport, Adapter& adapter, StreamQueues& queues,
                     PersistenceWork& work, const config::Settings::Delivery& settings,
                     const Metrics::Delivery& metrics)
    : executor_(executor),
      transport_(transport),
      adapter_(adapter),
      queues_(queues),
      work_(work),
      settings_(settings),
      metrics_(metrics),
      timer_(executor) {}

std::size_t Publisher::max_in_flight() const {
  if (!paused()) return settings_.max_in_flight;
  return may_publish() ? 1 : 0;
}

void Publisher::publish_ready() {
  while (queues_.has_ready() && in_flight_ < max_in_flight()) {
    StreamQueue& queue = queues_.pop_ready();
    // The entries of a ready queue can be removed: when the shard is lost, or when the stream starts to be read from
    // Postgres.
    if (queue.entries.empty()) {
      queues_.requeue_or_remove(queue);
      continue;
    }
    queue.state = StreamQueue::State::publishing;
    ++in_flight_;
    asio::co_spawn(executor_, publish_next(queue), asio::detached);
  }
  start_timer();
}

asio::awaitable<void> Publisher::publish_next(StreamQueue& queue) {
  std::vector<FramePtr> batch;
  for (const StreamQueue::Entry& entry : queue.entries) {
    if (batch.size() == adapter_.max_batch()) break;
    batch.push_back(entry.frame);
  }
  const std::uint64_t generation = queue.generation;
  const std::int64_t epoch = queue.entries.front().epoch;
  Outcome outcome = co_await adapter_.publish(batch, Clock::now() + settings_.timeout);
  if (outcome.kind == Outcome::Kind::done) outcome.delivered = batch.size();
  outcome.delivered = std::min(outcome.delivered, batch.size());
  --in_flight_;
  apply(std::move(outcome), queue, batch, {generation, epoch});
  publish_ready();
}

void Publisher::apply(Outcome outcome, StreamQueue& queue, std::span<const FramePtr> batch, Origin origin) {
  const bool cleared = queue.generation != origin.generation;
  for (std::size_t i = 0; i < outcome.delivered; ++i) {
    metrics_.delivered.Increment();
    // The queue of a lost shard keeps next_offset 0, also when this sidecar leads the shard again: the offsets may be
    // those of another log. Delivery starts at the recorded cursor.
    if (queues_.progress.find(queue.shard, origin.epoch))
      queue.next_offset = std::max(queue.next_offset, batch[i]->offset + 1);
    if (cleared) continue;
    if (queue.entries.front().replay) work_.replayed.push_back(batch[i]);
    queues_.pop(queue);
  }
  if (outcome.delivered > 0) {
    queue.reset_failures();
    retries_.resume();
    if (!queues_.frames_half_full() || work_.finishing) work_.changed.set();
  }
  switch (outcome.kind) {
    case Outcome::Kind::done:
      return queues_.requeue_or_remove(queue);
    case Outcome::Kind::retry_transport:
      metrics_.retries.Increment();
      pause(outcome);
      if (queue.entries.empty()) return queues_.requeue_or_remove(queue);
      return queues_.make_ready(queue, true);
    case Outcome::Kind::slow_down:
      pause(outcome);
      return queues_.requeue_or_remove(queue);  // behind the other streams: each gets its turn at the lower rate
    case Outcome::Kind::retry_stream:
      metrics_.retries.Increment();
      return retry(queue, outcome);
    case Outcome::Kind::dead:
      queue.count_failure(std::move(outcome.reason));
      return give_up_first(queue);
  }
}

void Publisher::retry(StreamQueue& queue, const Outcome& outcome) {
  queue.count_failure(outcome.reason);
  const auto now = Clock::now();
  const auto failing_for = now - queue.failing_since;
  if (queue.entries.empty() || failing_for >= settings_.give_up) return give_up_first(queue);
  if (queue.lag == StreamQueue::Lag::none && (queues_.frames_half_full() || failing_for >= kLagAfter)) {
    queues_.start_lag(queue, outcome.reason);
  }
  queue.state = StreamQueue::State::waiting;
  retries_.add(now + queue.backoff.next(outcome.after), queue);
}

void Publisher::give_up_first(StreamQueue& queue) {
  if (queue.entries.empty()) return queues_.requeue_or_remove(queue);
  queue.state = StreamQueue::State::dead_letter;
  work_.dead_letters.push_back(&queue);
  work_.changed.set();
}

void Publisher::pause(const Outcome& outcome) {
  if (!retries_.pause(Clock::now(), outcome.after)) return;
  if (log_throttle_.allows()) {
    log::write(log::Level::warn, log::tag::kDelivery,
               outcome.kind == Outcome::Kind::slow_down
                   ? "the outside service is near its rate limit; the transport slows down"
                   : "the outside service does not accept messages; retrying",
               {{"transport", transport_},
                {"reason", std::string_view(outcome.reason)},
                {"attempt", std::int64_t{retries_.failures()}}});
  }
}

void Publisher::start_timer() {
  auto next = retries_.next_stream();
  if (paused() && queues_.has_ready() && in_flight_ == 0) next = std::min(next, retries_.paused_until());
  if (next == Clock::time_point::max()) return;
  timer_.expires_at(next);
  timer_.async_wait([this](boost::system::error_code error) {
    if (error) return;
    const auto now = Clock::now();
    while (StreamQueue* const queue = retries_.pop_due(now)) queues_.requeue_or_remove(*queue);
    publish_ready();
  });
}

}  // namespace sealcast::transport::outside
