// Updates the state of the shards when leases are renewed and when relay batches are published or settled.
#include "message/relay_shards.h"

#include <algorithm>

namespace sealcast::message {

template <typename Predicate>
ShardArrays RelayShards::select(Predicate selected) const {
  ShardArrays arrays;
  for (const Shard& shard : shards_) {
    if (!selected(shard)) continue;
    arrays.ids.push_back(shard.id);
    arrays.epochs.push_back(shard.epoch);
    arrays.published.push_back(shard.published);
  }
  return arrays;
}

bool RelayShards::renew(std::int32_t id, std::int64_t epoch, bool led, KnownBatch newest) {
  Shard* shard = find(id);
  if (shard == nullptr) {
    shards_.push_back({id, epoch, false, false, newest.number, newest, newest.number});
    shard = &shards_.back();
  }
  const bool changed = led != shard->led;
  if (!led || epoch != shard->epoch) shard->caught_up = false;
  shard->led = led;
  shard->epoch = epoch;
  shard->newest = newest;
  if (led && shard->published >= newest.number) shard->caught_up = true;
  return changed;
}

bool RelayShards::advance(std::int32_t id, std::int64_t batch) {
  Shard* const shard = find(id);
  if (shard == nullptr) return false;
  shard->published = std::max(shard->published, batch);
  return true;
}

void RelayShards::catch_up() {
  for (Shard& shard : shards_) {
    if (shard.led && shard.published >= shard.newest.number) shard.caught_up = true;
  }
}

void RelayShards::forget() { shards_.clear(); }

void RelayShards::lose_connection() {
  for (Shard& shard : shards_) shard.caught_up = false;
}

void RelayShards::settle(const ShardArrays& settled) {
  for (std::size_t i = 0; i < settled.ids.size(); ++i) find(settled.ids[i])->settled = settled.published[i];
}

ShardArrays RelayShards::to_tail() const {
  return select([](const Shard& shard) { return !shard.caught_up; });
}

ShardArrays RelayShards::to_drain() const {
  return select([](const Shard& shard) { return shard.caught_up; });
}

ShardArrays RelayShards::to_settle() const {
  return select([](const Shard& shard) { return shard.caught_up && shard.settled != shard.published; });
}

KnownBatches RelayShards::known() const {
  KnownBatches known;
  for (const Shard& shard : shards_) {
    known.ids.push_back(shard.id);
    known.published.push_back(shard.published);
    known.newest.push_back(shard.newest.number);
    known.logged_at.push_back(shard.newest.logged_at);
  }
  return known;
}

std::int64_t RelayShards::led_count() const { return std::ranges::count(shards_, true, &Shard::led); }

void RelayShards::write_leads(std::vector<transport::Lead>& leads) const {
  leads.clear();
  for (const Shard& shard : shards_) {
    if (shard.led) leads.push_back({shard.id, shard.epoch, shard.published});
  }
}

RelayShards::Shard* RelayShards::find(std::int32_t id) {
  const auto at = std::ranges::find(shards_, id, &Shard::id);
  return at == shards_.end() ? nullptr : &*at;
}

}  // namespace sealcast::message
