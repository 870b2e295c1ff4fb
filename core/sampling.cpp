// Computes sampling buckets and the tier of a message. A bucket is a hash, so the public channel of a sampled stream
// carries the same users all the time.
#include "core/sampling.h"

#include <algorithm>
#include <charconv>
#include <string>

#include "core/digest.h"
#include "core/text_canonicalizer.h"
#include "core/uuid.h"

namespace sealcast::core {
namespace {

// Returns the text of a member's value. The name must have no escapes in `object`, so that its length in the text is
// key.size().
std::string_view value_of(const Member& member, std::string_view object) {
  const std::size_t begin = member.begin + member.key.size() + 3;  // after the quotes and the colon
  return object.substr(begin, member.end - begin);
}

bool reaches(std::string_view number, std::int64_t amount) {
  double value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  return error == std::errc() && end == number.data() + number.size() && value >= static_cast<double>(amount);
}

}  // namespace

int sampling_bucket(std::string_view user_id, std::string_view stream_id) {
  std::string ids;
  ids.reserve(user_id.size() + stream_id.size());
  ids.append(user_id).append(stream_id);
  return static_cast<int>(leading_number(sha256(ids)) % 100);
}

int tier_of(const TierRules& rules, std::string_view sender_id, std::string_view d) {
  if (sender_id == kNilUuid) return 0;
  static thread_local std::string object;
  object.clear();
  ThreadScratch scratch;
  bool is_object = false;
  int tier = rules.tier;
  for (const Member& member : canonicalize_members(d, object, Rules::rfc8785, nullptr, *scratch, is_object)) {
    if (!is_object) break;
    if (rules.tier0_amount && member.key == "amount" && reaches(value_of(member, object), *rules.tier0_amount)) {
      return 0;
    }
    if (rules.states_role && member.key == "user_role" && value_of(member, object).starts_with('"')) {
      tier = std::min(tier, 1);
    }
  }
  return tier;
}

}  // namespace sealcast::core
