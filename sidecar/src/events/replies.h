// Parses the replies of Redis about event partitions: entries, their ids, and the progress of consumer groups.
//
// Every program that can write to this Redis can forge an entry. Only sealcast.apply_events() verifies envelopes.
#pragma once

#include <hiredis/hiredis.h>

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sealcast::events {

// The id of an entry of a Redis stream, `milliseconds-sequence`. Ids order the entries.
struct EntryId {
  std::uint64_t ms = 0;
  std::uint64_t seq = 0;

  auto operator<=>(const EntryId&) const = default;
};

std::optional<EntryId> parse_entry_id(std::string_view text);
std::string to_string(const EntryId& id);

struct Entry {
  EntryId id;
  std::int64_t offset = 0;
  std::string envelope;   // not verified; empty: the entry has no text that could be an envelope
  int open_handlers = 0;  // handlers that have not finished the entry

  std::string_view type() const;    // member `t` of the envelope; empty: none
  std::string_view sender() const;  // member `s` of the envelope; empty: none
};
using EntryPtr = std::shared_ptr<Entry>;

// Returns the envelope in the text of a frame. Empty when there is none, or when Postgres could not read it as text.
std::string_view envelope_of_frame(std::string_view frame);

// Returns the entries of an XREADGROUP reply for one stream, in order; none for a reply of another shape. An entry that
// was trimmed after a consumer had read it has no envelope; `trimmed` is increased for each.
std::vector<EntryPtr> parse_entries(const redisReply* reply, std::size_t& trimmed);

// Returns the id of the newest entry from an XINFO STREAM reply.
std::optional<EntryId> parse_newest(const redisReply* reply);

// The progress of a consumer group in one partition.
struct GroupProgress {
  std::string name;
  std::int64_t pending;    // entries that a consumer has read and not acknowledged
  std::int64_t unread;     // -1: Redis does not know
  std::int64_t oldest_ms;  // age of the oldest pending or unread entry; 0: there is none
};
struct TrimReply {
  std::optional<EntryId> newest;
  std::vector<GroupProgress> groups;
};

// Parses the reply of the script that trims: [newest, name, pending, unread, oldest_ms, name, …]. Empty for a reply of
// another shape.
TrimReply parse_trim_reply(const redisReply* reply);

}  // namespace sealcast::events
