// Selects the node for each call. The first nodes come from the settings. Further nodes of a cluster become known from
// its redirections.
#include "client/redis/client.h"

#include <map>
#include <stdexcept>
#include <vector>

#include "base/event.h"
#include "client/redis/connection_log.h"
#include "client/redis/node_connection.h"
#include "client/redis/sentinels.h"
#include "client/redis/topology.h"

namespace sealcast::client::redis {
namespace {

constexpr int kMaxRedirections = 5;
constexpr std::size_t kMaxNodes = 256;                   // besides the seeds; a malicious Redis may name any number
constexpr std::chrono::milliseconds kTryAgainAfter{10};  // while a slot is being moved
constexpr std::chrono::seconds kForgetAfter{60};         // a node without a connection that no redirection names

}  // namespace

class Client::Impl {
 public:
  Impl(asio::any_io_executor executor, Options options_given)
      : options(std::move(options_given)),
        executor_(std::move(executor)),
        tls_(options.tls ? std::make_shared<TlsContexts>(options.tls_files) : nullptr),
        log_(std::make_shared<ConnectionLog>(executor_, options.log_tag)) {
    if (options.sentinel_master.empty()) {
      for (const Address& seed : options.seeds) seeds_.push_back(make_node(seed));
    } else {
      auto sentinels = std::make_unique<Sentinels>(executor_, options, tls_);
      seeds_.push_back(std::make_shared<NodeConnection>(executor_, Address{options.sentinel_master}, options, tls_,
                                                        log_, std::move(sentinels)));
    }
  }

  void start() {
    for (const NodePtr& seed : seeds_) seed->start();
  }

  void stop() {
    stopped_ = true;
    for (const NodePtr& seed : seeds_) seed->stop();
    for (auto& [name, node] : nodes_) node.connection->stop();
    log_->stop();
  }

  bool connected() const {
    const NodePtr node = any_node();
    return node->connected();
  }

  bool is_cluster() const { return options.needs_cluster() || !slots_.empty(); }
  Clock::time_point last_loss() const { return log_->last_loss(); }

  std::shared_ptr<NodeConnection> node_of(int slot) const {
    if (slot >= 0 && !slots_.empty()) {
      const auto& known = slots_[static_cast<std::size_t>(slot)];
      if (known && known->usable()) return known;
    }
    return any_node();
  }

  // Returns null when too many nodes are known already.
  std::shared_ptr<NodeConnection> follow(const Redirection& redirection) {
    auto node = node_at(redirection.address);
    if (node && !redirection.ask) {
      slots_.resize(kSlots);
      slots_[redirection.slot] = node;
    }
    return node;
  }

  // Removes from time to time the nodes that have left the cluster.
  void forget_gone_nodes() {
    const auto now = Clock::now();
    if (now < next_forget_) return;
    next_forget_ = now + kForgetAfter;
    forget_nodes(now - kForgetAfter);
  }

  const Options options;

 private:
  using NodePtr = std::shared_ptr<NodeConnection>;
  struct Node {
    NodePtr connection;
    Clock::time_point named_at;  // when a redirection named it last
  };

  NodePtr make_node(const Address& address) const {
    return std::make_shared<NodeConnection>(executor_, address, options, tls_, log_);
  }

  // Returns a connected node, or else a seed that is connecting, or else any seed.
  NodePtr any_node() const {
    for (const NodePtr& seed : seeds_) {
      if (seed->connected()) return seed;
    }
    for (const auto& [name, node] : nodes_) {
      if (node.connection->connected()) return node.connection;
    }
    for (const NodePtr& seed : seeds_) {
      if (seed->usable()) return seed;
    }
    return seeds_.front();
  }

  NodePtr node_at(const Address& address) {
    for (const NodePtr& seed : seeds_) {
      if (seed->address() == address) return seed;
    }
    const auto now = Clock::now();
    const std::string name = address.text();
    if (const auto known = nodes_.find(name); known != nodes_.end()) {
      known->second.named_at = now;
      return known->second.connection;
    }
    if (nodes_.size() >= kMaxNodes) forget_nodes(now);
    if (stopped_ || nodes_.size() >= kMaxNodes) return nullptr;
    NodePtr node = make_node(address);
    node->start();
    nodes_.emplace(name, Node{node, now});
    return node;
  }

  // Removes the nodes without a connection that no redirection has named since `since`, because a node may leave its
  // cluster for ever. Seeds are never removed.
  void forget_nodes(Clock::time_point since) {
    std::erase_if(nodes_, [&](const auto& entry) {
      const auto& [name, node] = entry;
      if (node.connection->usable() || node.named_at > since) return false;
      for (auto& slot : slots_) {
        if (slot == node.connection) slot.reset();
      }
      node.connection->stop();
      log_->forget(name);
      return true;
    });
  }

  asio::any_io_executor executor_;
  std::shared_ptr<TlsContexts> tls_;
  std::shared_ptr<ConnectionLog> log_;
  std::vector<NodePtr> seeds_;         // the servers of the settings, or the master that the sentinels name
  std::map<std::string, Node> nodes_;  // further nodes of a cluster, by address
  std::vector<NodePtr> slots_;         // the node of each slot; empty until the first MOVED
  Clock::time_point next_forget_{};
  bool stopped_ = false;
};

Client::Client(asio::any_io_executor executor, Options options)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options))) {}
Client::~Client() { impl_->stop(); }

void Client::start() { impl_->start(); }
void Client::stop() { impl_->stop(); }
bool Client::connected() const { return impl_->connected(); }
bool Client::is_cluster() const { return impl_->is_cluster(); }
Clock::time_point Client::last_loss() const { return impl_->last_loss(); }
const Options& Client::options() const { return impl_->options; }

asio::awaitable<Result> Client::call(Command command) {
  return call(std::move(command), Clock::now() + impl_->options.timeout);
}

asio::awaitable<Result> Client::call(Command command, Clock::time_point deadline) {
  const auto impl = impl_;
  impl->forget_gone_nodes();
  auto node = impl->node_of(command.slot());
  bool asking = false;
  for (int redirections = 0;; ++redirections) {
    Result result = co_await node->call(command, asking, deadline);
    if (result.status != Status::error || redirections == kMaxRedirections) co_return result;
    // TRYAGAIN: some keys of the command have moved to another node already. Nothing was executed.
    if (result.text().starts_with("TRYAGAIN")) {
      if (Clock::now() + kTryAgainAfter >= deadline) co_return result;
      co_await sleep_for(kTryAgainAfter);
      node = impl->node_of(command.slot());
      asking = false;
      redirections = 0;
      continue;
    }
    const auto redirection = parse_redirection(result.text(), node->address());
    if (!redirection) co_return result;
    const auto next = impl->follow(*redirection);
    if (!next) co_return result;
    node = next;
    asking = redirection->ask;
  }
}

}  // namespace sealcast::client::redis
