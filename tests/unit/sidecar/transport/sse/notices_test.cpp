// Tests which readers of a hub get a notice, and that it stands between frames and moves no resume point.
#include "transport/sse/notices.h"

#include <boost/asio/co_spawn.hpp>
#include <ctime>

#include "transport/sse/hub_fixture.h"

namespace sealcast::transport::sse {
namespace {

constexpr char kAda[] = "b0000000-0000-4000-8000-000000000001";
constexpr char kBen[] = "b0000000-0000-4000-8000-000000000002";
const std::int64_t kLater = std::time(nullptr) + 3600;

class SseNotices : public SseHub {
 protected:
  Client& connect_as(const ReaderIdentity& identity, int send_buffer = 0) {
    const double before = metrics_.sse_subscribers.Value();
    Client& made = start_connecting(0, true, send_buffer, 0, identity);
    EXPECT_TRUE(test::run_until(io_, [&] { return metrics_.sse_subscribers.Value() == before + 1; }));
    return made;
  }

  // Sends Ada the notices.
  void send(std::vector<std::string> texts) {
    bool sent = false;
    const Hub::AddNotices add = [&](const std::string&, const std::string& user_id, std::vector<ChunkPtr>& out) {
      for (const std::string& text : texts) {
        std::string event;
        append_notice(text, event);
        if (user_id == kAda) out.push_back(render_chunk(event));
      }
    };
    asio::co_spawn(io_, hub_->send_notices(add), [&](std::exception_ptr) { sent = true; });
    EXPECT_TRUE(test::run_until(io_, [&] { return sent; }));
  }

  // Waits until the client has the frames up to `offset`, and returns how often it has the text.
  std::size_t count(Client& client, const std::string& text, int offset) {
    EXPECT_TRUE(has(client, "id: " + std::to_string(offset) + "\n"));
    std::size_t found = 0;
    for (std::size_t at = 0; (at = client.text.find(text, at)) != client.text.npos; ++at) ++found;
    return found;
  }
};

TEST_F(SseNotices, GoToTheirUserAlone) {
  Client& ada = connect_as({kAda, kLater});
  Client& ben = connect_as({kBen, kLater});
  Client& anonymous = connect_as({});
  Client& expired = connect_as({kAda, 1});
  std::vector<std::string> users;
  hub_->visit_users([&](const std::string&, const std::string& user_id) { users.push_back(user_id); });
  EXPECT_EQ(users, (std::vector<std::string>{kAda, kBen}));
  publish(1, 1);
  send({"{\"n\":1}"});
  publish(2, 2);
  EXPECT_EQ(count(ada, "event: notice\ndata: {\"n\":1}\n\n", 2), 1u);
  for (Client* other : {&ben, &anonymous, &expired}) EXPECT_EQ(count(*other, "notice", 2), 0u);
  EXPECT_EQ(offsets(ada), (std::vector{0, 1, 2})) << "a notice has no id";
}

TEST_F(SseNotices, StandBetweenFramesOfAReaderThatLags) {
  Client& ada = connect_as({kAda, kLater}, 4096);
  publish(1, 20, 4000);
  send({"{\"n\":1}", "{\"n\":2}"});
  publish(21, 21);
  EXPECT_EQ(count(ada, "\r\nevent: notice\ndata: {\"n\":", 21), 2u);
  EXPECT_LT(ada.text.find("\"n\":1"), ada.text.find("\"n\":2"));
  EXPECT_EQ(offsets(ada).size(), 22u);
}

TEST_F(SseNotices, AReaderThatLeavesTooManyUnreadIsDropped) {
  connect_as({kAda, kLater}, 4096);
  publish(1, 60, 10'000);
  send({});  // lets the round of the frames run first
  send(std::vector<std::string>(Subscriber::kMaxNotices, "{}"));
  EXPECT_EQ(metrics_.sse_subscribers.Value(), 1);
  send({"{}", "{}"});
  EXPECT_EQ(metrics_.sse_subscribers.Value(), 0);
}

TEST_F(SseNotices, AReaderThatIsConnectingGetsThemWhenItIsASubscriber) {
  const Hub::Reservation reservation = hub_->reserve(kStream, kAda);
  send({"{\"n\":1}"});
  const auto notices = reservation.take_notices();
  ASSERT_TRUE(notices);
  EXPECT_EQ(notices->size(), 1u);
  EXPECT_TRUE(reservation.take_notices()->empty());
  send(std::vector<std::string>(Subscriber::kMaxNotices + 1, "{}"));
  EXPECT_FALSE(reservation.take_notices()) << "it must connect again";

  Client& ada = start_connecting(0, true, 0, 0, {kAda, kLater});  // its reservation exists
  send({"{\"n\":2}"});
  publish(1, 1);
  EXPECT_EQ(count(ada, "event: notice\ndata: {\"n\":2}\n\n", 1), 1u);
}

}  // namespace
}  // namespace sealcast::transport::sse
