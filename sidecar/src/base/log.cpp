// Writes each log line with one write(2), so that lines of several processes do not mix.
#include "base/log.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <string>

#include "base/json.h"

namespace sealcast::log {
namespace {

std::atomic<Level> threshold{Level::info};

constexpr std::string_view name(Level level) {
  switch (level) {
    case Level::debug:
      return "debug";
    case Level::info:
      return "info";
    case Level::warn:
      return "warn";
    case Level::error:
      return "error";
  }
  return "error";
}

std::string now_text() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  const std::time_t seconds = ms / 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                     utc.tm_hour, utc.tm_min, utc.tm_sec, ms % 1000);
}

struct AddMember {
  JsonObject& object;
  std::string_view name;
  void operator()(std::string_view text) const { object.text(name, text); }
  void operator()(std::int64_t number) const { object.number(name, number); }
  void operator()(double number) const { object.number(name, number); }
  void operator()(bool value) const { object.boolean(name, value); }
};

void write_all(std::string_view line) {
  while (!line.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
    if (written > 0) {
      line.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      pollfd waiting{STDERR_FILENO, POLLOUT, 0};
      ::poll(&waiting, 1, -1);
    } else if (errno != EINTR) {
      return;  // standard error is closed: nothing can report this
    }
  }
}

}  // namespace

std::optional<Level> level_named(std::string_view wanted) noexcept {
  for (const Level level : {Level::debug, Level::info, Level::warn, Level::error}) {
    if (name(level) == wanted) return level;
  }
  return std::nullopt;
}

void set_level(Level level) { threshold.store(level, std::memory_order_relaxed); }

bool enabled(Level level) noexcept { return level >= threshold.load(std::memory_order_relaxed); }

void write(Level level, std::string_view tag, std::string_view message, std::initializer_list<Field> fields) {
  if (!enabled(level)) return;
  thread_local std::string line;
  line.clear();
  JsonObject object(line);
  object.text("time", now_text()).text("level", name(level)).text("tag", tag).text("message", message);
  for (const Field& field : fields) std::visit(AddMember{object, field.name}, field.value);
  object.end();
  line += '\n';
  write_all(line);
}

bool Throttle::allows() noexcept {
  const auto now = std::chrono::steady_clock::now();
  if (now - last_ < std::chrono::seconds(1)) return false;
  last_ = now;
  return true;
}

}  // namespace sealcast::log
