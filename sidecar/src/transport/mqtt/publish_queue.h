// The batches of one connection: sends their frames in order, and matches the broker's answers to them.
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

  // Sends frames until `limits.window` frames wait for an answer. Returns the error of libmosquitto, or an empty
  // string.
  std::string send(mosquitto* client, const Limits& limits);

  // `reason_code` is that of a PUBACK.
  void handle_answer(int packet_id, int reason_code);
  Clock::time_point last_answer() const { return last_answer_; }

  void fail(const std::string& reason);  // ends all batches

 private:
  struct Flight {
    std::shared_ptr<Batch> batch;
    std::size_t index;
  };

  const std::string topic_template_;
  std::deque<std::shared_ptr<Batch>> sending_;  // batches with frames to send
  std::unordered_map<int, Flight> in_flight_;   // by packet identifier
  Clock::time_point last_answer_{};
};

}  // namespace sealcast::transport::mqtt
