// Sends the frames of the queued batches within the limits of the broker.
#include "transport/mqtt/publish_queue.h"

#include <openssl/err.h>

#include <cerrno>
#include <utility>

#include "transport/mqtt/packet.h"

namespace sealcast::transport::mqtt {

void PublishQueue::add(std::shared_ptr<Batch> batch) { sending_.push_back(std::move(batch)); }

std::string PublishQueue::send(mosquitto* client, const Limits& limits) {
  while (!sending_.empty() && in_flight_.size() < limits.window) {
    const std::shared_ptr<Batch> batch = sending_.front();
    if (!batch->has_next()) {
      sending_.pop_front();
      continue;
    }
    const Packet packet(batch->next(), topic_template_);
    if (const std::size_t bytes = packet.bytes(); bytes > limits.max_packet_bytes) {
      batch->reject_next("the packet of the frame has " + std::to_string(bytes) + " bytes, and the broker accepts " +
                         std::to_string(limits.max_packet_bytes));
      continue;
    }
    int id = 0;
    ERR_clear_error();
    const int result = packet.publish(client, id);
    if (result != MOSQ_ERR_SUCCESS) return error_text(result, errno);
    in_flight_.emplace(id, Flight{batch, batch->mark_sent()});
  }
  return {};
}

void PublishQueue::handle_answer(int packet_id, int reason_code) {
  last_answer_ = Clock::now();
  const auto found = in_flight_.find(packet_id);
  if (found == in_flight_.end()) return;
  const Flight flight = std::move(found->second);
  in_flight_.erase(found);
  flight.batch->handle_answer(flight.index, reason_code);
}

void PublishQueue::fail(const std::string& reason) {
  for (const auto& [id, flight] : in_flight_) flight.batch->fail(reason);
  for (const auto& batch : sending_) batch->fail(reason);
  in_flight_.clear();
  sending_.clear();
}

}  // namespace sealcast::transport::mqtt
