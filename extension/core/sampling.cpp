// A bucket by hash, so that who is sampled does not change with the minute.
#include "sampling.h"

#include <cstdint>
#include <string>

#include "digest.h"

namespace sealcast {

int sampling_bucket(std::string_view user_id, std::string_view stream_id) {
  std::string ids;
  ids.reserve(user_id.size() + stream_id.size());
  ids.append(user_id).append(stream_id);
  const Digest digest = sha256(ids);
  std::uint64_t number = 0;
  for (int i = 0; i < 8; ++i) number = number << 8 | digest[i];
  return static_cast<int>(number % 100);
}

}  // namespace sealcast
