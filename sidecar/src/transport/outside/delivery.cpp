// Queues the frames that the relay publishes, while they fit into memory, and starts and ends the delivery.
#include "transport/outside/delivery.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace sealcast::transport::outside {
namespace {

const StreamViewers kNobody;

}  // namespace

Delivery::Delivery(asio::any_io_executor executor, Metrics& metrics, const StreamViewers& viewers,
                   const Routing& routing, RegisteredAdapter registered, const config::Settings& settings)
    : name_(registered.name),
      channel_(registered.channel),
      adapter_(std::move(registered.adapter)),
      store_(executor, settings.relay.dsn, name_, channel_, settings.postgres.timeout),
      work_(executor),
      queues_(name_, routing, settings.delivery, work_),
      publisher_(executor, name_, *adapter_, queues_, work_, settings.delivery, metrics.delivery(name_)),
      persistence_(executor, name_, *adapter_, store_, queues_, work_, publisher_, metrics.delivery(name_)) {
  // The viewers read the public channel. The few readers of the vip channel are not counted.
  adapter_->count_in(metrics, channel_ == Channel::everyone ? viewers : kNobody);
}

Delivery::~Delivery() {
  store_.stop();
  adapter_->stop();
}

void Delivery::start() {
  adapter_->start();
  store_.start();
  persistence_.start();
}

void Delivery::publish(std::span<const FramePtr> frames, std::span<const Lead> leads) {
  std::size_t bytes = 0;
  for (const FramePtr& frame : frames) bytes += frame->text.size();
  const bool room = queues_.has_room(frames.size(), bytes);
  // The shards whose earlier frames are all queued. Frames of other shards must wait, because older frames of these
  // shards must be queued first.
  std::vector<std::int32_t> current;
  for (const Progress::Shard& shard : queues_.progress.shards()) {
    if (room && shard.current()) current.push_back(shard.lead.shard);
  }
  for (const FramePtr& frame : frames) {
    if (frame->redaction) queues_.redact(frame->redaction);
  }
  const Progress::Changes changes = queues_.progress.set_leads(leads);
  if (changes.acquired) adapter_->begin_lead();
  for (const std::int32_t lost : changes.lost) {
    std::erase(current, lost);
    queues_.remove_shard(lost);
  }
  for (const FramePtr& frame : frames) {
    if (std::ranges::find(current, frame->shard) == current.end()) continue;
    const Progress::Shard& shard = *queues_.progress.find(frame->shard);
    if (frame->batch > shard.queued) queues_.add(frame, shard.lead.epoch, !publisher_.paused());
  }
  bool behind = false;
  for (Progress::Shard& shard : queues_.progress.shards()) {
    if (std::ranges::find(current, shard.lead.shard) != current.end()) {
      shard.queued = std::max(shard.queued, shard.lead.batch);
    }
    behind = behind || !shard.current();
  }
  if (behind) work_.changed.set();
  publisher_.publish_ready();
}

asio::awaitable<void> Delivery::finish(Clock::time_point deadline) {
  co_await persistence_.finish(deadline);
  publisher_.stop();
  store_.stop();
  adapter_->stop();
}

}  // namespace sealcast::transport::outside
