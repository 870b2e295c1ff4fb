// Tests the limits that are checked before the gate: types are refreshed; roles are read in batches, cached, and
// expire.
#include "message/limits.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <stdexcept>

#include "base/asio.h"
#include "base/event.h"
#include "support/async.h"

namespace sealcast::message {
namespace {

const std::string kStream = "11111111-2222-4333-8444-555555555555";

// A source that answers from memory instead of Postgres. Delays the roles while `hold` is set.
class FakeSource final : public LimitsSource {
 public:
  explicit FakeSource(asio::io_context& io) : released_(io.get_executor()) {}

  asio::awaitable<std::vector<TypeRow>> gate_limits() override {
    ++refreshes;
    if (fail) throw std::runtime_error("no database");
    co_return rows;
  }

  asio::awaitable<std::vector<RuledStream>> gate_rules() override { co_return ruled; }

  asio::awaitable<std::vector<std::string>> roles_of(std::vector<Membership> memberships) override {
    batches.push_back(memberships.size());
    if (hold) co_await released_.wait_until();
    if (fail) throw std::runtime_error("no database");
    std::vector<std::string> answer;
    for (const auto& membership : memberships) answer.push_back(roles[membership.user_id]);
    co_return answer;
  }

  void release() {
    hold = false;
    released_.set();
  }

  std::vector<TypeRow> rows = {{"chat", 16'384, 5, "{}", false, 2},
                               {"vip_chat", 1024, 5, R"({"moderator":50,"guest":1})", false, 2},
                               {"gift", 1024, 5, "{}", false, 1},
                               {"transport_migrate", 1024, 5, "{}", true, 0}};
  std::vector<RuledStream> ruled;
  std::map<std::string, std::string> roles = {{"mod", "moderator"}, {"guest", "guest"}, {"odd", "owner"}};
  std::vector<std::size_t> batches;
  int refreshes = 0;
  bool fail = false;
  bool hold = false;

 private:
  Event released_;
};

class LimitsTest : public testing::Test {
 protected:
  int limit(const std::string& t, const std::string& user) {
    return test::await(io_, limits_.limits_for(t, kStream, user)).rate;
  }
  int pause(const std::string& t, const std::string& user, const std::string& stream = kStream) {
    return static_cast<int>(test::await(io_, limits_.limits_for(t, stream, user)).rules.slow_mode.count());
  }

  asio::io_context io_;
  FakeSource source_{io_};
  Limits limits_{io_.get_executor(), source_, std::chrono::milliseconds(5000)};
};

TEST_F(LimitsTest, TypesAreKnownAfterARefresh) {
  EXPECT_FALSE(limits_.loaded());
  EXPECT_EQ(limits_.bucket("chat"), kUnknownType);
  test::await(io_, limits_.refresh());
  EXPECT_TRUE(limits_.loaded());
  EXPECT_EQ(limits_.bucket("chat"), "chat");
  EXPECT_EQ(limits_.max_bytes("chat"), 16'384);
  EXPECT_EQ(limits_.max_bytes("nonsense"), std::nullopt);
  EXPECT_EQ(limits_.bucket("nonsense"), kUnknownType);
  EXPECT_EQ(limit("nonsense", "mod"), Limits::kUnknownTypeRate);
  EXPECT_TRUE(limits_.find("transport_migrate")->system_only);
}

TEST_F(LimitsTest, ARoleIsReadOnlyForTypesWithRatesPerRoleAndOnlyOnce) {
  test::await(io_, limits_.refresh());
  EXPECT_EQ(limit("chat", "mod"), 5);
  EXPECT_TRUE(source_.batches.empty());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(limit("vip_chat", "mod"), 50);
    EXPECT_EQ(limit("vip_chat", "guest"), 1);
    EXPECT_EQ(limit("vip_chat", "odd"), 5);
    EXPECT_EQ(limit("vip_chat", "nobody"), 5);
  }
  EXPECT_EQ(source_.batches, (std::vector<std::size_t>{1, 1, 1, 1}));
}

TEST_F(LimitsTest, QuestionsDuringABatchJoinTheNextBatch) {
  test::await(io_, limits_.refresh());
  source_.hold = true;
  std::map<int, int> answers;
  for (int i = 0; i < 100; ++i) {
    asio::co_spawn(io_, limits_.limits_for("vip_chat", kStream, i == 7 ? "mod" : "user" + std::to_string(i)),
                   [&answers, i](std::exception_ptr, SenderLimits limits) { answers[i] = limits.rate; });
  }
  ASSERT_TRUE(test::run_until(io_, [&] { return !source_.batches.empty(); }));
  source_.release();
  ASSERT_TRUE(test::run_until(io_, [&] { return answers.size() == 100; }));
  EXPECT_EQ(source_.batches, (std::vector<std::size_t>{1, 99}));
  EXPECT_EQ(answers[7], 50);
  EXPECT_EQ(answers[8], 5);
}

TEST_F(LimitsTest, ABatchIsBounded) {
  test::await(io_, limits_.refresh());
  source_.hold = true;
  int answers = 0;
  constexpr int kAsking = 2'500;
  for (int i = 0; i < kAsking; ++i) {
    asio::co_spawn(io_, limits_.limits_for("vip_chat", kStream, "user" + std::to_string(i)),
                   [&answers](std::exception_ptr, SenderLimits) { ++answers; });
  }
  ASSERT_TRUE(test::run_until(io_, [&] { return source_.batches.size() == 3; }));
  source_.release();
  ASSERT_TRUE(test::run_until(io_, [&] { return answers == kAsking; }));
  EXPECT_LE(*std::max_element(source_.batches.begin(), source_.batches.end()), Limits::kMaxRolesAtOnce);
}

TEST_F(LimitsTest, TheSlowModeOfAStreamAppliesToTier2AndNotToModerators) {
  source_.ruled = {{kStream, {std::chrono::seconds(30)}}};
  test::await(io_, limits_.refresh());
  EXPECT_EQ(pause("chat", "guest"), 30);
  EXPECT_EQ(pause("vip_chat", "nobody"), 30);
  EXPECT_EQ(pause("gift", "guest"), 0) << "gifts are not slowed";
  EXPECT_EQ(pause("chat", "mod"), 0);
  EXPECT_EQ(pause("chat", "odd"), 0) << "the owner";
  EXPECT_EQ(pause("chat", "guest", "99999999-2222-4333-8444-555555555555"), 0) << "another stream";
  source_.fail = true;
  EXPECT_EQ(pause("chat", "stranger"), 30) << "a role that cannot be read exempts nobody";
  source_.fail = false;
  source_.ruled.clear();
  test::await(io_, limits_.refresh());
  EXPECT_EQ(pause("chat", "guest"), 0);
}

TEST_F(LimitsTest, TheRateOfAStreamAppliesBelowThatOfTheTypeAndNotToModerators) {
  source_.ruled = {{kStream, {}, R"({"chat":2,"gift":1,"vip_chat":3})"}};
  test::await(io_, limits_.refresh());
  EXPECT_EQ(limit("chat", "nobody"), 2);
  EXPECT_EQ(limit("gift", "nobody"), 1) << "every tier has the rate";
  EXPECT_EQ(limit("vip_chat", "nobody"), 3);
  EXPECT_EQ(limit("vip_chat", "guest"), 1) << "the rate of the role is lower";
  EXPECT_EQ(limit("chat", "mod"), 5);
  EXPECT_EQ(limit("vip_chat", "mod"), 50);
  source_.rows[0].rate = 1;
  test::await(io_, limits_.refresh());
  EXPECT_EQ(limit("chat", "nobody"), 1) << "never above the rate of the type";
  source_.ruled[0].rate = R"({"chat":"x"})";
  EXPECT_THROW(test::await(io_, limits_.refresh()), std::runtime_error);
  source_.ruled.clear();
  test::await(io_, limits_.refresh());
  EXPECT_EQ(limit("gift", "nobody"), 5);
}

TEST_F(LimitsTest, TheRulesAboutCopiesApplyToTier2AndNotToModerators) {
  const StreamLimits copies{{}, std::chrono::seconds(60), 5, std::chrono::seconds(30)};
  source_.ruled = {{kStream, copies}};
  test::await(io_, limits_.refresh());
  const auto rules = [this](const std::string& t, const std::string& user) {
    return test::await(io_, limits_.limits_for(t, kStream, user)).rules;
  };
  EXPECT_TRUE(rules("chat", "nobody").counts_text());
  EXPECT_EQ(rules("chat", "nobody").unique.count(), 60);
  EXPECT_EQ(rules("chat", "nobody").raid_copies, 5);
  EXPECT_EQ(rules("chat", "nobody").raid_within.count(), 30);
  EXPECT_FALSE(rules("gift", "nobody").any());
  EXPECT_FALSE(rules("chat", "mod").any());
}

TEST_F(LimitsTest, ACachedRoleExpires) {
  Limits limits(io_.get_executor(), source_, std::chrono::milliseconds(30));
  test::await(io_, limits.refresh());
  const auto rate = [&] { return test::await(io_, limits.limits_for("vip_chat", kStream, "mod")).rate; };
  EXPECT_EQ(rate(), 50);
  source_.roles["mod"] = "guest";
  ASSERT_TRUE(test::run_until(io_, [&] { return rate() == 1; }));
}

TEST_F(LimitsTest, AfterAFailureTheLastTypesAndTheTypesOwnRateApply) {
  test::await(io_, limits_.refresh());
  source_.fail = true;
  EXPECT_THROW(test::await(io_, limits_.refresh()), std::runtime_error);
  EXPECT_EQ(limits_.max_bytes("chat"), 16'384);
  EXPECT_EQ(limit("vip_chat", "mod"), 5);
  source_.fail = false;
  EXPECT_EQ(limit("vip_chat", "mod"), 50) << "a failure must not be cached as a role";
}

TEST_F(LimitsTest, AfterInvalidRoleRatesTheLastTypesApply) {
  test::await(io_, limits_.refresh());
  for (const char* bad : {"", "[]", "{", R"({"a":"b"})", R"({"a":1.5})", "null"}) {
    source_.rows[1].role_rates = bad;
    EXPECT_THROW(test::await(io_, limits_.refresh()), std::runtime_error) << bad;
  }
  EXPECT_EQ(limit("vip_chat", "mod"), 50);
}

TEST_F(LimitsTest, ARefreshWhileARoleIsReadIsSafe) {
  test::await(io_, limits_.refresh());
  source_.hold = true;
  std::optional<int> rate;
  asio::co_spawn(io_, limits_.limits_for("vip_chat", kStream, "mod"),
                 [&](std::exception_ptr, SenderLimits limits) { rate = limits.rate; });
  ASSERT_TRUE(test::run_until(io_, [&] { return !source_.batches.empty(); }));
  source_.rows.clear();
  test::await(io_, limits_.refresh());
  source_.release();
  ASSERT_TRUE(test::run_until(io_, [&] { return rate.has_value(); }));
  EXPECT_EQ(*rate, 50);
}

TEST_F(LimitsTest, StartRefreshesAtOnceAndStopEndsTheRefreshes) {
  limits_.start();
  ASSERT_TRUE(test::run_until(io_, [&] { return limits_.loaded(); }));
  EXPECT_EQ(source_.refreshes, 1);
  limits_.stop();
  io_.restart();
  io_.run_for(std::chrono::seconds(20));
  EXPECT_TRUE(io_.stopped()) << "the event loop still has work after stop";
}

TEST_F(LimitsTest, RolesThatTheCacheHasDroppedAreReadAgain) {
  test::await(io_, limits_.refresh());
  for (int i = 0; i < 70'000; ++i) {
    ASSERT_EQ(limit("vip_chat", "user" + std::to_string(i)), 5);
  }
  EXPECT_EQ(limit("vip_chat", "mod"), 50);
}

}  // namespace
}  // namespace sealcast::message
