// Any bytes as a settings file when they are lines, else as a variable of the environment: settings within their
// bounds, or a complaint that tells no secret; and addresses that are said again are the same.
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/service_url.h"
#include "client/postgres/conninfo.h"
#include "client/postgres/error.h"
#include "client/redis/command.h"
#include "config/checks.h"
#include "config/region.h"
#include "config/settings.h"
#include "config/settings_table.h"
#include "fuzz.h"

namespace sealcast::fuzz {
namespace {

constexpr char kSecret[] = "it's a \\ p%@ss #?&= of 32 bytes or more";

// A file in memory, which has a path as long as the process lives.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(::memfd_create("fuzzed", MFD_CLOEXEC)) {}
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }
  void write(std::string_view content) const {
    require(::ftruncate(descriptor_, 0) == 0 &&
                ::pwrite(descriptor_, content.data(), content.size(), 0) == static_cast<ssize_t>(content.size()),
            "there is memory");
  }

 private:
  int descriptor_;
};

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) out += {'%', kHex[static_cast<unsigned char>(c) >> 4], kHex[c & 15]};
  return out;
}

void check_url(const std::string& value) {
  try {
    const ServiceUrl url = parse_service_url(value, "redis");
    require(!url.host.empty() && url.host.find_first_of("/@[]") == std::string::npos, "a host is a name or an address");
    std::string said = url.tls ? "rediss://" : "redis://";
    if (!url.user.empty() || !url.password.empty()) {
      said += percent_encoded(url.user) + ":" + percent_encoded(url.password) + "@";
    }
    said += url.host.find(':') == std::string::npos ? url.host : "[" + url.host + "]";
    if (url.port != 0) said += ":" + std::to_string(url.port);
    if (!url.path.empty()) said += "/" + url.path;
    const bool one_way = value.find_first_of("@%") == value.npos && value.find(":0") == value.npos;
    require(!one_way || said == value || said + "/" == value, "nothing of a URL is passed over");
    const ServiceUrl again = parse_service_url(said, "redis");
    require(again.tls == url.tls && again.user == url.user && again.password == url.password &&
                again.host == url.host && again.port == url.port && again.path == url.path,
            "a URL that is said again is the same");
  } catch (const std::invalid_argument& error) {
    require(value.size() < 32 || !contains(error.what(), value), "a complaint of a URL does not quote it");
  }
  if (!config::checks::redis_url(value))
    require(redis::parse_url(value).password.empty(), "a password is never in a URL");
}

void check_region(const std::string& value) {
  if (config::checks::region(value)) return;
  const config::Region region = config::parse_region(value);
  require(region.place.on_earth(), "a region is on Earth");
  require(!region.url.empty() && !region.url.ends_with('/') && region.name.size() <= 32, "a region has name and URL");
}

void check_loaded(const config::Settings& loaded, bool of_secrets) {
  config::Settings settings = loaded;
  for (const config::Setting& setting : config::settings_table()) {
    std::int64_t value = setting.min;
    if (const auto* number = std::get_if<config::Setting::Number>(&setting.target)) value = (*number)(settings);
    if (const auto* time = std::get_if<config::Setting::Milliseconds>(&setting.target))
      value = (*time)(settings).count();
    if (const auto* time = std::get_if<config::Setting::Seconds>(&setting.target)) value = (*time)(settings).count();
    if (!setting.is_text() && !setting.is_list()) {
      require(value >= setting.min && value <= setting.max, "numbers are within their bounds");
    }
  }
  require(!config::checks::listen_address(settings.http.listen), "texts have passed their checks");
  if (!of_secrets) require(!config::checks::postgres_dsn(settings.postgres.dsn), "no password is in the settings");
}

// Nullopt: they were refused.
std::optional<config::Settings> load(const std::string& file, std::vector<std::string> variables) {
  static const MemoryFile secret = [] {
    MemoryFile made;
    made.write(kSecret);
    return made;
  }();
  variables.push_back("SEALCAST_SESSION_HS256_SECRET_FILE=" + secret.path());
  variables.push_back("SEALCAST_POSTGRES_PASSWORD_FILE=" + secret.path());
  std::vector<const char*> environment;
  for (const std::string& variable : variables) environment.push_back(variable.c_str());
  environment.push_back(nullptr);
  try {
    return config::load_settings(file, environment.data());
  } catch (const core::SettingsError& error) {
    require(*error.what() != '\0', "a complaint says something");
    require(!contains(error.what(), kSecret), "a complaint tells no secret");
    return std::nullopt;
  }
}

// The file's password comes to the others, and changes none.
void check_dsn(const std::string& value) {
  const auto settings = load("", {"SEALCAST_POSTGRES_DSN=" + value});
  if (!settings) return;
  try {
    postgres::Conninfo expected = postgres::parse_conninfo(value.c_str());
    std::erase_if(expected, [](const auto& item) { return item.second.empty(); });
    expected["password"] = kSecret;
    postgres::Conninfo given = postgres::parse_conninfo(settings->postgres.dsn);
    std::erase_if(given, [](const auto& item) { return item.second.empty(); });
    require(given == expected, "the password is added to a connection string, and nothing else changes");
    require(postgres::parse_conninfo(postgres::write_conninfo(expected)) == expected,
            "a connection string is said again");
  } catch (const postgres::Error&) {
    require(false, "what was taken is a connection string");
  }
}

}  // namespace

void check(std::string_view bytes) {
  if (bytes.find('\n') == bytes.npos) {
    const std::string variable(bytes);
    const std::string value = variable.substr(std::min(variable.find('=') + 1, variable.size()));
    if (const auto settings = load("", {variable})) check_loaded(*settings, true);
    check_url(value);
    check_region(value);
    if (variable.find("DSN=") != variable.npos) check_dsn(value);
  } else {
    static const MemoryFile file;
    file.write(bytes);
    if (const auto settings = load(file.path(), {})) check_loaded(*settings, true);
  }
}

}  // namespace sealcast::fuzz
