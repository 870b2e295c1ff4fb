// How to connect to a broker: its address, the credentials, the client id, and the template of topics.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/secret.h"
#include "transport/mqtt/tls.h"

namespace sealcast::transport::mqtt {

struct Options {
  std::string host;
  std::uint16_t port;
  std::string user;
  Secret password;
  std::string client_id;
  std::string topic;               // template that contains {stream_id}
  std::shared_ptr<const Tls> tls;  // null: plain TCP
};

}  // namespace sealcast::transport::mqtt
