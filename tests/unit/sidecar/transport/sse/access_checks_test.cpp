// Tests that a check of some readers ends those who may not read any more, and no others.
#include "transport/sse/access_checks.h"

#include <boost/asio/co_spawn.hpp>
#include <ctime>

#include "transport/sse/hub_fixture.h"

namespace sealcast::transport::sse {
namespace {

constexpr char kAda[] = "b0000000-0000-4000-8000-000000000001";
constexpr char kBen[] = "b0000000-0000-4000-8000-000000000002";

// Ben is banned from a private stream.
struct Rights : ReaderAccess {
  asio::awaitable<std::vector<ReaderRights>> rights(std::span<const ReaderKey> readers) override {
    std::vector<ReaderRights> all;
    for (const ReaderKey& reader : readers) {
      const bool banned = reader.user_id == kBen;
      all.push_back({true, !banned, !banned, banned});
    }
    co_return all;
  }
};

using SseAccess = SseHub;

TEST_F(SseAccess, ACheckOfSomeReadersEndsTheRefusedAlone) {
  const std::int64_t later = std::time(nullptr) + 3600;
  Client& ada = start_connecting(0, true, 0, 0, {kAda, later});
  Client& expired = start_connecting(0, true, 0, 0, {kAda, 1});
  Client& ben = start_connecting(0, true, 0, 0, {kBen, later});
  EXPECT_TRUE(test::run_until(io_, [&] { return metrics_.sse_subscribers.Value() == 3; }));
  Rights rights;
  AccessChecks checks(io_.get_executor(), rights, {hub_.get()});  // not started
  asio::co_spawn(io_, checks.check({{kStream, kAda}, {kStream, kBen}, {"unread", kBen}}), asio::detached);
  EXPECT_TRUE(has(ben, ": ended user_banned\n"));
  EXPECT_EQ(metrics_.sse_subscribers.Value(), 2);
  publish(1, 1);
  for (Client* staying : {&ada, &expired}) EXPECT_TRUE(has(*staying, "id: 1\n"));
}

}  // namespace
}  // namespace sealcast::transport::sse
