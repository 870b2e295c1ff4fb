// Whose messages go to the public channel of a stream in a chat storm (docs/sampling.md).
#pragma once

#include <string_view>

namespace sealcast {

// 0 to 99, the same for a user in a stream for ever: the first 8 bytes, big-endian, of SHA-256 over both ids as
// lower-case text, the user's first, modulo 100.
int sampling_bucket(std::string_view user_id, std::string_view stream_id);

// Whether the user is among the `rate` percent (0 to 100) of the stream's users whose messages are sent.
inline bool is_sampled(std::string_view user_id, std::string_view stream_id, int rate) {
  return sampling_bucket(user_id, stream_id) < rate;
}

}  // namespace sealcast
