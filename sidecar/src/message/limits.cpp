// The two caches: types, read whole every few seconds; roles, read on demand, many at once.
#include "message/limits.h"

#include <simdjson.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>
#include <stdexcept>
#include <unordered_map>

#include "base/log.h"

namespace sealcast::message {
namespace {

using Clock = std::chrono::steady_clock;
using Types = std::map<std::string, TypeLimits, std::less<>>;

std::vector<std::pair<std::string, int>> parse_role_rates(const std::string& json) {
  std::vector<std::pair<std::string, int>> rates;
  simdjson::dom::parser parser;
  for (const auto [role, rate] : parser.parse(json).get_object()) {
    rates.emplace_back(role, static_cast<int>(std::clamp<std::int64_t>(rate.get_int64(), 1, 1'000'000)));
  }
  return rates;
}

// Roles in two generations: the younger one takes new answers; when it is full it becomes the older, and the older
// goes.
class RoleCache {
 public:
  explicit RoleCache(std::chrono::milliseconds max_age) : max_age_(max_age) {}

  const std::string* find(const std::string& key, Clock::time_point now) const {
    for (const auto* generation : {&young_, &old_}) {
      const auto found = generation->find(key);
      if (found != generation->end()) return now - found->second.since < max_age_ ? &found->second.role : nullptr;
    }
    return nullptr;
  }

  void put(std::string key, std::string role, Clock::time_point since) {
    if (young_.size() >= Limits::kMaxCachedRoles / 2) {
      old_ = std::move(young_);
      young_.clear();
    }
    young_.insert_or_assign(std::move(key), Entry{std::move(role), since});
  }

 private:
  struct Entry {
    std::string role;
    Clock::time_point since;
  };
  std::chrono::milliseconds max_age_;
  std::unordered_map<std::string, Entry> young_;
  std::unordered_map<std::string, Entry> old_;
};

// Questions that go to the database as one; whoever asks while another batch is under way joins the next.
struct RoleBatch {
  explicit RoleBatch(const asio::any_io_executor& executor) : answered(executor, Clock::time_point::max()) {}
  std::vector<Membership> wanted;
  std::vector<std::string> roles;  // empty when the database could not say
  bool done = false;
  asio::steady_timer answered;  // cancelled when it is done
};

}  // namespace

class Limits::Impl : public std::enable_shared_from_this<Limits::Impl> {
 public:
  Impl(asio::any_io_executor executor, LimitsSource& source, std::chrono::milliseconds role_cache)
      : executor_(executor), source_(source), roles_(role_cache), pause_(executor) {}

  asio::awaitable<void> refresh() {
    Types types;
    for (TypeRow& row : co_await source_.gate_limits()) {
      TypeLimits limits{row.max_bytes, std::max(row.rate, 1), row.system_only, {}};
      try {
        limits.role_rates = parse_role_rates(row.role_rates);
      } catch (const simdjson::simdjson_error&) {
        throw std::runtime_error("message type \"" + row.t + "\": role_rates is no object of whole numbers");
      }
      types.emplace(std::move(row.t), std::move(limits));
    }
    types_ = std::move(types);
    loaded_ = true;
  }

  asio::awaitable<void> run() {
    bool failing = false;
    while (!stopped_) {
      try {
        co_await refresh();
        failing = false;
      } catch (const std::exception& error) {
        if (!failing) {
          log::write(log::Level::warn, log::tag::kGate, "message types cannot be read; the last ones stay in force",
                     {{"reason", std::string_view(error.what())}});
        }
        failing = true;
      }
      if (stopped_) break;
      pause_.expires_after(kRefresh);
      boost::system::error_code ignored;
      co_await pause_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
  }

  void stop() {
    stopped_ = true;
    pause_.cancel();
  }

  asio::awaitable<std::string> role_of(Membership membership) {
    const std::string key = membership.stream_id + membership.user_id;
    if (const std::string* role = roles_.find(key, Clock::now())) co_return *role;
    if (!next_ || next_->wanted.size() >= kMaxRolesAtOnce) {
      // A full batch goes at once, beside the one under way; otherwise one at a time, so that questions gather.
      if (next_) ask(std::exchange(next_, nullptr));
      next_ = std::make_shared<RoleBatch>(executor_);
    }
    const auto batch = next_;
    const std::size_t place = batch->wanted.size();
    batch->wanted.push_back(std::move(membership));
    if (under_way_ == 0) ask(std::exchange(next_, nullptr));
    while (!batch->done) {
      boost::system::error_code ignored;
      co_await batch->answered.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    co_return place < batch->roles.size() ? batch->roles[place] : std::string();
  }

  asio::any_io_executor executor() const { return executor_; }
  const Types& types() const { return types_; }
  bool loaded() const { return loaded_; }

 private:
  void ask(std::shared_ptr<RoleBatch> batch) {
    ++under_way_;
    asio::co_spawn(
        executor_, [self = shared_from_this(), batch] { return self->answer(batch); }, asio::detached);
  }

  asio::awaitable<void> answer(std::shared_ptr<RoleBatch> batch) {
    const auto asked = Clock::now();
    try {
      auto roles = co_await source_.roles_of(batch->wanted);
      if (roles.size() != batch->wanted.size()) throw std::runtime_error("sealcast.roles_of() left some users out");
      for (std::size_t i = 0; i < roles.size(); ++i) {
        roles_.put(batch->wanted[i].stream_id + batch->wanted[i].user_id, roles[i], asked);
      }
      batch->roles = std::move(roles);
    } catch (const std::exception& error) {
      if (complaints_.allows())
        log::write(log::Level::warn, log::tag::kGate, "roles cannot be read; the types' own rates apply",
                   {{"reason", std::string_view(error.what())}});
    }
    batch->done = true;
    batch->answered.cancel();
    --under_way_;
    if (under_way_ == 0 && next_) ask(std::exchange(next_, nullptr));
  }

  asio::any_io_executor executor_;
  LimitsSource& source_;
  Types types_;
  bool loaded_ = false;
  RoleCache roles_;
  std::shared_ptr<RoleBatch> next_;
  int under_way_ = 0;
  log::Throttle complaints_;
  asio::steady_timer pause_;
  bool stopped_ = false;
};

Limits::Limits(asio::any_io_executor executor, LimitsSource& source, std::chrono::milliseconds role_cache)
    : impl_(std::make_shared<Impl>(std::move(executor), source, role_cache)) {}
Limits::~Limits() { stop(); }

asio::awaitable<void> Limits::refresh() { return impl_->refresh(); }

void Limits::start() {
  asio::co_spawn(
      impl_->executor(), [impl = impl_] { return impl->run(); }, asio::detached);
}

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

asio::awaitable<int> Limits::limit_for(std::string_view t, std::string stream_id, std::string sender_id) {
  const TypeLimits* limits = find(t);
  if (limits == nullptr) co_return kUnknownTypeRate;
  if (limits->role_rates.empty()) co_return limits->rate;
  const int own_rate = limits->rate;
  const auto role_rates = limits->role_rates;                         // a refresh may replace the types meanwhile
  Membership membership{std::move(stream_id), std::move(sender_id)};  // named for GCC 12: see CONTRIBUTING.md
  const std::string role = co_await impl_->role_of(std::move(membership));
  for (const auto& [name, rate] : role_rates) {
    if (name == role) co_return rate;
  }
  co_return own_rate;
}

}  // namespace sealcast::message
