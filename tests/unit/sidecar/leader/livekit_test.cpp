// Tests the counting of LiveKit's participants against the contract server tests/contracts/livekit.mjs.
#include "leader/viewers/livekit.h"

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
    return test::await(io, source.count(kShards));
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

TEST_F(LiveKitTest, CountsTheParticipantsOfRoomsThatBelongToAStream) {
  rooms(R"({")" + kStream + R"(":12,")" + kOther + R"(":0,"some other room":7})");
  EXPECT_EQ(count(), (viewers::ViewerCounts{{kStream, 12}}));
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

TEST_F(LiveKitTest, AWrongKeyAndAWrongSecretGiveNoCount) {
  rooms(R"({")" + kStream + R"(":12})");
  settings_.livekit.api_key = "another";
  EXPECT_EQ(count(), std::nullopt);
  settings_.livekit.api_key = "APIkey";
  settings_.livekit.api_secret_file = server_.write("secret", "wrong");
  EXPECT_EQ(count(), std::nullopt);
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

TEST_F(LiveKitTest, ThereIsNoSourceWithoutAUrl) {
  settings_.livekit.url.clear();
  EXPECT_EQ(viewers::make_livekit(io_.get_executor(), settings_), nullptr);
}

}  // namespace
}  // namespace sealcast::leader
