// Parses resume points.
#include "api/resume_point.h"

#include <algorithm>
#include <charconv>

#include "core/characters.h"

namespace sealcast::api {

namespace {

constexpr std::size_t kMaxEpoch = 16;  // characters; sql/21_outbox.sql has the same limit

bool is_epoch(std::string_view text) {
  return !text.empty() && text.size() <= kMaxEpoch &&
         std::ranges::all_of(text, [](char c) { return core::is_digit(c) || core::is_lower_case(c); });
}

}  // namespace

std::optional<ResumePoint> parse_resume_point(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string_view epoch = colon == text.npos ? std::string_view() : text.substr(0, colon);
  const std::string_view digits = colon == text.npos ? text : text.substr(colon + 1);
  std::int64_t offset = 0;
  const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), offset);
  const bool whole = ec == std::errc() && end == digits.data() + digits.size() && offset >= 0;
  if (!whole || !(colon == text.npos || is_epoch(epoch))) return std::nullopt;
  return ResumePoint{std::string(epoch), offset};
}

bool read_resume_point(std::string_view name, std::string_view text, std::int64_t min, std::optional<ResumePoint>& out,
                       http::Response& response) {
  if (text.empty()) return true;
  const auto point = parse_resume_point(text);
  if (point && point->offset >= min) {
    out = point;
    return true;
  }
  http::answer_problem(response, {400, "invalid_request", "a parameter is not valid",
                                  std::string(name) + " must be OFFSET or EPOCH:OFFSET, with an offset from " +
                                      std::to_string(min) + " on",
                                  "Send the resume point as you got it, or leave it out."});
  return false;
}

}  // namespace sealcast::api
