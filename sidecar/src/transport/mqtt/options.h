// How to connect to a broker: its address, the credentials, the client id, and the template of topics.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/asio.h"
#include "base/secret.h"

namespace sealcast::transport::mqtt {

struct Options {
  std::string host;
  std::uint16_t port;
  std::string user;
  Secret password;
  std::string client_id;
  std::string topic;                        // template that contains {stream_id}
  std::chrono::seconds expiry{0};           // the Message Expiry Interval; 0: none
  std::shared_ptr<asio::ssl::context> tls;  // null: plain TCP
};

}  // namespace sealcast::transport::mqtt
