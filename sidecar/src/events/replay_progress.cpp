// Formats the progress of a replay.
#include "events/replay_progress.h"

#include <fmt/format.h>

#include <algorithm>

namespace sealcast::events {
namespace {

constexpr std::chrono::milliseconds kTerminalEvery{200};
constexpr std::chrono::seconds kLineEvery{5};
constexpr std::string_view kRewriteLine = "\r\x1b[K";

}  // namespace

ReplayProgress::ReplayProgress(std::int64_t total, bool terminal, Clock::time_point now)
    : total_(total), terminal_(terminal), began_(now), next_(now) {}

std::string ReplayProgress::line(std::int64_t done, Clock::time_point now) const {
  const double seconds = std::chrono::duration<double>(now - began_).count();
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  std::string text = fmt::format("{} of {} messages, {:.0f} per second", done, total_, rate);
  if (done < total_ && rate > 0) text += fmt::format(", {:.0f} s left", static_cast<double>(total_ - done) / rate);
  return text;
}

std::string ReplayProgress::at(std::int64_t done, Clock::time_point now) {
  if (now < next_) return {};
  next_ = now + (terminal_ ? std::chrono::milliseconds(kTerminalEvery) : std::chrono::milliseconds(kLineEvery));
  return terminal_ ? std::string(kRewriteLine) + line(done, now) : line(done, now) + "\n";
}

std::string ReplayProgress::end(std::int64_t done, Clock::time_point now) const {
  return (terminal_ ? std::string(kRewriteLine) : std::string()) + line(done, now) + "\n";
}

}  // namespace sealcast::events
