// Any bytes as what a service answers (a status, two headers of Ably's, a body): an outcome, with a reason that fits
// into a line of the log; only what the service calls a success is one.
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
  require((outcome.kind == transport::outside::Outcome::Kind::done) == success, "done is what the service took");
  require(outcome.reason.empty() == success, "a failure has a reason");
  require(is_one_line(outcome.reason) && outcome.reason.size() <= kLongest, "a reason is a line");
  require(outcome.delivered == 0, "nothing is delivered that nobody said");
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
    require(answer.status >= 300, "what was taken is not dead");
  check_outcome(transport::supabase::outcome_of(answer), answer.status == 202);

  leader::viewers::ViewerCounts counts;
  const std::string problem = rooms.read(answer, counts);
  require(answer.status == 200 || !problem.empty(), "only 200 is an answer of LiveKit's");
  require(is_one_line(problem) && problem.size() <= kLongest, "a problem is a line");
  for (const auto& [stream, viewers] : counts) {
    std::string id;
    require(core::normalize_uuid(stream, id) && id == stream, "viewers are of a stream");
    require(viewers > 0, "nobody is not counted");
    require(viewers <= leader::viewers::bounded_viewers(viewers), "two counts fit into one");
  }
}

}  // namespace sealcast::fuzz
