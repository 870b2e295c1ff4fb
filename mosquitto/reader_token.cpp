// Verifies a reader token: its signature, its expiry and its topics (the claim `acl`).
#include "reader_token.h"

#include <simdjson.h>

#include <utility>

namespace sealcast::broker {
namespace {

constexpr std::size_t kMaxTopics = 16;

// A reader may subscribe to exactly this filter: no wildcards, and no share of the messages of another topic.
bool is_plain_topic(std::string_view topic) {
  return !topic.empty() && topic.find_first_of(std::string_view("+#\0", 3)) == topic.npos &&
         !topic.starts_with("$share/");
}

// Returns the topics of the claim `acl`, which must be {"sub":[…]} with 1 to kMaxTopics plain topics. Returns nullopt
// for any other claim: its other members could have a meaning that this plugin does not enforce.
std::optional<std::vector<std::string>> topics_of(const std::string& claims) {
  simdjson::dom::parser parser;
  simdjson::dom::object acl;
  simdjson::dom::array subscriptions;
  if (parser.parse(claims)["acl"].get(acl) || acl.size() != 1 || acl["sub"].get(subscriptions)) return std::nullopt;
  std::vector<std::string> topics;
  for (const auto element : subscriptions) {
    std::string_view topic;
    if (topics.size() == kMaxTopics || element.get(topic) || !is_plain_topic(topic)) return std::nullopt;
    topics.emplace_back(topic);
  }
  if (topics.empty()) return std::nullopt;
  return topics;
}

// Returns the claim `ends_connection`. A claim that is no boolean counts as true.
bool ends_connection(const std::string& claims) {
  simdjson::dom::parser parser;
  simdjson::dom::element claim;
  if (parser.parse(claims)["ends_connection"].get(claim)) return false;
  bool ends = true;
  return claim.get(ends) || ends;
}

}  // namespace

ReaderTokenResult verify_reader_token(const core::token::Jwt& jwt, const core::HmacKey& key, std::int64_t now_seconds) {
  if (!core::token::verify_hs256(jwt, key))
    return {std::nullopt, "it is not signed by HS256 with this broker's secret"};
  const auto claims = core::token::parse_claims(jwt.payload);
  if (!claims || !claims->exp) return {std::nullopt, "it has no expiry time (exp)"};
  if (now_seconds >= *claims->exp) return {std::nullopt, "it has expired"};
  auto topics = topics_of(jwt.payload);
  if (!topics) return {std::nullopt, "its acl is not the acl of a reader"};
  return {ReaderToken{std::move(*topics), *claims->exp, ends_connection(jwt.payload)}, nullptr};
}

}  // namespace sealcast::broker
