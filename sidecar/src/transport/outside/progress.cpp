// Counts, for each relay batch, the queued frames that are not delivered yet.
#include "transport/outside/progress.h"

#include <algorithm>

namespace sealcast::transport::outside {

Progress::Changes Progress::set_leads(std::span<const Lead> leads) {
  Changes changes;
  std::erase_if(shards_, [&](const Shard& shard) {
    const bool led = std::ranges::any_of(
        leads, [&](const Lead& lead) { return lead.shard == shard.lead.shard && lead.epoch == shard.lead.epoch; });
    if (!led) changes.lost.push_back(shard.lead.shard);
    return !led;
  });
  for (const Lead& lead : leads) {
    if (Shard* const shard = find(lead.shard)) {
      shard->lead.batch = lead.batch;
    } else {
      changes.acquired = true;
      shards_.push_back({.lead = lead, .acquired = lead.batch, .open = {}});
    }
  }
  return changes;
}

Progress::Shard* Progress::find(std::int32_t id) {
  const auto at = std::ranges::find_if(shards_, [id](const Shard& shard) { return shard.lead.shard == id; });
  return at == shards_.end() ? nullptr : &*at;
}

Progress::Shard* Progress::find(std::int32_t id, std::int64_t epoch) {
  Shard* const shard = find(id);
  return shard != nullptr && shard->lead.epoch == epoch ? shard : nullptr;
}

std::vector<Lead> Progress::leads() const {
  std::vector<Lead> leads;
  for (const Shard& shard : shards_) leads.push_back(shard.lead);
  return leads;
}

void Progress::add(const Frame& frame, std::int64_t epoch) {
  Shard* const shard = find(frame.shard, epoch);
  if (shard == nullptr || frame.batch == 0) return;
  if (shard->open.empty() || shard->open.back().batch != frame.batch) {
    shard->open.push_back({frame.batch, 0, envelope_ts(frame.text).value_or(0)});
  }
  ++shard->open.back().frames;
}

void Progress::settle(const Frame& frame, std::int64_t epoch) {
  Shard* const shard = find(frame.shard, epoch);
  if (shard == nullptr || frame.batch == 0) return;
  const auto at = std::ranges::lower_bound(shard->open, frame.batch, {}, &Shard::Open::batch);
  if (at == shard->open.end() || at->batch != frame.batch) return;
  --at->frames;
  while (!shard->open.empty() && shard->open.front().frames == 0) shard->open.pop_front();
}

}  // namespace sealcast::transport::outside
