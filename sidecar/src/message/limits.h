// What the gate must know before it asks Redis: message types with their sizes and rates, and senders' roles where a
// type has rates of its own for roles. Both are caches of Postgres, at most a few seconds old.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
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

namespace sealcast::message {

// One row of sealcast.gate_limits().
struct TypeRow {
  std::string t;
  int max_bytes;
  int rate;                // messages a second for each sender
  std::string role_rates;  // JSON object {"role": rate}
  bool system_only;
};

struct Membership {
  std::string stream_id;
  std::string user_id;
};

// Where the caches come from; both throw when the database cannot answer.
class LimitsSource {
 public:
  virtual ~LimitsSource() = default;
  virtual asio::awaitable<std::vector<TypeRow>> gate_limits() = 0;
  // sealcast.roles_of(): one role each, in the order asked; empty when the user has none there.
  virtual asio::awaitable<std::vector<std::string>> roles_of(std::vector<Membership> memberships) = 0;
};

struct TypeLimits {
  int max_bytes;
  int rate;
  bool system_only;
  std::vector<std::pair<std::string, int>> role_rates;
};

class Limits {
 public:
  // `source` outlives this. Types are read again every `kRefresh`.
  Limits(asio::any_io_executor executor, LimitsSource& source, std::chrono::milliseconds role_cache);
  ~Limits();

  static constexpr std::chrono::seconds kRefresh{5};
  static constexpr int kUnknownTypeRate = 5;  // messages a second in the bucket of types that do not exist
  static constexpr std::size_t kMaxCachedRoles = 65'536;
  static constexpr std::size_t kMaxRolesAtOnce = 1'000;

  asio::awaitable<void> refresh();  // throws what the source throws and keeps the last good answer
  void start();                     // refreshes now and every kRefresh, logging failures
  void stop();
  bool loaded() const;  // the types were read at least once

  // Null when no such type is known. Valid until the caller next suspends.
  const TypeLimits* find(std::string_view t) const;
  // The name of the bucket: `t` itself, or kUnknownType.
  std::string_view bucket(std::string_view t) const { return find(t) ? t : kUnknownType; }
  // Nullopt when no such type is known.
  std::optional<int> max_bytes(std::string_view t) const;
  // Messages a second. Asks for the role only when the type has rates for roles and the answer is not cached; a
  // source that cannot say means the type's own rate.
  asio::awaitable<int> limit_for(std::string_view t, std::string stream_id, std::string sender_id);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sealcast::message
