// The outbox, a queue of the committed messages that are not relayed yet: where a new message goes, and which runs a
// drain relays next.
#pragma once

#include "core/shard.h"
#include "relay/position.h"
#include "server/pg.h"

namespace sealcast::relay {

inline int shard_of(const pg_uuid_t& stream_id) { return core::shard_of(stream_id.data[UUID_LEN - 1]); }

// Returns the number of the segment (one of the tables outbox_0, outbox_1 and outbox_2) into which new rows go.
int16 outbox_segment();

// Maximum number of messages in a run. A relay batch always ends between two runs, so a run must not be long.
inline constexpr int kMaxRun = 256;

// The newest offsets of a stream, and its sampling rate.
struct StreamProgress {
  int64 offset;         // of the newest message
  int64 public_offset;  // of the newest message on the public channel
  int64 logged_at;      // of the newest run; 0 if no run is kept
  int rate = 100;       // percentage of the users whose tier 2 messages the public channel carries
};

// A run: messages of one stream that one transaction admitted, with consecutive message_ids.
struct Run {
  int64 first_id;
  int messages;
  int64 ts;  // milliseconds since 1970
  pg_uuid_t stream_id;
  int shard;
  // The drain sets the members below.
  int64 offset;                         // of the first message
  StreamProgress* stream = nullptr;     // shared by all runs of this stream in the drain
  int64 public_before = 0;              // newest offset on the public channel before this run
  int public_messages = 0;              // number of messages of this run on the public channel
  uint8 public_bits[kMaxRun / 8] = {};  // per message one bit, lowest first: 1 if on the public channel

  // Puts message number `i`, from 0, on the public channel.
  void make_public(int i) {
    ++public_messages;
    public_bits[i / 8] |= static_cast<uint8>(1 << i % 8);
    stream->public_offset = offset + i;
  }
  // Returns public_bits as a bytea, with only the bytes that `messages` bits need.
  Datum public_bytes() const;

  // Returns whether a message with this id and stream can be appended to the run.
  bool continues_with(int64 message_id, const pg_uuid_t& stream) const {
    return messages < kMaxRun && message_id == first_id + messages && std::memcmp(&stream, &stream_id, UUID_LEN) == 0;
  }
};

// A drain window: the messages that became visible after the snapshot of `seen` and are visible in the snapshot of
// `target`. All messages before the window are relayed. The messages in the window are relayed in order of message_id,
// so far up to after_id.
struct Window {
  Position seen;
  Position target;
  int64 after_id;
};

// Returns the next runs of the window for the given shards (one bit per shard), in order of first_id. Stops after the
// run with which they hold max_messages or more. Sets `complete` to whether they hold fewer, which means that the
// window has no further runs; leaves `complete` unchanged if there are no runs.
//
// If a message was sent after another message was committed, it comes later in this order, no matter which of the two
// transactions began first. All reads are index ranges, so the cost depends only on the number of new messages, not on
// rolled back rows or long transactions.
std::span<Run> next_runs(const Window& window, uint32 shards, int max_messages, bool& complete);

}  // namespace sealcast::relay
