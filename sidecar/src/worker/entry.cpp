// Takes replies apart.
#include "worker/entry.h"

#include <simdjson.h>

#include <charconv>
#include <span>

#include "transport/transport.h"

namespace sealcast {
namespace {

std::span<redisReply* const> elements(const redisReply* reply) {
  if (reply == nullptr || reply->type != REDIS_REPLY_ARRAY) return {};
  return {reply->element, reply->elements};
}

std::string_view text(const redisReply* reply) {
  if (reply == nullptr || reply->str == nullptr) return {};
  return {reply->str, reply->len};
}

}  // namespace

std::string_view Entry::type() const { return envelope_type(envelope); }

std::string_view Entry::sender() const { return envelope_sender(envelope); }

std::string_view envelope_of_frame(std::string_view frame) {
  constexpr std::string_view kMember = "\"envelope\":";
  const std::size_t at = frame.find(kMember);
  if (at == frame.npos || !frame.ends_with('}')) return {};
  const std::string_view envelope = frame.substr(at + kMember.size(), frame.size() - at - kMember.size() - 1);
  // A zero byte is UTF-8, but no text of Postgres.
  const bool readable =
      simdjson::validate_utf8(envelope.data(), envelope.size()) && envelope.find('\0') == envelope.npos;
  return readable ? envelope : std::string_view();
}

std::vector<EntryPtr> parse_entries(const redisReply* reply, std::size_t& gone) {
  std::vector<EntryPtr> entries;
  const auto streams = elements(reply);
  if (streams.size() != 1) return entries;
  const auto stream = elements(streams[0]);
  if (stream.size() != 2) return entries;
  for (const redisReply* item : elements(stream[1])) {
    const auto pair = elements(item);
    if (pair.size() != 2) continue;
    const auto id = parse_entry_id(text(pair[0]));
    if (!id) continue;
    auto entry = std::make_shared<Entry>();
    entry->id = *id;
    const auto fields = elements(pair[1]);
    if (pair[1]->type == REDIS_REPLY_NIL) ++gone;
    for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
      const std::string_view name = text(fields[i]), value = text(fields[i + 1]);
      if (name == "frame") entry->envelope = envelope_of_frame(value);
      if (name == "offset") std::from_chars(value.data(), value.data() + value.size(), entry->offset);
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace sealcast
