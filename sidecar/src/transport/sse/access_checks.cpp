// Asks for the rights of the readers of both hubs, and ends the event streams of those who may not read any more.
#include "transport/sse/access_checks.h"

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <span>
#include <unordered_map>
#include <utility>

#include "base/log.h"

namespace sealcast::transport::sse {
namespace {

// The codes of the readers who may not read, by stream and user.
using Refused = std::unordered_map<std::string, std::unordered_map<std::string, std::string_view>>;

// `rights` are those of `readers`, in the same order.
Refused refused_readers(const Hub& hub, std::span<const ReaderKey> readers, std::span<const ReaderRights> rights) {
  Refused refused;
  for (std::size_t i = 0; i < readers.size(); ++i) {
    const std::string_view code = rights[i].refusal(hub.channel(), !readers[i].user_id.empty());
    if (!code.empty()) refused[readers[i].stream_id].emplace(readers[i].user_id, code);
  }
  return refused;
}

std::string_view code_of(const Refused& refused, const std::string& stream_id, const std::string& user_id) {
  const auto users = refused.find(stream_id);
  if (users == refused.end()) return {};
  const auto user = users->second.find(user_id);
  return user == users->second.end() ? std::string_view() : user->second;
}

}  // namespace

AccessChecks::AccessChecks(asio::any_io_executor executor, ReaderAccess& access, std::vector<Hub*> hubs)
    : access_(access),
      hubs_(std::move(hubs)),
      refresher_(std::move(executor), kPause, log::tag::kDatabase,
                 "the rights of readers cannot be checked; open event streams stay open",
                 [this] { return check_all(); }) {}

asio::awaitable<void> AccessChecks::check_all() {
  for (Hub* hub : hubs_) co_await check(*hub);
}

asio::awaitable<void> AccessChecks::check(Hub& hub) {
  const std::vector<std::string> streams = co_await restricted_streams(hub);
  std::vector<ReaderKey> readers;
  for (const std::string& stream_id : streams) hub.add_users(stream_id, readers);
  const std::vector<ReaderRights> rights = co_await rights_of(readers);
  const Refused refused = refused_readers(hub, readers, rights);
  const std::int64_t now = std::time(nullptr);
  end(hub, streams, [&](const std::string& stream_id, const ReaderIdentity& reader) -> std::string_view {
    const std::string_view code = code_of(refused, stream_id, reader.user_id);
    if (!code.empty()) return code;
    return !reader.user_id.empty() && now >= reader.session_ends ? "token_expired" : "";
  });
}

asio::awaitable<void> AccessChecks::check(std::vector<ReaderKey> readers) {
  const std::vector<ReaderRights> rights = co_await rights_of(readers);
  std::vector<std::string> streams;
  streams.reserve(readers.size());
  for (const ReaderKey& reader : readers) streams.push_back(reader.stream_id);
  std::ranges::sort(streams);
  streams.erase(std::unique(streams.begin(), streams.end()), streams.end());
  for (Hub* hub : hubs_) {
    const Refused refused = refused_readers(*hub, readers, rights);
    end(*hub, streams, [&](const std::string& stream_id, const ReaderIdentity& reader) {
      return code_of(refused, stream_id, reader.user_id);
    });
  }
}

void AccessChecks::end(Hub& hub, std::span<const std::string> streams, const CodeOf& code_of) {
  std::size_t ended = 0;
  for (const std::string& stream_id : streams) {
    ended += hub.end_readers(stream_id, [&](const ReaderIdentity& reader) { return code_of(stream_id, reader); });
  }
  if (ended > 0) {
    log::write(log::Level::info, log::tag::kAuth, "event streams ended, because their readers may not read any more",
               {{"channel", to_string(hub.channel())}, {"count", static_cast<std::int64_t>(ended)}});
  }
}

// Returns the streams that not everybody may read. On the vip channel these are all streams.
asio::awaitable<std::vector<std::string>> AccessChecks::restricted_streams(Hub& hub) {
  std::vector<std::string> streams = hub.streams_with_readers();
  if (hub.channel() != Channel::everyone) co_return streams;
  std::vector<ReaderKey> everybody;
  everybody.reserve(streams.size());
  for (std::string& stream_id : streams) everybody.push_back({std::move(stream_id), {}});
  const std::vector<ReaderRights> rights = co_await rights_of(everybody);
  streams.clear();
  for (std::size_t i = 0; i < everybody.size(); ++i) {
    if (!rights[i].readable) streams.push_back(std::move(everybody[i].stream_id));
  }
  co_return streams;
}

asio::awaitable<std::vector<ReaderRights>> AccessChecks::rights_of(const std::vector<ReaderKey>& readers) {
  std::vector<ReaderRights> all;
  for (std::size_t begin = 0; begin < readers.size(); begin += kAtOnce) {
    const std::span<const ReaderKey> some(readers.data() + begin, std::min(kAtOnce, readers.size() - begin));
    const std::vector<ReaderRights> rights = co_await access_.rights(some);
    all.insert(all.end(), rights.begin(), rights.end());
  }
  co_return all;
}

}  // namespace sealcast::transport::sse
