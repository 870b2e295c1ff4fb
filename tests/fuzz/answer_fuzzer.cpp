// Interprets the input as the HTTP answer of Ably, Supabase or LiveKit: a status, two headers of Ably and a body. The
// outcome of a failed publish must have a reason that fits into one log line. An outcome must be `done` only for the
// statuses that mean success at the service.
#include <string>

#include "core/uuid.h"
#include "fuzz.h"
#include "leader/viewers/livekit_rooms.h"
#include "transport/ably/outcome.h"
#include "transport/ably/revocation_answer.h"
#include "transport/supabase/outcome.h"

namespace sealcast::fuzz {
namespace {

constexpr std::size_t kLongest = 600;

void check_outcome(const transport::outside::Outcome& outcome, bool success) {
  require((outcome.kind == transport::outside::Outcome::Kind::done) == success,
          "an outcome is done for the statuses of a success only");
  require(outcome.reason.empty() == success, "a failure has a reason");
  require(is_one_line(outcome.reason) && outcome.reason.size() <= kLongest, "a reason is one short line");
  require(outcome.delivered == 0, "outcome_of() leaves `delivered` to its caller");
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
  if (answer.status == 0) answer.failure = "no answer by the deadline";

  const bool ably = answer.status == 200 || answer.status == 201 || answer.status == 204;
  const transport::outside::Outcome outcome = transport::ably::outcome_of(answer);
  if (answer.status != 0) check_outcome(outcome, ably);
  if (outcome.kind == transport::outside::Outcome::Kind::dead) require(answer.status >= 300, "a success is not dead");
  check_outcome(transport::supabase::outcome_of(answer), answer.status == 202);

  const std::vector<std::string> users{"u", "v"};
  const transport::TokenRevoker::Answer revocation = transport::ably::read_revocation(answer, users);
  const bool all = revocation.revoked == std::vector<bool>{true, true};
  require(revocation.revoked.size() == users.size(), "each user has a result");
  require(revocation.problem.empty() == all, "there is a problem unless all tokens are revoked");
  require(is_one_line(revocation.problem) && revocation.problem.size() <= 2 * kLongest, "a problem is one short line");

  std::vector<leader::viewers::LiveKitRooms::Room> found;
  const std::string problem = rooms.read(answer, found);
  require(answer.status == 200 || !problem.empty(), "every other status than 200 is a problem");
  require(is_one_line(problem) && problem.size() <= kLongest, "a problem is one short line");
  for (const auto& [name, stream, viewers] : found) {
    std::string id;
    require(core::normalize_uuid(stream, id) && id == stream, "each key is a normalised stream id");
    require(viewers >= 0, "no count is negative");
    require(name.starts_with("show ") && name.ends_with(" live"), "a room follows the template");
    require(viewers <= leader::viewers::bounded_viewers(viewers), "a bounded count is not less than the count");
  }
}

}  // namespace sealcast::fuzz
