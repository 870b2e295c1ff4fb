// Resolves each host name of a DSN (a connection string of libpq) and adds its addresses to the DSN.
#include "client/postgres/dsn.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sstream>
#include <vector>

#include "base/asio.h"
#include "client/postgres/conninfo.h"
#include "client/postgres/error.h"

namespace sealcast::client::postgres {

namespace {

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  std::istringstream in(list);
  for (std::string part; std::getline(in, part, ',');) parts.push_back(part);
  return parts;
}

}  // namespace

asio::awaitable<std::string> with_addresses(std::string dsn) {
  auto executor = co_await asio::this_coro::executor;
  auto values = parse_conninfo(dsn);
  std::vector<std::string> names = split(values["host"]);
  bool any_name = false;
  for (const std::string& name : names) any_name = any_name || !name.starts_with('/');
  if (!any_name || !values["hostaddr"].empty()) co_return dsn;

  std::vector<std::string> ports = split(values["port"]);
  std::string hosts, addresses, all_ports;
  auto append = [](std::string& list, const std::string& item, bool first) { list += (first ? "" : ",") + item; };
  bool first = true;
  std::string problem;
  for (std::size_t i = 0; i < names.size(); ++i) {
    std::string port = ports.empty() ? "5432" : ports.size() == 1 ? ports[0] : i < ports.size() ? ports[i] : "5432";
    std::vector<std::string> found;
    if (names[i].starts_with('/')) {
      found.push_back("");
    } else {
      asio::ip::tcp::resolver resolver(executor);
      boost::system::error_code ec;
      auto results = co_await resolver.async_resolve(names[i], "", asio::redirect_error(asio::use_awaitable, ec));
      if (ec) problem = "cannot resolve host \"" + names[i] + "\": " + ec.message();
      for (const auto& entry : results) found.push_back(entry.endpoint().address().to_string());
    }
    for (const std::string& address : found) {
      append(hosts, names[i], first);
      append(addresses, address, first);
      append(all_ports, port, first);
      first = false;
    }
  }
  if (first) throw Error(Failure::unavailable, problem);

  values["host"] = hosts;
  values["hostaddr"] = addresses;
  values["port"] = all_ports;
  co_return write_conninfo(values);
}

}  // namespace sealcast::client::postgres
