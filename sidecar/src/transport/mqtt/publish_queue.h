// The batches that wait on one connection. The queue sends their frames in order, and gives each answer of the broker
// to the batch of its frame.
#pragma once

#include <mosquitto.h>

#include <deque>
#include <memory>
#include <string>
#include <unordered_map>

#include "transport/mqtt/batch.h"
#include "transport/mqtt/connect.h"

namespace sealcast::transport::mqtt {

class PublishQueue {
 public:
  explicit PublishQueue(std::string topic_template) : topic_template_(std::move(topic_template)) {}

  void add(std::shared_ptr<Batch> batch);

  // Sends frames until `limits.window` frames wait for an answer, or no frame is left. Returns an empty string, or the
  // text of an error of libmosquitto.
  std::string send(mosquitto* client, const Limits& limits);

  // Handles a PUBACK with this packet identifier and reason code. Ignores an unknown identifier.
  void handle_answer(int packet_id, int reason_code);
  Clock::time_point last_answer() const { return last_answer_; }

  void fail(const std::string& reason);  // ends all batches that are not ended yet

 private:
  struct Flight {
    std::shared_ptr<Batch> batch;
    std::size_t index;
  };

  const std::string topic_template_;
  std::deque<std::shared_ptr<Batch>> sending_;  // batches that may still have frames to send
  std::unordered_map<int, Flight> in_flight_;   // frames without an answer, by packet identifier
  Clock::time_point last_answer_{};
};

}  // namespace sealcast::transport::mqtt
