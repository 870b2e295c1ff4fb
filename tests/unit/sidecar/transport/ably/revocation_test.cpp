// Tests the revocation of Ably tokens: with a server that enforces the documented contract (tests/contracts/ably.mjs),
// and the forms of Ably's answers.
#include "transport/ably/revocation.h"

#include <gtest/gtest.h>

#include <vector>

#include "support/async.h"
#include "support/contract_server.h"
#include "transport/ably/revocation_answer.h"

namespace sealcast::transport::ably {
namespace {

const std::vector<std::string> kUsers{"0190d000-0000-7000-8000-000000000001", "0190d000-0000-7000-8000-000000000002"};
const std::vector<bool> kBoth{true, true};
const std::vector<bool> kNone{false, false};

std::string result(const std::string& user, const std::string& more = {}) {
  return R"({"target":"clientId:)" + user + "\"" + more + "}";
}

TokenRevoker::Answer read(int status, const std::string& body) {
  client::http::Answer answer;
  answer.status = status;
  answer.body = body;
  if (status == 0) answer.failure = "no connection";
  return read_revocation(answer, kUsers);
}

TEST(AblyRevocationTest, EachFormOfASuccessRevokesAll) {
  const std::string results = "[" + result(kUsers[1]) + "," + result(kUsers[0], R"(,"error":null)") + "]";
  for (const std::string& body : {results, R"({"successCount":2,"failureCount":0,"results":)" + results + "}"}) {
    const TokenRevoker::Answer answer = read(201, body);
    EXPECT_EQ(answer.revoked, kBoth) << body;
    EXPECT_EQ(answer.problem, "") << body;
    EXPECT_FALSE(answer.may_retry());
  }
}

TEST(AblyRevocationTest, APartialFailureRevokesTheOthers) {
  const std::string results =
      "[" + result(kUsers[0], R"(,"error":{"code":50000,"message":"why"})") + "," + result(kUsers[1]) + "]";
  const TokenRevoker::Answer fresh = read(201, R"({"results":)" + results + "}");
  EXPECT_EQ(fresh.revoked, (std::vector<bool>{false, true}));
  EXPECT_EQ(fresh.problem, "a token is not revoked (50000): why");
  EXPECT_TRUE(fresh.may_retry());
  const TokenRevoker::Answer old =
      read(400, R"({"error":{"code":40020,"message":"some"},"batchResponse":)" + results + "}");
  EXPECT_EQ(old.revoked, fresh.revoked);
  EXPECT_EQ(old.problem, "the service answered 400 (40020): some; a token is not revoked (50000): why");
}

TEST(AblyRevocationTest, AKeyWithoutRevocableTokensMakesItImpossible) {
  for (const char* code : {"40121", "40163", "40164"}) {
    const std::string error = R"("error":{"code":)" + std::string(code) + R"(,"message":"why"})";
    const TokenRevoker::Answer whole = read(401, "{" + error + "}");
    EXPECT_EQ(whole.possible, kNone);
    EXPECT_FALSE(whole.may_retry());
    EXPECT_EQ(whole.problem, "the service answered 401 (" + std::string(code) + "): why");
    const TokenRevoker::Answer one = read(201, "[" + result(kUsers[0], "," + error) + "]");
    EXPECT_EQ(one.possible, (std::vector<bool>{false, true})) << "the other user's tokens can be revoked";
    EXPECT_TRUE(one.may_retry());
    const TokenRevoker::Answer rest = read(201, "[" + result(kUsers[0], "," + error) + "," + result(kUsers[1]) + "]");
    EXPECT_EQ(rest.revoked, (std::vector<bool>{false, true}));
    EXPECT_FALSE(rest.may_retry());
  }
}

TEST(AblyRevocationTest, EveryOtherAnswerIsAFailureToRetry) {
  const std::string results = "[" + result(kUsers[0]) + "," + result(kUsers[1]) + "]";
  const std::vector<std::pair<int, std::string>> answers{
      {0, ""}, {201, ""}, {201, "[]"}, {204, ""}, {401, R"({"error":{"code":40101}})"}, {500, results}, {302, results}};
  for (const auto& [status, body] : answers) {
    const TokenRevoker::Answer answer = read(status, body);
    EXPECT_EQ(answer.revoked, kNone) << status << body;
    EXPECT_NE(answer.problem, "") << status << body;
    EXPECT_EQ(answer.possible, kBoth) << status << body;
  }
}

class AblyRevokerTest : public testing::Test {
 protected:
  AblyRevokerTest() {
    settings_.ably.url = server_.url();
    settings_.ably.key_file = server_.write("key", "app.id:secret\n");
    settings_.ably.ca_file = server_.ca_file();
  }

  std::unique_ptr<TokenRevoker> make() { return make_ably_revoker(io_.get_executor(), settings_); }
  TokenRevoker::Answer revoke(TokenRevoker& revoker) { return test::await(io_, revoker.revoke(kUsers)); }

  test::ContractServer server_{"ably.mjs", {"--key", "app.id:secret", "--revocable"}};
  config::Settings settings_{};
  asio::io_context io_;
};

TEST_F(AblyRevokerTest, RevokesByClientId) {
  const auto revoker = make();
  const TokenRevoker::Answer answer = revoke(*revoker);
  EXPECT_EQ(answer.revoked, kBoth) << answer.problem;
  const std::string made = server_.command(R"({"do":"revocations"})");
  for (const std::string& user : kUsers) EXPECT_NE(made.find("clientId:" + user), std::string::npos) << made;
}

TEST_F(AblyRevokerTest, TakesTheKeyOfTheTokens) {
  settings_.ably.key_file = server_.write("publisher", "app.publisher:another");
  settings_.ably.token_key_file = server_.write("key", "app.id:secret");
  const auto revoker = make();
  EXPECT_EQ(revoke(*revoker).problem, "");
}

TEST_F(AblyRevokerTest, ReadsARefusedKeyAgain) {
  settings_.ably.key_file = server_.write("changing", "app.id:old");
  const auto revoker = make();
  server_.write("changing", "app.id:secret");
  EXPECT_EQ(revoke(*revoker).problem, "the service answered 401 (40101): Invalid credentials");
  EXPECT_EQ(revoke(*revoker).problem, "");
  server_.write("changing", "app.id:later");
  revoker->read_key_again();
  EXPECT_NE(revoke(*revoker).problem, "");
}

TEST_F(AblyRevokerTest, SaysThatTheKeyHasNoRevocableTokens) {
  server_.command(R"({"do":"revocable","value":false})");
  const auto revoker = make();
  EXPECT_EQ(revoke(*revoker).possible, kNone);
}

TEST_F(AblyRevokerTest, PassesOnThePauseThatAblyAsksFor) {
  server_.faults(R"("limited":{"retry_after":7})");
  const auto revoker = make();
  const TokenRevoker::Answer answer = revoke(*revoker);
  EXPECT_EQ(answer.retry_after, std::chrono::seconds(7));
  EXPECT_NE(answer.problem.find("429 (42917)"), std::string::npos) << answer.problem;
}

TEST_F(AblyRevokerTest, IsOffWithoutAKey) {
  settings_.ably.key_file.clear();
  EXPECT_EQ(make(), nullptr);
}

}  // namespace
}  // namespace sealcast::transport::ably
