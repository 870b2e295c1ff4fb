// Tests the MQTT adapter with real brokers: order, TLS, passwords, full queues, frozen and stopped brokers. Brokers
// that misbehave, and the number of writes, are tested with a simulated broker.
#include "transport/mqtt/mqtt.h"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <optional>

#include "base/asio.h"
#include "support/async.h"
#include "support/certificate.h"
#include "support/mqtt_broker.h"

namespace sealcast::transport::mqtt {
namespace {

using asio::ip::tcp;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test::MqttBroker;
using test::MqttSubscriber;
using Kind = outside::Outcome::Kind;

const std::string kStream = "0190d000-0000-7000-8000-000000000001";

FramePtr make_frame(std::int64_t offset, std::size_t content = 5, const std::string& stream_id = kStream) {
  auto frame = std::make_shared<Frame>();
  frame->stream_id = stream_id;
  frame->offset = offset;
  frame->prev = offset - 1;
  append_frame(offset, offset - 1,
               R"({"v":1,"kid":"k1","t":"chat","d":{"content":")" + std::string(content, 'x') + R"("}})", {},
               frame->text);
  return frame;
}

std::vector<FramePtr> make_frames(std::int64_t first, std::int64_t last, const std::string& stream_id = kStream) {
  std::vector<FramePtr> frames;
  for (auto offset = first; offset <= last; ++offset) frames.push_back(make_frame(offset, 5, stream_id));
  return frames;
}

class MqttTest : public testing::Test {
 protected:
  MqttTest() {
    settings_.mqtt.client_id = "sealcast-test";
    settings_.mqtt.topic = "sealcast/{stream_id}";
  }

  outside::Adapter& connect(const std::string& url) {
    settings_.mqtt.url = url;
    adapter_ = make_mqtt(io_.get_executor(), settings_);
    adapter_->start();
    return *adapter_;
  }

  outside::Outcome publish(const std::vector<FramePtr>& frames, milliseconds limit = seconds(20)) {
    return test::await(io_, adapter_->publish(frames, outside::Adapter::Clock::now() + limit));
  }

  // Repeats the publish until the connection works again, as a delivery does.
  outside::Outcome publish_again(const std::vector<FramePtr>& frames) {
    outside::Outcome outcome;
    const bool done = test::run_until(io_, [&] {
      outcome = publish(frames);
      return outcome.kind != Kind::retry_transport;
    });
    EXPECT_TRUE(done) << outcome.reason;
    return outcome;
  }

  // Accepts one connection, reads CONNECT and answers with `answer`. Then answers each further read with the next one
  // of `more`. Returns the bytes that it has read after CONNECT, when the adapter has closed the connection. The next
  // connection of the adapter gets no answer.
  std::string serve(const std::string& answer, std::vector<std::string> more = {}) {
    acceptor_.emplace(io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    connect("mqtt://127.0.0.1:" + std::to_string(acceptor_->local_endpoint().port()));
    return test::await(io_, serve(*acceptor_, answer, std::move(more)));
  }
  static asio::awaitable<std::string> serve(tcp::acceptor& acceptor, std::string answer,
                                            std::vector<std::string> more) {
    std::string buffer(1024, '\0'), received;
    tcp::socket broker = co_await acceptor.async_accept(asio::use_awaitable);
    co_await broker.async_read_some(asio::buffer(buffer), asio::use_awaitable);
    co_await asio::async_write(broker, asio::buffer(answer), asio::use_awaitable);
    more.resize(more.size() + 1);
    for (std::size_t i = 0;; i = std::min(i + 1, more.size() - 1)) {
      boost::system::error_code error;
      const auto count =
          co_await broker.async_read_some(asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return received;
      received.append(buffer, 0, count);
      co_await asio::async_write(broker, asio::buffer(more[i]), asio::use_awaitable);
    }
  }

  std::vector<MqttSubscriber::Message> received(const MqttSubscriber& subscriber, std::size_t count) {
    EXPECT_TRUE(test::run_until(io_, [&] { return subscriber.messages().size() >= count; }));
    return subscriber.messages();
  }

  asio::io_context io_;
  config::Settings settings_{};
  std::optional<tcp::acceptor> acceptor_;
  std::unique_ptr<outside::Adapter> adapter_;
};

TEST_F(MqttTest, FramesArriveUnchangedWithTheirProperties) {
  MqttBroker broker;
  MqttSubscriber subscriber(broker);
  connect(broker.url());
  const auto frames = make_frames(41, 43);
  const outside::Outcome outcome = publish(frames);
  EXPECT_EQ(outcome.kind, Kind::done) << outcome.reason;
  EXPECT_EQ(outcome.delivered, 3u);
  const auto messages = received(subscriber, 3);
  ASSERT_EQ(messages.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(messages[i].topic, "sealcast/" + kStream);
    EXPECT_EQ(messages[i].payload, frames[i]->text);
    EXPECT_EQ(messages[i].content_type, "application/json");
    const std::map<std::string, std::string> expected = {
        {"offset", std::to_string(41 + i)}, {"prev", std::to_string(40 + i)}, {"kid", "k1"}};
    EXPECT_EQ(messages[i].properties, expected);
  }
}

TEST_F(MqttTest, MessagesHaveThePayloadFormatAndTheExpiryOfTheSettings) {
  MqttBroker broker;
  MqttSubscriber subscriber(broker);
  connect(broker.url());
  EXPECT_EQ(publish(make_frames(1, 1)).kind, Kind::done);
  settings_.mqtt.expiry = seconds(600);
  connect(broker.url());
  EXPECT_EQ(publish(make_frames(2, 2)).kind, Kind::done);
  const auto messages = received(subscriber, 2);
  EXPECT_EQ(messages[0].expiry, 0u);
  EXPECT_GT(messages[1].expiry, 590u);
  EXPECT_LE(messages[1].expiry, 600u);
  for (const auto& message : messages) EXPECT_EQ(message.payload_format, 1);
}

TEST_F(MqttTest, TopicsWithAnAliasArriveUnderTheirNames) {
  MqttBroker broker({"allow_anonymous true", "max_topic_alias 2"});
  MqttSubscriber subscriber(broker);
  connect(broker.url());
  for (std::int64_t round = 0; round < 3; ++round) {
    for (const std::string stream : {"a", "b", "c"}) {
      const outside::Outcome outcome = publish(make_frames(2 * round + 1, 2 * round + 2, stream));
      EXPECT_EQ(outcome.kind, Kind::done) << outcome.reason;
    }
  }
  std::map<std::string, int> last;
  for (const auto& message : received(subscriber, 18)) {
    EXPECT_EQ(std::stoi(message.properties.at("offset")), ++last[message.topic]);
  }
  EXPECT_EQ(last, (std::map<std::string, int>{{"sealcast/a", 6}, {"sealcast/b", 6}, {"sealcast/c", 6}}));
}

TEST_F(MqttTest, StreamsStayInOrderOnAConnectionWithASmallWindow) {
  MqttBroker broker({"allow_anonymous true", "max_inflight_messages 3", "max_queued_messages 0"});
  MqttSubscriber subscriber(broker);
  outside::Adapter& adapter = connect(broker.url());
  constexpr int kStreams = 5, kFrames = 200;
  std::vector<std::vector<FramePtr>> streams;
  for (int i = 0; i < kStreams; ++i) streams.push_back(make_frames(1, kFrames, "stream-" + std::to_string(i)));
  int done = 0;
  for (const auto& frames : streams) {
    asio::co_spawn(io_, adapter.publish(frames, outside::Adapter::Clock::now() + seconds(20)),
                   [&](std::exception_ptr, outside::Outcome outcome) {
                     EXPECT_EQ(outcome.kind, Kind::done) << outcome.reason;
                     EXPECT_EQ(outcome.delivered, std::size_t{kFrames});
                     ++done;
                   });
  }
  ASSERT_TRUE(test::run_until(io_, [&] { return done == kStreams; }));
  std::map<std::string, int> last;
  for (const auto& message : received(subscriber, kStreams * kFrames)) {
    EXPECT_EQ(std::stoi(message.properties.at("offset")), ++last[message.topic]);
  }
  EXPECT_EQ(last.size(), std::size_t{kStreams});
  EXPECT_EQ(broker.logged("New client connected"), 2u) << "the broker closed the connection";
}

TEST_F(MqttTest, ARefusedFrameIsDeadAndTheFramesBeforeItAreDelivered) {
  MqttBroker broker({"allow_anonymous true", "message_size_limit 500"});
  MqttSubscriber subscriber(broker);
  connect(broker.url());
  const std::vector<FramePtr> frames = {make_frame(1), make_frame(2), make_frame(3, 1000), make_frame(4)};
  outside::Outcome outcome = publish(frames);
  EXPECT_EQ(outcome.kind, Kind::dead);
  EXPECT_EQ(outcome.delivered, 2u);
  EXPECT_EQ(outcome.reason, "the broker refused the frame: Packet too large");
  outcome = publish({frames[3]});
  EXPECT_EQ(outcome.kind, Kind::done) << outcome.reason;
}

TEST_F(MqttTest, AStreamWhoseTopicTheUserMayNotWriteIsRetried) {
  test::Scratch scratch;
  MqttBroker broker({"allow_anonymous true", "acl_file " + scratch.write("acl", "topic write other/#\n")});
  connect(broker.url());
  const outside::Outcome outcome = publish(make_frames(1, 2));
  EXPECT_EQ(outcome.kind, Kind::retry_stream);
  EXPECT_EQ(outcome.delivered, 0u);
  EXPECT_EQ(outcome.reason, "the broker refused the frame: Not authorized");
}

TEST_F(MqttTest, AFrameOverTheBrokersMaximumIsNeverSent) {
  MqttBroker broker({"allow_anonymous true", "max_packet_size 1000"});
  MqttSubscriber subscriber(broker);
  connect(broker.url());
  // Bytes of the packet: 3 for the header, 47 for the topic, 2 for the packet identifier, 54 for the properties, and
  // the text of the frame.
  const std::size_t around_content = 3 + 47 + 2 + 54 + make_frame(1, 0)->text.size();
  const std::size_t largest = 1000 - around_content;
  const std::vector<FramePtr> frames = {make_frame(1), make_frame(2, largest), make_frame(3, largest + 1),
                                        make_frame(4)};
  outside::Outcome outcome = publish(frames);
  EXPECT_EQ(outcome.kind, Kind::dead);
  EXPECT_EQ(outcome.delivered, 2u);
  EXPECT_EQ(outcome.reason, "the packet of the frame has 1001 bytes, and the broker accepts 1000");
  outcome = publish({frames[3]});
  EXPECT_EQ(outcome.kind, Kind::done) << outcome.reason;
  EXPECT_EQ(received(subscriber, 3).back().payload, frames[3]->text);
  EXPECT_EQ(broker.logged("New client connected"), 2u);
}

TEST_F(MqttTest, AuthenticatesWithAPasswordAndDoesNotLogIt) {
  test::Scratch scratch;
  const std::string passwords = scratch.path("passwords");
  ASSERT_EQ(std::system(("mosquitto_passwd -b -c " + passwords + " writer hunter2 2>&1").c_str()), 0);
  MqttBroker broker({"allow_anonymous false", "password_file " + passwords});
  const std::string host = "@127.0.0.1:" + std::to_string(broker.port());
  testing::internal::CaptureStderr();
  settings_.mqtt.password_file = scratch.write("wrong", "hunter3\n");
  connect("mqtt://writer" + host);
  outside::Outcome outcome = publish(make_frames(1, 1));
  EXPECT_EQ(outcome.kind, Kind::retry_transport);
  EXPECT_EQ(outcome.reason, "not connected: the broker refused the connection: Not authorized");
  settings_.mqtt.password_file = scratch.write("right", "hunter2\n");
  connect("mqtt://writer" + host);
  outcome = publish(make_frames(1, 1));
  EXPECT_EQ(outcome.kind, Kind::done) << outcome.reason;
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("the broker refused the connection"), std::string::npos) << log;
  EXPECT_NE(log.find("connected to the MQTT broker"), std::string::npos) << log;
  EXPECT_EQ(log.find("hunter"), std::string::npos) << log;
}

TEST_F(MqttTest, TlsVerifiesTheAuthorityAndTheHostName) {
  test::Scratch scratch;
  test::make_certificate("localhost", scratch.path("cert"), scratch.path("key"));
  test::make_certificate("localhost", scratch.path("other"), scratch.path("other_key"));
  MqttBroker broker({"allow_anonymous true", "certfile " + scratch.path("cert"), "keyfile " + scratch.path("key")});
  const std::string port = std::to_string(broker.port());
  settings_.mqtt.ca_file = scratch.path("cert");
  connect("mqtts://localhost:" + port);
  std::vector<FramePtr> frames = {make_frame(1, 100'000), make_frame(2)};
  for (std::int64_t offset = 3; offset <= 200; ++offset) frames.push_back(make_frame(offset));
  outside::Outcome outcome = publish(frames);
  EXPECT_EQ(outcome.kind, Kind::done) << outcome.reason;
  EXPECT_EQ(outcome.delivered, 200u);
  ERR_raise(ERR_LIB_USER, 1);  // an error that other code has left in the error queue of OpenSSL
  EXPECT_EQ(publish(make_frames(201, 210)).kind, Kind::done);
  EXPECT_EQ(broker.logged("New client connected"), 1u);
  connect("mqtts://127.0.0.1:" + port);
  outcome = publish(make_frames(1, 1));
  EXPECT_EQ(outcome.kind, Kind::retry_transport);
  EXPECT_NE(outcome.reason.find("the certificate does not verify: IP address mismatch"), std::string::npos)
      << outcome.reason;
  settings_.mqtt.ca_file = scratch.path("other");
  connect("mqtts://localhost:" + port);
  outcome = publish(make_frames(1, 1));
  EXPECT_NE(outcome.reason.find("the certificate does not verify"), std::string::npos) << outcome.reason;
  settings_.mqtt.ca_file.clear();
  connect("mqtts://localhost:" + port);
  outcome = publish(make_frames(1, 1));
  EXPECT_NE(outcome.reason.find("the certificate does not verify"), std::string::npos) << outcome.reason;
  settings_.mqtt.ca_file = scratch.path("key");
  EXPECT_THROW(connect("mqtts://localhost:" + port), core::SettingsError);
}

TEST_F(MqttTest, ABrokerThatAsksForACertificateGetsTheOneOfTheSettings) {
  test::Scratch scratch;
  test::make_certificate("localhost", scratch.path("cert"), scratch.path("key"));
  test::make_certificate("client", scratch.path("own"), scratch.path("own_key"));
  MqttBroker broker({"allow_anonymous true", "certfile " + scratch.path("cert"), "keyfile " + scratch.path("key"),
                     "cafile " + scratch.path("own"), "require_certificate true"});
  const std::string url = "mqtts://localhost:" + std::to_string(broker.port());
  settings_.mqtt.ca_file = scratch.path("cert");
  connect(url);
  outside::Outcome outcome = publish(make_frames(1, 1));
  EXPECT_EQ(outcome.kind, Kind::retry_transport) << "without a certificate";
  settings_.mqtt.cert_file = scratch.path("cert");
  settings_.mqtt.key_file = scratch.path("key");
  connect(url);
  EXPECT_EQ(publish(make_frames(1, 1)).kind, Kind::retry_transport) << "with a certificate of another authority";
  settings_.mqtt.cert_file = scratch.path("own");
  settings_.mqtt.key_file = scratch.path("own_key");
  connect(url);
  outcome = publish(make_frames(1, 3));
  EXPECT_EQ(outcome.kind, Kind::done) << outcome.reason;
  settings_.mqtt.key_file = scratch.path("cert");
  EXPECT_THROW(connect(url), core::SettingsError);
}

TEST_F(MqttTest, TlsRefusesTheCertificateOfAnotherHost) {
  test::Scratch scratch;
  test::make_certificate("elsewhere.example", scratch.path("cert"), scratch.path("key"));
  MqttBroker broker({"allow_anonymous true", "certfile " + scratch.path("cert"), "keyfile " + scratch.path("key")});
  settings_.mqtt.ca_file = scratch.path("cert");
  connect("mqtts://localhost:" + std::to_string(broker.port()));
  const outside::Outcome outcome = publish(make_frames(1, 1));
  EXPECT_EQ(outcome.kind, Kind::retry_transport);
  EXPECT_NE(outcome.reason.find("the certificate does not verify: hostname mismatch"), std::string::npos)
      << outcome.reason;
  EXPECT_EQ(broker.logged("New client connected"), 0u);
}

TEST_F(MqttTest, TlsSendsTheHostNameAsSni) {
  test::Scratch scratch;
  test::make_certificate("localhost", scratch.path("cert"), scratch.path("key"));
  asio::ssl::context tls(asio::ssl::context::tls_server);
  tls.use_certificate_chain_file(scratch.path("cert"));
  tls.use_private_key_file(scratch.path("key"), asio::ssl::context::pem);
  std::string server_name;
  SSL_CTX_set_tlsext_servername_arg(tls.native_handle(), &server_name);
  SSL_CTX_set_tlsext_servername_callback(
      tls.native_handle(), +[](SSL* connection, int*, void* out) {
        const char* name = SSL_get_servername(connection, TLSEXT_NAMETYPE_host_name);
        *static_cast<std::string*>(out) = name != nullptr ? name : "none";
        return SSL_TLSEXT_ERR_OK;
      });
  tcp::acceptor acceptor(io_, {asio::ip::address_v4::loopback(), 0});
  asio::ssl::stream<tcp::socket> connection(io_, tls);
  acceptor.async_accept(connection.lowest_layer(), [&](boost::system::error_code) {
    connection.async_handshake(asio::ssl::stream_base::server, [](boost::system::error_code) {});
  });
  settings_.mqtt.ca_file = scratch.path("cert");
  connect("mqtts://localhost:" + std::to_string(acceptor.local_endpoint().port()));
  EXPECT_TRUE(test::run_until(io_, [&] { return !server_name.empty(); }));
  EXPECT_EQ(server_name, "localhost");
}

// TLS shows the writes of the adapter, because each write is one record, and a read returns one record.
TEST_F(MqttTest, ThePacketsOfOneTurnAreOneWriteAndTheirAnswersOneRead) {
  test::Scratch scratch;
  test::make_certificate("localhost", scratch.path("cert"), scratch.path("key"));
  asio::ssl::context tls(asio::ssl::context::tls_server);
  tls.use_certificate_chain_file(scratch.path("cert"));
  tls.use_private_key_file(scratch.path("key"), asio::ssl::context::pem);
  tcp::acceptor acceptor(io_, {asio::ip::address_v4::loopback(), 0});
  asio::ssl::stream<tcp::socket> broker(io_, tls);
  settings_.mqtt.ca_file = scratch.path("cert");
  outside::Adapter& adapter = connect("mqtts://localhost:" + std::to_string(acceptor.local_endpoint().port()));
  constexpr int kStreams = 5;
  std::size_t records = 0, bytes = 0;
  asio::co_spawn(
      io_,
      [&]() -> asio::awaitable<void> {
        std::string buffer(16 * 1024, '\0');
        co_await acceptor.async_accept(broker.lowest_layer(), asio::use_awaitable);
        co_await broker.async_handshake(asio::ssl::stream_base::server, asio::use_awaitable);
        co_await broker.async_read_some(asio::buffer(buffer), asio::use_awaitable);  // CONNECT
        const std::string connack("\x20\x03\x00\x00\x00", 5);
        co_await asio::async_write(broker, asio::buffer(connack), asio::use_awaitable);
        std::string answers;
        while (answers.empty()) {
          bytes += co_await broker.async_read_some(asio::buffer(buffer), asio::use_awaitable);
          ++records;
          if (bytes < kStreams * make_frame(1)->text.size()) continue;
          for (char id = 1; id <= kStreams; ++id) answers += std::string("\x40\x02\x00", 3) + id;
        }
        co_await asio::async_write(broker, asio::buffer(answers), asio::use_awaitable);
      },
      asio::detached);
  const auto frames = make_frames(1, 1);
  int done = 0;
  for (int i = 0; i < kStreams; ++i) {
    asio::co_spawn(io_, adapter.publish(frames, outside::Adapter::Clock::now() + seconds(20)),
                   [&](std::exception_ptr, outside::Outcome outcome) {
                     EXPECT_EQ(outcome.kind, Kind::done) << outcome.reason;
                     ++done;
                   });
  }
  ASSERT_TRUE(test::run_until(io_, [&] { return done == kStreams; }));
  EXPECT_EQ(records, 1u);
  adapter.stop();
}

TEST_F(MqttTest, APingIsSentInTheTimeThatTheBrokerDemandsAndMustBeAnswered) {
  const std::string connack("\x20\x06\x00\x00\x03\x13\x00\x01", 8);  // Server Keep Alive is 1 s
  const std::string pingresp("\xd0\x00", 2);
  EXPECT_EQ(serve(connack, {pingresp}), std::string("\xc0\x00\xc0\x00", 4));
  EXPECT_EQ(publish(make_frames(1, 1)).reason, "not connected: the broker did not answer a ping");
}

TEST_F(MqttTest, ABrokerThatAnswersSomethingElseIsDisconnected) {
  const std::string connack("\x20\x03\x00\x00\x00", 5);
  const std::pair<std::string, std::string> cases[] = {
      {connack + connack, "the broker sent a second CONNACK"},
      {connack + std::string("\x30\x01\x00", 3),
       "the broker sent an invalid packet: its type is not CONNACK, PUBACK, PINGRESP or DISCONNECT"},
      {connack + std::string("\xe0\x01\x8b", 3), "the broker ended the connection: Server shutting down"},
      {std::string("\x20\x05\x00\x00\x02\x24\x00", 7), "the broker does not accept QoS 1"},
      {std::string("\x20\x02\x00\x01", 4), "the broker refused the connection: Unacceptable protocol version"},
  };
  for (const auto& [answer, fault] : cases) {
    serve(answer);
    EXPECT_EQ(publish(make_frames(1, 1)).reason, "not connected: " + fault);
  }
}

TEST_F(MqttTest, ABrokerThatLosesTheFramesOfTheWholeWindowIsDisconnected) {
  tcp::acceptor acceptor(io_, {asio::ip::address_v4::loopback(), 0});
  bool disconnected = false;
  asio::co_spawn(
      io_,
      [&]() -> asio::awaitable<void> {
        std::string buffer(16 * 1024, '\0');
        tcp::socket broker = co_await acceptor.async_accept(asio::use_awaitable);
        co_await broker.async_read_some(asio::buffer(buffer), asio::use_awaitable);  // CONNECT
        const std::string connack("\x20\x06\x00\x00\x03\x21\x00\x01", 8);            // Receive Maximum is 1
        co_await asio::async_write(broker, asio::buffer(connack), asio::use_awaitable);
        co_await broker.async_read_some(asio::buffer(buffer), asio::use_awaitable);  // the first PUBLISH
        const std::string puback("\x40\x02\x00\x01", 4);
        co_await asio::async_write(broker, asio::buffer(puback), asio::use_awaitable);
        boost::system::error_code error;
        while (!error) {
          co_await broker.async_read_some(asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, error));
        }
        disconnected = true;
      },
      asio::detached);
  connect("mqtt://127.0.0.1:" + std::to_string(acceptor.local_endpoint().port()));
  EXPECT_EQ(publish(make_frames(1, 2), milliseconds(300)).delivered, 1u);
  EXPECT_FALSE(disconnected);
  EXPECT_EQ(publish(make_frames(2, 2), milliseconds(300)).kind, Kind::retry_transport);
  EXPECT_TRUE(test::run_until(io_, [&] { return disconnected; }));
}

TEST_F(MqttTest, PublishEndsAtTheDeadlineWhenTheServerNeverAnswers) {
  tcp::acceptor silent(io_, {asio::ip::address_v4::loopback(), 0});
  connect("mqtt://127.0.0.1:" + std::to_string(silent.local_endpoint().port()));
  const outside::Outcome outcome = publish(make_frames(1, 2), milliseconds(200));
  EXPECT_EQ(outcome.kind, Kind::retry_transport);
  EXPECT_EQ(outcome.delivered, 0u);
  EXPECT_EQ(outcome.reason, "no connection by the deadline");
}

TEST_F(MqttTest, IsOffWithoutAUrl) {
  settings_.mqtt.url.clear();
  EXPECT_EQ(make_mqtt(io_.get_executor(), settings_), nullptr);
}

TEST_F(MqttTest, PublishFailsWhenNoBrokerListens) {
  for (const std::string url : {"mqtt://127.0.0.1:", "mqtts://127.0.0.1:"}) {
    connect(url + std::to_string(test::free_port()));
    const outside::Outcome outcome = publish(make_frames(1, 2));
    EXPECT_EQ(outcome.kind, Kind::retry_transport);
    EXPECT_EQ(outcome.reason, "not connected: Connection refused");
  }
  connect("mqtt://no-such-host.invalid");
  EXPECT_EQ(publish(make_frames(1, 2)).kind, Kind::retry_transport);
}

TEST_F(MqttTest, ReconnectsWhenTheBrokerStopsAnswering) {
  MqttBroker broker;
  connect(broker.url());
  EXPECT_EQ(publish(make_frames(1, 3)).kind, Kind::done);
  broker.freeze();
  outside::Outcome outcome = publish(make_frames(4, 6), milliseconds(300));
  EXPECT_EQ(outcome.kind, Kind::retry_transport);
  EXPECT_EQ(outcome.delivered, 0u);
  EXPECT_EQ(outcome.reason, "the broker did not answer by the deadline");
  broker.thaw();
  MqttSubscriber subscriber(broker);
  outcome = publish_again(make_frames(4, 8));
  EXPECT_EQ(outcome.kind, Kind::done);
  EXPECT_EQ(outcome.delivered, 5u);
  EXPECT_EQ(broker.logged("as sealcast-test"), 2u);
  const auto messages = received(subscriber, 5);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(messages[i].properties.at("offset"), std::to_string(4 + i));
}

TEST_F(MqttTest, ASlowBrokerKeepsItsConnection) {
  MqttBroker broker({"allow_anonymous true", "max_inflight_messages 1", "max_queued_messages 0"});
  MqttSubscriber subscriber(broker);
  outside::Adapter& adapter = connect(broker.url());
  constexpr std::int64_t kFrames = 5000;
  const auto frames = make_frames(1, kFrames);
  std::optional<outside::Outcome> outcome;
  asio::co_spawn(io_, adapter.publish(frames, outside::Adapter::Clock::now() + milliseconds(500)),
                 [&](std::exception_ptr, outside::Outcome result) { outcome = std::move(result); });
  received(subscriber, 1);
  broker.freeze();  // the broker has acknowledged some frames, but not most of them
  ASSERT_TRUE(test::run_until(io_, [&] { return outcome.has_value(); }));
  broker.thaw();
  EXPECT_EQ(outcome->kind, Kind::retry_transport);
  EXPECT_GE(outcome->delivered, 1u);
  EXPECT_LT(outcome->delivered, std::size_t{kFrames});
  *outcome =
      publish(std::vector<FramePtr>(frames.begin() + static_cast<std::ptrdiff_t>(outcome->delivered), frames.end()));
  EXPECT_EQ(outcome->kind, Kind::done) << outcome->reason;
  EXPECT_EQ(broker.logged("as sealcast-test"), 1u);
  std::int64_t last = 0;
  for (const auto& message : received(subscriber, kFrames)) {
    const std::int64_t offset = std::stoll(message.properties.at("offset"));
    EXPECT_TRUE(offset == last + 1 || offset == last) << offset << " after " << last;
    last = offset;
  }
  EXPECT_GE(last, kFrames - 1);  // one message may be a second copy of the frame in flight
}

TEST_F(MqttTest, ReconnectsToABrokerThatWasKilled) {
  MqttBroker broker;
  connect(broker.url());
  EXPECT_EQ(publish(make_frames(1, 3)).kind, Kind::done);
  broker.stop();
  outside::Outcome outcome = publish(make_frames(4, 6));
  EXPECT_EQ(outcome.kind, Kind::retry_transport) << outcome.reason;
  broker.start();
  MqttSubscriber subscriber(broker);
  outcome = publish_again(make_frames(4, 6));
  EXPECT_EQ(outcome.kind, Kind::done);
  EXPECT_EQ(received(subscriber, 3).size(), 3u) << "failed frames are not sent again by the adapter itself";
}

TEST_F(MqttTest, StoppingEndsAPublishInProgress) {
  MqttBroker broker;
  outside::Adapter& adapter = connect(broker.url());
  EXPECT_EQ(publish(make_frames(1, 1)).kind, Kind::done);
  broker.freeze();
  std::optional<outside::Outcome> outcome;
  const auto frames = make_frames(2, 3);
  asio::co_spawn(io_, adapter.publish(frames, outside::Adapter::Clock::now() + std::chrono::hours(1)),
                 [&](std::exception_ptr, outside::Outcome result) { outcome = std::move(result); });
  io_.restart();
  io_.run_for(milliseconds(20));
  EXPECT_FALSE(outcome);
  adapter.stop();
  ASSERT_TRUE(test::run_until(io_, [&] { return outcome.has_value(); }));
  EXPECT_EQ(outcome->kind, Kind::retry_transport);
  adapter_.reset();
  broker.thaw();
  // After stop(), no timer and no socket waits on the event loop.
  io_.restart();
  EXPECT_TRUE(test::run_until(io_, [&] {
    io_.restart();
    return io_.run_for(milliseconds(1)) == 0 && io_.stopped();
  }));
}

TEST_F(MqttTest, StoppingSendsDisconnect) {
  MqttBroker broker;
  outside::Adapter& adapter = connect(broker.url());
  EXPECT_EQ(publish(make_frames(1, 1)).kind, Kind::done);
  adapter.stop();
  EXPECT_TRUE(test::run_until(io_, [&] { return broker.logged("Received DISCONNECT from sealcast-test") == 1; }));
  EXPECT_EQ(publish(make_frames(2, 2)).kind, Kind::retry_transport);
}

TEST(FrameTest, ReadsTheKidFromTheText) {
  EXPECT_EQ(envelope_kid(make_frame(7)->text), "k1");
  EXPECT_EQ(envelope_kid(R"({"offset":1,"prev":0,"envelope":{"v":1,"kid":"a_B-9","t":"chat","d":{"kid":"k2"}}})"),
            "a_B-9");
  for (const char* text : {"", "{}", R"({"kid":)"}) EXPECT_EQ(envelope_kid(text), "") << text;
}

}  // namespace
}  // namespace sealcast::transport::mqtt
