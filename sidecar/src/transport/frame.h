// A frame: one message as every transport carries it, and the two channels of a stream that carry frames.
//
// The public channel is for every reader: while the stream is sampled it carries a part of the messages
// (docs/sampling.md). The vip channel, for VIPs and workers, carries all of them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace sealcast::transport {

// One message as every transport carries it: {"offset":…,"prev":…,"envelope":{…}}.
struct Frame {
  std::string stream_id;    // lower-case UUID
  std::int64_t offset = 0;  // per stream, from 1, without gaps
  std::int64_t prev = 0;    // the offset of the frame before this one on the same channel
  std::int32_t shard = 0;
  std::int64_t batch = 0;  // of the shard, which numbers what each drain relayed
  std::string text{};      // the frame's JSON
};
using FramePtr = std::shared_ptr<const Frame>;

// Appends a frame's JSON.
void append_frame(std::int64_t offset, std::int64_t prev, std::string_view envelope, std::string& out);

// `ts` of an envelope, or of a frame's text.
std::optional<std::int64_t> envelope_ts(std::string_view text);

enum class Channel { everyone, all_messages };
constexpr std::string_view to_string(Channel channel) { return channel == Channel::everyone ? "public" : "vip"; }
constexpr std::optional<Channel> channel_named(std::string_view name) {
  for (const Channel channel : {Channel::everyone, Channel::all_messages}) {
    if (name == to_string(channel)) return channel;
  }
  return std::nullopt;
}

// `kid`, `t` and `s` of an envelope, or of a frame's text; empty when there is none.
std::string_view envelope_kid(std::string_view text);
std::string_view envelope_type(std::string_view text);
std::string_view envelope_sender(std::string_view text);

}  // namespace sealcast::transport
