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
  // Both references must stay valid as long as this object.
  Callers(message::SessionVerifier& sessions, const message::TicketIssuer& tickets)
      : sessions_(sessions), tickets_(tickets) {}

  // Returns the session of the header Authorization. Returns nullopt after answering 401 if the session is missing,
  // expired or invalid.
  std::optional<message::Session> session(http::Exchange& exchange);

  // Returns the session of the header Authorization. Without that header, returns the user of the ticket for this
  // stream in ?access_token=. Without both, the reader is anonymous and has an empty user_id. Returns nullopt after
  // answering 401 if the session or the ticket is invalid.
  std::optional<message::Session> reader(http::Exchange& exchange, const std::string& stream_id);

 private:
  void count_invalid(std::string_view credential, std::string_view reason);

  message::SessionVerifier& sessions_;
  const message::TicketIssuer& tickets_;
  std::int64_t invalid_ = 0;  // number of invalid credentials since the last log line
  log::Throttle log_throttle_;
};

}  // namespace sealcast::api
