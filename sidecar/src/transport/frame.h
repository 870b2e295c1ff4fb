// A frame is one message as every transport carries it. Each stream has two channels of frames.
//
// Any reader of a stream may read its public channel. While the stream is sampled, the public channel carries only a
// part of the messages (docs/sampling.md). The vip channel always carries all messages. Its readers are the users with
// a role in the stream (VIPs) and the workers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "transport/redaction.h"

namespace sealcast::transport {

struct Frame {
  std::string stream_id;    // lower-case UUID
  std::int64_t offset = 0;  // per stream, from 1, without gaps
  std::int64_t prev = 0;    // the offset of the previous frame on the same channel
  std::int32_t shard = 0;
  std::int64_t batch = 0;    // the number of its relay batch in the shard; 0 when it was read without its relay batch
  std::string text{};        // the JSON that append_frame() writes
  RedactionPtr redaction{};  // what the message announces; null: no redaction
};
using FramePtr = std::shared_ptr<const Frame>;

// Appends {"offset":…,"prev":…,"envelope":{…}}, and "redacted":{…} if `redacted` is not empty. An empty `envelope`
// means that the row of the message is gone: the offset stays, and the function appends
// {"offset":…,"prev":…,"gone":true}.
void append_frame(std::int64_t offset, std::int64_t prev, std::string_view envelope, std::string_view redacted,
                  std::string& out);
// Appends the end of a frame with a redacted envelope, after the envelope.
void append_redacted_member(std::string_view redacted, std::string& out);

// Returns the frame with its text and the redaction that it announces. The arguments are those of append_frame().
FramePtr make_frame(Frame frame, std::string_view envelope, std::string_view redacted);

// Returns the envelope in the text of a frame, or an empty text when it has none.
std::string_view frame_envelope(std::string_view frame);

// Returns the member `offset` of the text of a frame; nullopt when it is missing.
std::optional<std::int64_t> frame_offset(std::string_view frame);

// Returns the member `ts` of an envelope or of a frame's text, in Unix milliseconds; nullopt when it is missing.
std::optional<std::int64_t> envelope_ts(std::string_view text);

enum class Channel { everyone, all_messages };
constexpr std::string_view to_string(Channel channel) { return channel == Channel::everyone ? "public" : "vip"; }
constexpr std::optional<Channel> channel_named(std::string_view name) {
  for (const Channel channel : {Channel::everyone, Channel::all_messages}) {
    if (name == to_string(channel)) return channel;
  }
  return std::nullopt;
}

// Returns whether the text of a frame says that its message is gone.
bool is_gone(std::string_view frame);

// Return the members `kid`, `t`, `s`, `txn_id` and `sig` of an envelope or of a frame's text. Each returns an empty
// text when its member is missing.
std::string_view envelope_kid(std::string_view text);
std::string_view envelope_type(std::string_view text);
std::string_view envelope_sender(std::string_view text);
std::string_view envelope_txn(std::string_view text);
std::string_view envelope_sig(std::string_view text);

}  // namespace sealcast::transport
