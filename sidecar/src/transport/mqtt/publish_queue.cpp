// Encodes the frames of the queued batches within the limits of the broker.
#include "transport/mqtt/publish_queue.h"

#include <utility>

#include "transport/mqtt/packet.h"
#include "transport/mqtt/protocol.h"

namespace sealcast::transport::mqtt {

void PublishQueue::add(std::shared_ptr<Batch> batch) { sending_.push_back(std::move(batch)); }

void PublishQueue::send(const Limits& limits, std::string& out) {
  while (!sending_.empty() && in_flight_.size() < limits.window && out.size() < kMaxUnsentBytes) {
    const std::shared_ptr<Batch> batch = sending_.front();
    if (!batch->has_next()) {
      sending_.pop_front();
      continue;
    }
    const Publish packet(batch->next(), options_);
    if (const std::size_t bytes = packet.bytes(nullptr); bytes > limits.max_packet_bytes) {
      batch->reject_next("the packet of the frame has " + std::to_string(bytes) + " bytes, and the broker accepts " +
                         std::to_string(limits.max_packet_bytes));
      continue;
    }
    std::shared_ptr<TopicAlias> alias = aliases_.of(packet.topic(), limits.topic_aliases, Clock::now());
    if (alias && packet.bytes(alias.get()) > limits.max_packet_bytes) alias.reset();  // a new alias makes it longer
    const std::uint16_t id = unused_id();
    packet.append(id, alias.get(), out);
    in_flight_.emplace(id, Flight{batch, batch->mark_sent(), std::move(alias)});
  }
}

// A frame whose batch has ended keeps its identifier until the broker answers. 0 is no identifier (MQTT 5.0, 2.2.1).
std::uint16_t PublishQueue::unused_id() {
  do {
    ++last_id_;
  } while (last_id_ == 0 || in_flight_.contains(last_id_));
  return last_id_;
}

void PublishQueue::handle_answer(std::uint16_t packet_id, int reason_code) {
  last_answer_ = Clock::now();
  const auto found = in_flight_.find(packet_id);
  if (found == in_flight_.end()) return;
  const Flight flight = std::move(found->second);
  in_flight_.erase(found);
  if (flight.alias && reason_code < reason::kFirstFailure) flight.alias->is_known = true;
  flight.batch->handle_answer(flight.index, reason_code);
}

void PublishQueue::fail(const std::string& reason) {
  for (const auto& [id, flight] : in_flight_) flight.batch->fail(reason);
  for (const auto& batch : sending_) batch->fail(reason);
  in_flight_.clear();
  sending_.clear();
}

}  // namespace sealcast::transport::mqtt
