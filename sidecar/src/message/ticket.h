// Makes and verifies tickets: short-lived tokens of our own for one stream.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "message/session.h"

namespace sealcast::message {

// A ticket is no session: SessionVerifier refuses it. A ticket of one kind never verifies as the other kind.
// Times are Unix seconds.
class TicketIssuer {
 public:
  // Derives the keys from `secret` by HKDF-SHA-256 (RFC 5869). Throws std::runtime_error when it is too short.
  explicit TicketIssuer(std::string_view secret);
  ~TicketIssuer();

  // A subscription ticket lets one user read one stream. An EventSource cannot send headers, so the ticket goes into
  // the query as ?access_token=.
  std::string issue(std::string_view stream_id, std::string_view user_id, std::int64_t expires_at) const;
  std::optional<Session> verify(std::string_view ticket, std::string_view stream_id, std::int64_t now_seconds) const;

  // A migration ticket is for all readers of a stream that moves to the transport `target`. POST /streams/{id}/token
  // exchanges it for a reader token of that transport. The ticket itself opens nothing.
  static constexpr std::chrono::seconds kMigrationLife{60};
  std::string issue_migration(std::string_view stream_id, std::string_view target, std::int64_t expires_at) const;
  bool verify_migration(std::string_view ticket, std::string_view stream_id, std::string_view target,
                        std::int64_t now_seconds) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sealcast::message
