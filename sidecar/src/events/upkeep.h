// What a partition of events answers to upkeep: its newest entry, and how far each consumer group has come.
#pragma once

#include <hiredis/hiredis.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "events/entry_id.h"

namespace sealcast::events {

// How far a consumer group has come in a partition.
struct GroupLag {
  std::string name;
  std::int64_t pending;  // given to a consumer and not acknowledged
  std::int64_t unread;
  std::int64_t oldest_ms;  // age of the oldest of both; 0: there is none
};

struct UpkeepAnswer {
  std::optional<EntryId> newest;
  std::vector<GroupLag> lags;
};

// Of [newest, name, pending, unread, oldest_ms, name, …]; empty for a reply of another shape.
UpkeepAnswer parse_upkeep(const redisReply* reply);

}  // namespace sealcast::events
