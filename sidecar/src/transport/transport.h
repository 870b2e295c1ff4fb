// What the relay hands to every transport, and what a transport is.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace sealcast {

// One message as every transport carries it: {"offset":…,"prev":…,"envelope":{…}}.
struct Frame {
  std::string stream_id;  // lower-case UUID
  std::int64_t offset;    // per stream, from 1, without gaps
  std::int64_t prev;      // the offset of the frame before this one on the same channel
  std::string text;       // the frame's JSON
};
using FramePtr = std::shared_ptr<const Frame>;

// Appends a frame's JSON.
void append_frame(std::int64_t offset, std::int64_t prev, std::string_view envelope, std::string& out);

class Transport {
 public:
  virtual ~Transport() = default;
  virtual std::string_view name() const = 0;
  // Takes frames of one drain, in order per stream. Returns at once: a transport queues within its own bound.
  virtual void publish(std::span<const FramePtr> frames) = 0;
};

}  // namespace sealcast
