// Tests that replies of Redis about event partitions are parsed, whatever content they have.
#include "events/replies.h"

#include <gtest/gtest.h>
#include <hiredis/read.h>

#include <memory>
#include <string>

#include "client/redis/client.h"

namespace sealcast::events {
namespace {

redis::ReplyPtr reply(const std::string& bytes) {
  const std::unique_ptr<redisReader, decltype(&redisReaderFree)> reader(redisReaderCreate(), redisReaderFree);
  redisReaderFeed(reader.get(), bytes.data(), bytes.size());
  void* parsed = nullptr;
  EXPECT_EQ(redisReaderGetReply(reader.get(), &parsed), REDIS_OK);
  EXPECT_NE(parsed, nullptr) << "the reply in this test is incomplete";
  return redis::ReplyPtr(static_cast<redisReply*>(parsed));
}

std::string bulk(const std::string& text) { return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n"; }
std::string array(std::initializer_list<std::string> items) {
  std::string bytes = "*" + std::to_string(items.size()) + "\r\n";
  for (const std::string& item : items) bytes += item;
  return bytes;
}
std::string stream_reply(std::initializer_list<std::string> entries) {
  return array({array({bulk("sealcast:events:0"), array(entries)})});
}
std::string entry(const std::string& id, const std::string& offset, const std::string& frame) {
  return array(
      {bulk(id), array({bulk("stream_id"), bulk("s"), bulk("offset"), bulk(offset), bulk("frame"), bulk(frame)})});
}

constexpr char kFrame[] = R"({"offset":7,"prev":6,"envelope":{"v":1,"kid":"k1","t":"gift","s":"u1","d":{"a":"}"}}})";

TEST(RepliesTest, EntriesKeepTheirOrder) {
  std::size_t trimmed = 0;
  const auto parsed = reply(stream_reply({entry("5-1", "7", kFrame), entry("18446744073709551615-2", "8", kFrame)}));
  const auto entries = parse_entries(parsed.get(), trimmed);
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0]->id, (EntryId{5, 1}));
  EXPECT_EQ(entries[0]->offset, 7);
  EXPECT_EQ(entries[0]->envelope, R"({"v":1,"kid":"k1","t":"gift","s":"u1","d":{"a":"}"}})");
  EXPECT_EQ(entries[0]->type(), "gift");
  EXPECT_EQ(entries[0]->sender(), "u1");
  EXPECT_EQ(entries[1]->id, (EntryId{18446744073709551615U, 2}));
  EXPECT_EQ(trimmed, 0U);
}

TEST(RepliesTest, AnEmptyReplyHasNoEntries) {
  std::size_t trimmed = 0;
  EXPECT_TRUE(parse_entries(reply("*-1\r\n").get(), trimmed).empty());
  EXPECT_TRUE(parse_entries(reply("$-1\r\n").get(), trimmed).empty());
  EXPECT_TRUE(parse_entries(reply(stream_reply({})).get(), trimmed).empty());
  EXPECT_TRUE(parse_entries(nullptr, trimmed).empty());
}

TEST(RepliesTest, AnEntryThatWasTrimmedAfterItWasReadIsCounted) {
  std::size_t trimmed = 0;
  const auto entries =
      parse_entries(reply(stream_reply({array({bulk("5-1"), "*-1\r\n"}), entry("5-2", "8", kFrame)})).get(), trimmed);
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(trimmed, 1U);
  EXPECT_EQ(entries[0]->envelope, "");
}

// A forged entry must be returned, not skipped: apply_events() then fails to verify it and records it as a dead letter.
TEST(RepliesTest, AForgedEntryHasNoEnvelope) {
  std::size_t trimmed = 0;
  for (const std::string& frame :
       {std::string("hello"), std::string(), std::string(R"({"envelope":{})"), std::string(R"({"envelope":)"),
        std::string("{\"envelope\":\"\xff\"}"), std::string("{\"envelope\":\"a\0b\"}", 18)}) {
    const auto entries = parse_entries(reply(stream_reply({entry("5-1", "x", frame)})).get(), trimmed);
    ASSERT_EQ(entries.size(), 1U) << frame;
    EXPECT_TRUE(entries[0]->envelope.empty() || frame == R"({"envelope":{})") << frame;
    EXPECT_EQ(entries[0]->offset, 0) << frame;
  }
  EXPECT_TRUE(
      parse_entries(reply(stream_reply({array({bulk("5-1"), array({bulk("other"), bulk("field")})})})).get(), trimmed)
          .at(0)
          ->envelope.empty());
}

TEST(RepliesTest, AReplyOfAnotherShapeHasNoEntries) {
  std::size_t trimmed = 0;
  for (const std::string& bytes :
       {std::string(":5\r\n"), std::string("+OK\r\n"), array({bulk("x")}), array({array({bulk("key")})}),
        stream_reply({bulk("5-1")}), stream_reply({array({bulk("5-1")})}),
        stream_reply({array({bulk("no id"), array({})})})}) {
    EXPECT_TRUE(parse_entries(reply(bytes).get(), trimmed).empty()) << bytes;
  }
}

TEST(RepliesTest, EntryIdsAreParsedWrittenAndOrdered) {
  EXPECT_EQ(parse_entry_id("1700000000000-12"), (EntryId{1700000000000, 12}));
  EXPECT_EQ(to_string(EntryId{1700000000000, 12}), "1700000000000-12");
  for (const char* bad : {"", "5", "5-", "-5", "5-1x", "x-1", "5-1-2", "18446744073709551616-0"}) {
    EXPECT_FALSE(parse_entry_id(bad)) << bad;
  }
  EXPECT_LT((EntryId{5, 9}), (EntryId{6, 0}));
  EXPECT_LT((EntryId{5, 9}), (EntryId{5, 10}));
}

}  // namespace
}  // namespace sealcast::events
