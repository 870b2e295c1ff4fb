// Reads pages of late events from Postgres and applies them.
#include "events/late_events.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace sealcast::events {
namespace {

// Both return the columns of apply_rows(). The queue is the sender of waiting events, because the events of one
// statement have one sender; dead letters have no order, so all of a handler are in one queue.
constexpr char kWaiting[] =
    "select handler, sender_id::text, \"offset\", envelope from sealcast_internal.events_to_retry($1, $2)";
constexpr char kDeadLetters[] =
    "select handler, '', \"offset\", envelope from sealcast_internal.event_dead_letters_to_replay($1, $2)";
constexpr char kCount[] = "select sealcast_internal.waiting_events($1)";

constexpr std::int32_t kMaxSenders = 20;
constexpr std::int32_t kMaxDeadLetters = 200;

}  // namespace

LateEvents::LateEvents(std::shared_ptr<postgres::Connection> connection, Applier& applier,
                       const EventHandlers& handlers, const std::string& group, Metrics::Worker& metrics)
    : connection_(std::move(connection)), applier_(applier), handlers_(handlers), group_(group), metrics_(metrics) {}

asio::awaitable<LateEvents::Next> LateEvents::apply_pages(Lease lease) {
  const bool more_waiting = co_await apply_page(kWaiting, kMaxSenders, lease);
  const bool more_letters = co_await apply_page(kDeadLetters, kMaxDeadLetters, lease);
  if (more_waiting || more_letters) co_return Next::at_once;
  postgres::Params params;
  params.add(std::string_view(group_));
  const postgres::Result count = co_await connection_->query(kCount, params);
  metrics_.held.Set(static_cast<double>(count.integer(0, 0)));
  co_return count.integer(0, 0) > 0 ? Next::soon : Next::later;
}

asio::awaitable<bool> LateEvents::apply_page(const char* query, std::int32_t size, Lease lease) {
  postgres::Params params;
  params.add(std::string_view(group_));
  params.add(size);
  const postgres::Result rows = co_await connection_->query(query, params);
  co_return co_await apply_rows(rows, lease);
}

// Applies consecutive rows with the same handler and queue together. Returns false when there are no rows, or when the
// lease, the registration of the handler or the worker has ended.
asio::awaitable<bool> LateEvents::apply_rows(const postgres::Result& rows, Lease lease) {
  enum { kHandler, kQueue, kOffset, kEnvelope };
  for (int row = 0; row < rows.size();) {
    const std::string name(rows.text(row, kHandler)), queue(rows.text(row, kQueue));
    const auto found = std::ranges::find(handlers_, name, [](const auto& known) { return known->name; });
    if (found == handlers_.end()) co_return false;
    const std::shared_ptr<const EventHandler> handler = *found;  // handlers_ may change during apply()
    std::vector<EntryPtr> entries;
    for (; row < rows.size() && entries.size() < handler->batch_size; ++row) {
      if (rows.text(row, kHandler) != name || rows.text(row, kQueue) != queue) break;
      auto entry = std::make_shared<Entry>();
      entry->offset = rows.integer(row, kOffset);
      entry->envelope = rows.text(row, kEnvelope);
      entries.push_back(std::move(entry));
    }
    const bool applied = co_await applier_.apply(*handler, lease, entries, LaneKind::retry);
    if (!applied) co_return false;
  }
  co_return rows.size() > 0;
}

}  // namespace sealcast::events
