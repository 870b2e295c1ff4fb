// Parses the entries, entry ids and progress of consumer groups in replies of Redis.
#include "events/replies.h"

#include <simdjson.h>

#include <charconv>

#include "client/redis/reply.h"
#include "transport/frame.h"

namespace sealcast::events {

std::optional<EntryId> parse_entry_id(std::string_view text) {
  EntryId id;
  const char* const end = text.data() + text.size();
  const auto [dash, error] = std::from_chars(text.data(), end, id.ms);
  if (error != std::errc() || dash == end || *dash != '-') return std::nullopt;
  const auto [stop, seq_error] = std::from_chars(dash + 1, end, id.seq);
  if (seq_error != std::errc() || stop != end) return std::nullopt;
  return id;
}

std::string to_string(const EntryId& id) { return std::to_string(id.ms) + '-' + std::to_string(id.seq); }

std::string_view Entry::type() const { return transport::envelope_type(envelope); }

std::string_view Entry::sender() const { return transport::envelope_sender(envelope); }

std::string_view envelope_of_frame(std::string_view frame) {
  const std::string_view envelope = transport::frame_envelope(frame);
  // A zero byte is valid in UTF-8, but Postgres does not accept it in a text.
  const bool readable =
      simdjson::validate_utf8(envelope.data(), envelope.size()) && envelope.find('\0') == envelope.npos;
  return readable ? envelope : std::string_view();
}

std::vector<EntryPtr> parse_entries(const redisReply* reply, std::size_t& trimmed) {
  std::vector<EntryPtr> entries;
  const auto streams = redis::elements_of(reply);
  if (streams.size() != 1) return entries;
  const auto stream = redis::elements_of(streams[0]);
  if (stream.size() != 2) return entries;
  for (const redisReply* item : redis::elements_of(stream[1])) {
    const auto pair = redis::elements_of(item);
    if (pair.size() != 2) continue;
    const auto id = parse_entry_id(redis::text_of(pair[0]));
    if (!id) continue;
    auto entry = std::make_shared<Entry>();
    entry->id = *id;
    const auto fields = redis::elements_of(pair[1]);
    if (pair[1]->type == REDIS_REPLY_NIL) ++trimmed;
    for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
      const std::string_view name = redis::text_of(fields[i]), value = redis::text_of(fields[i + 1]);
      if (name == "frame") {
        entry->envelope = envelope_of_frame(value);
        entry->gone = entry->envelope.empty() && transport::is_gone(value);
      }
      if (name == "offset") std::from_chars(value.data(), value.data() + value.size(), entry->offset);
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::optional<EntryId> parse_newest(const redisReply* reply) {
  const auto fields = redis::elements_of(reply);
  for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
    if (redis::text_of(fields[i]) == "last-generated-id") return parse_entry_id(redis::text_of(fields[i + 1]));
  }
  return std::nullopt;
}

TrimReply parse_trim_reply(const redisReply* reply) {
  TrimReply trim;
  const auto items = redis::elements_of(reply);
  if (items.empty()) return trim;
  trim.newest = parse_entry_id(redis::text_of(items[0]));
  for (std::size_t i = 1; i + 3 < items.size(); i += 4) {
    trim.groups.push_back(
        {std::string(redis::text_of(items[i])), items[i + 1]->integer, items[i + 2]->integer, items[i + 3]->integer});
  }
  return trim;
}

}  // namespace sealcast::events
