// Walks the lists of hosts, addresses and ports of a DSN.
#include "client/postgres/dsn.h"

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <charconv>
#include <sstream>

#include "base/asio.h"
#include "base/resolver.h"
#include "client/postgres/conninfo.h"
#include "client/postgres/error.h"

namespace sealcast::client::postgres {

namespace {

constexpr std::chrono::seconds kLeastConnectTimeout{2};  // libpq: "it is not recommended to use less than 2 seconds"

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  std::istringstream in(list);
  for (std::string part; std::getline(in, part, ',');) parts.push_back(part);
  return parts;
}

// Returns item `i` of a list that has one item for each host, or one for all.
std::string item_of(const std::vector<std::string>& list, std::size_t i) {
  return list.size() == 1 ? list[0] : i < list.size() ? list[i] : std::string();
}

struct Place {
  std::string host, address, port;
};

std::vector<std::string> with_places(const Conninfo& values, const std::vector<Place>& places) {
  std::vector<std::string> dsns;
  const auto attributes = values.find("target_session_attrs");
  const bool prefers_standby = attributes != values.end() && attributes->second == "prefer-standby";
  for (const char* const round : {"standby", "any"}) {
    for (const Place& place : places) {
      Conninfo one = values;
      one["host"] = place.host;
      one["hostaddr"] = place.address;
      one["port"] = place.port;
      if (prefers_standby) one["target_session_attrs"] = round;
      dsns.push_back(write_conninfo(one));
    }
    if (!prefers_standby) break;
  }
  return dsns;
}

}  // namespace

asio::awaitable<std::vector<std::string>> dsn_of_each_address(std::string dsn, std::chrono::milliseconds timeout) {
  auto executor = co_await asio::this_coro::executor;
  Conninfo values = parse_conninfo(dsn);
  const std::vector<std::string> names = split(values["host"]), addresses = split(values["hostaddr"]),
                                 ports = split(values["port"]);
  std::vector<Place> places;
  std::string problem;
  for (std::size_t i = 0; i < std::max({names.size(), addresses.size(), std::size_t{1}}); ++i) {
    const std::string name = i < names.size() ? names[i] : std::string(), port = item_of(ports, i);
    if (i < addresses.size() || name.empty() || name.starts_with('/') || name.starts_with('@')) {
      places.push_back({name, i < addresses.size() ? addresses[i] : std::string(), port});
      continue;
    }
    Resolver resolver(executor);
    try {
      const auto found = co_await resolver.resolve(name, 0, Resolver::Clock::now() + timeout);
      for (const auto& endpoint : found) places.push_back({name, endpoint.address().to_string(), port});
    } catch (const boost::system::system_error& error) {
      problem = "cannot resolve host \"" + name + "\": " + error.code().message();
    }
  }
  if (places.empty()) throw Error(Failure::unavailable, problem);
  co_return with_places(values, places);
}

std::chrono::milliseconds connect_timeout(const std::string& dsn, std::chrono::milliseconds absent) {
  const std::string text = parse_conninfo(dsn)["connect_timeout"];
  int seconds = 0;
  std::from_chars(text.data(), text.data() + text.size(), seconds);
  return seconds <= 0 ? absent
                      : std::max<std::chrono::milliseconds>(std::chrono::seconds(seconds), kLeastConnectTimeout);
}

}  // namespace sealcast::client::postgres
