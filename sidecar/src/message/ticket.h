// Tickets: short-lived tokens of our own for one stream.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "message/session.h"

namespace sealcast::message {

// Tickets are for one stream and a short time. They are no sessions: verify() above refuses them, and a ticket of one
// kind never passes for one of the other.
class TicketIssuer {
 public:
  explicit TicketIssuer(std::string_view secret);  // the keys are derived from it by HKDF-SHA-256 (RFC 5869)
  ~TicketIssuer();

  // A subscription ticket lets one user subscribe; EventSource sends no headers, so it goes in the query as
  // ?access_token=.
  std::string issue(std::string_view stream_id, std::string_view user_id, std::int64_t expires_at) const;
  std::optional<Session> verify(std::string_view ticket, std::string_view stream_id, std::int64_t now_seconds) const;

  // A migration ticket is for whoever reads the stream when it goes over to `target`, a transport: at POST
  // /streams/{id}/token it gets a token there. It opens nothing by itself.
  static constexpr std::chrono::seconds kMigrationLife{60};
  std::string issue_migration(std::string_view stream_id, std::string_view target, std::int64_t expires_at) const;
  bool verify_migration(std::string_view ticket, std::string_view stream_id, std::string_view target,
                        std::int64_t now_seconds) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sealcast::message
