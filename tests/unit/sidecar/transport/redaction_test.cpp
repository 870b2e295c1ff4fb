// Tests the announcements of redactions, and the frames of redacted messages.
#include "transport/redaction.h"

#include <gtest/gtest.h>

#include "core/digest.h"
#include "core/envelope.h"
#include "core/redaction.h"
#include "transport/frame.h"

namespace sealcast::transport {
namespace {

std::string envelope(std::string_view t, std::string_view sender, std::string_view txn, std::int64_t ts,
                     std::string_view d) {
  std::string out;
  core::append_envelope({t, "stream", sender, txn, ts}, "k1", d, std::string(32, 'x'), out);
  return out;
}

std::string frame(std::string_view envelope, std::string_view redacted = {}, std::int64_t offset = 7) {
  std::string out;
  append_frame(offset, offset - 1, envelope, redacted, out);
  return out;
}

RedactionPtr redaction_of_message() {
  return announced_redaction(
      envelope("message_redacted", "system", "e", 9,
               R"({"by":"mod","offset":7,"reason":"\"why\"","sender_id":"ann","ts":5,"txn_id":"t1"})"),
      9);
}

RedactionPtr purge() {
  return announced_redaction(envelope("messages_purged", "system", "e", 9,
                                      R"({"by":null,"reason":null,"since":4,"through":5,"user_id":"ann"})"),
                             9);
}

TEST(Redaction, IsReadFromItsAnnouncement) {
  const RedactionPtr one = redaction_of_message();
  ASSERT_TRUE(one);
  EXPECT_EQ(one->stream_id, "stream");
  EXPECT_EQ(one->sender_id, "ann");
  EXPECT_EQ(one->txn_id, "t1");
  EXPECT_EQ(one->since, 5);
  EXPECT_EQ(one->through, 5);
  EXPECT_EQ(one->member, R"({"by":"mod","at":9,"reason":"\"why\""})");
  const RedactionPtr many = purge();
  ASSERT_TRUE(many);
  EXPECT_EQ(many->txn_id, "");
  EXPECT_EQ(many->since, 4);
  EXPECT_EQ(many->member, R"({"by":null,"at":9,"reason":null})");
}

TEST(Redaction, NoOtherMessageAnnouncesOne) {
  EXPECT_FALSE(announced_redaction(envelope("chat", "ann", "t1", 5, R"({"t":"message_redacted"})"), 9));
  EXPECT_FALSE(announced_redaction(envelope("message_redacted", "system", "e", 9, "{}"), 9));
  EXPECT_FALSE(announced_redaction(envelope("messages_purged", "system", "e", 9, "{}"), 9));
  EXPECT_FALSE(announced_redaction("", 9));
  EXPECT_FALSE(announced_redaction(R"({"t":"message_redacted")", 9));
}

TEST(Redaction, MakesTheFrameThatPostgresMakes) {
  // A payload that looks like a redacted one is not redacted yet.
  const std::string d = R"({"a":1,"d":null,"payload_hash":"x","redacted":{}})";
  const std::string whole = envelope("chat", "ann", "t1", 5, d);
  std::string redacted;
  ASSERT_TRUE(core::append_redacted_form(whole, redacted));
  const RedactionPtr one = redaction_of_message(), many = purge();
  EXPECT_EQ(redacted_frame(frame(whole), *one), frame(redacted, one->member));
  EXPECT_EQ(redacted_frame(frame(whole), *many), frame(redacted, many->member));
  EXPECT_FALSE(redacted_frame(frame(redacted, one->member), *many)) << "it is redacted already";
  EXPECT_FALSE(redacted_frame(frame(""), *many)) << "its message is gone";
}

TEST(Redaction, ConcernsItsMessagesAlone) {
  const RedactionPtr one = redaction_of_message(), many = purge();
  EXPECT_FALSE(redacted_frame(frame(envelope("chat", "bob", "t1", 5, "{}")), *one));
  EXPECT_FALSE(redacted_frame(frame(envelope("chat", "ann", "t2", 5, "{}")), *one));
  EXPECT_FALSE(redacted_frame(frame(envelope("chat", "bob", "t2", 5, "{}")), *many));
  EXPECT_FALSE(redacted_frame(frame(envelope("chat", "ann", "t2", 3, "{}")), *many));
  EXPECT_FALSE(redacted_frame(frame(envelope("chat", "ann", "t2", 6, "{}")), *many));
  EXPECT_TRUE(redacted_frame(frame(envelope("chat", "ann", "t2", 4, "{}")), *many));
}

TEST(Redaction, APurgeConcernsTheMessagesBeforeIt) {
  const std::string late = envelope("chat", "ann", "t1", 5, "{}");
  EXPECT_TRUE(redacted_frame(frame(late, {}, 8), *purge()));
  EXPECT_FALSE(redacted_frame(frame(late, {}, 10), *purge())) << "Postgres has not erased it";
  EXPECT_TRUE(redacted_frame(frame(late, {}, 10), *redaction_of_message())) << "it is named, wherever it is";
}

TEST(Frame, ItsEnvelopeIsFound) {
  const std::string whole = envelope("chat", "ann", "t1", 5, R"({"redacted":{"a":"}"}})");
  std::string redacted;
  ASSERT_TRUE(core::append_redacted_form(whole, redacted));
  EXPECT_EQ(frame_envelope(frame(whole)), whole);
  EXPECT_EQ(frame_envelope(frame(redacted, R"({"by":null,"at":9,"reason":"}{"})")), redacted);
  EXPECT_EQ(frame_envelope(frame("")), "");
  EXPECT_EQ(envelope_sig(frame(redacted, R"({"by":null,"at":9,"reason":"\"sig\":\"no"})")), envelope_sig(whole));
}

}  // namespace
}  // namespace sealcast::transport
