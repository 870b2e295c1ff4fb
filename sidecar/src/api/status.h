// What every process says of itself over HTTP.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "base/asio.h"
#include "base/metrics.h"
#include "http/exchange.h"

namespace sealcast::api {

asio::awaitable<void> answer_health(http::Exchange& exchange);
asio::awaitable<void> answer_metrics(http::Exchange& exchange, const Metrics& metrics);

}  // namespace sealcast::api
