// Takes the reply apart.
#include "events/upkeep.h"

#include "client/redis/reply.h"

namespace sealcast::events {

UpkeepAnswer parse_upkeep(const redisReply* reply) {
  UpkeepAnswer upkeep;
  const auto items = redis::elements_of(reply);
  if (items.empty()) return upkeep;
  upkeep.newest = parse_entry_id(redis::text_of(items[0]));
  for (std::size_t i = 1; i + 3 < items.size(); i += 4) {
    upkeep.lags.push_back(
        {std::string(redis::text_of(items[i])), items[i + 1]->integer, items[i + 2]->integer, items[i + 3]->integer});
  }
  return upkeep;
}

}  // namespace sealcast::events
