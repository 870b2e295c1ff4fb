// Tests prepare_payload(): canonical form, the hash as sent, and server fields.
#include "core/payload.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/error.h"

namespace sealcast::core {
namespace {

const std::string_view kRemoved;

std::string prepared(std::string_view json, const std::vector<ServerField>& fields) {
  Payload payload;
  payload.canonical = "from the last call";
  prepare_payload(json, fields, payload);
  std::string sent;
  canonicalize(json, sent);
  EXPECT_EQ(payload.sent_hash, sha256(sent));
  std::string again;
  canonicalize(payload.canonical, again, Rules::payload);
  EXPECT_EQ(payload.canonical, again);
  return payload.canonical;
}

TEST(Payload, WithoutServerFieldsItIsCanonical) {
  EXPECT_EQ(prepared(R"({"b": 1.0, "a": "x"})", {}), R"({"a":"x","b":1})");
  EXPECT_EQ(prepared("{}", {}), "{}");
}

TEST(Payload, ServerFieldsReplaceSentMembersInCanonicalOrder) {
  const std::string_view d = R"({"m":1,"user_role":"forged","z":{"user_role":"inner"}})";
  EXPECT_EQ(prepared(d, {{"user_role", "mod"}}), R"({"m":1,"user_role":"mod","z":{"user_role":"inner"}})");
  EXPECT_EQ(prepared(d, {{"user_role", kRemoved}}), R"({"m":1,"z":{"user_role":"inner"}})");
  EXPECT_EQ(prepared("{}", {{"user_role", kRemoved}}), "{}");
  EXPECT_EQ(prepared("{}", {{"user_role", ""}}), R"({"user_role":""})");
  EXPECT_EQ(prepared(R"({"user_role":1})", {{"user_role", kRemoved}}), "{}");
  EXPECT_EQ(prepared(R"({"m":1})", {{"z", "1"}, {"a", "2"}, {"none", kRemoved}}), R"({"a":"2","m":1,"z":"1"})");
  EXPECT_EQ(prepared(R"({"\u0075ser_role":1,"b":2})", {{"user_role", "mod"}}), R"({"b":2,"user_role":"mod"})");
  EXPECT_EQ(prepared(R"({"\u0062":1,"\u0061":2})", {{"a\"", "\n"}}), R"({"a":2,"a\"":"\n","b":1})");
  EXPECT_EQ(prepared(R"({"b":2})", {{"a", "first"}, {"a", "second"}}), R"({"a":"second","b":2})");
}

ErrorKind refusal(std::string_view json, const std::vector<ServerField>& fields) {
  Payload payload;
  try {
    prepare_payload(json, fields, payload);
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "not refused: " << json;
  return ErrorKind::interrupted;
}

TEST(Payload, InvalidJsonAndOtherValuesThanObjectsAreRefused) {
  for (const char* json : {"", "{", "{\"a\":9007199254740993}", "{\"a\":1,\"a\":2}", "{\"a\":1e400}"}) {
    EXPECT_EQ(refusal(json, {}), ErrorKind::invalid_json) << json;
  }
  for (const char* json : {"[]", "null", "1", "\"{}\"", "[{}]"}) {
    EXPECT_EQ(refusal(json, {}), ErrorKind::invalid_argument) << json;
  }
  EXPECT_EQ(refusal("{}", {{"a", "\xFF"}}), ErrorKind::invalid_argument);
  EXPECT_EQ(refusal("{}", {{"\xFF", "a"}}), ErrorKind::invalid_argument);
}

}  // namespace
}  // namespace sealcast::core
