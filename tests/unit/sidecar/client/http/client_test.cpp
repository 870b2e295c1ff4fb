// Tests the HTTP client against a service that answers correctly, wrongly, late or never.
#include "client/http/client.h"

#include <gtest/gtest.h>

#include <boost/asio/detached.hpp>
#include <cstdlib>
#include <optional>

#include "base/asio.h"
#include "support/async.h"
#include "support/contract_server.h"

namespace sealcast::client::http {
namespace {

using Clock = Client::Clock;

constexpr std::chrono::milliseconds kShort{150};
const std::vector<std::string> kHeaders = {"Content-Type: application/json", "apikey: key"};

class HttpClientTest : public testing::Test {
 protected:
  ClientOptions options() const { return {.ca_file = server_.ca_file()}; }

  Post request(const std::string& body = R"({"offset":1})") {
    body_ = body;
    return {server_.url() + "/api/broadcast/room/events/message", kHeaders, body_};
  }
  Answer post(Client& client, std::chrono::milliseconds limit = test::kPatience) {
    return test::await(io_, client.post(request(), Clock::now() + limit));
  }

  test::ContractServer server_{"supabase.mjs"};
  asio::io_context io_;
  std::string body_;
};

TEST_F(HttpClientTest, PostsARequestAndReadsTheAnswer) {
  server_.faults(R"("answer":{"status":418,"headers":{"X-Note":"seen","Retry-After":"7"},"body":"tea"})");
  Client client(io_.get_executor(), options());
  const Answer answer = post(client);
  EXPECT_EQ(answer.failure, "");
  EXPECT_EQ(answer.status, 418);
  EXPECT_EQ(answer.body, "tea");
  EXPECT_EQ(answer.header("x-NOTE"), "seen");
  EXPECT_EQ(answer.header("x-other"), "");
  EXPECT_EQ(answer.retry_after, std::chrono::seconds(7));
  EXPECT_FALSE(answer.late);
}

TEST_F(HttpClientTest, GetsAnAnswer) {
  Client client(io_.get_executor(), options());
  Answer answer = test::await(io_, client.get(server_.url() + "/nothing", Clock::now() + test::kPatience));
  EXPECT_EQ(answer.status, 404) << answer.failure;
  server_.faults(R"("answer":{"status":200,"body":"{}"})");
  answer = test::await(io_, client.get(server_.url() + "/readyz", Clock::now() + test::kPatience));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "{}");
  server_.faults(R"("stuck":true)");
  EXPECT_TRUE(test::await(io_, client.get(server_.url() + "/readyz", Clock::now() + kShort)).late);
}

TEST_F(HttpClientTest, SendsTheBodyUnchanged) {
  Client client(io_.get_executor(), options());
  const std::string body = R"({"offset":1,"text":")" + std::string(1'500'000, 'x') +
                           "\"}";  // so long that libcurl by default sends "Expect: 100-continue"
  const Answer answer = test::await(io_, client.post(request(body), Clock::now() + test::kPatience));
  EXPECT_EQ(answer.status, 202) << answer.failure;
  EXPECT_NE(server_.messages("room").find(std::string(1'500'000, 'x')), std::string::npos);
}

TEST_F(HttpClientTest, ReusesItsConnection) {
  Client client(io_.get_executor(), options());
  for (int i = 0; i < 20; ++i) ASSERT_EQ(post(client).status, 202);
  EXPECT_EQ(server_.count("connections"), 1);
}

TEST_F(HttpClientTest, LimitsItsConnectionsAndServesAllRequests) {
  ClientOptions limited = options();
  limited.max_connections = 3;
  Client client(io_.get_executor(), limited);
  int answered = 0;
  for (int i = 0; i < 50; ++i) {
    asio::co_spawn(io_, client.post(request(), Clock::now() + test::kPatience), [&](std::exception_ptr, Answer answer) {
      EXPECT_EQ(answer.status, 202) << answer.failure;
      ++answered;
    });
  }
  ASSERT_TRUE(test::run_until(io_, [&] { return answered == 50; }));
  EXPECT_EQ(server_.count("connections"), 3);
}

TEST_F(HttpClientTest, EndsAtTheDeadlineWhenTheServiceHangs) {
  Client client(io_.get_executor(), options());
  ASSERT_EQ(post(client).status, 202);
  server_.faults(R"("stuck":true)");
  const Answer answer = post(client, kShort);
  EXPECT_EQ(answer.status, 0);
  EXPECT_TRUE(answer.late);
  EXPECT_EQ(answer.failure, "no answer by the deadline");
  // The next request must use a new connection, because the late answer could still arrive on the old one.
  server_.no_faults();
  EXPECT_EQ(post(client).status, 202);
  EXPECT_EQ(server_.count("connections"), 2);
}

TEST_F(HttpClientTest, ARequestThatWaitsForAConnectionEndsAtItsDeadline) {
  server_.faults(R"("stuck":true)");
  ClientOptions limited = options();
  limited.max_connections = 1;
  Client client(io_.get_executor(), limited);
  int late = 0;
  for (int i = 0; i < 3; ++i) {
    asio::co_spawn(io_, client.post(request(), Clock::now() + kShort),
                   [&](std::exception_ptr, Answer answer) { late += answer.late ? 1 : 0; });
  }
  EXPECT_TRUE(test::run_until(io_, [&] { return late == 3; }));
}

TEST_F(HttpClientTest, RefusesAResponseThatIsTooLong) {
  ClientOptions limited = options();
  limited.max_response_bytes = 4096;
  Client client(io_.get_executor(), limited);
  server_.faults(R"("answer":{"status":200,"body":")" + std::string(5000, 'x') + "\"}");
  EXPECT_EQ(post(client).failure, "the response is too long");
  server_.faults(R"("answer":{"status":200,"headers":{"X-Long":")" + std::string(5000, 'x') + "\"}}");
  EXPECT_EQ(post(client).failure, "the response is too long");
  server_.faults(R"("answer":{"status":200,"body":")" + std::string(3000, 'x') + "\"}");
  EXPECT_EQ(post(client).body.size(), 3000U);
}

TEST_F(HttpClientTest, RefusesACertificateOfAnUnknownAuthority) {
  Client client(io_.get_executor(), {});
  const Answer answer = post(client);
  EXPECT_EQ(answer.status, 0);
  EXPECT_NE(answer.failure.find("certificate"), std::string::npos) << answer.failure;
  EXPECT_EQ(server_.count("requests"), 0);
}

TEST_F(HttpClientTest, RefusesACertificateForAnotherHost) {
  test::ContractServer other("supabase.mjs", {"--names", "other.example"});
  Client client(io_.get_executor(), {.ca_file = other.ca_file()});
  Post wrong = request();
  wrong.url = other.url() + "/api/broadcast/room/events/message";
  const Answer answer = test::await(io_, client.post(wrong, Clock::now() + test::kPatience));
  EXPECT_EQ(answer.status, 0);
  EXPECT_NE(answer.failure.find("localhost"), std::string::npos) << answer.failure;
  EXPECT_EQ(other.count("requests"), 0);
}

TEST_F(HttpClientTest, DoesNotFollowRedirects) {
  server_.faults(R"("answer":{"status":307,"headers":{"Location":")" + server_.url() + "/elsewhere\"}}");
  Client client(io_.get_executor(), options());
  EXPECT_EQ(post(client).status, 307);
  EXPECT_EQ(server_.count("requests"), 1);
}

TEST_F(HttpClientTest, UsesNoProxyOfTheEnvironment) {
  for (const char* name : {"https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"}) {
    ::setenv(name, "http://127.0.0.1:1", 1);
  }
  Client client(io_.get_executor(), options());
  const Answer answer = post(client);
  for (const char* name : {"https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"}) ::unsetenv(name);
  EXPECT_EQ(answer.status, 202) << answer.failure;
}

TEST_F(HttpClientTest, ReportsAServiceThatIsDownAndReconnects) {
  Client client(io_.get_executor(), options());
  EXPECT_EQ(post(client).status, 202);
  server_.faults(R"("down":true)");
  const Answer answer = post(client);
  EXPECT_EQ(answer.status, 0);
  EXPECT_FALSE(answer.late);
  EXPECT_NE(answer.failure.find("connect"), std::string::npos) << answer.failure;
  server_.no_faults();
  EXPECT_EQ(post(client).status, 202);
}

TEST_F(HttpClientTest, StoppingEndsRequestsInProgress) {
  server_.faults(R"("stuck":true)");
  Client client(io_.get_executor(), options());
  std::vector<Answer> answers;
  for (int i = 0; i < 2; ++i) {
    asio::co_spawn(io_, client.post(request(), Clock::now() + test::kPatience),
                   [&](std::exception_ptr, Answer answer) { answers.push_back(std::move(answer)); });
  }
  ASSERT_TRUE(test::run_until(io_, [&] { return server_.count("waiting") == 2; }));
  client.stop();
  ASSERT_TRUE(test::run_until(io_, [&] { return answers.size() == 2; }));
  EXPECT_EQ(answers.front().failure, "sealcastd is stopping");
  EXPECT_EQ(post(client).failure, "sealcastd is stopping");
}

TEST_F(HttpClientTest, MayBeDestroyedBeforeItsRequestsEnd) {
  server_.faults(R"("stuck":true)");
  std::optional<Answer> ended;
  {
    Client client(io_.get_executor(), options());
    asio::co_spawn(io_, client.post(request(), Clock::now() + 10 * test::kPatience),
                   [&](std::exception_ptr, Answer answer) { ended = std::move(answer); });
    ASSERT_TRUE(test::run_until(io_, [&] { return server_.count("waiting") == 1; }));
  }
  ASSERT_TRUE(test::run_until(io_, [&] { return ended.has_value(); }));
  EXPECT_EQ(ended->failure, "sealcastd is stopping");
}

TEST(PercentEncode, KeepsOnlyUnreservedCharacters) {
  EXPECT_EQ(percent_encode("sealcast:a/b c-._~é%"), "sealcast%3Aa%2Fb%20c-._~%C3%A9%25");
}

TEST(OneLine, IsPrintableAndLimited) {
  EXPECT_EQ(one_line("a\tb\x01"
                     "c\r\n"),
            "a b c");
  EXPECT_EQ(one_line("é"), "??");
  EXPECT_EQ(one_line(std::string(1000, 'x')).size(), 200U);
}

}  // namespace
}  // namespace sealcast::client::http
