// Decides whether a transport carries a stream. The column streams.delivery_mode gives the mode of the stream, and the
// settings list the transports of each mode.
//
// The delivery modes are read once per second, so a change takes effect after about one second. Before the first read,
// the deliveries wait.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/asio.h"
#include "client/postgres/pool.h"
#include "client/postgres/refresher.h"
#include "config/settings.h"
#include "transport/frame.h"

namespace sealcast::transport::outside {

class Routing {
 public:
  // `pool` must stay valid as long as this object.
  Routing(asio::any_io_executor executor, postgres::Pool& pool, const config::Settings::Delivery& settings);

  void start();
  void stop() { refresher_.stop(); }

  // Returns whether carries() can tell: the delivery modes are read, or the transport carries all streams in any mode.
  bool knows(std::string_view transport) const;
  bool carries(std::string_view transport, const std::string& stream_id) const;
  // As above, but a transport that keeps messages itself also carries the announcements of redactions in the streams
  // that it no longer carries: it may still have the content.
  bool carries(std::string_view transport, const Frame& frame) const;

  // Reads the modes immediately. A caller uses it after it has changed a mode. Throws postgres::Error.
  asio::awaitable<void> refresh();

 private:
  bool is_trivial() const;  // true when the settings give every mode all transports

  postgres::Pool& pool_;
  std::unordered_map<std::string, std::vector<std::string>> transports_;  // by mode; an empty list: all transports
  std::unordered_map<std::string, std::string> modes_;  // by stream; streams with the mode `standard` are missing
  bool known_;
  postgres::Refresher refresher_;
};

}  // namespace sealcast::transport::outside
