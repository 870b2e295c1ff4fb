// The outbox: where a message goes in it, and what of it comes next.
#pragma once

#include "core/shard.h"
#include "relay/position.h"
#include "server/pg.h"

namespace sealcast::relay {

inline int shard_of(const pg_uuid_t& stream_id) { return core::shard_of(stream_id.data[UUID_LEN - 1]); }

// The segment that takes new rows.
int16 outbox_segment();

// Whether message number `i` of a run is on the public channel, by stream_runs.public_bits.
inline bool is_public(std::string_view bits, int i) {
  const auto byte = static_cast<std::size_t>(i / 8);
  return byte < bits.size() && (static_cast<uint8>(bits[byte]) >> i % 8 & 1) != 0;
}

// A run is no longer than this, so that a drain can end between two.
inline constexpr int kMaxRun = 256;

// How far the channels of a stream have come, and what is sent of it.
struct StreamState {
  int64 offset;         // of the newest message
  int64 public_offset;  // of the newest one on the public channel
  int rate = 100;       // of its users, percent, whose tier 2 messages are sent
};

// Messages of one stream that one transaction admitted, with consecutive message_ids.
struct Run {
  int64 first_id;
  int messages;
  int64 ts;
  pg_uuid_t stream_id;
  int shard;
  // Given by the drain: see stream_runs.
  int64 offset;
  StreamState* stream = nullptr;
  int64 public_before = 0;
  int public_messages = 0;
  uint8 public_bits[kMaxRun / 8] = {};

  // Puts its message number `i` on the public channel.
  void send(int i) {
    ++public_messages;
    public_bits[i / 8] |= static_cast<uint8>(1 << i % 8);
    stream->public_offset = offset + i;
  }
  Datum public_bytes() const;

  // Whether a message comes next in it.
  bool takes(int64 message_id, const pg_uuid_t& stream) const {
    return messages < kMaxRun && message_id == first_id + messages && std::memcmp(&stream, &stream_id, UUID_LEN) == 0;
  }
};

// Up to where shards that stand at one position have relayed, and how far they now go. All that `seen` sees is relayed;
// of what became visible from there to `target`, what is up to after_id. A transaction after …_xid has message_ids
// beyond …_id (see relay_log).
struct Window {
  Position seen;
  uint64 seen_xid;
  int64 seen_id;
  Position target;
  uint64 target_xid;
  int64 target_id;
  int64 after_id;
};

// The window's first runs for those shards (a bit each), as many as hold max_messages, in order of first_id: what was
// sent after another message was committed comes after it, whichever transaction began first. All are index ranges, so
// this costs what is new, whatever was rolled back and however long somebody's transaction runs. `complete`: there were
// fewer.
std::span<Run> next_runs(const Window& window, uint32 shards, int max_messages, bool& complete);

}  // namespace sealcast::relay
