// Interprets the input as a settings file if it contains a line feed, otherwise as an environment variable. Accepted
// settings must be within their bounds. The message of a refusal must not contain a secret. The parser of URLs must not
// lose a part of a URL.
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/service_url.h"
#include "client/postgres/conninfo.h"
#include "client/postgres/error.h"
#include "client/redis/options.h"
#include "config/checks.h"
#include "config/region.h"
#include "config/settings.h"
#include "config/settings_table.h"
#include "fuzz.h"

namespace sealcast::fuzz {
namespace {

constexpr char kSecret[] = "it's a \\ p%@ss #?&= of 32 bytes or more";

// A file in memory. Its path is valid until the process ends.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(::memfd_create("fuzzed", MFD_CLOEXEC)) {}
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }
  void write(std::string_view content) const {
    require(::ftruncate(descriptor_, 0) == 0 &&
                ::pwrite(descriptor_, content.data(), content.size(), 0) == static_cast<ssize_t>(content.size()),
            "the file in memory can be written");
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
    require(!url.host.empty() && url.host.find_first_of("/@[]") == std::string::npos, "a host has no delimiters");
    std::string rewritten = url.tls ? "rediss://" : "redis://";
    if (!url.user.empty() || !url.password.empty()) {
      rewritten += percent_encoded(url.user) + ":" + percent_encoded(url.password) + "@";
    }
    rewritten += url.host.find(':') == std::string::npos ? url.host : "[" + url.host + "]";
    if (url.port != 0) rewritten += ":" + std::to_string(url.port);
    if (!url.path.empty()) rewritten += "/" + url.path;
    // Only three parts of a URL have more than one spelling: credentials, percent-encoded bytes, and ports with leading
    // zeros.
    const bool one_spelling = value.find_first_of("@%") == value.npos && value.find(":0") == value.npos;
    require(!one_spelling || rewritten == value || rewritten + "/" == value, "no part of a URL is ignored");
    const ServiceUrl again = parse_service_url(rewritten, "redis");
    require(again.tls == url.tls && again.user == url.user && again.password == url.password &&
                again.host == url.host && again.port == url.port && again.path == url.path,
            "the parsed URL, written again, is the same URL");
  } catch (const std::invalid_argument& error) {
    require(value.size() < 32 || !contains(error.what(), value),
            "an error message about a URL does not contain the URL");
  }
  if (!config::checks::redis_url(value))
    require(redis::parse_url(value).password.empty(), "an accepted URL contains no password");
}

void check_region(const std::string& value) {
  if (config::checks::region(value)) return;
  const config::Region region = config::parse_region(value);
  require(region.place.on_earth(), "a region is on Earth");
  require(!region.url.empty() && !region.url.ends_with('/') && region.name.size() <= 32, "a region has name and URL");
}

void check_loaded(const config::Settings& loaded) {
  config::Settings settings = loaded;
  for (const config::Setting& setting : config::settings_table()) {
    std::int64_t value = setting.min;
    if (const auto* number = std::get_if<config::Setting::Number>(&setting.target)) value = (*number)(settings);
    if (const auto* time = std::get_if<config::Setting::Milliseconds>(&setting.target))
      value = (*time)(settings).count();
    if (const auto* time = std::get_if<config::Setting::Seconds>(&setting.target)) value = (*time)(settings).count();
    if (!setting.is_text() && !setting.is_list()) {
      require(value >= setting.min && value <= setting.max, "a number is within its bounds");
    }
  }
  require(!config::checks::listen_address(settings.http.listen), "a text has passed its check");
  require(!config::checks::postgres_dsn(settings.postgres.dsn.text), "the text of a DSN contains no password");
}

// Returns nullopt if the settings are refused.
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
    require(*error.what() != '\0', "an error message is not empty");
    require(!contains(error.what(), kSecret), "an error message contains no secret");
    return std::nullopt;
  }
}

// Checks that the password from the password file is added to the connection string, and that no other part changes.
void check_dsn(const std::string& value) {
  const auto settings = load("", {"SEALCAST_POSTGRES_DSN=" + value});
  if (!settings) return;
  try {
    postgres::Conninfo expected = postgres::parse_conninfo(value.c_str());
    std::erase_if(expected, [](const auto& item) { return item.second.empty(); });
    expected["password"] = kSecret;
    const postgres::Dsn& dsn = settings->postgres.dsn;
    postgres::Conninfo given = postgres::parse_conninfo(postgres::with_password(dsn.text, dsn.password.text()));
    std::erase_if(given, [](const auto& item) { return item.second.empty(); });
    require(given == expected, "the password is added to a connection string, and nothing else changes");
    require(postgres::parse_conninfo(postgres::write_conninfo(expected)) == expected,
            "a connection string, written and parsed again, is the same");
  } catch (const postgres::Error&) {
    require(false, "an accepted connection string can be parsed");
  }
}

}  // namespace

void check(std::string_view bytes) {
  if (bytes.find('\n') == bytes.npos) {
    const std::string variable(bytes);
    const std::string value = variable.substr(std::min(variable.find('=') + 1, variable.size()));
    if (const auto settings = load("", {variable})) check_loaded(*settings);
    check_url(value);
    check_region(value);
    if (variable.find("DSN=") != variable.npos) check_dsn(value);
  } else {
    static const MemoryFile file;
    file.write(bytes);
    if (const auto settings = load(file.path(), {})) check_loaded(*settings);
  }
}

}  // namespace sealcast::fuzz
