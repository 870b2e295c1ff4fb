// Tickets: for one stream, for one purpose, for a while.
#include "message/ticket.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "message/session.h"
#include "support/tokens.h"

namespace sealcast {
namespace {

using test::claims;
using test::hs256;
using test::kNow;
using test::kSecret;
using test::kUser;

constexpr const char* kStream = "11111111-2222-4333-8444-555555555555";

class TicketTest : public testing::Test {
 protected:
  TicketIssuer issuer_{kSecret};
};

TEST_F(TicketTest, OpensItsStreamForItsUserUntilItExpires) {
  const std::string ticket = issuer_.issue(kStream, kUser, kNow + 60);
  const auto session = issuer_.verify(ticket, kStream, kNow);
  ASSERT_TRUE(session);
  EXPECT_EQ(session->user_id, kUser);
  EXPECT_EQ(session->expires_at, kNow + 60);
  EXPECT_TRUE(issuer_.verify(ticket, kStream, kNow + 59));
  EXPECT_FALSE(issuer_.verify(ticket, kStream, kNow + 60));
  EXPECT_FALSE(issuer_.verify(ticket, "11111111-2222-4333-8444-555555555556", kNow));
  EXPECT_TRUE(TicketIssuer(kSecret).verify(ticket, kStream, kNow)) << "another sidecar with the same secret";
  EXPECT_FALSE(TicketIssuer(std::string(32, 'x')).verify(ticket, kStream, kNow));
}

TEST_F(TicketTest, IsNoSessionAndASessionIsNoTicket) {
  SessionVerifier verifier({kSecret, "", "", ""});
  EXPECT_FALSE(verifier.verify(issuer_.issue(kStream, kUser, kNow + 60), kNow).session);
  const std::string like_a_ticket = claims(R"(,"aud":"sealcast:subscribe","stream_id":")" + std::string(kStream) + '"');
  EXPECT_FALSE(issuer_.verify(hs256(claims()), kStream, kNow));
  EXPECT_FALSE(issuer_.verify(hs256(like_a_ticket), kStream, kNow)) << "signed with the session secret itself";
}

TEST_F(TicketTest, BearsNoChange) {
  const std::string ticket = issuer_.issue(kStream, kUser, kNow + 60);
  for (std::size_t i = 0; i < ticket.size(); ++i) {
    std::string changed = ticket;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(issuer_.verify(changed, kStream, kNow)) << i;
    EXPECT_FALSE(issuer_.verify(ticket.substr(0, i), kStream, kNow)) << i;
  }
}

TEST_F(TicketTest, AMigrationTicketIsForItsStreamAndTargetUntilItExpires) {
  const std::string ticket = issuer_.issue_migration(kStream, "ably", kNow + 60);
  EXPECT_TRUE(issuer_.verify_migration(ticket, kStream, "ably", kNow + 59));
  EXPECT_FALSE(issuer_.verify_migration(ticket, kStream, "ably", kNow + 60));
  EXPECT_FALSE(issuer_.verify_migration(ticket, kStream, "mqtt", kNow));
  EXPECT_FALSE(issuer_.verify_migration(ticket, kStream, "", kNow));
  EXPECT_FALSE(issuer_.verify_migration(ticket, "11111111-2222-4333-8444-555555555556", "ably", kNow));
  EXPECT_TRUE(TicketIssuer(kSecret).verify_migration(ticket, kStream, "ably", kNow)) << "another sidecar";
  EXPECT_FALSE(TicketIssuer(std::string(32, 'x')).verify_migration(ticket, kStream, "ably", kNow));
  for (std::size_t i = 0; i < ticket.size(); ++i) {
    std::string changed = ticket;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(issuer_.verify_migration(changed, kStream, "ably", kNow)) << i;
  }
}

TEST_F(TicketTest, NoKindStandsForAnother) {
  const std::string migration = issuer_.issue_migration(kStream, "ably", kNow + 60);
  const std::string subscription = issuer_.issue(kStream, kUser, kNow + 60);
  EXPECT_FALSE(issuer_.verify(migration, kStream, kNow));
  EXPECT_FALSE(issuer_.verify_migration(subscription, kStream, "ably", kNow));
  SessionVerifier verifier({kSecret, "", "", ""});
  EXPECT_FALSE(verifier.verify(migration, kNow).session);
  const std::string like_one =
      claims(R"(,"aud":"sealcast:migrate","target":"ably","stream_id":")" + std::string(kStream) + '"');
  EXPECT_FALSE(issuer_.verify_migration(hs256(like_one), kStream, "ably", kNow)) << "signed with the secret itself";
}

TEST_F(TicketTest, AMigrationTicketNamesATransport) {
  for (const char* bad : {"", "a\"", "Ably", "a b"}) {
    EXPECT_THROW(issuer_.issue_migration(kStream, bad, kNow), std::invalid_argument) << bad;
  }
}

TEST_F(TicketTest, NamesUuidsOnly) {
  EXPECT_THROW(issuer_.issue("x\",\"sub\":\"", kUser, kNow), std::invalid_argument);
  EXPECT_THROW(TicketIssuer("short"), std::runtime_error);
}

}  // namespace
}  // namespace sealcast
