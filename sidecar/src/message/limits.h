// Caches the data that the sidecar needs before it calls the gate: the sizes and rates of message types, and the roles
// of senders where a type has rates per role. The data are at most a few seconds older than Postgres.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/asio.h"
#include "message/gate.h"
#include "message/limits_source.h"

namespace sealcast::message {

struct TypeLimits {
  int max_bytes;
  int rate;  // messages per second and sender
  bool system_only;
  std::vector<std::pair<std::string, int>> role_rates;
};

class Limits {
 public:
  // `source` outlives this. A role is used for at most `role_cache`.
  Limits(asio::any_io_executor executor, LimitsSource& source, std::chrono::milliseconds role_cache);
  ~Limits();

  static constexpr std::chrono::seconds kRefresh{5};  // how often the types are read
  static constexpr int kUnknownTypeRate = 5;          // messages per second of all unknown types together
  static constexpr std::size_t kMaxCachedRoles = 65'536;
  static constexpr std::size_t kMaxRolesAtOnce = 1'000;  // in one statement

  asio::awaitable<void> refresh();  // throws the exception of the source, and then keeps the last types
  void start();                     // refreshes now and every kRefresh, and logs failures
  void stop();                      // does not interrupt a read in progress; this must outlive it
  bool loaded() const;              // the types were read at least once

  // Null for an unknown type. The result is valid until the caller suspends.
  const TypeLimits* find(std::string_view t) const;
  // The name of the rate counter: `t` itself, or kUnknownType.
  std::string_view bucket(std::string_view t) const { return find(t) ? t : kUnknownType; }
  // Nullopt for an unknown type.
  std::optional<int> max_bytes(std::string_view t) const;
  // Messages per second. Reads the sender's role only if the type has rates per role and the role is not cached. While
  // the role cannot be read, the type's own rate applies.
  asio::awaitable<int> limit_for(std::string_view t, std::string stream_id, std::string sender_id);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sealcast::message
