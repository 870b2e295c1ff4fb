// Logs to standard error: one JSON object per line, {"time","level","tag","message",…}. Never log payloads or secrets.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string_view>
#include <variant>

namespace sealcast::log {

enum class Level { debug, info, warn, error };

// Operators' alerts depend on the tags, so a tag must not be renamed. docs/operations.md describes each tag.
namespace tag {
inline constexpr std::string_view kAudience = "[AUDIENCE]";
inline constexpr std::string_view kAuth = "[AUTH]";
inline constexpr std::string_view kDatabase = "[DATABASE]";
inline constexpr std::string_view kDelivery = "[DELIVERY]";
inline constexpr std::string_view kGate = "[GATE]";
inline constexpr std::string_view kLifecycle = "[LIFECYCLE]";
inline constexpr std::string_view kRegions = "[REGIONS]";
inline constexpr std::string_view kRelay = "[RELAY]";
inline constexpr std::string_view kSampling = "[SAMPLING]";
inline constexpr std::string_view kSecurity = "[SECURITY]";
inline constexpr std::string_view kSuccess = "[SUCCESS]";
inline constexpr std::string_view kSwitching = "[SWITCHING]";
inline constexpr std::string_view kWorker = "[WORKER]";
}  // namespace tag

struct Field {
  std::string_view name;
  std::variant<std::string_view, std::int64_t, double, bool> value;
};

std::optional<Level> level_named(std::string_view name) noexcept;
void set_level(Level level);
bool enabled(Level level) noexcept;
void write(Level level, std::string_view tag, std::string_view message, std::initializer_list<Field> fields = {});

// While this object lives, a thread of its own writes the lines, so that write() never waits for the reader of standard
// error. Without such an object, as in tests, write() writes the line itself. When kMaxBytes wait, further lines are
// dropped; a line tells later how many. The destructor waits at most a second for the lines that wait.
class Writer {
 public:
  static constexpr std::size_t kMaxBytes = 1 << 20;

  Writer();
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

 private:
  friend void write(Level level, std::string_view tag, std::string_view message, std::initializer_list<Field> fields);
  struct Lines;
  static std::shared_ptr<Lines> current();  // of the Writer that lives, else null

  std::shared_ptr<Lines> lines_;  // the thread may outlive the object
};

// Limits a log message that many failures would repeat: allows() returns true at most once per second.
class Throttle {
 public:
  bool allows() noexcept;

 private:
  std::chrono::steady_clock::time_point last_{};
};

}  // namespace sealcast::log
