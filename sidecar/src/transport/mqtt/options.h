// The address and the credentials for a broker, and the names that we use there.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "transport/mqtt/tls.h"

namespace sealcast::transport::mqtt {

struct Options {
  std::string host;
  std::uint16_t port;
  std::string user;
  std::string password;
  std::string client_id;
  std::string topic;               // with {stream_id} in it
  std::shared_ptr<const Tls> tls;  // null: plain TCP
};

}  // namespace sealcast::transport::mqtt
