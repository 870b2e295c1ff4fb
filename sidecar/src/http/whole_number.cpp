// Digits and nothing else, within bounds.
#include "http/whole_number.h"

#include <charconv>

namespace sealcast::http {

bool read_number(std::string_view name, std::string_view text, std::int64_t min, std::int64_t max,
                 std::optional<std::int64_t>& out, Response& response) {
  if (text.empty()) return true;
  std::int64_t value = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec == std::errc() && end == text.data() + text.size() && value >= min && value <= max) {
    out = value;
    return true;
  }
  std::string details =
      std::string(name) + " must be a whole number, " + std::to_string(min) + " to " + std::to_string(max);
  answer_problem(response, {400, "invalid_request", "a parameter does not fit", details});
  return false;
}

}  // namespace sealcast::http
