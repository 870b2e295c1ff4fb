// Which streams a transport carries: streams.delivery_mode, and the settings that list the transports of each mode.
//
// The delivery modes are read once per second, so a change takes effect within a second. Before the first read, every
// transport carries every stream.
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

namespace sealcast::transport::outside {

class Routing {
 public:
  // `pool` outlives this.
  Routing(asio::any_io_executor executor, postgres::Pool& pool, const config::Settings::Delivery& settings);

  void start();
  void stop() { refresher_.stop(); }

  bool carries(std::string_view transport, const std::string& stream_id) const;

  // Reads the modes now, for a caller that has just changed a mode. Throws postgres::Error.
  asio::awaitable<void> refresh();

 private:
  bool is_trivial() const;  // every mode has every transport

  postgres::Pool& pool_;
  std::unordered_map<std::string, std::vector<std::string>> transports_;  // by mode; empty: all
  std::unordered_map<std::string, std::string> modes_;                    // by stream; `standard` ones are missing
  bool known_ = false;
  postgres::Refresher refresher_;
};

}  // namespace sealcast::transport::outside
