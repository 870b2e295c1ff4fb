// Verifies a reader token: its signature, its expiry and its list of rules (the claim `acl`).
#include "reader_token.h"

#include <simdjson.h>

#include <utility>

namespace sealcast::broker {
namespace {

constexpr std::size_t kMaxTopics = 16;

struct Rule {
  std::string_view permission;
  std::string_view action;
  std::string_view topic;
};

// Reads one rule of the claim `acl`. Returns false if the element is not an object, has an unknown or duplicate member,
// has a member that is not a string, or has no topic. A missing permission or action stays empty; topics_of() refuses
// it.
bool read_rule(const simdjson::dom::element& element, Rule& rule) {
  simdjson::dom::object object;
  if (element.get(object)) return false;
  for (const auto [name, value] : object) {
    std::string_view* member = name == "permission" ? &rule.permission
                               : name == "action"   ? &rule.action
                               : name == "topic"    ? &rule.topic
                                                    : nullptr;
    if (member == nullptr || !member->empty() || value.get(*member)) return false;
  }
  return !rule.topic.empty();
}

// Returns the topics of the claim `acl`. The claim must contain 1 to kMaxTopics rules, each of which allows
// subscriptions to one topic without wildcards. One rule that denies all other topics and actions must follow. Returns
// nullopt for any other claim.
std::optional<std::vector<std::string>> topics_of(const std::string& claims) {
  simdjson::dom::parser parser;
  simdjson::dom::array rules;
  if (parser.parse(claims)["acl"].get(rules)) return std::nullopt;
  std::vector<std::string> topics;
  bool closed = false;
  for (const auto element : rules) {
    Rule rule;
    if (closed || !read_rule(element, rule)) return std::nullopt;
    if (rule.permission == "deny" && rule.action == "all" && rule.topic == "#") {
      closed = true;
    } else if (rule.permission == "allow" && rule.action == "subscribe" && topics.size() < kMaxTopics &&
               rule.topic.find_first_of(std::string_view("+#\0", 3)) == rule.topic.npos) {
      topics.emplace_back(rule.topic);
    } else {
      return std::nullopt;
    }
  }
  if (!closed || topics.empty()) return std::nullopt;
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
