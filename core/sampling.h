// Whose messages go to the public channel of a stream in a chat storm (docs/sampling.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace sealcast::core {

// 0 to 99, the same for a user in a stream for ever: the first 8 bytes, big-endian, of SHA-256 over both ids as
// lower-case text, the user's first, modulo 100.
int sampling_bucket(std::string_view user_id, std::string_view stream_id);

// Whether the user is among the `rate` percent (0 to 100) of the stream's users whose messages are sent.
inline bool is_sampled(std::string_view user_id, std::string_view stream_id, int rate) {
  return sampling_bucket(user_id, stream_id) < rate;
}

// What a message type says of its messages' tiers (message_types).
struct TierRules {
  int tier = 2;
  std::optional<std::int64_t> tier0_amount;  // d.amount from which a message is tier 0
  bool states_role = true;                   // d.user_role is the server's word
};

// sealcast.tier(): 0 and 1 are always sent, 2 is sampled. `sender_id` is lower-case, `d` canonical JSON.
int tier_of(const TierRules& rules, std::string_view sender_id, std::string_view d);

}  // namespace sealcast::core
