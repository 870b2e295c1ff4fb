// Tests the counting of LiveKit's viewers against the contract server tests/contracts/livekit.mjs.
#include "leader/viewers/livekit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/asio.h"
#include "support/async.h"
#include "support/contract_server.h"

namespace sealcast::leader {
namespace {

const std::string kStream = "0190d000-0000-7000-8000-000000000001";
const std::string kOther = "0190d000-0000-7000-8000-000000000002";
const std::vector<std::int32_t> kShards{0, 1, 2, 3};

class LiveKitTest : public testing::Test {
 protected:
  LiveKitTest() {
    settings_.livekit = {server_.url(), "APIkey", server_.write("secret", "a secret of LiveKit's\n"), "{stream_id}",
                         server_.ca_file()};
  }

  void rooms(const std::string& rooms, const std::string& more = "") {
    server_.command(R"({"do":"rooms","rooms":)" + rooms + more + "}");
  }
  void answer(int status, const std::string& body) {
    std::string escaped;
    for (const char c : body) escaped += c == '"' ? std::string("\\\"") : std::string(1, c);
    server_.faults(R"("answer":{"status":)" + std::to_string(status) + R"(,"body":")" + escaped + "\"}");
  }
  static std::optional<viewers::ViewerCounts> count(asio::io_context& io, viewers::ViewerSource& source) {
    return test::await(io, source.count(kShards, std::nullopt));
  }
  // Counts with a new source: a source that has failed before would pause first.
  std::optional<viewers::ViewerCounts> count() {
    const auto source = viewers::make_livekit(io_.get_executor(), settings_);
    return count(io_, *source);
  }

  test::ContractServer server_{"livekit.mjs", {"--key", "APIkey:a secret of LiveKit's"}};
  config::Settings settings_{};
  asio::io_context io_;
};

TEST_F(LiveKitTest, CountsTheViewersInRoomsThatBelongToAStream) {
  rooms(R"({")" + kStream + R"(":12,")" + kOther + R"(":0,"some other room":7})");
  EXPECT_EQ(count(), (viewers::ViewerCounts{{kStream, 12}}));
}

// An agent that publishes is a publisher but no participant, so there may be fewer participants than publishers.
TEST_F(LiveKitTest, WhoPublishesIsNoViewer) {
  const auto room = [](const std::string& stream, int participants, int publishers) {
    return "\"" + stream + R"(":{"participants":)" + std::to_string(participants) + R"(,"publishers":)" +
           std::to_string(publishers) + "}";
  };
  rooms("{" + room(kStream, 12, 5) + "," + room(kOther, 1, 2) + "}");
  EXPECT_EQ(count(), (viewers::ViewerCounts{{kStream, 7}}));
}

TEST_F(LiveKitTest, AnEmptyListMeansNoViewers) {
  rooms("{}");
  EXPECT_EQ(count(), viewers::ViewerCounts{});
}

TEST_F(LiveKitTest, ReadsBothSpellingsOfProtobufsJson) {
  rooms(R"({")" + kStream + R"(":12,")" + kOther + R"(":0})", R"(,"style":"camelCase")");
  EXPECT_EQ(count(), (viewers::ViewerCounts{{kStream, 12}}));
  rooms("{}", R"(,"style":"camelCase")");
  EXPECT_EQ(count(), viewers::ViewerCounts{});
  answer(200, R"({"rooms":[{"name":")" + kStream + R"(","num_participants":"4000000000"}]})");
  EXPECT_GT(count()->at(kStream), 1'000'000'000) << "a large number is neither dropped nor negative";
}

TEST_F(LiveKitTest, TheRoomNameFollowsTheTemplate) {
  settings_.livekit.room = "show {stream_id} live";
  rooms(R"({"show )" + kStream + R"( live":3,")" + kOther + R"(":9,"show  live":1,"show live":1})");
  EXPECT_EQ(count(), (viewers::ViewerCounts{{kStream, 3}}));
}

// LiveKit refuses a token in plain text.
TEST_F(LiveKitTest, AWrongKeyAndAWrongSecretGiveNoCountAndTheLogHasTheReason) {
  rooms(R"({")" + kStream + R"(":12})");
  const auto logged = [this] {
    testing::internal::CaptureStderr();
    EXPECT_EQ(count(), std::nullopt);
    return testing::internal::GetCapturedStderr();
  };
  settings_.livekit.api_key = "another";
  EXPECT_THAT(logged(), testing::HasSubstr("it answered 401, invalid API key"));
  settings_.livekit.api_key = "APIkey";
  settings_.livekit.api_secret_file = server_.write("secret", "wrong");
  EXPECT_THAT(logged(), testing::HasSubstr("it answered 401, invalid authorization token: "));
  answer(502, "<html>\\n<b>Bad\\tGateway</b>");
  EXPECT_THAT(logged(), testing::HasSubstr("it answered 502, <html> <b>Bad Gateway</b>"));
  answer(500, R"({"code":"internal","msg":"internal error"})");
  EXPECT_THAT(logged(), testing::HasSubstr("it answered 500, internal, internal error"));
}

TEST_F(LiveKitTest, AnInvalidAnswerGivesNoCount) {
  answer(500, R"({"code":"internal","msg":"internal error"})");
  EXPECT_EQ(count(), std::nullopt);
  for (const char* body : {"", "nonsense", "[]", R"({"rooms":7})", R"({"rooms":[{"num_participants":1}]})"}) {
    answer(200, body);
    EXPECT_EQ(count(), std::nullopt) << body;
  }
  server_.faults(R"("down":true)");
  EXPECT_EQ(count(), std::nullopt);
}

TEST_F(LiveKitTest, AfterAFailureThereIsAPauseWithoutRequests) {
  rooms(R"({")" + kStream + R"(":12})");
  const auto source = viewers::make_livekit(io_.get_executor(), settings_);
  server_.faults(R"("limited":{"retry_after":1})");
  EXPECT_EQ(count(io_, *source), std::nullopt);
  const std::int64_t requests = server_.count("requests");
  EXPECT_EQ(count(io_, *source), std::nullopt);
  EXPECT_EQ(server_.count("requests"), requests) << "no request during the pause";
  server_.no_faults();
  ASSERT_TRUE(test::run_until(io_, [&] { return count(io_, *source) == viewers::ViewerCounts{{kStream, 12}}; }));
}

// Two streams of shards 1 and 2, and a room of somebody else.
class LiveKitNamesTest : public LiveKitTest {
 protected:
  LiveKitNamesTest() { rooms(R"({")" + kStream + R"(":12,")" + kOther + R"(":3,"lobby":9})"); }

  std::optional<viewers::ViewerCounts> count(std::vector<std::int32_t> shards, viewers::FollowedStreams followed) {
    return test::await(io_, source_->count(shards, followed));
  }
  void list_all_every(std::chrono::milliseconds time) {
    source_ = viewers::make_livekit(io_.get_executor(), settings_, time);
  }
  std::string asked() { return server_.command(R"({"do":"asked"})"); }
  static std::string names(const std::string& list) { return R"({"names":[)" + list + "]}"; }

  const std::vector<std::int32_t> shards_{1};
  std::unique_ptr<viewers::ViewerSource> source_ = viewers::make_livekit(io_.get_executor(), settings_);
};

TEST_F(LiveKitNamesTest, BetweenFullListsOnlyTheRoomsOfTheseShardsAreAskedFor) {
  EXPECT_EQ(count(shards_, viewers::FollowedStreams(std::in_place)),
            (viewers::ViewerCounts{{kStream, 12}, {kOther, 3}}));
  EXPECT_EQ(asked(), names(""));
  rooms(R"({")" + kStream + R"(":5,"lobby":9})");
  EXPECT_EQ(count(shards_, viewers::FollowedStreams(std::in_place)), (viewers::ViewerCounts{{kStream, 5}}));
  EXPECT_EQ(asked(), names('"' + kStream + '"'));
  EXPECT_EQ(count({1, 2}, viewers::FollowedStreams(std::in_place)), (viewers::ViewerCounts{{kStream, 5}}));
  EXPECT_EQ(asked(), names("")) << "another shard: the rooms of its streams are not known";
}

TEST_F(LiveKitNamesTest, TheRoomOfAFollowedStreamIsFoundByItsName) {
  rooms("{}");
  const viewers::FollowedStreams followed(std::in_place, {kStream});
  EXPECT_EQ(count(shards_, followed), viewers::ViewerCounts{});
  rooms(R"({")" + kStream + R"(":12,"lobby":9})");
  EXPECT_EQ(count(shards_, followed), (viewers::ViewerCounts{{kStream, 12}}));
  EXPECT_EQ(asked(), names('"' + kStream + '"'));
}

TEST_F(LiveKitNamesTest, OtherRoomsAreFoundByTheNextFullList) {
  rooms("{}");
  const viewers::FollowedStreams followed(std::in_place);
  EXPECT_EQ(count(shards_, followed), viewers::ViewerCounts{});
  rooms(R"({")" + kStream + R"(":12})");
  const std::int64_t requests = server_.count("requests");
  EXPECT_EQ(count(shards_, followed), viewers::ViewerCounts{});
  EXPECT_EQ(server_.count("requests"), requests) << "there is no room to ask for";
  list_all_every(std::chrono::milliseconds(0));
  EXPECT_EQ(count(shards_, followed), (viewers::ViewerCounts{{kStream, 12}}));
  rooms(R"({")" + kOther + R"(":3})");
  EXPECT_EQ(count(shards_, followed), (viewers::ViewerCounts{{kOther, 3}}));
}

TEST_F(LiveKitNamesTest, AllRoomsAreListedWhenTheFollowedStreamsAreUnknownOrTooMany) {
  viewers::FollowedStreams many(std::in_place);
  for (int i = 10'000; i < 11'001; ++i) many->insert("0190d000-0000-7000-8000-0000000" + std::to_string(i));
  for (const viewers::FollowedStreams& followed : {viewers::FollowedStreams(), many}) {
    list_all_every(std::chrono::hours(1));
    EXPECT_TRUE(count(shards_, viewers::FollowedStreams(std::in_place)));
    EXPECT_TRUE(count(shards_, followed));
    EXPECT_EQ(asked(), names(""));
  }
  many->erase(many->begin());
  many->erase(many->begin());
  EXPECT_TRUE(count(shards_, many));
  EXPECT_NE(asked(), names("")) << "999 followed streams and the room that is known";
}

TEST_F(LiveKitTest, ThereIsNoSourceWithoutAUrl) {
  settings_.livekit.url.clear();
  EXPECT_EQ(viewers::make_livekit(io_.get_executor(), settings_), nullptr);
}

}  // namespace
}  // namespace sealcast::leader
