// Writes by a Lua script that also sets the expiry of the key, and reads the sets page by page.
#include "leader/viewers/viewer_store.h"

#include <algorithm>
#include <utility>

#include "core/uuid.h"

namespace sealcast::leader::viewers {
namespace {

// KEYS: the key. ARGV: the command PFADD or SADD, the lifetime of the key in ms, and the members to add. One script
// runs that command and PEXPIRE, so that a key always has an expiry.
constexpr std::string_view kScript = R"lua(
redis.call(ARGV[1], KEYS[1], unpack(ARGV, 3))
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
)lua";

constexpr std::size_t kMaxMembers = 1000;  // in one call of the script; Lua's unpack() is limited to some thousands
constexpr std::string_view kPage = "500";  // streams per reply: 22 KB, far below the maximum of the gate's replies

std::string_view reason(const redis::Result& result) {
  switch (result.status) {
    case redis::Status::ok:
      return "an answer of another type";
    case redis::Status::error:
      return result.text().substr(0, 200);
    default:
      return "no answer";
  }
}

// Returns whether this is an answer to SSCAN: the next cursor, and members.
bool is_page(const redisReply& reply) {
  return reply.type == REDIS_REPLY_ARRAY && reply.elements == 2 && reply.element[0]->str &&
         reply.element[1]->type == REDIS_REPLY_ARRAY;
}

}  // namespace

ViewerStore::ViewerStore(redis::Client& client, ViewerWindow window, std::chrono::milliseconds timeout)
    : client_(client),
      window_(window),
      timeout_(timeout),
      key_lifetime_(std::to_string(window.key_lifetime().count())),
      script_(kScript) {}

asio::awaitable<bool> ViewerStore::add(std::string_view command, std::string key,
                                       const std::vector<std::string>& members) {
  const std::string_view keys[] = {key};
  const auto deadline = redis::Clock::now() + timeout_;
  for (std::size_t begin = 0; begin < members.size(); begin += kMaxMembers) {
    const std::size_t end = std::min(begin + kMaxMembers, members.size());
    std::vector<std::string_view> arguments{command, key_lifetime_};
    arguments.insert(arguments.end(), members.begin() + static_cast<std::ptrdiff_t>(begin),
                     members.begin() + static_cast<std::ptrdiff_t>(end));
    const redis::Result result = co_await script_.call(client_, keys, arguments, deadline);
    if (result.status == redis::Status::ok) continue;
    if (write_log_throttle_.allows()) {
      log::write(log::Level::warn, log::tag::kAudience, "Redis did not store the viewers of streams",
                 {{"reason", reason(result)}});
    }
    co_return false;
  }
  co_return true;
}

asio::awaitable<std::optional<std::unordered_set<std::string>>> ViewerStore::streams(
    std::span<const std::int32_t> shards, SetKey key) {
  std::unordered_set<std::string> found;
  for (const std::int32_t shard : shards) {
    for (const std::int64_t begin : window_.counted()) {
      const bool complete = co_await add_members(key(shard, begin), found);
      if (!complete) co_return std::nullopt;
    }
  }
  co_return found;
}

asio::awaitable<bool> ViewerStore::add_members(std::string key, std::unordered_set<std::string>& found) {
  std::string cursor = "0";
  do {
    const std::string_view words[] = {"SSCAN", key, cursor, "COUNT", kPage};
    redis::Command command(words, key);
    const redis::Result result = co_await read(std::move(command));
    if (result.status != redis::Status::ok || !is_page(*result.reply)) co_return false;
    cursor.assign(result.reply->element[0]->str, result.reply->element[0]->len);
    const redisReply& page = *result.reply->element[1];
    for (std::size_t i = 0; i < page.elements; ++i) {
      const redisReply* stream = page.element[i];
      std::string id;
      if (stream->str && core::normalize_uuid({stream->str, stream->len}, id)) found.insert(std::move(id));
    }
  } while (cursor != "0");
  co_return true;
}

asio::awaitable<redis::Result> ViewerStore::count(std::vector<std::string> keys) {
  std::vector<std::string_view> words{"PFCOUNT"};
  words.insert(words.end(), keys.begin(), keys.end());
  redis::Command command(words, keys.front());
  co_return co_await read(std::move(command));
}

asio::awaitable<redis::Result> ViewerStore::read(redis::Command command) {
  redis::Result result = co_await client_.call(std::move(command), redis::Clock::now() + timeout_);
  if (result.status != redis::Status::ok && read_log_throttle_.allows()) {
    log::write(log::Level::warn, log::tag::kAudience, "Redis did not return the viewers of streams",
               {{"reason", reason(result)}});
  }
  co_return result;
}

}  // namespace sealcast::leader::viewers
