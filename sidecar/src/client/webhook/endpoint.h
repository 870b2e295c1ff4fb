// The operator's webhook for events: one connection for the events of moderation and for message.sent, and what both
// must know about the backend.
//
// Nothing is sent after the backend has answered 410, until resume(). The log gets one line when the backend becomes
// unavailable, or does not answer three calls in a row, and one when it accepts or refuses an event again.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <string>

#include "base/asio.h"
#include "base/log.h"
#include "client/webhook/webhook.h"

namespace sealcast::client::webhook {

class Endpoint {
 public:
  Endpoint(asio::any_io_executor executor, Webhook::Options options)
      : webhook_(std::move(executor), std::move(options)) {}

  asio::awaitable<Webhook::Answer> call(std::string id, std::string body);
  bool gone() const { return gone_; }
  // Returns why the backend takes no events at all; empty: the last answer was that of a working backend.
  const std::string& problem() const { return problem_; }
  void resume();  // reads the secrets again, and calls again after 410
  void stop() { webhook_.stop(); }

 private:
  void note(const Webhook::Answer& answer);

  Webhook webhook_;
  std::string problem_;
  bool gone_ = false;
  int late_ = 0;  // calls without an answer since the last answer
  log::Throttle refusals_;
};

}  // namespace sealcast::client::webhook
