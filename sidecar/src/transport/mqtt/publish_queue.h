// The batches that wait on one connection. The queue encodes their frames in order, and gives each answer of the broker
// to the batch of its frame.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>

#include "transport/mqtt/batch.h"
#include "transport/mqtt/options.h"
#include "transport/mqtt/topic_aliases.h"

namespace sealcast::transport::mqtt {

// The limits for sending: of the broker or of this adapter, whichever is lower.
struct Limits {
  std::size_t window = 0;            // the largest number of PUBLISH packets without an answer
  std::size_t max_packet_bytes = 0;  // the largest size of a PUBLISH packet
  std::uint16_t topic_aliases = 0;   // the largest number of a topic alias; 0: none
};

class PublishQueue {
 public:
  // `options` must stay valid as long as this object.
  explicit PublishQueue(const Options& options) : options_(options) {}

  void add(std::shared_ptr<Batch> batch);

  // Appends the packets of frames to `out` until `limits.window` frames wait for an answer, `out` is kMaxUnsentBytes
  // long, or no frame is left.
  void send(const Limits& limits, std::string& out);

  // Handles a PUBACK with this packet identifier and reason code. Ignores an unknown identifier.
  void handle_answer(std::uint16_t packet_id, int reason_code);
  Clock::time_point last_answer() const { return last_answer_; }

  void fail(const std::string& reason);  // ends all batches that are not ended yet

 private:
  static constexpr std::size_t kMaxUnsentBytes = 256 * 1024;

  std::uint16_t unused_id();

  struct Flight {
    std::shared_ptr<Batch> batch;
    std::size_t index;
    std::shared_ptr<TopicAlias> alias;  // null: none
  };

  const Options& options_;
  TopicAliases aliases_;
  std::deque<std::shared_ptr<Batch>> sending_;           // batches that may still have frames to send
  std::unordered_map<std::uint16_t, Flight> in_flight_;  // frames without an answer, by packet identifier
  std::uint16_t last_id_ = 0;
  Clock::time_point last_answer_{};
};

}  // namespace sealcast::transport::mqtt
