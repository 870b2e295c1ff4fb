// Selects the node for each call. The first node comes from the settings. Further nodes of a cluster become known from
// its redirections.
#include "client/redis/client.h"

#include <map>
#include <stdexcept>
#include <vector>

#include "client/redis/node_connection.h"

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
    throw std::runtime_error("gate.redis_ca_file: \"" + options.ca_file + "\" contains no usable certificate (" +
                             error.message() + "); name a PEM file with the certificate of the authority");
  }
  return tls;
}

}  // namespace

class Client::Impl {
 public:
  Impl(asio::any_io_executor executor, Options options_given)
      : options(std::move(options_given)),
        executor_(std::move(executor)),
        tls_(make_tls(options)),
        configured_node_(std::make_shared<NodeConnection>(executor_, options, tls_)) {}

  void start() { configured_node_->start(); }

  void stop() {
    configured_node_->stop();
    for (auto& [name, node] : nodes_) node->stop();
  }

  bool connected() const { return configured_node_->connected() || connected_node() != nullptr; }

  std::shared_ptr<NodeConnection> node_of(int slot) const {
    if (slot >= 0 && !slots_.empty()) {
      const auto& known = slots_[static_cast<std::size_t>(slot)];
      if (known && known->usable()) return known;
    }
    if (configured_node_->usable()) return configured_node_;
    const auto other = connected_node();
    return other ? other : configured_node_;
  }

  std::shared_ptr<NodeConnection> follow(const Redirection& redirection) {
    auto node = node_at(redirection.address);
    if (!redirection.ask) {
      slots_.resize(kSlots);
      slots_[redirection.slot] = node;
    }
    return node;
  }

  const Options options;

 private:
  std::shared_ptr<NodeConnection> connected_node() const {
    for (const auto& [name, node] : nodes_) {
      if (node->connected()) return node;
    }
    return nullptr;
  }

  std::shared_ptr<NodeConnection> node_at(const Address& address) {
    if (address.host == options.address.host && address.port == options.address.port) return configured_node_;
    const std::string name = address.host + ":" + std::to_string(address.port);
    const auto known = nodes_.find(name);
    if (known != nodes_.end() && known->second->usable()) return known->second;
    remove_unusable();
    Options at = options;
    at.address = address;
    auto node = std::make_shared<NodeConnection>(executor_, at, tls_);
    node->start();
    nodes_.insert_or_assign(name, node);
    return node;
  }

  // Removes nodes without a connection, because a node may leave its cluster for ever. The node of the settings is not
  // in nodes_, so it is never removed.
  void remove_unusable() {
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
  std::shared_ptr<NodeConnection> configured_node_;
  std::map<std::string, std::shared_ptr<NodeConnection>> nodes_;
  std::vector<std::shared_ptr<NodeConnection>> slots_;  // the node of each slot; empty until the first MOVED
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
