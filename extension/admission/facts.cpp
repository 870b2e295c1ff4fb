// Looks up the facts that decide about the items of a batch: cell, type, stream, rules, role and restriction. Looks up
// each stream, each type, and each sender in a stream only once per batch.
#include "admission/batch.h"
#include "server/datum.h"
#include "server/index_lookup.h"

extern "C" {
#include "utils/array.h"
}

namespace sealcast::admission {
namespace {

bool same(const pg_uuid_t& a, const pg_uuid_t& b) { return std::memcmp(&a, &b, sizeof a) == 0; }

// Returns pointers to the items for which `has_value` is true, sorted by Compare. Items that compare equal are then
// neighbours, and one look-up serves all of them.
template <class Compare>
std::span<Item*> sorted(Items items, bool (*has_value)(const Item&), Compare) {
  auto* const order = static_cast<Item**>(palloc(items.size() * sizeof(Item*)));
  std::size_t count = 0;
  for (Item& item : items) {
    if (has_value(item)) order[count++] = &item;
  }
  qsort(order, count, sizeof(Item*), [](const void* a, const void* b) {
    return Compare{}(**static_cast<Item* const*>(a), **static_cast<Item* const*>(b));
  });
  return {order, count};
}

template <class T>
T* copied(const T& value) {
  auto* const copy = static_cast<T*>(palloc(sizeof(T)));
  return new (copy) T(value);
}

const text* copied_text(const std::optional<Datum>& value) { return value ? DatumGetTextPCopy(*value) : nullptr; }

ArrayType* copied_array(const std::optional<Datum>& value) { return value ? DatumGetArrayTypePCopy(*value) : nullptr; }

struct ByType {
  int operator()(const Item& a, const Item& b) const { return server::view(a.t).compare(server::view(b.t)); }
};

struct ByStream {
  int operator()(const Item& a, const Item& b) const { return std::memcmp(a.stream_id, b.stream_id, UUID_LEN); }
};

struct BySender {
  int operator()(const Item& a, const Item& b) const {
    const int order = std::memcmp(a.sender_id, b.sender_id, UUID_LEN);
    return order != 0 || a.stream_id == nullptr || b.stream_id == nullptr ? order : ByStream{}(a, b);
  }
};

void look_up_types(Items items) {
  server::IndexLookup types = server::IndexLookup::open("message_types");
  const int max_bytes = types.column("max_bytes"), required_roles = types.column("required_roles"),
            system_only = types.column("system_only"), server_fields = types.column("server_fields"),
            admit_hook = types.column("admit_hook"), tier = types.column("tier");
  const Item* before = nullptr;
  for (Item* item : sorted(
           items, [](const Item& i) { return i.t != nullptr; }, ByType{})) {
    if (before != nullptr && ByType{}(*before, *item) == 0) {
      item->type = before->type;
      continue;
    }
    before = item;
    const Datum key[] = {PointerGetDatum(item->t)};
    types.find(key);
    if (!types.next()) continue;
    item->type = copied(TypeRules{
        item->t, DatumGetInt32(types.value(max_bytes)), copied_array(types.optional(required_roles)),
        DatumGetBool(types.value(system_only)), DatumGetInt16(types.value(tier)) == 2,
        ARR_NDIM(DatumGetArrayTypeP(types.value(server_fields))) != 0, copied_text(types.optional(admit_hook))});
  }
  types.close();
}

// Returns the row that was found.
StreamRules read_rules(server::IndexLookup& rules) {
  const std::optional<Datum> max_chars = rules.optional(rules.column("max_chars"));
  return {DatumGetBool(rules.value(rules.column("members_only"))),
          copied_array(rules.optional(rules.column("sender_roles"))),
          copied_array(rules.optional(rules.column("types"))),
          DatumGetBool(rules.value(rules.column("hold_first"))),
          max_chars ? DatumGetInt32(*max_chars) : 0,
          copied_array(rules.optional(rules.column("link_roles"))),
          DatumGetBool(rules.value(rules.column("emote_only")))};
}

// Also looks up the rules of the streams.
void look_up_streams(Items items) {
  server::IndexLookup streams = server::IndexLookup::open("streams");
  server::IndexLookup rules = server::IndexLookup::open("stream_rules");
  const int closed_at = streams.column("closed_at"), visibility = streams.column("visibility");
  const Item* before = nullptr;
  for (Item* item : sorted(
           items, [](const Item& i) { return i.stream_id != nullptr; }, ByStream{})) {
    if (before != nullptr && ByStream{}(*before, *item) == 0) {
      item->stream = before->stream;
      item->rules = before->rules;
      continue;
    }
    before = item;
    const Datum key[] = {UUIDPGetDatum(item->stream_id)};
    streams.find(key);
    if (!streams.next()) continue;
    const std::optional<Datum> closed = streams.optional(closed_at);
    item->stream = copied(StreamRow{closed ? std::optional(DatumGetTimestampTz(*closed)) : std::nullopt,
                                    server::view(DatumGetTextPP(streams.value(visibility))) != "public"});
    rules.find(key);
    if (!rules.next()) continue;
    item->rules = copied(read_rules(rules));
  }
  rules.close();
  streams.close();
}

// Returns whether restriction `a` takes precedence over `b`: a ban over a mute, otherwise the one that ends later.
bool outweighs(const Restriction& a, const Restriction& b) {
  if (a.ban != b.ban) return a.ban;
  return b.until && (!a.until || *a.until > *b.until);
}

void look_up_senders(Items items, TimestampTz now) {
  server::IndexLookup roles = server::IndexLookup::open("stream_roles");
  server::IndexLookup restrictions = server::IndexLookup::open("restrictions", "restrictions_in_force");
  const int role = roles.column("role"), stream_id = restrictions.column("stream_id"),
            kind = restrictions.column("kind"), until = restrictions.column("until");
  const Item* before = nullptr;
  for (Item* item : sorted(
           items, [](const Item& i) { return i.sender_id != nullptr; }, BySender{})) {
    if (item->stream_id == nullptr) continue;
    if (before != nullptr && BySender{}(*before, *item) == 0) {
      item->role = before->role;
      item->restriction = before->restriction;
      continue;
    }
    before = item;
    const Datum membership[] = {UUIDPGetDatum(item->sender_id), UUIDPGetDatum(item->stream_id)};
    roles.find(membership);
    if (roles.next()) item->role = DatumGetTextPCopy(roles.value(role));

    // Columns of the index: user_id, and the end of the restriction, which is infinity if it never ends.
    const server::Condition in_force[] = {{0, BTEqualStrategyNumber, UUIDPGetDatum(item->sender_id)},
                                          {1, BTGreaterStrategyNumber, TimestampTzGetDatum(now)}};
    restrictions.find(in_force);
    while (restrictions.next()) {
      const std::optional<Datum> where = restrictions.optional(stream_id), ends = restrictions.optional(until);
      if (where && !same(*DatumGetUUIDP(*where), *item->stream_id)) continue;
      const Restriction found{server::view(DatumGetTextPP(restrictions.value(kind))) == "ban", !where,
                              ends ? std::optional(DatumGetTimestampTz(*ends)) : std::nullopt};
      if (item->restriction == nullptr || outweighs(found, *item->restriction)) item->restriction = copied(found);
    }
  }
  restrictions.close();
  roles.close();
}

}  // namespace

void look_up_cells(Items items) {
  if (!is_cell()) return;
  Cells cells = Cells::open();
  const Item* before = nullptr;
  for (Item* item : sorted(
           items, [](const Item& i) { return i.stream_id != nullptr; }, ByStream{})) {
    const bool known = before != nullptr && ByStream{}(*before, *item) == 0;
    item->other_cell = known ? before->other_cell : cells.other_cell_of(*item->stream_id);
    before = item;
  }
  cells.close();
}

void look_up_standing(Items items, TimestampTz now) {
  look_up_streams(items);
  look_up_senders(items, now);
}

void look_up(Items items, TimestampTz now) {
  look_up_cells(items);
  look_up_types(items);
  look_up_standing(items, now);
}

}  // namespace sealcast::admission
