// Finds the result of each target, and the problem of the first one that has failed.
#include "transport/ably/revocation_answer.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "transport/ably/outcome.h"

namespace sealcast::transport::ably {
namespace {

constexpr std::string_view kPartialFailure = "40020";

// The key, or the whole app, is not set to revocable tokens. Tokens that were issued meanwhile can never be revoked.
// github.com/ably/ably-common, errors/codes/CODE.md
constexpr std::array<std::string_view, 3> kImpossible{"40121", "40163", "40164"};

bool is_impossible(std::string_view code) { return std::ranges::find(kImpossible, code) != kImpossible.end(); }

// Returns the results for the targets, or false if the body has none.
bool find_results(const simdjson::dom::element& root, simdjson::dom::array& results) {
  return root.get(results) == simdjson::SUCCESS || root["results"].get(results) == simdjson::SUCCESS ||
         root["batchResponse"].get(results) == simdjson::SUCCESS;
}

// Adds the results to the answer. Returns the first error of a target; an empty text if there is none.
std::string take_results(const simdjson::dom::array& results, std::span<const std::string> users,
                         TokenRevoker::Answer& out) {
  std::string problem;
  for (const simdjson::dom::element result : results) {
    std::string_view target;
    if (result["target"].get(target) != simdjson::SUCCESS || !target.starts_with(kClientTarget)) continue;
    simdjson::dom::element info;
    const bool failed = result["error"].get(info) == simdjson::SUCCESS && !info.is_null();
    bool possible = true;
    if (failed) {
      const outside::HttpError error = read_error_info(info);
      possible = !is_impossible(error.code);
      if (problem.empty()) problem = "(" + error.code + "): " + error.message;
    }
    for (std::size_t i = 0; i < users.size(); ++i) {
      if (users[i] != target.substr(kClientTarget.size())) continue;
      (failed ? out.possible : out.revoked)[i] = !failed || possible;
    }
  }
  return problem;
}

}  // namespace

TokenRevoker::Answer read_revocation(const client::http::Answer& answer, std::span<const std::string> users) {
  TokenRevoker::Answer out;
  out.revoked.resize(users.size());
  out.retry_after = answer.retry_after;
  const std::string code = read_error(answer).code;
  out.possible.resize(users.size(), !is_impossible(code));
  const bool has_results = (answer.status >= 200 && answer.status < 300) || code == kPartialFailure;
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  simdjson::dom::array results;
  std::string problem;
  if (has_results && parser.parse(answer.body).get(root) == simdjson::SUCCESS && find_results(root, results)) {
    problem = take_results(results, users, out);
  }
  if (std::ranges::find(out.revoked, false) == out.revoked.end()) return out;
  out.problem = outcome_of(answer).reason;
  if (!problem.empty()) out.problem += (out.problem.empty() ? "" : "; ") + ("a token is not revoked " + problem);
  if (out.problem.empty()) out.problem = "the service answered without a result for each user";
  return out;
}

}  // namespace sealcast::transport::ably
