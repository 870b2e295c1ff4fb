// Tests the redacted form of sealed envelopes, and the member `redacted` of frames.
#include "core/redaction.h"

#include <gtest/gtest.h>

#include "core/digest.h"
#include "core/envelope.h"
#include "core/error.h"

namespace sealcast::core {
namespace {

const Fields kFields = {"chat", "stream", "sender", "txn", 1'700'000'000'000};

std::string envelope(std::string_view d) {
  std::string out;
  append_envelope(kFields, "k1", d, std::string(32, 'x'), out);
  return out;
}

TEST(RedactedForm, IsTheEnvelopeWithTheHashInThePlaceOfThePayload) {
  // Payloads that contain the texts by which the place of the payload is found.
  for (const std::string d : {R"({})", R"({"a":1,"d":null,"payload_hash":"x"})", R"({"a":"x","sig":"y"})",
                              R"({"d":{"d":1},"sig":"\",\"sig\":\""})", "null"}) {
    std::string expected, found;
    append_redacted_envelope(kFields, "k1", to_hex(sha256(d)), std::string(32, 'x'), expected);
    EXPECT_FALSE(is_redacted(envelope(d)));
    ASSERT_TRUE(append_redacted_form(envelope(d), found)) << d;
    EXPECT_EQ(found, expected);
    EXPECT_TRUE(is_redacted(found));
    EXPECT_FALSE(append_redacted_form(expected, found)) << "it has no content to erase";
    EXPECT_EQ(found, expected);
  }
}

TEST(RedactedForm, AnyOtherTextHasNone) {
  std::string out;
  for (const char* const text : {"", "{}", R"({"d":1})", R"({"v":1,"sig":"","d":1})"}) {
    EXPECT_FALSE(append_redacted_form(text, out)) << text;
  }
  EXPECT_EQ(out, "");
}

TEST(Redaction, NamesItsAuthorAndItsReason) {
  std::string out;
  append_redaction("u1", 5, "a \"reason\"", out);
  EXPECT_EQ(out, R"({"by":"u1","at":5,"reason":"a \"reason\""})");
  out.clear();
  append_redaction(std::nullopt, 5, std::nullopt, out);
  EXPECT_EQ(out, R"({"by":null,"at":5,"reason":null})");
  EXPECT_THROW(append_redaction(std::nullopt, 5, "\xFF", out), Error);
}

}  // namespace
}  // namespace sealcast::core
