// Caches the data that the sidecar needs before it calls the gate: the sizes and rates of message types, the rules of
// streams that it enforces, and the roles of senders where a rate or a rule depends on them. While Postgres answers,
// the data are at most a few seconds old.
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
  int rate;  // messages per second of one sender
  bool system_only;
  bool limited;                                         // whether the StreamLimits of a stream apply: tier 2
  std::vector<std::pair<std::string, int>> role_rates;  // role and messages per second of one sender
  bool ruled = false;  // whether a stream may have a rule for the type: `limited`, or a rate in some stream
};

struct SenderLimits {
  int rate;  // messages per second of the type
  StreamLimits rules{};
};

class Limits {
 public:
  // `source` must stay valid as long as this object. A cached role is used for at most `role_cache`.
  Limits(asio::any_io_executor executor, LimitsSource& source, std::chrono::milliseconds role_cache);
  ~Limits();

  static constexpr std::chrono::seconds kRefresh{5};  // pause between two reads of the types and the rules
  static constexpr int kUnknownTypeRate = 5;          // messages per second of one sender, all unknown types together
  static constexpr std::size_t kMaxCachedRoles = 65'536;
  static constexpr std::size_t kMaxRolesAtOnce = 1'000;  // in one statement

  // Reads the types and the rules. Throws if they cannot be read or parsed, and keeps the last ones.
  asio::awaitable<void> refresh();
  void start();         // refreshes now and every kRefresh; logs the first of consecutive failures
  void stop();          // a read in progress continues; keep this object until it has ended
  bool loaded() const;  // the types were read at least once

  // Returns null for an unknown type. The pointer is valid until the calling coroutine suspends: a refresh then may
  // replace the types.
  const TypeLimits* find(std::string_view t) const;
  // Returns the name of the rate counter of a type: `t` itself, or kUnknownType.
  std::string_view bucket(std::string_view t) const { return find(t) ? t : kUnknownType; }
  // Returns the maximum payload size of a type, or nullopt for an unknown type.
  std::optional<int> max_bytes(std::string_view t) const;
  std::size_t largest() const;  // the maximum payload size of all types
  // Returns the limits of a message. If the type has rates per role, or the stream has a rule for it, looks up the
  // sender's role: in the cache, else in Postgres. If the role cannot be read, the type's own rate and the rules apply.
  // Owners and moderators are exempt from the rules.
  asio::awaitable<SenderLimits> limits_for(std::string_view t, std::string stream_id, std::string sender_id);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sealcast::message
