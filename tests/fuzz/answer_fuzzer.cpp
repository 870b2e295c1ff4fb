// Interprets the input as an answer of an outside service: a status, two headers of Ably, a body. The result must be an
// outcome whose reason fits into a log line. Only a status that the service documents as success may be a success.
#include <string>

#include "core/uuid.h"
#include "fuzz.h"
#include "leader/viewers/livekit_rooms.h"
#include "transport/ably/verdict.h"
#include "transport/supabase/verdict.h"

namespace sealcast::fuzz {
namespace {

constexpr std::size_t kLongest = 600;

void check_outcome(const transport::outside::Outcome& outcome, bool success) {
  require((outcome.kind == transport::outside::Outcome::Kind::done) == success,
          "an outcome is done if and only if the service accepted the request");
  require(outcome.reason.empty() == success, "a failure has a reason, and a success has none");
  require(is_one_line(outcome.reason) && outcome.reason.size() <= kLongest, "a reason is one short line");
  require(outcome.delivered == 0, "a whole answer reports no partial delivery");
}

}  // namespace

void check(std::string_view rest) {
  static leader::viewers::LiveKitRooms rooms("show {stream_id} live");
  client::http::Answer answer;
  const std::string_view status = next_line(rest);
  answer.status = status.size() == 3 ? 100 * (status[0] & 7) + 10 * (status[1] & 7) + (status[2] & 7) : 200;
  answer.headers.emplace_back("X-Ably-ErrorCode", next_line(rest));
  answer.headers.emplace_back("X-Ably-ErrorMessage", next_line(rest));
  answer.body = rest;
  if (answer.status == 0) answer.failure = "no answer in time";

  const bool ably = answer.status == 200 || answer.status == 201 || answer.status == 204;
  const transport::outside::Outcome outcome = transport::ably::outcome_of(answer);
  if (answer.status != 0) check_outcome(outcome, ably);
  if (outcome.kind == transport::outside::Outcome::Kind::dead)
    require(answer.status >= 300, "an accepted request makes no dead letter");
  check_outcome(transport::supabase::outcome_of(answer), answer.status == 202);

  leader::viewers::ViewerCounts counts;
  const std::string problem = rooms.read(answer, counts);
  require(answer.status == 200 || !problem.empty(), "each status of LiveKit other than 200 is a problem");
  require(is_one_line(problem) && problem.size() <= kLongest, "a problem is one short line");
  for (const auto& [stream, viewers] : counts) {
    std::string id;
    require(core::normalize_uuid(stream, id) && id == stream, "a viewer count has a stream id in lower case");
    require(viewers > 0, "a viewer count is positive");
    require(viewers <= leader::viewers::bounded_viewers(viewers),
            "a viewer count is within its bound, so that the sum of two does not overflow");
  }
}

}  // namespace sealcast::fuzz
