// Parses the replies of Redis about event partitions: entries, their ids, and the progress of consumer groups.
//
// Every program that can write to this Redis can forge an entry. So the functions here accept any content. They verify
// no envelope; sealcast_internal.apply_events() in Postgres does.
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

// The id of an entry of a Redis stream, `milliseconds-sequence`. A later entry has a higher id.
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
  std::string envelope;  // not verified; empty when the entry has no text that could be an envelope
  bool gone = false;     // the frame says that its message is gone, so there is nothing to apply

  std::string_view type() const;    // the member `t` of the envelope, or an empty text if it is missing
  std::string_view sender() const;  // the member `s` of the envelope, or an empty text if it is missing
};
using EntryPtr = std::shared_ptr<Entry>;

// Returns the envelope from the JSON of a frame. Returns an empty text when the frame has no envelope, or when the
// envelope is not valid as a text of Postgres (invalid UTF-8 or a zero byte).
std::string_view envelope_of_frame(std::string_view frame);

// Returns the entries of an XREADGROUP reply for one Redis stream, in order. Returns no entries for a reply of another
// shape. An entry that was trimmed after a consumer had read it has no content: its envelope is empty, and the function
// adds 1 to `trimmed`.
std::vector<EntryPtr> parse_entries(const redisReply* reply, std::size_t& trimmed);

// Returns the id of the newest entry from an XINFO STREAM reply, or nullopt for a reply of another shape. The entry may
// have been trimmed since.
std::optional<EntryId> parse_newest(const redisReply* reply);

// The progress of a consumer group in one partition.
struct GroupProgress {
  std::string name;
  std::int64_t pending;    // number of entries that a consumer has read and not acknowledged
  std::int64_t unread;     // number of entries that the group has not read; -1: Redis does not know the number
  std::int64_t oldest_ms;  // age in ms of the oldest pending or unread entry; 0: there is no such entry
};
struct TrimReply {
  std::optional<EntryId> newest;
  std::vector<GroupProgress> groups;
};

// Parses the reply of the script in event_partitions.cpp that trims a partition: the id of the newest entry, then name,
// pending, unread and oldest_ms of each group. Returns an empty TrimReply when the reply is no array.
TrimReply parse_trim_reply(const redisReply* reply);

}  // namespace sealcast::events
