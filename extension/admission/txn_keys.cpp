// Sorts the keys of a batch, gives its messages their message_ids and inserts the keys into the table txn_keys.
#include "admission/txn_keys.h"

#include "relay/message_ids.h"
#include "server/bulk_insert.h"
#include "server/index_lookup.h"

extern "C" {
#include "access/xact.h"
#include "utils/snapmgr.h"
}

namespace sealcast::admission {
namespace {

constexpr std::string_view kPrimaryKey = "txn_keys_pkey";

int by_key(const Item& a, const Item& b) {
  const int order = std::memcmp(a.sender_id, b.sender_id, UUID_LEN);
  return order != 0 ? order : std::memcmp(a.txn_id, b.txn_id, UUID_LEN);
}

int by_key_and_number(const void* left, const void* right) {
  const Item& a = **static_cast<Item* const*>(left);
  const Item& b = **static_cast<Item* const*>(right);
  const int order = by_key(a, b);
  return order != 0 ? order : a.number - b.number;
}

int by_stream_and_number(const void* left, const void* right) {
  const Item& a = **static_cast<Item* const*>(left);
  const Item& b = **static_cast<Item* const*>(right);
  const int order = std::memcmp(a.stream_id, b.stream_id, UUID_LEN);
  return order != 0 ? order : a.number - b.number;
}

// Removes the items that do not satisfy `keep`, and returns the number of the remaining items. Their order stays.
template <class Predicate>
int filter(Item** items, int count, Predicate keep) {
  int kept = 0;
  for (int i = 0; i < count; ++i) {
    if (keep(*items[i])) items[kept++] = items[i];
  }
  return kept;
}

// Removes the items whose keys are already in txn_keys, and returns the number of the remaining items.
int without_committed(Item** items, int count) {
  PushActiveSnapshot(GetTransactionSnapshot());
  server::IndexLookup keys = server::IndexLookup::open("txn_keys");
  count = filter(items, count, [&keys](const Item& item) {
    const Datum key[] = {UUIDPGetDatum(item.sender_id), UUIDPGetDatum(item.txn_id)};
    keys.find(key);
    return !keys.next();
  });
  keys.close();
  PopActiveSnapshot();
  return count;
}

}  // namespace

void sort_by_key(std::span<Item*> items) { qsort(items.data(), items.size(), sizeof(Item*), by_key_and_number); }

Inserted insert_keys(std::span<Item*> items, int64 ts, bool skip_committed) {
  Item** const ordered = items.data();
  sort_by_key(items);
  // If several items of a batch have the same key, keep only the first one: it is the original.
  const Item* before = nullptr;
  int count = filter(ordered, static_cast<int>(items.size()), [&before](const Item& item) {
    const bool first = before == nullptr || by_key(*before, item) != 0;
    before = &item;
    return first;
  });
  if (skip_committed) count = without_committed(ordered, count);

  // Take the xid before the message ids. Then every transaction with a later xid than a drain's has later ids than the
  // drain has read (see relay::Position).
  GetTopTransactionId();
  const auto by_stream = static_cast<Item**>(palloc(Max(items.size(), 1) * sizeof(Item*)));
  std::memcpy(by_stream, ordered, static_cast<std::size_t>(count) * sizeof(Item*));
  qsort(by_stream, static_cast<std::size_t>(count), sizeof(Item*), by_stream_and_number);
  int64 block = 0;
  for (int i = 0; i < count; ++i) {
    if (i % relay::kIdsInBlock == 0) block = relay::next_id_block();
    by_stream[i]->message_id = block + i % relay::kIdsInBlock;
  }

  static constexpr const char* kColumns[] = {"sender_id", "txn_id", "ts", "message_id", "sent_hash"};
  server::bulk_insert("txn_keys", kColumns, count, [&](int i, Datum* values, bool*) {
    const Item& item = *ordered[i];
    values[0] = UUIDPGetDatum(item.sender_id);
    values[1] = UUIDPGetDatum(item.txn_id);
    values[2] = Int64GetDatum(ts);
    values[3] = Int64GetDatum(item.message_id);
    values[4] = PointerGetDatum(item.sent_hash);
  });
  return {by_stream, count};
}

bool is_used_key(const ErrorData* error) {
  return error->sqlerrcode == ERRCODE_UNIQUE_VIOLATION && error->constraint_name != nullptr &&
         std::string_view(error->constraint_name) == kPrimaryKey;
}

// A lock that is not the key's, such as an ACCESS EXCLUSIVE lock of a migration, also ends with the other transaction.
bool is_held_key(const ErrorData* error) {
  return error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE || error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED;
}

}  // namespace sealcast::admission
