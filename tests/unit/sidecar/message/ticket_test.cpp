// Tests tickets: a ticket is valid for one stream and one purpose, until it expires.
#include "message/ticket.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "message/session.h"
#include "support/tokens.h"

namespace sealcast::message {
namespace {

using test::claims;
using test::hs256;
using test::kNow;
using test::kSecret;
using test::kUser;

constexpr const char* kStream = "11111111-2222-4333-8444-555555555555";

const Session kSession{test::kUser, test::kNow + 3600};

class TicketTest : public testing::Test {
 protected:
  TicketIssuer issuer_{test::kSecret};
};

TEST_F(TicketTest, ATicketOpensItsStreamForItsUserUntilItExpires) {
  const std::string ticket = issuer_.issue(kStream, kSession, test::kNow + 60);
  const auto session = issuer_.verify(ticket, kStream, test::kNow);
  ASSERT_TRUE(session);
  EXPECT_EQ(session->user_id, test::kUser);
  EXPECT_EQ(session->expires_at, test::kNow + 3600) << "when the session expires, not the ticket";
  EXPECT_TRUE(issuer_.verify(ticket, kStream, test::kNow + 59));
  EXPECT_FALSE(issuer_.verify(ticket, kStream, test::kNow + 60));
  EXPECT_FALSE(issuer_.verify(ticket, "11111111-2222-4333-8444-555555555556", test::kNow));
  EXPECT_TRUE(TicketIssuer(test::kSecret).verify(ticket, kStream, test::kNow))
      << "another sidecar with the same secret";
  EXPECT_FALSE(TicketIssuer(std::string(32, 'x')).verify(ticket, kStream, test::kNow));
}

TEST_F(TicketTest, ATicketIsNoSessionAndASessionIsNoTicket) {
  SessionVerifier verifier(test::kSecret, {});
  EXPECT_FALSE(verifier.verify(issuer_.issue(kStream, kSession, test::kNow + 60), test::kNow).session);
  const std::string like_a_ticket =
      test::claims(R"(,"aud":"sealcast:subscribe","stream_id":")" + std::string(kStream) + '"');
  EXPECT_FALSE(issuer_.verify(test::hs256(test::claims()), kStream, test::kNow));
  EXPECT_FALSE(issuer_.verify(test::hs256(like_a_ticket), kStream, test::kNow))
      << "signed with the session secret itself";
}

TEST_F(TicketTest, AChangedOrTruncatedTicketIsRefused) {
  const std::string ticket = issuer_.issue(kStream, kSession, test::kNow + 60);
  for (std::size_t i = 0; i < ticket.size(); ++i) {
    std::string changed = ticket;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(issuer_.verify(changed, kStream, test::kNow)) << i;
    EXPECT_FALSE(issuer_.verify(ticket.substr(0, i), kStream, test::kNow)) << i;
  }
}

TEST_F(TicketTest, StreamAndUserMustBeUuids) {
  EXPECT_THROW(issuer_.issue("x\",\"sub\":\"", kSession, test::kNow), std::invalid_argument);
  EXPECT_THROW(TicketIssuer("short"), std::runtime_error);
}

}  // namespace
}  // namespace sealcast::message
