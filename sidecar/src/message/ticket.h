// Makes and verifies tickets: short-lived tokens for one stream, which this program issues itself.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "message/session.h"

namespace sealcast::message {

// SessionVerifier refuses tickets, so a ticket cannot be used as a session. Times are Unix seconds.
class TicketIssuer {
 public:
  // Derives the key from `secret` by HKDF-SHA-256 (RFC 5869). Throws std::runtime_error if the secret is too short or
  // OpenSSL has no HKDF.
  explicit TicketIssuer(std::string_view secret);
  ~TicketIssuer();

  // Takes another secret: tickets of the earlier one are not valid any more. If it throws, nothing has changed.
  void replace(std::string_view secret);

  // A ticket lets the user of the session read one stream. An EventSource of a browser cannot send headers, so it sends
  // the ticket in the URL, as ?access_token=. The ticket can be used until `expires_at`. It contains when the session
  // expires, because event streams that it opens end then. Throws std::invalid_argument if an id is no UUID.
  std::string issue(std::string_view stream_id, const Session& session, std::int64_t expires_at) const;
  // Returns the session for which the ticket was issued. Returns nullopt if the ticket is not valid for the stream.
  // `stream_id` must be in lower case.
  std::optional<Session> verify(std::string_view ticket, std::string_view stream_id, std::int64_t now_seconds) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sealcast::message
