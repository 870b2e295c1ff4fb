// Formats the progress of a long command.
#include "base/progress.h"

#include <fmt/format.h>

namespace sealcast {
namespace {

constexpr std::chrono::milliseconds kTerminalEvery{200};
constexpr std::chrono::seconds kLineEvery{5};
constexpr std::string_view kRewriteLine = "\r\x1b[K";

}  // namespace

Progress::Progress(bool terminal, Clock::time_point now) : terminal_(terminal), began_(now), next_(now) {}

std::string Progress::line(const Work& work, Clock::time_point now) const {
  const double seconds = std::chrono::duration<double>(now - began_).count();
  const auto per_second = [seconds](std::int64_t count) {
    return seconds > 0 ? static_cast<double>(count) / seconds : 0;
  };
  std::string text = fmt::format("{}, {:.0f} per second", work.text, per_second(work.count));
  if (work.done < work.total && per_second(work.done) > 0) {
    text += fmt::format(", {:.0f} s left", static_cast<double>(work.total - work.done) / per_second(work.done));
  }
  return text;
}

std::string Progress::at(const Work& work, Clock::time_point now) {
  if (now < next_) return {};
  next_ = now + (terminal_ ? std::chrono::milliseconds(kTerminalEvery) : std::chrono::milliseconds(kLineEvery));
  return terminal_ ? std::string(kRewriteLine) + line(work, now) : line(work, now) + "\n";
}

std::string Progress::end(const Work& work, Clock::time_point now) const {
  return (terminal_ ? std::string(kRewriteLine) : std::string()) + line(work, now) + "\n";
}

}  // namespace sealcast
