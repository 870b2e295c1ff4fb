// Keeps the last written state of each node and the changes that wait for their line.
#include "client/redis/connection_log.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/log.h"

namespace sealcast::client::redis {
namespace {

constexpr std::chrono::milliseconds kLineEvery{1000};

}  // namespace

void ConnectionLog::report(const std::string& node, const Address& address, std::string_view reason) {
  State state{address, std::string(reason)};
  std::erase_if(waiting_, [&](const auto& entry) { return entry.first == node; });
  const auto written = written_.find(node);
  if (written != written_.end() && written->second == state) return;
  waiting_.emplace_back(node, std::move(state));
  if (!timing_) write_next();
}

void ConnectionLog::forget(const std::string& node) {
  std::erase_if(waiting_, [&](const auto& entry) { return entry.first == node; });
  written_.erase(node);
}

void ConnectionLog::write_next() {
  if (waiting_.empty()) return;
  if (const auto now = Clock::now(); now >= next_line_) {
    next_line_ = now + kLineEvery;
    auto [node, state] = std::move(waiting_.front());
    waiting_.pop_front();
    const bool up = state.reason.empty();
    const std::string_view host = state.address.path.empty() ? state.address.host : state.address.path;
    const log::Field server[] = {{"host", host}, {"port", std::int64_t{state.address.port}}};
    if (up) {
      log::write(log::Level::info, tag_, "connected to Redis", {server[0], server[1]});
    } else {
      log::write(log::Level::error, tag_, "Redis is unavailable; retrying",
                 {server[0], server[1], {"reason", std::string_view(state.reason)}});
    }
    written_.insert_or_assign(node, std::move(state));
    if (waiting_.empty()) return;
  }
  timing_ = true;
  timer_.expires_at(next_line_);
  timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    self->timing_ = false;
    if (!error) self->write_next();
  });
}

}  // namespace sealcast::client::redis
