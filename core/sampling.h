// Decides which messages the public channel carries while a stream is sampled (docs/sampling.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace sealcast::core {

// Returns the sampling bucket, 0 to 99. One user in one stream always has the same bucket: the first 8 bytes,
// big-endian, of SHA-256 over the user's id followed by the stream's id, both as lower-case text, modulo 100.
int sampling_bucket(std::string_view user_id, std::string_view stream_id);

// Returns whether the user is among the `rate` percent (0 to 100) of the stream's users whose messages are carried.
inline bool is_sampled(std::string_view user_id, std::string_view stream_id, int rate) {
  return sampling_bucket(user_id, stream_id) < rate;
}

// The columns of message_types that decide the tier of a message.
struct TierRules {
  int tier = 2;
  std::optional<std::int64_t> tier0_amount;  // a message with at least this d.amount is tier 0
  bool states_role = true;                   // the server sets d.user_role
};

// Returns the same tier as SQL tier(): messages of tiers 0 and 1 are always carried, those of tier 2 are sampled.
// `sender_id` must be in lower case, and `d` must be valid JSON.
int tier_of(const TierRules& rules, std::string_view sender_id, std::string_view d);

}  // namespace sealcast::core
