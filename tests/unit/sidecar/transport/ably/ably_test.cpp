// Tests the Ably adapter with a server that enforces the documented contract (tests/contracts/ably.mjs).
#include "transport/ably/ably.h"

#include <gtest/gtest.h>

#include <boost/asio/detached.hpp>
#include <random>

#include "base/asio.h"
#include "client/http/client.h"
#include "support/async.h"
#include "support/contract_server.h"
#include "transport/ably/token.h"

namespace sealcast::transport::ably {
namespace {

using Clock = outside::Adapter::Clock;
using Kind = outside::Outcome::Kind;

const std::string kStream = "0190d000-0000-7000-8000-000000000001";
const std::string kChannel = "sealcast:" + kStream;
constexpr std::chrono::milliseconds kShort{300};

class AblyTest : public testing::Test {
 protected:
  AblyTest() {
    settings_.ably = {server_.url(),
                      server_.write("key", "app.id:secret\n"),
                      "sealcast:{stream_id}",
                      "",
                      65536,
                      server_.ca_file(),
                      "",
                      0};
  }

  std::unique_ptr<outside::Adapter> make() { return make_ably(io_.get_executor(), settings_); }

  outside::Outcome publish(outside::Adapter& adapter, std::span<const FramePtr> frames,
                           std::chrono::milliseconds limit = test::kPatience) {
    return test::await(io_, adapter.publish(frames, Clock::now() + limit));
  }

  // Publishes one frame. The contract server gives this answer: the status, and when the error code is not 0, an error
  // with this message.
  outside::Outcome outcome_of_answer(int status, int code, const std::string& headers = "",
                                     const std::string& message = "why") {
    const std::string body =
        code == 0 ? "" : R"({\"error\":{\"message\":\")" + message + R"(\",\"code\":)" + std::to_string(code) + "}}";
    server_.faults(R"("answer":{"status":)" + std::to_string(status) + R"(,"headers":{)" + headers + R"(},"body":")" +
                   body + "\"}");
    const auto adapter = make();
    return publish(*adapter, test::frames_of(kStream, 1, 1));
  }

  // Returns three frames. The text of the second frame is larger than `bytes`.
  std::vector<FramePtr> with_a_large_one(std::size_t bytes) {
    auto frames = test::frames_of(kStream, 1, 3);
    Frame large = *frames[1];
    large.text = R"({"offset":2,"text":")" + std::string(bytes, 'x') + "\"}";
    frames[1] = std::make_shared<const Frame>(large);
    return frames;
  }

  test::ContractServer server_{"ably.mjs", {"--key", "app.id:secret"}};
  config::Settings settings_{};
  asio::io_context io_;
};

TEST_F(AblyTest, PublishesFramesInOneRequestInOrderAndUnchanged) {
  const auto adapter = make();
  const auto frames = test::frames_of(kStream, 7, 9);
  const outside::Outcome outcome = publish(*adapter, frames);
  EXPECT_EQ(outcome.kind, Kind::done) << outcome.reason;
  EXPECT_EQ(outcome.delivered, 3U);
  EXPECT_EQ(server_.count("requests"), 1);
  EXPECT_EQ(server_.offsets(kChannel), "7,8,9");
  const std::string messages = server_.messages(kChannel);
  std::string text;  // the text of frame 8 as the content of a JSON string
  for (const char c : frames[1]->text) text += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  EXPECT_NE(
      messages.find(R"({"id":")" + kStream + R"(-7-9-:1","name":"message","encoding":"json","data":")" + text + "\"}"),
      std::string::npos)
      << messages;
}

TEST_F(AblyTest, EncodesTheChannelInTheUrl) {
  settings_.ably.channel = "a/b c?{stream_id}#%ü";
  const auto adapter = make();
  const outside::Outcome outcome = publish(*adapter, test::frames_of(kStream, 1, 1));
  EXPECT_EQ(outcome.kind, Kind::done) << outcome.reason;
  EXPECT_EQ(server_.offsets("a/b c?" + kStream + "#%ü"), "1");
}

TEST_F(AblyTest, PublishesToOneChannelKeepTheirDistance) {
  settings_.ably.publishes_per_second = 50;
  const auto adapter = make();
  const auto began = Clock::now();
  int ended = 0;
  const auto publish_frames = [&](std::string stream_id) -> asio::awaitable<void> {
    const auto frames = test::frames_of(stream_id, 1, 20);
    for (std::size_t i = 0; i < frames.size(); ++i) {
      const outside::Outcome outcome =
          co_await adapter->publish(std::span(frames).subspan(i, 1), Clock::now() + test::kPatience);
      EXPECT_EQ(outcome.kind, Kind::done) << outcome.reason;
    }
    ++ended;
  };
  for (const char* stream_id : {"one", "other"}) asio::co_spawn(io_, publish_frames(stream_id), asio::detached);
  ASSERT_TRUE(test::run_until(io_, [&] { return ended == 2; }));
  EXPECT_GE(Clock::now() - began, std::chrono::milliseconds(19 * 20));
  EXPECT_EQ(server_.count("requests"), 40);
}

TEST_F(AblyTest, IsOffWithoutAKey) {
  settings_.ably.key_file.clear();
  EXPECT_EQ(make(), nullptr);
}

TEST_F(AblyTest, AnInvalidKeyIsRefusedWithoutQuotingIt) {
  for (const char* content : {"hunter2", "hunter2:x\ny"}) {
    settings_.ably.key_file = server_.write("bad", content);
    try {
      make();
      ADD_FAILURE() << "the key was accepted";
    } catch (const core::SettingsError& problem) {
      EXPECT_NE(std::string(problem.what()).find("ably.key_file"), std::string::npos);
      EXPECT_EQ(std::string(problem.what()).find("hunter2"), std::string::npos);
    }
  }
}

TEST_F(AblyTest, AnErrorOfOneChannelRetriesTheStream) {
  EXPECT_EQ(outcome_of_answer(429, 42913).kind, Kind::retry_stream);
  EXPECT_EQ(outcome_of_answer(429, 42914).kind, Kind::retry_stream);
  EXPECT_EQ(outcome_of_answer(401, 40160).kind, Kind::retry_stream);
  EXPECT_EQ(outcome_of_answer(400, 40010).kind, Kind::retry_stream);
  EXPECT_EQ(outcome_of_answer(403, 40114).kind, Kind::retry_stream);
  EXPECT_EQ(outcome_of_answer(400, 40000).kind, Kind::retry_stream);
  EXPECT_EQ(outcome_of_answer(500, 50000).kind, Kind::retry_stream);
  EXPECT_EQ(outcome_of_answer(503, 50003).kind, Kind::retry_stream);
  EXPECT_EQ(outcome_of_answer(400, 40160).reason, "the service answered 400 (40160): why");
}

TEST_F(AblyTest, AnErrorOfTheAccountOrTheSystemRetriesTheTransport) {
  for (const int code : {40100, 40101, 40112, 40131})
    EXPECT_EQ(outcome_of_answer(401, code).kind, Kind::retry_transport) << code;
  for (const int code : {40115, 40300, 40330})
    EXPECT_EQ(outcome_of_answer(403, code).kind, Kind::retry_transport) << code;
  for (const int code : {0, 42910, 42911, 42917, 42918}) {
    EXPECT_EQ(outcome_of_answer(429, code).kind, Kind::retry_transport) << code;
  }
  EXPECT_EQ(outcome_of_answer(404, 40400).kind, Kind::retry_transport);
  for (const int status : {302, 502, 503, 504})
    EXPECT_EQ(outcome_of_answer(status, 0).kind, Kind::retry_transport) << status;
}

// The messages are those of errors/codes/CODE.md in github.com/ably/ably-common. That of 42910 with the metric of a
// channel is from https://faqs.ably.com/error-code-42910-rate-limit-exceeded-request-rejected.
TEST_F(AblyTest, TheMetricOfARateLimitTellsAHotChannelFromTheWholeService) {
  const auto kind = [&](int code, const std::string& message) {
    return outcome_of_answer(429, code, "", message).kind;
  };
  const std::string rejected = "Rate limit exceeded; request rejected (nonfatal); metric = ";
  const std::string account = "rate exceeded; permitted rate = 2500; metric = ";
  const std::string channel =
      "channel.maxRate; interval = 2018-01-05:10:10:3; permitted rate = 50; current rate = 65; scope = channel:a:b";
  EXPECT_EQ(kind(42910, rejected + channel), Kind::retry_stream);
  EXPECT_EQ(kind(42913, rejected + channel), Kind::retry_stream);
  EXPECT_EQ(kind(42914, rejected + "channel.maxBandwidth; …"), Kind::retry_stream);
  EXPECT_EQ(kind(42910, rejected + "node.load"), Kind::retry_transport);
  EXPECT_EQ(kind(42911, rejected + "connection.inboundRate; …"), Kind::retry_transport);
  EXPECT_EQ(kind(42917, "Maximum account-wide instantaneous messages " + account + "messages.maxRate"),
            Kind::retry_transport);
  EXPECT_EQ(kind(42918, "Maximum account-wide instantaneous apiRequests " + account + "apiRequests.maxRate"),
            Kind::retry_transport);
  // Only channels that are not active yet are refused, so other streams go on.
  EXPECT_EQ(kind(90021, "Maximum account-wide instantaneous channels " + account + "channels.maxRate"),
            Kind::retry_stream);
}

TEST_F(AblyTest, ReadsACodeThatIsOnlyInTheHeaders) {
  server_.faults(R"("limited":{"code":42922,"retry_after":3})");
  const auto adapter = make();
  const outside::Outcome outcome = publish(*adapter, test::frames_of(kStream, 1, 1));
  EXPECT_EQ(outcome.kind, Kind::retry_transport);
  EXPECT_EQ(outcome.after, std::chrono::seconds(3));
  EXPECT_EQ(outcome.reason, "the service answered 429 (42922): rate limit exceeded; too many requests");
  EXPECT_EQ(outcome_of_answer(429, 0, R"("X-Ably-ErrorCode":"42913")").kind, Kind::retry_stream);
}

TEST_F(AblyTest, AMessageThatCanNeverSucceedIsDead) {
  EXPECT_EQ(outcome_of_answer(413, 40009).kind, Kind::dead);
  EXPECT_EQ(outcome_of_answer(413, 0).kind, Kind::dead);
  EXPECT_EQ(outcome_of_answer(400, 40013).kind, Kind::dead);
  EXPECT_EQ(outcome_of_answer(400, 40031).kind, Kind::dead);
}

TEST_F(AblyTest, AStatusOfASuccessIsDone) {
  for (const int status : {200, 201, 204}) EXPECT_EQ(outcome_of_answer(status, 0).kind, Kind::done) << status;
}

TEST_F(AblyTest, AMessageOverTheLimitIsDeadBeforeItIsSent) {
  const auto adapter = make();
  const outside::Outcome outcome = publish(*adapter, with_a_large_one(65536));
  EXPECT_EQ(outcome.kind, Kind::dead);
  EXPECT_EQ(outcome.delivered, 1U);
  EXPECT_NE(outcome.reason.find("ably.max_message_bytes (65536)"), std::string::npos) << outcome.reason;
  EXPECT_EQ(server_.offsets(kChannel), "1");
  EXPECT_EQ(server_.count("requests"), 1);
}

TEST_F(AblyTest, AnArrayIsNotLargerThanTheLimit) {
  auto frames = test::frames_of(kStream, 1, 10);
  for (auto& frame : frames) {
    Frame large = *frame;
    large.text = R"({"offset":)" + std::to_string(frame->offset) + R"(,"text":")" + std::string(20'000, 'x') + "\"}";
    frame = std::make_shared<const Frame>(large);
  }
  const auto adapter = make();
  const outside::Outcome outcome = publish(*adapter, frames);
  EXPECT_EQ(outcome.kind, Kind::done) << outcome.reason;
  EXPECT_EQ(server_.count("requests"), 4);  // arrays of 3, 3, 3 and 1 frames
  EXPECT_EQ(server_.offsets(kChannel), test::offsets_from(1, 10));
}

TEST_F(AblyTest, AnArrayThatTheServiceRefusesAsTooLargeIsSentFrameByFrame) {
  test::ContractServer strict("ably.mjs", {"--key", "app.id:secret", "--max-message-bytes", "1024"});
  settings_.ably.url = strict.url();
  settings_.ably.ca_file = strict.ca_file();
  const auto adapter = make();
  const outside::Outcome outcome = publish(*adapter, with_a_large_one(2000));
  EXPECT_EQ(outcome.kind, Kind::dead);
  EXPECT_EQ(outcome.delivered, 1U);
  EXPECT_NE(outcome.reason.find("the service answered 413 (40009): Maximum message length exceeded"),
            std::string::npos);
  EXPECT_EQ(strict.offsets(kChannel), "1");
}

TEST_F(AblyTest, ARetryOfAnArrayInDoubtIsRecognisedAlsoWhenMoreFramesFollow) {
  const auto adapter = make();
  const auto frames = test::frames_of(kStream, 1, 50);
  server_.faults(R"("lost_share":1)");  // the server publishes the array, but does not answer
  const outside::Outcome doubtful = publish(*adapter, std::span(frames).first(3));
  EXPECT_EQ(doubtful.kind, Kind::retry_transport);
  EXPECT_EQ(doubtful.delivered, 0U);
  EXPECT_EQ(server_.offsets(kChannel), "1,2,3");
  server_.no_faults();
  const outside::Outcome outcome = publish(*adapter, frames);
  EXPECT_EQ(outcome.kind, Kind::done) << outcome.reason;
  EXPECT_EQ(outcome.delivered, 50U);
  EXPECT_EQ(server_.offsets(kChannel), test::offsets_from(1, 50));
  EXPECT_EQ(server_.count("repeats"), 3);
}

TEST_F(AblyTest, AnArrayStaysInDoubtAfterARefusedRetry) {
  const auto adapter = make();
  const auto frames = test::frames_of(kStream, 1, 5);
  server_.faults(R"("lost_share":1)");
  publish(*adapter, std::span(frames).first(3));
  server_.faults(R"("limited":{"code":42913})");
  EXPECT_EQ(publish(*adapter, std::span(frames).first(4)).kind, Kind::retry_stream);
  server_.no_faults();
  EXPECT_EQ(publish(*adapter, frames).kind, Kind::done);
  EXPECT_EQ(server_.offsets(kChannel), "1,2,3,4,5");
}

TEST_F(AblyTest, AnotherSidecarLosesNoFrameWithOtherArrays) {
  const auto frames = test::frames_of(kStream, 1, 5);
  const auto adapter = make();
  server_.faults(R"("lost_share":1)");
  publish(*adapter, std::span(frames).first(3));
  server_.no_faults();
  const auto other = make();
  EXPECT_EQ(publish(*other, frames).kind, Kind::done);
  // Some frames arrive twice. Readers drop the second copy by its offset. No frame is missing.
  EXPECT_EQ(server_.offsets(kChannel), "1,2,3,1,2,3,4,5");
}

TEST_F(AblyTest, APublishToAServiceThatHangsEndsAtTheDeadline) {
  server_.faults(R"("stuck":true)");
  const auto adapter = make();
  const outside::Outcome outcome = publish(*adapter, test::frames_of(kStream, 1, 2), kShort);
  EXPECT_EQ(outcome.kind, Kind::retry_transport);
  EXPECT_EQ(outcome.reason, "no answer by the deadline");
}

TEST_F(AblyTest, PublishesAgainWhenTheServiceIsBack) {
  const auto adapter = make();
  server_.faults(R"("down":true)");
  EXPECT_EQ(publish(*adapter, test::frames_of(kStream, 1, 1)).kind, Kind::retry_transport);
  server_.no_faults();
  EXPECT_EQ(publish(*adapter, test::frames_of(kStream, 1, 1)).kind, Kind::done);
}

TEST_F(AblyTest, ARefusedKeyRetriesTheTransport) {
  settings_.ably.key_file = server_.write("other", "app.id:other");
  const auto adapter = make();
  const outside::Outcome outcome = publish(*adapter, test::frames_of(kStream, 1, 1));
  EXPECT_EQ(outcome.kind, Kind::retry_transport);
  EXPECT_EQ(outcome.reason, "the service answered 401 (40101): Invalid credentials");
}

TEST_F(AblyTest, StreamsArriveOnceAndInOrderDespiteFailures) {
  constexpr std::int64_t kFrames = 200;
  constexpr int kStreams = 12;
  server_.faults(R"("fail_share":0.2,"lost_share":0.2)");
  const auto adapter = make();
  std::minstd_rand random(1);
  int ended = 0;
  const auto deliver = [&](std::string stream_id) -> asio::awaitable<void> {
    const auto frames = test::frames_of(stream_id, 1, kFrames);
    std::size_t delivered = 0;
    std::size_t queued = 0;
    while (delivered < frames.size()) {
      // As in a delivery, new frames are only added at the end. So the frames of a failed batch are published again.
      queued = std::min(frames.size(), std::max(queued, delivered + 1 + random() % 30));
      const auto batch = std::span(frames).subspan(delivered, queued - delivered);
      const outside::Outcome outcome = co_await adapter->publish(batch, Clock::now() + test::kPatience);
      delivered += outcome.delivered;
    }
    ++ended;
  };
  for (int i = 0; i < kStreams; ++i) asio::co_spawn(io_, deliver("stream-" + std::to_string(i)), asio::detached);
  ASSERT_TRUE(test::run_until(io_, [&] { return ended == kStreams; }));
  for (int i = 0; i < kStreams; ++i) {
    EXPECT_EQ(server_.offsets("sealcast:stream-" + std::to_string(i)), test::offsets_from(1, kFrames));
  }
  EXPECT_GT(server_.count("repeats"), 0);
}

TEST(AblyTokenTest, SignsAsAblyJsDoes) {  // ably-js 2.28 made the signatures: Auth.createTokenRequest()
  const auto sign = [](std::string_view client_id) {
    return sign_token_request("secret", "xVLyHw.A-pwh7", 300'000,
                              R"({"sealcast:11111111-2222-4333-8444-555555555555":["subscribe"]})", client_id,
                              1'700'000'000'000, "0123456789abcdef");
  };
  EXPECT_EQ(sign(""), "VYSBuL/kugebQB+yzLWeewDtthgcnz7hsF7+MHk5AMo=");
  EXPECT_EQ(sign("who"), "dDr3eo2zXFYI16sQfQ4zc9TkZl5HmIKVqcSA2mtV/oQ=");
}

class AblyTokensTest : public AblyTest {
 protected:
  TransportToken made(Channel channel = Channel::everyone, std::chrono::milliseconds late = {},
                      std::string_view user_id = {}) {
    using namespace std::chrono;
    const auto now = duration_cast<milliseconds>(system_clock::now().time_since_epoch()) - late;
    return make_ably_tokens(settings_)
        ->make({kStream, channel, user_id, now.count(), std::chrono::seconds(300), false})
        .value();
  }

  client::http::Answer exchange(const std::string& token_request) {
    client::http::Client client(io_.get_executor(), {.ca_file = server_.ca_file()});
    const std::vector<std::string> headers{"Content-Type: application/json"};
    return test::await(io_, client.post({server_.url() + "/keys/app.id/requestToken", headers, token_request},
                                        Clock::now() + test::kPatience));
  }
};

TEST_F(AblyTokensTest, AreExchangedOnceAndAllowToSubscribeToOneChannel) {
  const TransportToken token = made();
  EXPECT_EQ(token.channel_id, kChannel);
  const client::http::Answer answer = exchange(token.token);
  EXPECT_EQ(answer.status, 201) << answer.body;
  EXPECT_NE(answer.body.find(R"("capability":"{\"sealcast:)" + kStream + R"(\":[\"subscribe\"]}")"), std::string::npos)
      << answer.body;
  EXPECT_NE(exchange(token.token).body.find("40105"), std::string::npos) << "a second exchange is refused";
  EXPECT_EQ(exchange(made().token).status, 201) << "each token has its own nonce";
}

TEST_F(AblyTokensTest, TheUserIsTheClientAndAReaderWithoutASessionHasNone) {
  const client::http::Answer identified = exchange(made(Channel::everyone, {}, "user-1").token);
  EXPECT_EQ(identified.status, 201) << identified.body;
  EXPECT_NE(identified.body.find(R"("clientId":"user-1")"), std::string::npos) << identified.body;
  const std::string token = made().token;
  EXPECT_EQ(token.find("clientId"), std::string::npos) << token;
}

TEST_F(AblyTokensTest, LateChangedAndForeignTokensAreRefused) {
  EXPECT_NE(exchange(made(Channel::everyone, std::chrono::minutes(5)).token).body.find("40104"), std::string::npos);
  std::string wider = made().token;
  wider.replace(wider.find("subscribe"), 9, "publish");
  EXPECT_NE(exchange(wider).body.find("40101"), std::string::npos);
  settings_.ably.token_key_file = server_.write("other", "app.id:another");
  EXPECT_NE(exchange(made().token).body.find("40101"), std::string::npos) << "ably.token_key_file was not used";
}

TEST_F(AblyTokensTest, TheVipChannelHasItsOwnAblyChannel) {
  EXPECT_FALSE(
      make_ably_tokens(settings_)->make({kStream, Channel::all_messages, "", 0, std::chrono::seconds(1), true}));
  settings_.ably.vip_channel = "vip:\"{stream_id}";
  const TransportToken token = made(Channel::all_messages);
  EXPECT_EQ(token.channel_id, "vip:\"" + kStream);
  const client::http::Answer answer = exchange(token.token);
  EXPECT_EQ(answer.status, 201) << answer.body;
  EXPECT_NE(answer.body.find("vip:"), std::string::npos) << answer.body;
}

TEST_F(AblyTokensTest, RejectsInvalidSettings) {
  settings_.ably.channel = "\xff{stream_id}";
  EXPECT_THROW(make_ably_tokens(settings_), core::SettingsError);
  settings_.ably.token_key_file = server_.write("no key", "nonsense");
  EXPECT_THROW(make_ably_tokens(settings_), core::SettingsError);
  settings_.ably.key_file.clear();
  EXPECT_EQ(make_ably_tokens(settings_), nullptr);
}

}  // namespace
}  // namespace sealcast::transport::ably
