// Reads settings: the table's defaults, then the file, then the environment; all problems are told at once.
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

#include "client/postgres/conninfo.h"
#include "config/checks.h"
#include "config/region.h"
#include "config/settings_table.h"
#include "core/token/secret_file.h"

namespace sealcast::config {
namespace {

constexpr std::size_t kMaxRegions = 64;

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

// One load: the settings so far, where each came from, and what is wrong.
class Loader {
 public:
  void read_defaults();
  void read_file(const std::string& file);
  void read_environment(const char* const* environment);
  Settings finish();

 private:
  void read_table(const toml::table& table, std::string_view section, const std::string& file);
  void read_node(const Setting& setting, const toml::node& node);
  void read_written(const Setting& setting, const std::string& text);
  void store_number(const Setting& setting, std::int64_t value);
  void check_texts();
  void check_together();
  void check_regions();
  void complete();

  void complain(const std::string& place, const std::string& problem) { problems_.push_back(place + " " + problem); }
  void complain(const Setting& setting, const std::string& problem) { complain(places_[&setting], problem); }

  Settings settings_{};
  std::string file_ = "settings";
  std::map<const Setting*, std::string> places_;  // "sealcast.toml:12: gate.timeout_ms"
  std::vector<std::string> problems_;
};

void Loader::store_number(const Setting& setting, std::int64_t value) {
  if (value < setting.min || value > setting.max) {
    return complain(setting, "is " + std::to_string(value) + "; write " + std::to_string(setting.min) + " to " +
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

// A default or a variable of the environment: everything is text there, lists are separated by commas.
void Loader::read_written(const Setting& setting, const std::string& text) {
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
    complain(setting, "is \"" + text + "\"; write a whole number (" + std::string(setting.unit()) + ")");
  }
}

void Loader::read_node(const Setting& setting, const toml::node& node) {
  if (setting.is_text()) {
    const auto text = node.value_exact<std::string>();
    if (!text) return complain(setting, "is no string; write it in quotes");
    std::get<Setting::Text>(setting.target)(settings_) = *text;
  } else if (setting.is_list()) {
    const toml::array* array = node.as_array();
    if (array == nullptr || (!array->empty() && !array->is_homogeneous(toml::node_type::string))) {
      return complain(setting, R"(is no list of strings; write ["…", "…"])");
    }
    auto& items = std::get<Setting::List>(setting.target)(settings_);
    items.clear();
    for (const toml::node& item : *array) items.push_back(item.value_or(std::string()));
  } else {
    const auto number = node.value_exact<std::int64_t>();
    if (!number) {
      return complain(setting, "is no whole number; write one without quotes (" + std::string(setting.unit()) + ")");
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
      read_node(*setting, node);
    } else if (!section.empty()) {
      complain(place, "is no setting; [" + std::string(section) + "] has " + keys_of(section));
    } else if (std::find(known.begin(), known.end(), key.str()) == known.end()) {
      std::string names;
      for (const auto name : known) names += (names.empty() ? "[" : ", [") + std::string(name) + "]";
      complain(place, "is no setting; the sections are " + names + ", the keys above them " + keys_of(""));
    } else if (const toml::table* inner = node.as_table()) {
      read_table(*inner, key.str(), file);
    } else {
      complain(place, "is no section; write [" + std::string(key.str()) + "] on a line of its own");
    }
  }
}

void Loader::read_defaults() {
  for (const Setting& setting : settings_table()) {
    places_[&setting] = file_ + ": " + setting.path();
    read_written(setting, std::string(setting.fallback));
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
    if (line > 0) return complain(file + ":" + std::to_string(line) + ":", description + "; mend the TOML there");
    complain(file + ":", description + "; name a file that exists and can be read");
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
      read_written(*setting, std::string(entry.substr(std::min(equals + 1, entry.size()))));
      continue;
    }
    // Other SEALCAST_… variables belong to other tools (SEALCAST_URL, SEALCAST_LOCAL).
    for (const auto section : sections()) {
      if (!name.starts_with(environment_name(std::string(section) + "."))) continue;
      complain("environment: " + name, "is no setting; [" + std::string(section) + "] has " + keys_of(section));
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
      if (const auto problem = setting.check(value)) complain(setting, *problem);
    }
  }
}

void Loader::check_together() {
  const auto& session = settings_.session;
  if (session.hs256_secret_file.empty() && session.jwks_file.empty()) {
    complain(file_ + ": session.hs256_secret_file",
             "and session.jwks_file are both empty, so that nobody could send; set one of them");
  } else if (session.hs256_secret_file.empty() && session.ticket_secret_file.empty()) {
    complain(*find_setting("session", "ticket_secret_file"),
             "is empty and there is no session.hs256_secret_file to derive it from; name a file that holds 32 random "
             "bytes or more");
  }
  if (settings_.gate.socket.empty() && !settings_.gate.socket_group.empty()) {
    complain(*find_setting("gate", "socket_group"), "is set without gate.socket; set both or neither");
  }
  if (!settings_.gate.redis_ca_file.empty() && !settings_.gate.redis_url.starts_with("rediss://")) {
    complain(*find_setting("gate", "redis_ca_file"), "is set but gate.redis_url has no TLS; write rediss://");
  }
  if (!settings_.mqtt.ca_file.empty() && !settings_.mqtt.url.starts_with("mqtts://")) {
    complain(*find_setting("mqtt", "ca_file"), "is set but mqtt.url has no TLS; write mqtts://");
  }
  if (settings_.mqtt.url.empty() && !settings_.mqtt.token_secret_file.empty()) {
    complain(*find_setting("mqtt", "token_secret_file"), "is set without mqtt.url; set both or neither");
  }
  if (settings_.ably.key_file.empty() && !settings_.ably.token_key_file.empty()) {
    complain(*find_setting("ably", "token_key_file"), "is set without ably.key_file; set both or only the latter");
  }
  if (!settings_.supabase.url.empty() && settings_.supabase.key_file.empty()) {
    complain(*find_setting("supabase", "url"),
             "is set without supabase.key_file; name a file that holds the project's secret key");
  }
  const auto& switching = settings_.switching;
  const bool switches = !switching.target.empty();
  if (switches && switching.soft > switching.hard) {
    complain(*find_setting("switching", "soft_limit"), "is over switching.hard_limit; write at most that");
  }
  if (switches && switching.low >= switching.soft) {
    complain(*find_setting("switching", "low_limit"),
             "is not below switching.soft_limit, so that streams would go to and fro; write less than that");
  }
  if (switches && switching.overlap > switching.window) {
    complain(*find_setting("switching", "overlap_ms"), "is longer than switching.window_ms; write at most that");
  }
  if (!switching.webhook_url.empty() && switching.webhook_secret_file.empty()) {
    complain(*find_setting("switching", "webhook_url"),
             "is set without switching.webhook_secret_file; name a file with the secret that the receiver checks by");
  }
  if (!settings_.livekit.url.empty() &&
      (settings_.livekit.api_key.empty() || settings_.livekit.api_secret_file.empty())) {
    complain(*find_setting("livekit", "url"),
             "is set without livekit.api_key and livekit.api_secret_file; name both, as the LiveKit server has them");
  }
  check_regions();
}

void Loader::check_regions() {
  const auto& own = settings_.regions;
  if (own.list.size() > kMaxRegions) {
    return complain(*find_setting("regions", "list"), "has " + std::to_string(own.list.size()) + " regions; write " +
                                                          std::to_string(kMaxRegions) + " at most");
  }
  std::set<std::string> names;
  for (const auto& item : own.list) {
    if (checks::region(item)) continue;  // it was complained of
    const std::string name = parse_region(item).name;
    if (!names.insert(name).second) {
      complain(*find_setting("regions", "list"), "names \"" + name + "\" twice; give each region a name of its own");
    }
  }
  if (!own.fallback.empty() && !names.contains(own.fallback)) {
    complain(*find_setting("regions", "default"),
             "is \"" + own.fallback + "\", which regions.list does not name; write a name from there");
  }
}

// Both were checked to be connection strings.
std::string with_password(const std::string& dsn, const std::string& password) {
  postgres::Conninfo values = postgres::parse_conninfo(dsn);
  values["password"] = password;
  return postgres::write_conninfo(values);
}

void Loader::complete() {
  auto& relay = settings_.relay;
  if (relay.dsn.empty()) relay.dsn = settings_.postgres.dsn;
  if (relay.holder.empty()) {
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    // Containers on the host's network share its name, and each is process 1.
    relay.holder = fmt::format("{}:{}:{:08x}", host.data(), ::getpid(), std::random_device{}());
  }
  auto& regions = settings_.regions;
  if (regions.fallback.empty() && !regions.list.empty()) regions.fallback = parse_region(regions.list.front()).name;
  if (settings_.mqtt.client_id.empty()) settings_.mqtt.client_id = "sealcast-" + relay.holder;
  if (!settings_.postgres.password_file.empty()) {
    const auto& setting = *find_setting("postgres", "password_file");
    const std::string password = core::token::read_secret_file(places_[&setting], settings_.postgres.password_file);
    if (password.find('\0') != password.npos) {
      throw core::SettingsError(places_[&setting] +
                                " names a file with a zero byte in it, which no password of Postgres has; "
                                "write the password into it");
    }
    settings_.postgres.dsn = with_password(settings_.postgres.dsn, password);
    relay.dsn = with_password(relay.dsn, password);
  }
}

Settings Loader::finish() {
  if (problems_.empty()) {
    check_texts();
    check_together();
  }
  if (!problems_.empty()) {
    std::string message;
    for (const auto& problem : problems_) message += (message.empty() ? "" : "\n") + problem;
    throw core::SettingsError(message);
  }
  complete();
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

}  // namespace sealcast::config
