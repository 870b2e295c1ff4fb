// The queues: what is taken from the relay, and what becomes of it when nobody wants it any more.
#include "transport/outside/delivery.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace sealcast::transport::outside {

namespace {

// A stream that has so many frames waiting takes more than its share of the memory.
constexpr std::size_t kMaxOfStream = 1024;

std::string key_of(const Frame& frame) { return frame.stream_id + ' ' + std::to_string(frame.offset); }

}  // namespace

Delivery::Delivery(asio::any_io_executor executor, Metrics& metrics, const Routing& routing,
                   RegisteredAdapter registered, DeliverySettings settings)
    : executor_(executor),
      routing_(routing),
      name_(registered.name),
      channel_(registered.channel),
      adapter_(std::move(registered.adapter)),
      settings_(std::move(settings)),
      metrics_(metrics.delivery(name_)),
      ledger_(executor, settings_.dsn, name_, channel_, settings_.statement_timeout),
      timer_(executor),
      keeper_timer_(executor) {
  adapter_->count_in(metrics);
}

Delivery::~Delivery() {
  ledger_.stop();
  adapter_->stop();
}

void Delivery::start() {
  adapter_->start();
  ledger_.start();
  asio::co_spawn(executor_, keep(), asio::detached);
}

void Delivery::publish(std::span<const FramePtr> frames, std::span<const Lead> leads) {
  std::size_t bytes = 0;
  for (const FramePtr& frame : frames) bytes += frame->text.size();
  const bool room = room_for(frames.size(), bytes);
  // What a shard that is behind does not take now it reads again later.
  std::vector<std::int32_t> current;
  for (const Progress::Shard& shard : progress_.shards()) {
    if (room && shard.current()) current.push_back(shard.lead.shard);
  }
  for (const std::int32_t gone : progress_.lead(leads)) {
    std::erase(current, gone);
    abandon(gone);
  }
  for (const FramePtr& frame : frames) {
    if (std::ranges::find(current, frame->shard) == current.end()) continue;
    const Progress::Shard& shard = *progress_.find(frame->shard);
    if (frame->batch > shard.taken) take(frame, shard.lead.epoch, false);
  }
  bool behind = false;
  for (Progress::Shard& shard : progress_.shards()) {
    if (std::ranges::find(current, shard.lead.shard) != current.end()) {
      shard.taken = std::max(shard.taken, shard.lead.batch);
    }
    behind = behind || !shard.current();
  }
  if (behind) wake();
  pump();
}

bool Delivery::room_for(std::size_t frames, std::size_t bytes) const {
  return frames_ + frames <= settings_.max_frames && bytes_ + bytes <= settings_.max_bytes;
}

void Delivery::take(const FramePtr& frame, std::int64_t epoch, bool replay) {
  if (!replay && !routing_.carries(name(), frame->stream_id)) return;
  auto& place = streams_[frame->stream_id];
  if (!place) {
    place = std::make_unique<Stream>();
    place->id = frame->stream_id;
    place->shard = frame->shard;
  }
  Stream& stream = *place;
  if (replay) {
    if (replaying_.insert(key_of(*frame)).second) push(stream, {frame, epoch, true});
    return;
  }
  if (stream.lag == Stream::Lag::saved) {
    stream.missed = true;
    return;
  }
  if (frame->offset < stream.next_offset) return;
  progress_.count(*frame, epoch);
  push(stream, {frame, epoch, false});
  if (stream.lag == Stream::Lag::none && stream.items.size() > kMaxOfStream && pauses_ == 0) {
    lag(stream, "its messages come faster than the service takes them");
  }
}

void Delivery::push(Stream& stream, Item item) {
  ++frames_;
  bytes_ += item.frame->text.size();
  stream.items.push_back(std::move(item));
  if (stream.state == Stream::State::idle) make_ready(stream);
}

void Delivery::pop(Stream& stream) {
  const Item item = std::move(stream.items.front());
  stream.items.pop_front();
  --frames_;
  bytes_ -= item.frame->text.size();
  if (item.replay) {
    replaying_.erase(key_of(*item.frame));
  } else {
    progress_.settle(*item.frame, item.epoch);
  }
}

void Delivery::clear(Stream& stream) {
  while (!stream.items.empty()) pop(stream);
  ++stream.generation;
}

void Delivery::abandon(std::int32_t shard) {
  std::vector<Stream*> gone;
  for (auto& [id, stream] : streams_) {
    if (stream->shard == shard) gone.push_back(stream.get());
  }
  for (Stream* stream : gone) {
    clear(*stream);
    stream->lag = Stream::Lag::none;
    stream->next_offset = stream->saved_offset = 0;
    unsaved_.erase(stream->id);
    lagging_.erase(stream->id);
    if (stream->state == Stream::State::idle) streams_.erase(stream->id);
  }
}

void Delivery::rest(Stream& stream) {
  stream.state = Stream::State::idle;
  if (!stream.items.empty()) {
    make_ready(stream);
  } else if (stream.lag != Stream::Lag::none) {
    wake();
  } else if (!unsaved_.contains(stream.id)) {
    streams_.erase(stream.id);
  }
}

void Delivery::make_ready(Stream& stream, bool first) {
  stream.state = Stream::State::ready;
  if (first) {
    ready_.push_front(&stream);
  } else {
    ready_.push_back(&stream);
  }
}

void Delivery::lag(Stream& stream, std::string reason) {
  stream.lag = Stream::Lag::unsaved;
  stream.reason = std::move(reason);
  unsaved_.insert(stream.id);
  wake();
}

std::int64_t Delivery::first_undelivered(const Stream& stream) const {
  const auto first = std::ranges::find(stream.items, false, &Item::replay);
  return first == stream.items.end() ? stream.next_offset : first->frame->offset;
}

asio::awaitable<void> Delivery::finish(Clock::time_point deadline) {
  finishing_ = true;
  wake();
  while (!finished_ && Clock::now() < deadline) {
    asio::steady_timer pause(executor_, std::chrono::milliseconds(5));
    co_await pause.async_wait(asio::use_awaitable);
  }
  timer_.cancel();
  ledger_.stop();
  adapter_->stop();
}

}  // namespace sealcast::transport::outside
