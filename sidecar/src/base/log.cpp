// Writes log lines with one write(2) each, or in batches by a thread, so that lines of several processes do not mix.
#include "base/log.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <utility>

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

// The line is valid until the next call in this thread: its memory is used again.
const std::string& line_of(Level level, std::string_view tag, std::string_view message, std::span<const Field> fields) {
  thread_local std::string line;
  line.clear();
  JsonObject object(line);
  object.text("time", now_text()).text("level", name(level)).text("tag", tag).text("message", message);
  for (const Field& field : fields) std::visit(AddMember{object, field.name}, field.value);
  object.end();
  line += '\n';
  return line;
}

}  // namespace

// The lines that wait for the thread. The pointer `current` is set while a Writer lives.
struct Writer::Lines {
  static std::mutex current_mutex;
  static std::shared_ptr<Lines> current;

  void add(std::string_view line) {
    const std::lock_guard lock(mutex);
    if (waiting.size() + line.size() > kMaxBytes) {
      ++dropped;
      return;
    }
    waiting += line;
    changed.notify_all();
  }

  // The thread: writes whole batches of lines until `stopping` and nothing waits.
  void write_lines() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [this] { return stopping || !waiting.empty(); });
      if (waiting.empty() && dropped == 0) break;
      std::string batch = std::exchange(waiting, {});
      if (const std::int64_t count = std::exchange(dropped, 0); count > 0) {
        const Field field{"count", count};
        batch += line_of(Level::warn, tag::kLifecycle, "log lines were dropped, because standard error was full",
                         {&field, 1});
      }
      lock.unlock();
      write_all(batch);
      lock.lock();
    }
    done = true;
    changed.notify_all();
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::string waiting;
  std::int64_t dropped = 0;
  bool stopping = false;
  bool done = false;
};

std::mutex Writer::Lines::current_mutex;
std::shared_ptr<Writer::Lines> Writer::Lines::current;

std::shared_ptr<Writer::Lines> Writer::current() {
  const std::lock_guard lock(Lines::current_mutex);
  return Lines::current;
}

Writer::Writer() : lines_(std::make_shared<Lines>()) {
  std::thread([lines = lines_] { lines->write_lines(); }).detach();
  const std::lock_guard lock(Lines::current_mutex);
  Lines::current = lines_;
}

Writer::~Writer() {
  {
    const std::lock_guard lock(Lines::current_mutex);
    Lines::current.reset();
  }
  std::unique_lock lock(lines_->mutex);
  lines_->stopping = true;
  lines_->changed.notify_all();
  lines_->changed.wait_for(lock, std::chrono::seconds(1), [this] { return lines_->done; });
}

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
  const std::string& line = line_of(level, tag, message, {fields.begin(), fields.size()});
  const std::shared_ptr<Writer::Lines> writer = Writer::current();
  if (writer) {
    writer->add(line);
  } else {
    write_all(line);
  }
}

bool Throttle::allows() noexcept {
  const auto now = std::chrono::steady_clock::now();
  if (now - last_ < std::chrono::seconds(1)) return false;
  last_ = now;
  return true;
}

}  // namespace sealcast::log
