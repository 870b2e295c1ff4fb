// An entry of an event partition, as a worker has read it: what Redis says it is, which is nothing that can be trusted
// before sealcast.apply_events() has verified the envelope.
#pragma once

#include <hiredis/hiredis.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "events/entry_id.h"

namespace sealcast::events {

struct Entry {
  EntryId id;
  std::int64_t offset = 0;
  std::string envelope;  // empty: there is none that could be one
  int open = 0;          // handlers that are not done with it

  std::string_view type() const;    // `t` of the envelope; empty: it has none
  std::string_view sender() const;  // `s` likewise
};
using EntryPtr = std::shared_ptr<Entry>;

// The envelope in a frame's text; empty when there is none, or when it is no UTF-8, which Postgres would not even read.
std::string_view envelope_of_frame(std::string_view frame);

// The entries of an XREADGROUP reply for one stream, in order; none for a reply of another shape. One that was trimmed
// after it had been given out has no envelope, and `gone` counts it.
std::vector<EntryPtr> parse_entries(const redisReply* reply, std::size_t& gone);

// The id that was given last, of an XINFO STREAM reply.
std::optional<EntryId> parse_newest(const redisReply* reply);

}  // namespace sealcast::events
