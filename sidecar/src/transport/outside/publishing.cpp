// Publishing: whose turn it is, what became of it, and when it is tried again.
#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <random>
#include <utility>

#include "base/asio.h"
#include "transport/outside/delivery.h"

namespace sealcast::transport::outside {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstBackoff{100};
constexpr milliseconds kMaxBackoff{30'000};
// A stream that fails for longer than this holds its shard's cursor up no more.
constexpr milliseconds kPatience{2000};

// Exponential, with full jitter; never shorter than what the service asks for.
milliseconds backoff(int failures, milliseconds asked) {
  static thread_local std::minstd_rand random{std::random_device{}()};
  const auto most = std::min(kMaxBackoff, kFirstBackoff * (1 << std::min(failures, 12)));
  return asked + milliseconds(std::uniform_int_distribution<milliseconds::rep>(1, most.count())(random));
}

}  // namespace

std::size_t Delivery::allowed() const {
  if (pauses_ == 0) return settings_.max_in_flight;
  return Clock::now() >= paused_until_ ? 1 : 0;
}

void Delivery::pump() {
  while (!ready_.empty() && in_flight_ < allowed()) {
    Stream& stream = *ready_.front();
    ready_.pop_front();
    // Its shard is led by somebody else now, or it is read again from Postgres.
    if (stream.items.empty()) {
      rest(stream);
      continue;
    }
    stream.state = Stream::State::publishing;
    ++in_flight_;
    asio::co_spawn(executor_, publish_next(stream), asio::detached);
  }
  arm();
}

asio::awaitable<void> Delivery::publish_next(Stream& stream) {
  std::vector<FramePtr> batch;
  for (const Item& item : stream.items) {
    if (batch.size() == adapter_->max_batch()) break;
    batch.push_back(item.frame);
  }
  const std::uint64_t generation = stream.generation;
  Outcome outcome = co_await adapter_->publish(batch, Clock::now() + settings_.publish_timeout);
  if (outcome.kind == Outcome::Kind::done) outcome.delivered = batch.size();
  outcome.delivered = std::min(outcome.delivered, batch.size());
  --in_flight_;
  conclude(stream, batch, generation, std::move(outcome));
  pump();
}

void Delivery::conclude(Stream& stream, std::span<const FramePtr> batch, std::uint64_t generation, Outcome outcome) {
  const bool cleared = stream.generation != generation;
  for (std::size_t i = 0; i < outcome.delivered; ++i) {
    metrics_.delivered.Increment();
    // A shard that is led anew begins where it was recorded, whatever came of what was under way.
    if (progress_.find(stream.shard)) stream.next_offset = std::max(stream.next_offset, batch[i]->offset + 1);
    if (cleared) continue;
    if (stream.items.front().replay) revived_.push_back(batch[i]);
    pop(stream);
  }
  if (outcome.delivered > 0) {
    stream.failures = 0;
    pauses_ = 0;
    if (frames_ <= settings_.max_frames / 2 || finishing_) wake();
  }
  switch (outcome.kind) {
    case Outcome::Kind::done:
      return rest(stream);
    case Outcome::Kind::retry_transport:
      metrics_.retries.Increment();
      pause(outcome);
      if (stream.items.empty()) return rest(stream);
      return make_ready(stream, true);
    case Outcome::Kind::retry_stream:
      metrics_.retries.Increment();
      return retry(stream, outcome);
    case Outcome::Kind::dead:
      stream.reason = outcome.reason;
      if (stream.failures++ == 0) stream.failing_since = Clock::now();
      if (stream.items.empty()) return rest(stream);
      stream.state = Stream::State::burying;
      burials_.push_back(&stream);
      return wake();
  }
}

void Delivery::retry(Stream& stream, const Outcome& outcome) {
  const auto now = Clock::now();
  if (stream.failures++ == 0) stream.failing_since = now;
  stream.reason = outcome.reason;
  if (stream.items.empty()) return rest(stream);
  if (now - stream.failing_since >= settings_.give_up) {
    stream.state = Stream::State::burying;
    burials_.push_back(&stream);
    return wake();
  }
  const bool full = frames_ > settings_.max_frames / 2;
  if (stream.lag == Stream::Lag::none && (full || now - stream.failing_since >= kPatience)) lag(stream, outcome.reason);
  stream.state = Stream::State::waiting;
  waiting_.emplace(now + backoff(stream.failures, outcome.after), &stream);
}

void Delivery::pause(const Outcome& outcome) {
  const auto now = Clock::now();
  if (pauses_ > 0 && now < paused_until_) return;  // it was under way before the pause
  paused_until_ = now + backoff(++pauses_, outcome.after);
  if (complaints_.allows()) {
    log::write(
        log::Level::warn, log::tag::kDelivery, "a transport's service does not take messages; trying again",
        {{"transport", name()}, {"reason", std::string_view(outcome.reason)}, {"attempt", std::int64_t{pauses_}}});
  }
}

void Delivery::arm() {
  auto next = Clock::time_point::max();
  if (!waiting_.empty()) next = waiting_.begin()->first;
  if (pauses_ > 0 && !ready_.empty() && in_flight_ == 0) next = std::min(next, paused_until_);
  if (next == Clock::time_point::max()) return;
  timer_.expires_at(next);
  timer_.async_wait([this](boost::system::error_code error) {
    if (!error) on_timer();
  });
}

void Delivery::on_timer() {
  const auto now = Clock::now();
  while (!waiting_.empty() && waiting_.begin()->first <= now) {
    Stream& stream = *waiting_.begin()->second;
    waiting_.erase(waiting_.begin());
    rest(stream);
  }
  pump();
}

}  // namespace sealcast::transport::outside
