// Loads settings: defaults, then the file, then the environment. Reports as many problems as possible at once.
#include "config/settings.h"

#include <fmt/format.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <ostream>
#include <random>
#include <set>
#include <stdexcept>
#include <utility>

#include "base/service_url.h"
#include "base/tls.h"
#include "client/postgres/conninfo.h"
#include "config/checks.h"
#include "config/region.h"
#include "config/settings_table.h"
#include "core/token/secret_file.h"

namespace sealcast::config {
namespace {

constexpr std::size_t kMaxRegions = 64;
// Ably delivers at most 50 messages per second to a connection, and drops the others (error 42915). Sampling begins
// before that. https://ably.com/docs/platform/pricing/limits#connection
constexpr std::int32_t kStormOnAbly = 40;

std::string keys_of(std::string_view section) {
  std::string keys;
  for (const Setting& setting : settings_table()) {
    if (setting.section == section) keys += (keys.empty() ? "" : ", ") + std::string(setting.key);
  }
  return keys;
}

std::vector<std::string_view> sections() {
  std::vector<std::string_view> names;
  for (const Setting& setting : settings_table()) {
    if (!setting.section.empty() && (names.empty() || names.back() != setting.section)) {
      names.push_back(setting.section);
    }
  }
  return names;
}

// Loads the settings once. Remembers all problems, and for each setting the place that set it (file and line, or
// environment variable).
class Loader {
 public:
  void read_defaults();
  void read_file(const std::string& file);
  void read_environment(const char* const* environment);
  Settings finish();

 private:
  void read_table(const toml::table& table, std::string_view section, const std::string& file);
  void read_toml_value(const Setting& setting, const toml::node& node);
  void read_text(const Setting& setting, const std::string& text);
  void store_number(const Setting& setting, std::int64_t value);
  void check_texts();
  void check_combinations();
  void check_tls(std::string_view section, const std::string& prefix, std::string_view url, const TlsFiles& files);
  void check_webhooks();
  void check_regions();
  void fill_computed_defaults();

  void report(const std::string& place, const std::string& problem) { problems_.push_back(place + " " + problem); }
  void report(const Setting& setting, const std::string& problem) { report(places_[&setting], problem); }

  Settings settings_{};
  std::string file_ = "settings";
  std::map<const Setting*, std::string> places_;  // "sealcast.toml:12: gate.timeout_ms"
  std::set<const Setting*> given_;                // the settings that the file or the environment has
  std::vector<std::string> problems_;
};

void Loader::store_number(const Setting& setting, std::int64_t value) {
  if (value < setting.min || value > setting.max) {
    return report(setting, "is " + std::to_string(value) + "; write " + std::to_string(setting.min) + " to " +
                               std::to_string(setting.max) + " (" + std::string(setting.unit()) + ")");
  }
  if (const auto* target = std::get_if<Setting::Number>(&setting.target)) {
    (*target)(settings_) = static_cast<std::int32_t>(value);
  } else if (const auto* target = std::get_if<Setting::Size>(&setting.target)) {
    (*target)(settings_) = static_cast<std::size_t>(value);
  } else if (const auto* target = std::get_if<Setting::Milliseconds>(&setting.target)) {
    (*target)(settings_) = std::chrono::milliseconds(value);
  } else {
    std::get<Setting::Seconds>(setting.target)(settings_) = std::chrono::seconds(value);
  }
}

// Reads a default or an environment variable. Both are texts in which commas separate the items of a list.
void Loader::read_text(const Setting& setting, const std::string& text) {
  if (setting.is_text()) {
    std::get<Setting::Text>(setting.target)(settings_) = text;
  } else if (setting.is_list()) {
    auto& items = std::get<Setting::List>(setting.target)(settings_);
    items.clear();
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t comma = std::min(text.find(',', begin), text.size());
      items.push_back(text.substr(begin, comma - begin));
      begin = comma + 1;
    }
  } else {
    std::int64_t value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error == std::errc() && stop == end) return store_number(setting, value);
    report(setting, "is \"" + text + "\"; write a whole number (" + std::string(setting.unit()) + ")");
  }
}

void Loader::read_toml_value(const Setting& setting, const toml::node& node) {
  if (setting.is_text()) {
    const auto text = node.value_exact<std::string>();
    if (!text) return report(setting, "is not a string; write it in quotes");
    std::get<Setting::Text>(setting.target)(settings_) = *text;
  } else if (setting.is_list()) {
    const toml::array* array = node.as_array();
    if (array == nullptr || (!array->empty() && !array->is_homogeneous(toml::node_type::string))) {
      return report(setting, R"(is not a list of strings; write ["…", "…"])");
    }
    auto& items = std::get<Setting::List>(setting.target)(settings_);
    items.clear();
    for (const toml::node& item : *array) items.push_back(item.value_or(std::string()));
  } else {
    const auto number = node.value_exact<std::int64_t>();
    if (!number) {
      return report(setting, "is not a whole number; write one without quotes (" + std::string(setting.unit()) + ")");
    }
    store_number(setting, *number);
  }
}

void Loader::read_table(const toml::table& table, std::string_view section, const std::string& file) {
  const auto known = sections();
  for (const auto& [key, node] : table) {
    const std::string place = file + ":" + std::to_string(key.source().begin.line) + ": " +
                              (section.empty() ? "" : std::string(section) + ".") + std::string(key.str());
    if (const Setting* setting = find_setting(section, key.str())) {
      places_[setting] = place;
      given_.insert(setting);
      read_toml_value(*setting, node);
    } else if (!section.empty()) {
      report(place, "is not a setting; the settings of [" + std::string(section) + "] are " + keys_of(section));
    } else if (std::find(known.begin(), known.end(), key.str()) == known.end()) {
      std::string names;
      for (const auto name : known) names += (names.empty() ? "[" : ", [") + std::string(name) + "]";
      report(place, "is not a setting; the sections are " + names + ", the settings above them " + keys_of(""));
    } else if (const toml::table* inner = node.as_table()) {
      read_table(*inner, key.str(), file);
    } else {
      report(place, "is a section; write [" + std::string(key.str()) + "] on its own line");
    }
  }
}

void Loader::read_defaults() {
  for (const Setting& setting : settings_table()) {
    places_[&setting] = file_ + ": " + setting.path();
    read_text(setting, std::string(setting.fallback));
  }
}

void Loader::read_file(const std::string& file) {
  file_ = file;
  for (auto& [setting, place] : places_) place = file_ + ": " + setting->path();
  try {
    read_table(toml::parse_file(file), "", file);
  } catch (const toml::parse_error& error) {
    const auto line = error.source().begin.line;
    const std::string description(error.description());
    if (line > 0) return report(file + ":" + std::to_string(line) + ":", description + "; correct the TOML there");
    report(file + ":", description + "; give the path of a file that exists and can be read");
  }
}

void Loader::read_environment(const char* const* environment) {
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    const std::string_view entry = *environment;
    const auto equals = std::min(entry.find('='), entry.size());
    const std::string name(entry.substr(0, equals));
    const auto& table = settings_table();
    const auto setting =
        std::find_if(table.begin(), table.end(), [&](const auto& s) { return s.environment() == name; });
    if (setting != table.end()) {
      places_[&*setting] = "environment: " + name;
      given_.insert(&*setting);
      read_text(*setting, std::string(entry.substr(std::min(equals + 1, entry.size()))));
      continue;
    }
    // Other tools have SEALCAST_… variables too (SEALCAST_URL, SEALCAST_LOCAL). So an unknown variable is reported only
    // if its name begins with the name of a section, such as SEALCAST_GATE_.
    for (const auto section : sections()) {
      if (!name.starts_with(environment_name(std::string(section) + "."))) continue;
      report("environment: " + name,
             "is not a setting; the settings of [" + std::string(section) + "] are " + keys_of(section));
    }
  }
}

void Loader::check_texts() {
  for (const Setting& setting : settings_table()) {
    if (setting.check == nullptr) continue;
    std::vector<std::string> values;
    if (setting.is_text()) {
      values.push_back(std::get<Setting::Text>(setting.target)(settings_));
    } else {
      values = std::get<Setting::List>(setting.target)(settings_);
    }
    for (const auto& value : values) {
      if (const auto problem = setting.check(value)) report(setting, *problem);
    }
  }
}

// `prefix` begins the keys of the settings of one service.
void Loader::check_tls(std::string_view section, const std::string& prefix, std::string_view url,
                       const TlsFiles& files) {
  const bool has_tls = url.starts_with("rediss") || url.starts_with("mqtts");
  const std::string path = std::string(section) + "." + prefix;
  const std::pair<std::string, const std::string&> settings[] = {
      {"ca_file", files.ca_file}, {"cert_file", files.cert_file}, {"key_file", files.key_file}};
  for (const auto& [key, file] : settings) {
    if (file.empty() || has_tls) continue;
    report(*find_setting(section, prefix + key),
           "is set, but " + path + "url does not use TLS; write " +
               (section == "mqtt" ? "mqtts://" : "rediss:// or rediss+sentinel://") + " there");
  }
  if (files.cert_file.empty() == files.key_file.empty()) return;
  const bool no_key = files.key_file.empty();
  report(*find_setting(section, prefix + (no_key ? "cert_file" : "key_file")),
         "is set without " + path + (no_key ? "key_file" : "cert_file") + "; set both or neither");
}

void Loader::check_combinations() {
  const auto& session = settings_.session;
  if (session.hs256_secret_file.empty() && session.jwks_file.empty()) {
    report(file_ + ": session.hs256_secret_file",
           "and session.jwks_file are both empty, so no session could be verified; set one of them");
  } else if (session.hs256_secret_file.empty() && session.ticket_secret_file.empty()) {
    report(*find_setting("session", "ticket_secret_file"),
           "is empty, and so is session.hs256_secret_file, its default; write the path of a file with at least 32 "
           "random bytes");
  }
  if (settings_.gate.socket.empty() && !settings_.gate.socket_group.empty()) {
    report(*find_setting("gate", "socket_group"), "is set without gate.socket; set both or neither");
  }
  const auto& gate = settings_.gate;
  const auto& streams = settings_.redis_streams;
  const auto& events = settings_.redis_events;
  const auto& mqtt = settings_.mqtt;
  check_tls("gate", "redis_", gate.redis_url, {"", gate.redis_ca_file, gate.redis_cert_file, gate.redis_key_file});
  check_tls("redis_streams", "", streams.url, {"", streams.ca_file, streams.cert_file, streams.key_file});
  check_tls("redis_events", "", events.url, {"", events.ca_file, events.cert_file, events.key_file});
  check_tls("mqtt", "", mqtt.url, {"", mqtt.ca_file, mqtt.cert_file, mqtt.key_file});
  if (settings_.mqtt.url.empty() && !settings_.mqtt.token_secret_file.empty()) {
    report(*find_setting("mqtt", "token_secret_file"), "is set without mqtt.url; set both or neither");
  }
  if (settings_.ably.key_file.empty() && !settings_.ably.token_key_file.empty()) {
    report(*find_setting("ably", "token_key_file"), "is set without ably.key_file; set both, or only ably.key_file");
  }
  if (!settings_.supabase.url.empty() && settings_.supabase.key_file.empty()) {
    report(*find_setting("supabase", "url"),
           "is set without supabase.key_file; write there the path of a file with the project's secret key");
  }
  const auto& switching = settings_.switching;
  const bool switches = !switching.target.empty();
  if (switches && switching.soft > switching.hard) {
    report(*find_setting("switching", "soft_limit"), "is greater than switching.hard_limit; write at most that number");
  }
  if (switches && switching.low >= switching.soft) {
    report(*find_setting("switching", "low_limit"),
           "is not below switching.soft_limit, so streams would move back and forth; write a smaller number");
  }
  if (switches && switching.overlap > switching.window) {
    report(*find_setting("switching", "overlap_ms"), "is longer than switching.window_ms; write at most that number");
  }
  if (!switching.webhook_url.empty() && switching.webhook_secret_file.empty()) {
    report(*find_setting("switching", "webhook_url"),
           "is set without switching.webhook_secret_file; write there the path of a file with the secret that signs "
           "calls");
  }
  check_webhooks();
  if (!settings_.livekit.url.empty() &&
      (settings_.livekit.api_key.empty() || settings_.livekit.api_secret_file.empty())) {
    report(*find_setting("livekit", "url"),
           "is set without livekit.api_key or livekit.api_secret_file; set both to the values of the LiveKit server");
  }
  check_regions();
}

void Loader::check_webhooks() {
  const auto& webhooks = settings_.webhooks;
  if (webhooks.url.empty()) return;
  if (webhooks.secret_file.empty()) {
    report(*find_setting("webhooks", "url"),
           "is set without webhooks.secret_file; write there the path of a file with the secret that signs calls");
  }
  ServiceUrl url;
  try {
    url = parse_service_url(webhooks.url, "http");
  } catch (const std::invalid_argument& error) {
    return report(*find_setting("webhooks", "url"), error.what() + std::string("; write https://host/path"));
  }
  const bool loopback = url.host == "localhost" || url.host == "127.0.0.1" || url.host == "::1";
  if (!url.tls && !loopback && std::ranges::find(webhooks.http_hosts, url.host) == webhooks.http_hosts.end()) {
    report(*find_setting("webhooks", "url"),
           "is not encrypted; write https://, or add the host to webhooks.http_hosts");
  }
}

void Loader::check_regions() {
  const auto& regions = settings_.regions;
  if (regions.list.size() > kMaxRegions) {
    return report(*find_setting("regions", "list"), "has " + std::to_string(regions.list.size()) +
                                                        " regions; write at most " + std::to_string(kMaxRegions));
  }
  std::set<std::string> names;
  for (const auto& item : regions.list) {
    if (checks::region(item)) continue;  // check_texts() has reported it
    const std::string name = parse_region(item).name;
    if (!names.insert(name).second) {
      report(*find_setting("regions", "list"), "contains region \"" + name + "\" twice; give each region its own name");
    }
  }
  if (!regions.fallback.empty() && !names.contains(regions.fallback)) {
    report(*find_setting("regions", "default"),
           "is \"" + regions.fallback + "\", which is not in regions.list; write the name of a region in that list");
  }
}

std::string read_postgres_password(const std::string& setting, const std::string& file) {
  std::string password = core::token::read_secret_file(setting, file);
  if (password.find('\0') == password.npos) return password;
  throw core::SettingsError(setting +
                            " is a file that contains a zero byte, which a Postgres password cannot contain; write "
                            "only the password into it");
}

void Loader::fill_computed_defaults() {
  auto& relay = settings_.relay;
  if (relay.dsn.text.empty()) relay.dsn = settings_.postgres.dsn;
  if (relay.holder.empty()) {
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    // A random number is part of the name, because containers on the host's network all have the same host name and the
    // same process id, 1.
    relay.holder = fmt::format("{}:{}:{:08x}", host.data(), ::getpid(), std::random_device{}());
  }
  auto& regions = settings_.regions;
  if (regions.fallback.empty() && !regions.list.empty()) regions.fallback = parse_region(regions.list.front()).name;
  if (settings_.switching.target == "ably" && !given_.contains(find_setting("sampling", "storm_per_second"))) {
    settings_.sampling.storm = kStormOnAbly;
  }
  if (settings_.mqtt.client_id.empty()) settings_.mqtt.client_id = "sealcast-" + relay.holder;
  if (!settings_.postgres.password_file.empty()) {
    const auto& setting = *find_setting("postgres", "password_file");
    settings_.postgres.dsn.password =
        Secret(places_[&setting], settings_.postgres.password_file, read_postgres_password);
    relay.dsn.password = settings_.postgres.dsn.password;
  }
}

Settings Loader::finish() {
  if (problems_.empty()) {
    check_texts();
    check_combinations();
  }
  if (!problems_.empty()) {
    std::string message;
    for (const auto& problem : problems_) message += (message.empty() ? "" : "\n") + problem;
    throw core::SettingsError(message);
  }
  fill_computed_defaults();
  return settings_;
}

}  // namespace

Settings load_settings(const std::string& file, const char* const* environment) {
  Loader loader;
  loader.read_defaults();
  if (!file.empty()) loader.read_file(file);
  loader.read_environment(environment);
  return loader.finish();
}

void print_settings_table(std::ostream& out) {
  out << "| Key | Environment | Default | Unit | Meaning |\n|---|---|---|---|---|\n";
  for (const Setting& setting : settings_table()) {
    out << "| `" << setting.path() << "` | `" << setting.environment() << "` | ";
    if (!setting.fallback.empty()) out << '`' << setting.fallback << '`';
    out << " | " << setting.unit();
    if (!setting.is_text() && !setting.is_list()) out << ", " << setting.min << " to " << setting.max;
    out << " | " << setting.meaning << " |\n";
  }
}

std::vector<std::string> differing_settings(const Settings& one, const Settings& other) {
  Settings a = one, b = other;  // the targets of the table are not const
  std::vector<std::string> differing;
  for (const Setting& setting : settings_table()) {
    const bool same = std::visit([&](auto target) { return target(a) == target(b); }, setting.target);
    if (!same) differing.push_back(setting.path());
  }
  return differing;
}

}  // namespace sealcast::config
