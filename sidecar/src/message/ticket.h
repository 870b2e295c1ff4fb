// Makes and verifies tickets: short-lived tokens for one stream, which this program issues itself.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "message/session.h"

namespace sealcast::message {

// SessionVerifier refuses tickets, so a ticket cannot be used as a session. There are two kinds of tickets. A ticket of
// one kind never verifies as the other kind.
//
// Times are Unix seconds. The functions that make a ticket throw std::invalid_argument if an id is no UUID or the
// target is no name of a transport. The functions that verify a ticket need a lower-case `stream_id`.
class TicketIssuer {
 public:
  // Derives one key per kind from `secret` by HKDF-SHA-256 (RFC 5869). Throws std::runtime_error if the secret is too
  // short or OpenSSL has no HKDF.
  explicit TicketIssuer(std::string_view secret);
  ~TicketIssuer();

  // A subscription ticket lets one user read one stream. An EventSource of a browser cannot send headers, so it sends
  // the ticket in the URL, as ?access_token=.
  std::string issue(std::string_view stream_id, std::string_view user_id, std::int64_t expires_at) const;
  std::optional<Session> verify(std::string_view ticket, std::string_view stream_id, std::int64_t now_seconds) const;

  // A migration ticket is for all readers of a stream whose readers move to the transport `target`. A reader exchanges
  // it for a reader token of that transport, by POST /streams/{id}/token. The transport itself does not accept the
  // ticket.
  static constexpr std::chrono::seconds kMigrationLife{60};
  std::string issue_migration(std::string_view stream_id, std::string_view target, std::int64_t expires_at) const;
  bool verify_migration(std::string_view ticket, std::string_view stream_id, std::string_view target,
                        std::int64_t now_seconds) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sealcast::message
