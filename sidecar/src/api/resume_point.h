// Resume points: the place in a stream's log from which a reader continues (docs/delivery.md). The text is OFFSET, or
// EPOCH:OFFSET.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/exchange.h"

namespace sealcast::api {

struct ResumePoint {
  std::string epoch;  // empty if the text has no epoch
  std::int64_t offset;

  // Returns true if the offset belongs to another log, so that it says nothing about the log with `log_epoch`.
  bool is_foreign_to(std::string_view log_epoch) const { return !epoch.empty() && epoch != log_epoch; }
  // A resume point that is foreign to every log.
  static ResumePoint of_no_log() { return {"-", 0}; }
};

// Returns nullopt if the text is no resume point.
std::optional<ResumePoint> parse_resume_point(std::string_view text);

// Parses `text`, the value of the query parameter or header `name`. An empty `text` leaves `out` unchanged. Returns
// false after answering 400 if the text is no resume point, or if its offset is less than `min`.
bool read_resume_point(std::string_view name, std::string_view text, std::int64_t min, std::optional<ResumePoint>& out,
                       http::Response& response);

}  // namespace sealcast::api
