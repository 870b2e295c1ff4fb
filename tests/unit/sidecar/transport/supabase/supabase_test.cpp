// Tests the Supabase adapter with a server that enforces the documented contract (tests/contracts/supabase.mjs).
#include "transport/supabase/supabase.h"

#include <gtest/gtest.h>

#include <boost/asio/detached.hpp>

#include "base/asio.h"
#include "support/async.h"
#include "support/contract_server.h"

namespace sealcast::transport::supabase {
namespace {

using Clock = outside::Adapter::Clock;
using Kind = outside::Outcome::Kind;

const std::string kStream = "0190d000-0000-7000-8000-000000000001";
const std::string kTopic = "sealcast:" + kStream;
constexpr std::chrono::milliseconds kShort{300};

class SupabaseTest : public testing::Test {
 protected:
  explicit SupabaseTest(std::string key = "key", const std::string& max_events = "1000000")
      : server_("supabase.mjs",
                {"--key", key, "--max-payload-kb", "1", "--max-events-per-second", max_events, "--clock", "manual"}) {
    settings_.supabase = {server_.url() + "/realtime/v1",
                          server_.write("key", key + "\n"),
                          "sealcast:{stream_id}",
                          "",
                          "message",
                          "private",
                          server_.ca_file()};
  }

  std::unique_ptr<outside::Adapter> make() { return make_supabase(io_.get_executor(), settings_); }

  outside::Outcome publish(outside::Adapter& adapter, std::span<const FramePtr> frames,
                           std::chrono::milliseconds limit = test::kPatience) {
    return test::await(io_, adapter.publish(frames, Clock::now() + limit));
  }

  // Publishes one frame. The contract server gives this answer.
  outside::Outcome outcome_of_answer(int status, const std::string& body, const std::string& headers = "") {
    server_.faults(R"("answer":{"status":)" + std::to_string(status) + R"(,"headers":{)" + headers + R"(},"body":)" +
                   (body.empty() ? "\"\"" : body) + "}");
    const auto adapter = make();
    return publish(*adapter, test::frames_of(kStream, 1, 1));
  }

  test::ContractServer server_;
  config::Settings settings_{};
  asio::io_context io_;
};

TEST_F(SupabaseTest, BroadcastsFramesInOrderAndUnchanged) {
  const auto adapter = make();
  const auto frames = test::frames_of(kStream, 1, 5);
  const outside::Outcome outcome = publish(*adapter, frames);
  EXPECT_EQ(outcome.kind, Kind::done) << outcome.reason;
  EXPECT_EQ(outcome.delivered, 5U);
  EXPECT_EQ(server_.offsets(kTopic), "1,2,3,4,5");
  const std::string messages = server_.messages(kTopic);
  std::string text;  // the text of the first frame as the content of a JSON string
  for (const char c : frames.front()->text) text += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  EXPECT_NE(messages.find(R"({"event":"message","private":true,"payload":")" + text + "\"}"), std::string::npos)
      << messages;
}

TEST_F(SupabaseTest, EncodesTopicAndEventAndSupportsPublicChannels) {
  settings_.supabase.topic = "a/b c?{stream_id}#%";
  settings_.supabase.event = "chat/ü";
  settings_.supabase.channels = "public";
  const auto adapter = make();
  EXPECT_EQ(publish(*adapter, test::frames_of(kStream, 1, 1)).kind, Kind::done);
  const std::string messages = server_.messages("a/b c?" + kStream + "#%");
  EXPECT_NE(messages.find(R"({"event":"chat/ü","private":false)"), std::string::npos) << messages;
}

TEST_F(SupabaseTest, IsOffWithoutAUrl) {
  settings_.supabase.url.clear();
  EXPECT_EQ(make(), nullptr);
}

TEST_F(SupabaseTest, AnInvalidKeyIsRefusedWithoutQuotingIt) {
  settings_.supabase.key_file = server_.write("bad", "hunter2\r\nX-Evil: yes");
  try {
    make();
    FAIL() << "the key was accepted";
  } catch (const core::SettingsError& problem) {
    EXPECT_NE(std::string(problem.what()).find("supabase.key_file"), std::string::npos);
    EXPECT_EQ(std::string(problem.what()).find("hunter2"), std::string::npos);
  }
}

TEST_F(SupabaseTest, ARefusalOfOneTopicRetriesTheStream) {
  EXPECT_EQ(outcome_of_answer(403, R"("{\"message\":\"Unauthorized\"}")").kind, Kind::retry_stream);
  EXPECT_EQ(outcome_of_answer(403, "").kind, Kind::retry_stream);
  EXPECT_EQ(outcome_of_answer(422, R"("{\"message\":\"RLS policy error\"}")").kind, Kind::retry_stream);
  EXPECT_EQ(outcome_of_answer(422, "").kind, Kind::retry_stream);
  EXPECT_EQ(outcome_of_answer(400, "").kind, Kind::retry_stream);
  EXPECT_EQ(outcome_of_answer(500, R"("{\"message\":\"RPC error\"}")").kind, Kind::retry_stream);
  server_.faults(R"("forbidden":[")" + kTopic + "\"]");
  const auto adapter = make();
  EXPECT_EQ(publish(*adapter, test::frames_of(kStream, 1, 1)).reason, "the service answered 403: Unauthorized");
}

TEST_F(SupabaseTest, ARefusalOfTheProjectRetriesTheTransport) {
  EXPECT_EQ(outcome_of_answer(401, R"("{\"message\":\"Unauthorized\"}")").kind, Kind::retry_transport);
  EXPECT_EQ(outcome_of_answer(403, R"("{\"message\":\"Tenant is suspended\"}")").kind, Kind::retry_transport);
  EXPECT_EQ(outcome_of_answer(422, R"("{\"message\":\"Tenant database unavailable\"}")").kind, Kind::retry_transport);
  EXPECT_EQ(outcome_of_answer(422, R"("{\"message\":\"Connect rate limit reached\"}")").kind, Kind::retry_transport);
  EXPECT_EQ(outcome_of_answer(422, R"("{\"message\":\"Missing messages partition\"}")").kind, Kind::retry_transport);
  EXPECT_EQ(outcome_of_answer(429, R"("{\"message\":\"Too many requests\"}")").kind, Kind::retry_transport);
  for (const int status : {200, 204, 302, 404, 405, 415, 502, 503, 504}) {
    EXPECT_EQ(outcome_of_answer(status, "").kind, Kind::retry_transport) << status;
  }
}

TEST_F(SupabaseTest, PassesOnRetryAfterUpToAnHour) {
  EXPECT_EQ(outcome_of_answer(429, "", R"("Retry-After":"17")").after, std::chrono::seconds(17));
  EXPECT_EQ(outcome_of_answer(503, "", R"("Retry-After":"999999")").after, std::chrono::hours(1));
  EXPECT_EQ(outcome_of_answer(429, "").after, std::chrono::milliseconds(0));
}

TEST_F(SupabaseTest, ATooLargePayloadIsDeadAndTheFramesBeforeItAreDelivered) {
  auto frames = test::frames_of(kStream, 1, 3);
  Frame large = *frames[1];
  large.text = R"({"offset":2,"text":")" + std::string(2000, 'x') + "\"}";
  frames[1] = std::make_shared<const Frame>(large);
  const auto adapter = make();
  const outside::Outcome outcome = publish(*adapter, frames);
  EXPECT_EQ(outcome.kind, Kind::dead);
  EXPECT_EQ(outcome.delivered, 1U);
  EXPECT_EQ(outcome.reason, "the service answered 422 (payload): Payload size exceeds tenant limit");
  EXPECT_EQ(server_.offsets(kTopic), "1");
  EXPECT_EQ(outcome_of_answer(413, "").kind, Kind::dead);
}

TEST_F(SupabaseTest, AReasonIsOneShortLine) {
  const std::string reason =
      outcome_of_answer(403, R"("{\"message\":\"a\\nb)" + std::string(5000, 'x') + R"(\"}")").reason;
  EXPECT_EQ(reason.find('\n'), std::string::npos);
  EXPECT_LT(reason.size(), 300U);
}

TEST_F(SupabaseTest, APublishToAServiceThatHangsEndsAtTheDeadline) {
  server_.faults(R"("stuck":true)");
  const auto adapter = make();
  const outside::Outcome outcome = publish(*adapter, test::frames_of(kStream, 1, 2), kShort);
  EXPECT_EQ(outcome.kind, Kind::retry_transport);
  EXPECT_EQ(outcome.delivered, 0U);
  EXPECT_EQ(outcome.reason, "no answer by the deadline");
}

TEST_F(SupabaseTest, ASlowServiceRetriesOnlyTheStream) {
  server_.faults(R"("slow_ms":200)");
  const auto adapter = make();
  const outside::Outcome outcome = publish(*adapter, test::frames_of(kStream, 1, 16), std::chrono::milliseconds(2500));
  EXPECT_EQ(outcome.kind, Kind::retry_stream);
  EXPECT_GT(outcome.delivered, 0U);
  EXPECT_LT(outcome.delivered, 16U);
}

TEST_F(SupabaseTest, PublishesAgainWhenTheServiceIsBack) {
  const auto adapter = make();
  server_.faults(R"("down":true)");
  EXPECT_EQ(publish(*adapter, test::frames_of(kStream, 1, 1)).kind, Kind::retry_transport);
  server_.no_faults();
  EXPECT_EQ(publish(*adapter, test::frames_of(kStream, 1, 1)).kind, Kind::done);
}

TEST_F(SupabaseTest, StreamsKeepTheirOrderDespiteFailures) {
  constexpr std::int64_t kFrames = 60;
  constexpr int kStreams = 12;
  server_.faults(R"("fail_share":0.2,"lost_share":0.05)");
  const auto adapter = make();
  int ended = 0;
  const auto deliver = [&](std::string stream_id) -> asio::awaitable<void> {
    const auto frames = test::frames_of(stream_id, 1, kFrames);
    std::span<const FramePtr> rest(frames);
    while (!rest.empty()) {
      const auto batch = rest.first(std::min(rest.size(), adapter->max_batch()));
      const outside::Outcome outcome = co_await adapter->publish(batch, Clock::now() + test::kPatience);
      rest = rest.subspan(outcome.delivered);
    }
    ++ended;
  };
  for (int i = 0; i < kStreams; ++i) asio::co_spawn(io_, deliver("stream-" + std::to_string(i)), asio::detached);
  ASSERT_TRUE(test::run_until(io_, [&] { return ended == kStreams; }));
  for (int i = 0; i < kStreams; ++i) {
    // When the answer to a frame was lost, the frame arrives twice in a row. Readers drop the second copy by its
    // offset.
    std::string offsets = server_.offsets("sealcast:stream-" + std::to_string(i)) + ",";
    for (std::int64_t offset = 1; offset <= kFrames; ++offset) {
      const std::string item = std::to_string(offset) + ",";
      ASSERT_TRUE(offsets.starts_with(item)) << offsets;
      while (offsets.starts_with(item)) offsets.erase(0, item.size());
    }
    EXPECT_EQ(offsets, "");
  }
}

TEST_F(SupabaseTest, AnUnknownProjectIsNotBlamedOnTheKey) {
  server_.faults(R"("unknown_project":true)");
  const auto adapter = make();
  const outside::Outcome outcome = publish(*adapter, test::frames_of(kStream, 1, 1));
  EXPECT_EQ(outcome.kind, Kind::retry_transport);
  EXPECT_TRUE(outcome.reason.starts_with("the service answered 401: Tenant not found in database; ")) << outcome.reason;
  EXPECT_NE(outcome.reason.find("supabase.url"), std::string::npos);
  EXPECT_EQ(outcome.reason.find("key_file"), std::string::npos);
}

TEST_F(SupabaseTest, CountsABroadcastAndItsDeliveriesToViewers) {
  Metrics metrics;
  StreamViewers viewers;
  viewers.replace({{kStream, 500}});
  const auto adapter = make();
  adapter->count_in(metrics, viewers);
  EXPECT_EQ(publish(*adapter, test::frames_of(kStream, 1, 2)).kind, Kind::done);
  EXPECT_EQ(publish(*adapter, test::frames_of("without-viewers", 1, 1)).kind, Kind::done);
  const std::string text = metrics.render();
  EXPECT_NE(text.find("sealcast_supabase_events_total 1003\n"), std::string::npos) << text;
  EXPECT_NE(text.find("sealcast_supabase_events_limit 1000000\n"), std::string::npos) << text;
}

class SupabaseLimitTest : public SupabaseTest {
 protected:
  SupabaseLimitTest() : SupabaseTest("key", "10") {}

  void pass(std::chrono::milliseconds time) {
    server_.command(R"({"do":"pass","ms":)" + std::to_string(time.count()) + "}");
  }
};

TEST_F(SupabaseLimitTest, SlowsDownBeforeRealtimeRefusesRequests) {
  const auto adapter = make();
  EXPECT_EQ(publish(*adapter, test::frames_of(kStream, 1, 18)).kind, Kind::done);
  pass(std::chrono::seconds(1));  // now Realtime counts 9 requests per second
  const auto frames = test::frames_of(kStream, 19, 21);
  const outside::Outcome slow = publish(*adapter, frames);
  EXPECT_EQ(slow.kind, Kind::slow_down);
  EXPECT_EQ(slow.delivered, 1U);
  EXPECT_EQ(slow.after, std::chrono::seconds(1));
  EXPECT_TRUE(slow.reason.starts_with("x-rate-limit-remaining is 1 of 10, ")) << slow.reason;
  pass(std::chrono::minutes(1));
  EXPECT_EQ(publish(*adapter, std::span(frames).subspan(1)).kind, Kind::done);
  EXPECT_EQ(server_.offsets(kTopic), test::offsets_from(1, 21));
}

TEST_F(SupabaseLimitTest, TooManyDeliveriesPauseTheTransportAndNameTheMetric) {
  server_.command(R"({"do":"readers","topic":")" + kTopic + R"(","count":99})");
  const auto adapter = make();
  EXPECT_EQ(publish(*adapter, test::frames_of(kStream, 1, 1)).kind, Kind::done);
  pass(std::chrono::seconds(5));  // now Realtime counts 10 events per second
  const outside::Outcome outcome = publish(*adapter, test::frames_of(kStream, 2, 2));
  EXPECT_EQ(outcome.kind, Kind::retry_transport);
  EXPECT_TRUE(outcome.reason.starts_with("the service answered 429: You have exceeded your rate limit; "))
      << outcome.reason;
  EXPECT_NE(outcome.reason.find("sealcast_supabase_events_total"), std::string::npos);
}

class SupabaseSecretKeyTest : public SupabaseTest {
 protected:
  SupabaseSecretKeyTest() : SupabaseTest("sb_secret_1") {}
};

TEST_F(SupabaseSecretKeyTest, ASecretKeyIsSentOnlyInTheHeaderApikey) {
  const auto adapter = make();
  const outside::Outcome outcome = publish(*adapter, test::frames_of(kStream, 1, 1));
  EXPECT_EQ(outcome.kind, Kind::done) << outcome.reason;
}

TEST_F(SupabaseSecretKeyTest, AnotherKeyIsRefused) {
  settings_.supabase.key_file = server_.write("other", "sb_secret_2");
  const auto adapter = make();
  const outside::Outcome outcome = publish(*adapter, test::frames_of(kStream, 1, 1));
  EXPECT_EQ(outcome.kind, Kind::retry_transport);
  EXPECT_NE(outcome.reason.find("supabase.key_file"), std::string::npos);
  EXPECT_EQ(outcome.reason.find("sb_secret"), std::string::npos);
}

}  // namespace
}  // namespace sealcast::transport::supabase
