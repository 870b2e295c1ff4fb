// Reads all message types and the rules of all streams every 5 seconds. Reads and caches roles when callers need them,
// up to 1000 with one statement.
#include "message/limits.h"

#include <simdjson.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <map>
#include <stdexcept>
#include <unordered_map>

#include "base/event.h"
#include "base/generation_cache.h"
#include "base/log.h"
#include "client/postgres/refresher.h"

namespace sealcast::message {
namespace {

using Clock = std::chrono::steady_clock;
using Types = std::map<std::string, TypeLimits, std::less<>>;
using Rates = std::vector<std::pair<std::string, int>>;  // name, and messages per second of one sender

struct StreamRules {
  StreamLimits limits;
  Rates rates;  // by type
};
using Streams = std::unordered_map<std::string, StreamRules>;  // by lower-case stream_id

// Gifts and announcements are in the other tiers.
constexpr int kLimitedTier = 2;

Rates parse_rates(const std::string& json) {
  Rates rates;
  simdjson::dom::parser parser;
  for (const auto [name, rate] : parser.parse(json).get_object()) {
    rates.emplace_back(name, static_cast<int>(std::clamp<std::int64_t>(rate.get_int64(), 1, 1'000'000)));
  }
  return rates;
}

// Returns null if the rates have no such name.
const int* rate_of(const Rates& rates, std::string_view name) {
  for (const auto& [each, rate] : rates) {
    if (each == name) return &rate;
  }
  return nullptr;
}

// The roles that one statement reads. A caller that arrives while a statement is in flight joins the next batch.
struct RoleBatch {
  explicit RoleBatch(const asio::any_io_executor& executor) : answered(executor) {}
  std::vector<Membership> memberships;
  std::vector<std::string> roles;  // one per membership; stays empty if the database did not answer
  Event answered;
};

}  // namespace

class Limits::Impl : public std::enable_shared_from_this<Limits::Impl> {
 public:
  Impl(asio::any_io_executor executor, LimitsSource& source, std::chrono::milliseconds role_cache)
      : executor_(executor),
        source_(source),
        max_role_age_(role_cache),
        refresher_(executor, kRefresh, log::tag::kGate, "message types cannot be read; the last ones stay in force",
                   [this] { return refresh(); }) {}

  asio::awaitable<void> refresh() {
    Types types;
    for (TypeRow& row : co_await source_.gate_limits()) {
      TypeLimits limits{row.max_bytes, std::max(row.rate, 1), row.system_only, row.tier == kLimitedTier, {}};
      try {
        limits.role_rates = parse_rates(row.role_rates);
      } catch (const simdjson::simdjson_error&) {
        throw std::runtime_error("message type \"" + row.t + "\": role_rates is not an object of whole numbers");
      }
      limits.ruled = limits.limited;
      types.emplace(std::move(row.t), std::move(limits));
    }
    Streams streams;
    for (RuledStream& stream : co_await source_.gate_rules()) {
      StreamRules rules{stream.limits, {}};
      try {
        rules.rates = parse_rates(stream.rate);
      } catch (const simdjson::simdjson_error&) {
        throw std::runtime_error("stream " + stream.stream_id + ": rate is not an object of whole numbers");
      }
      for (const auto& [t, rate] : rules.rates) {
        if (const auto type = types.find(t); type != types.end()) type->second.ruled = true;
      }
      streams.emplace(std::move(stream.stream_id), std::move(rules));
    }
    types_ = std::move(types);
    streams_ = std::move(streams);
    loaded_ = true;
  }

  void start() { refresher_.start(); }
  void stop() { refresher_.stop(); }

  asio::awaitable<std::string> role_of(Membership membership) {
    const std::string key = membership.stream_id + membership.user_id;
    const CachedRole* const cached = roles_.find(key);
    if (cached != nullptr && Clock::now() - cached->read_at < max_role_age_) co_return cached->role;
    if (!next_ || next_->memberships.size() >= kMaxRolesAtOnce) {
      // A full batch is sent at once, although other batches are in flight. A batch that is not full waits until no
      // batch is in flight.
      if (next_) send(std::exchange(next_, nullptr));
      next_ = std::make_shared<RoleBatch>(executor_);
    }
    const auto batch = next_;
    const std::size_t index = batch->memberships.size();
    batch->memberships.push_back(std::move(membership));
    if (batches_in_flight_ == 0) send(std::exchange(next_, nullptr));
    co_await batch->answered.wait_until();
    co_return index < batch->roles.size() ? batch->roles[index] : std::string();
  }

  const Types& types() const { return types_; }
  // Returns null if the stream has no rules for the gate.
  const StreamRules* rules_of(const std::string& stream_id) const {
    const auto found = streams_.find(stream_id);
    return found == streams_.end() ? nullptr : &found->second;
  }
  bool loaded() const { return loaded_; }

 private:
  struct CachedRole {
    std::string role;
    Clock::time_point read_at;
  };

  void send(std::shared_ptr<RoleBatch> batch) {
    ++batches_in_flight_;
    asio::co_spawn(
        executor_, [self = shared_from_this(), batch] { return self->read_roles(batch); }, asio::detached);
  }

  asio::awaitable<void> read_roles(std::shared_ptr<RoleBatch> batch) {
    const auto began = Clock::now();
    try {
      auto roles = co_await source_.roles_of(batch->memberships);
      if (roles.size() != batch->memberships.size()) {
        throw std::runtime_error("sealcast_internal.roles_of() returned fewer roles than users");
      }
      for (std::size_t i = 0; i < roles.size(); ++i) {
        CachedRole cached{roles[i], began};
        roles_.put(batch->memberships[i].stream_id + batch->memberships[i].user_id, std::move(cached));
      }
      batch->roles = std::move(roles);
    } catch (const std::exception& error) {
      if (log_throttle_.allows()) {
        log::write(log::Level::warn, log::tag::kGate, "roles cannot be read; the types' own rates apply",
                   {{"reason", std::string_view(error.what())}});
      }
    }
    batch->answered.set();
    --batches_in_flight_;
    if (batches_in_flight_ == 0 && next_) send(std::exchange(next_, nullptr));
  }

  asio::any_io_executor executor_;
  LimitsSource& source_;
  Types types_;
  Streams streams_;
  bool loaded_ = false;
  std::chrono::milliseconds max_role_age_;
  GenerationCache<std::string, CachedRole> roles_{kMaxCachedRoles};
  std::shared_ptr<RoleBatch> next_;
  int batches_in_flight_ = 0;
  log::Throttle log_throttle_;
  postgres::Refresher refresher_;
};

Limits::Limits(asio::any_io_executor executor, LimitsSource& source, std::chrono::milliseconds role_cache)
    : impl_(std::make_shared<Impl>(std::move(executor), source, role_cache)) {}
Limits::~Limits() { stop(); }

asio::awaitable<void> Limits::refresh() { return impl_->refresh(); }

void Limits::start() { impl_->start(); }
void Limits::stop() { impl_->stop(); }
bool Limits::loaded() const { return impl_->loaded(); }

const TypeLimits* Limits::find(std::string_view t) const {
  const auto found = impl_->types().find(t);
  return found == impl_->types().end() ? nullptr : &found->second;
}

std::optional<int> Limits::max_bytes(std::string_view t) const {
  const TypeLimits* limits = find(t);
  return limits == nullptr ? std::nullopt : std::optional(limits->max_bytes);
}

std::size_t Limits::largest() const {
  int largest = 0;
  for (const auto& [t, limits] : impl_->types()) largest = std::max(largest, limits.max_bytes);
  return static_cast<std::size_t>(largest);
}

asio::awaitable<SenderLimits> Limits::limits_for(std::string_view t, std::string stream_id, std::string sender_id) {
  const TypeLimits* type = find(t);
  if (type == nullptr) co_return SenderLimits{kUnknownTypeRate};
  SenderLimits limits{type->rate};
  std::optional<int> rate_in_stream;
  if (const StreamRules* const rules = type->ruled ? impl_->rules_of(stream_id) : nullptr) {
    if (type->limited) limits.rules = rules->limits;
    if (const int* const rate = rate_of(rules->rates, t)) rate_in_stream = *rate;
  }
  if (type->role_rates.empty() && !limits.rules.any() && !rate_in_stream) co_return limits;
  const auto role_rates = type->role_rates;                           // a copy: a refresh may replace the types
  Membership membership{std::move(stream_id), std::move(sender_id)};  // named for GCC 12: see CONTRIBUTING.md
  const std::string role = co_await impl_->role_of(std::move(membership));
  if (const int* const rate = rate_of(role_rates, role)) limits.rate = *rate;
  if (role == "owner" || role == "moderator") {
    limits.rules = {};
  } else if (rate_in_stream) {
    limits.rate = std::min(limits.rate, *rate_in_stream);
  }
  co_return limits;
}

}  // namespace sealcast::message
