// One short connection to a sentinel for each question.
#include "client/redis/sentinels.h"

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/backoff.h"
#include "client/redis/command.h"
#include "client/redis/link.h"
#include "client/redis/topology.h"

namespace sealcast::client::redis {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kAnswerWithin{500};
constexpr std::size_t kMaxReply = 1U << 16;  // bytes

}  // namespace

Sentinels::Sentinels(asio::any_io_executor executor, Options options, std::shared_ptr<TlsContexts> tls)
    : executor_(std::move(executor)), options_(std::move(options)), tls_(std::move(tls)) {
  // Each client begins with a random sentinel, so that the sentinels share the questions.
  const milliseconds last(static_cast<std::int64_t>(options_.seeds.size()) - 1);
  next_ = static_cast<std::size_t>(random_between(milliseconds(0), last).count());
}

Sentinels::~Sentinels() = default;

void Sentinels::stop() {
  stopped_ = true;
  if (link_) link_->close();
}

const Address& Sentinels::next_sentinel() {
  const Address& sentinel = options_.seeds[next_];
  next_ = (next_ + 1) % options_.seeds.size();
  return sentinel;
}

asio::awaitable<Address> Sentinels::master() {
  std::string reasons;
  for (std::size_t asked = 0; asked < options_.seeds.size() && !stopped_; ++asked) {
    const Address& sentinel = next_sentinel();
    const auto link = std::make_shared<Link>(executor_, kMaxReply);
    std::string reason = "it knows no such master";
    try {
      const std::optional<Address> master = co_await ask(link, sentinel);
      if (master) co_return *master;
    } catch (const std::exception& error) {
      reason = link->fault.empty() ? error.what() : link->fault;
    }
    reasons += (reasons.empty() ? "" : "; ") + sentinel.text() + ": " + reason;
  }
  throw std::runtime_error("no sentinel names the master \"" + options_.sentinel_master + "\" (" + reasons + ")");
}

asio::awaitable<bool> Sentinels::names_another(const Address& address) {
  const auto link = std::make_shared<Link>(executor_, kMaxReply);
  std::optional<Address> named;
  try {
    named = co_await ask(link, next_sentinel());
  } catch (const std::exception&) {
  }
  if (!named) co_return false;
  if (*named == address) named.reset();
  const bool agreed = named && named == other_;
  other_ = std::move(named);
  co_return agreed;
}

asio::awaitable<std::optional<Address>> Sentinels::ask(const std::shared_ptr<Link>& link, const Address& sentinel) {
  link_ = link;
  asio::steady_timer limit(executor_, kAnswerWithin);
  limit.async_wait([link](const boost::system::error_code& error) {
    if (error) return;
    link->fault = "no answer within " + std::to_string(kAnswerWithin.count()) + " ms";
    link->close();
  });
  co_await link->connect(sentinel, tls_.get());
  const std::string password = options_.sentinel_password.text();
  const bool login = !password.empty();
  std::string question;
  if (login) question += Command({"AUTH", password}).bytes();
  question += Command({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", options_.sentinel_master}).bytes();
  co_await link->write(asio::buffer(question), asio::use_awaitable);
  ReplyPtr reply = co_await link->read_reply();
  if (login && reply->type != REDIS_REPLY_ERROR) reply = co_await link->read_reply();
  link->close();
  if (reply->type == REDIS_REPLY_ERROR) {
    const std::string error(text_of(reply.get()));
    if (refuses_password(error)) options_.sentinel_password.read_again(password);
    throw std::runtime_error(error);
  }
  const bool unknown = reply->type == REDIS_REPLY_NIL;
  std::optional<Address> master = parse_master(reply.get());
  if (!master && !unknown) throw std::runtime_error("it answers with no address");
  co_return master;
}

}  // namespace sealcast::client::redis
