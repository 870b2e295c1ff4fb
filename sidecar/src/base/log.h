// Logs: one JSON object a line on standard error, {"time","level","tag","message",…}. No payloads, no secrets.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <variant>

namespace sealcast::log {

enum class Level { debug, info, warn, error };

// The tags that alerting keys on (docs/operations.md).
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

// For complaints that thousands of failures would repeat: true at most once a second.
class Throttle {
 public:
  bool allows() noexcept;

 private:
  std::chrono::steady_clock::time_point last_{};
};

}  // namespace sealcast::log
