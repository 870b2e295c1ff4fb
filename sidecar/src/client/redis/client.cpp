// The nodes behind one client: a single server, or as much of a cluster as its redirections have shown.
#include "client/redis/client.h"

#include <map>
#include <stdexcept>
#include <vector>

#include "client/redis/connection.h"

namespace sealcast::client::redis {
namespace {

constexpr int kMaxRedirections = 5;

std::shared_ptr<asio::ssl::context> make_tls(const Options& options) {
  if (!options.tls) return nullptr;
  auto tls = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
  tls->set_verify_mode(asio::ssl::verify_peer);
  SSL_CTX_set_min_proto_version(tls->native_handle(), TLS1_2_VERSION);
  boost::system::error_code error;
  if (options.ca_file.empty()) {
    tls->set_default_verify_paths(error);
  } else {
    tls->load_verify_file(options.ca_file, error);
  }
  if (error) {
    throw std::runtime_error("gate.redis_ca_file: \"" + options.ca_file +
                             "\" holds no certificates that can be used (" + error.message() +
                             "); name a PEM file with the certificate of the authority");
  }
  return tls;
}

}  // namespace

class Client::Impl {
 public:
  Impl(asio::any_io_executor executor, Options given)
      : options(std::move(given)),
        executor_(std::move(executor)),
        tls_(make_tls(options)),
        home_(std::make_shared<Connection>(executor_, options, tls_)) {}

  void start() { home_->start(); }

  void stop() {
    home_->stop();
    for (auto& [name, node] : nodes_) node->stop();
  }

  bool connected() const { return home_->connected() || any_other() != nullptr; }

  std::shared_ptr<Connection> node_of(int slot) const {
    if (slot >= 0 && !slots_.empty()) {
      const auto& known = slots_[static_cast<std::size_t>(slot)];
      if (known && known->usable()) return known;
    }
    if (home_->usable()) return home_;
    const auto other = any_other();
    return other ? other : home_;
  }

  std::shared_ptr<Connection> follow(const Redirection& redirection) {
    auto node = node_at(redirection.address);
    if (!redirection.ask) {
      slots_.resize(kSlots);
      slots_[redirection.slot] = node;
    }
    return node;
  }

  const Options options;

 private:
  std::shared_ptr<Connection> any_other() const {
    for (const auto& [name, node] : nodes_) {
      if (node->connected()) return node;
    }
    return nullptr;
  }

  std::shared_ptr<Connection> node_at(const Address& address) {
    if (address.host == options.address.host && address.port == options.address.port) return home_;
    const std::string name = address.host + ":" + std::to_string(address.port);
    const auto known = nodes_.find(name);
    if (known != nodes_.end() && known->second->usable()) return known->second;
    forget_unusable();
    Options at = options;
    at.address = address;
    auto node = std::make_shared<Connection>(executor_, at, tls_);
    node->start();
    nodes_.insert_or_assign(name, node);
    return node;
  }

  // Nodes leave a cluster; only the one of the settings is connected to for ever.
  void forget_unusable() {
    for (auto& slot : slots_) {
      if (slot && !slot->usable()) slot.reset();
    }
    std::erase_if(nodes_, [](const auto& entry) {
      if (entry.second->usable()) return false;
      entry.second->stop();
      return true;
    });
  }

  asio::any_io_executor executor_;
  std::shared_ptr<asio::ssl::context> tls_;
  std::shared_ptr<Connection> home_;
  std::map<std::string, std::shared_ptr<Connection>> nodes_;
  std::vector<std::shared_ptr<Connection>> slots_;  // empty until Redis turns out to be a cluster
};

Client::Client(asio::any_io_executor executor, Options options)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options))) {}
Client::~Client() { impl_->stop(); }

void Client::start() { impl_->start(); }
void Client::stop() { impl_->stop(); }
bool Client::connected() const { return impl_->connected(); }
const Options& Client::options() const { return impl_->options; }

asio::awaitable<Result> Client::call(Command command) {
  return call(std::move(command), Clock::now() + impl_->options.timeout);
}

asio::awaitable<Result> Client::call(Command command, Clock::time_point deadline) {
  const auto impl = impl_;
  auto node = impl->node_of(command.slot());
  bool asking = false;
  for (int redirections = 0;; ++redirections) {
    Result result = co_await node->call(command, asking, deadline);
    if (result.status != Status::error || redirections == kMaxRedirections) co_return result;
    const auto redirection = parse_redirection(result.text(), impl->options.address.host);
    if (!redirection) co_return result;
    node = impl->follow(*redirection);
    asking = redirection->ask;
  }
}

}  // namespace sealcast::client::redis
