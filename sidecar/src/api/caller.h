// Identifies the caller of a request: by session, by ticket, or as an anonymous reader.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/log.h"
#include "http/exchange.h"
#include "message/session.h"
#include "message/ticket.h"

namespace sealcast::api {

class Callers {
 public:
  // Both outlive this.
  Callers(message::SessionVerifier& sessions, const message::TicketIssuer& tickets)
      : sessions_(sessions), tickets_(tickets) {}

  // Requires a session. Returns nullopt without one; the response is then 401.
  std::optional<message::Session> session(http::Exchange& exchange);

  // Accepts a session, a ticket for the stream in ?access_token=, or neither: an anonymous reader has an empty user_id.
  // Returns nullopt if the session or ticket is invalid; the response is then 401.
  std::optional<message::Session> reader(http::Exchange& exchange, const std::string& stream_id);

 private:
  void count_invalid(std::string_view credential);

  message::SessionVerifier& sessions_;
  const message::TicketIssuer& tickets_;
  std::int64_t invalid_ = 0;  // credentials since the last log line
  log::Throttle log_throttle_;
};

}  // namespace sealcast::api
