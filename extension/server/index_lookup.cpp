// Finds rows by an index, through the index and table access methods and without a query plan.
#include "server/index_lookup.h"

#include "server/catalog.h"

extern "C" {
#include "access/skey.h"
#include "access/table.h"
#include "catalog/pg_am_d.h"
#include "executor/spi.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
}

namespace sealcast::server {
namespace {

constexpr int kMaxConditions = 3;

RegProcedure comparison(Relation index, const Condition& condition) {
  const Oid type = index->rd_opcintype[condition.column];
  return get_opcode(
      get_opfamily_member(index->rd_opfamily[condition.column], type, type, static_cast<int16>(condition.compare)));
}

// Returns whether the index can find rows by the columns `key` of `table`.
bool begins_with(Oid id, Relation table, std::span<const char* const> key) {
  Relation index = index_open(id, AccessShareLock);
  const FormData_pg_index& form = *index->rd_index;
  bool matches = form.indisvalid && index->rd_rel->relam == BTREE_AM_OID && RelationGetIndexPredicate(index) == NIL &&
                 static_cast<std::size_t>(form.indnkeyatts) >= key.size();
  for (std::size_t i = 0; matches && i < key.size(); ++i) {
    const AttrNumber column = form.indkey.values[i];
    matches = column > 0 && namestrcmp(&TupleDescAttr(RelationGetDescr(table), column - 1)->attname, key[i]) == 0;
  }
  index_close(index, AccessShareLock);
  return matches;
}

Oid find_index(Relation table, std::span<const char* const> key) {
  const Oid primary_key = RelationGetPrimaryKeyIndex(table);
  if (OidIsValid(primary_key) && begins_with(primary_key, table, key)) return primary_key;
  const ListCell* cell;
  foreach (cell, RelationGetIndexList(table)) {
    if (begins_with(lfirst_oid(cell), table, key)) return lfirst_oid(cell);
  }
  return InvalidOid;
}

}  // namespace

IndexLookup IndexLookup::open(const char* table, const char* index) {
  return open(table_id(table), index == nullptr ? InvalidOid : table_id(index));
}

IndexLookup IndexLookup::open(Oid table, Oid index) {
  IndexLookup lookup;
  lookup.table_ = table_open(table, AccessShareLock);
  lookup.index_ = index_open(OidIsValid(index) ? index : RelationGetPrimaryKeyIndex(lookup.table_), AccessShareLock);
  lookup.slot_ = table_slot_create(lookup.table_, nullptr);
  lookup.memory_ = CurrentMemoryContext;
  lookup.scan_ = nullptr;
  return lookup;
}

std::optional<IndexLookup> IndexLookup::open_partition(Oid id, std::span<const char* const> key) {
  Relation table = table_open(id, AccessShareLock);
  if (table->rd_rel->relkind != RELKIND_RELATION) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("partition %s is not a plain table", RelationGetRelationName(table)),
                    errhint("Detach the partition, and attach plain tables.")));
  }
  const Oid index = find_index(table, key);
  if (!OidIsValid(index) && RelationGetNumberOfBlocks(table) > 0) {
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("partition %s has rows and no index on (%s, %s)", RelationGetRelationName(table), key[0], key[1]),
             errhint("Run select sealcast.maintain(), which makes the index.")));
  }
  std::optional<IndexLookup> lookup;
  if (OidIsValid(index)) lookup = open(id, index);
  table_close(table, AccessShareLock);  // open() has locked the table, too
  return lookup;
}

void IndexLookup::close() { close(NoLock); }
void IndexLookup::close_and_unlock() { close(AccessShareLock); }

void IndexLookup::close(LOCKMODE unlock) {
  if (scan_ != nullptr) index_endscan(scan_);
  ExecDropSingleTupleTableSlot(slot_);
  index_close(index_, unlock);
  table_close(table_, unlock);
}

int IndexLookup::column(const char* name) const {
  const int number = SPI_fnumber(RelationGetDescr(table_), name);
  if (number <= 0) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
                    errmsg("column %s of relation %s does not exist", name, RelationGetRelationName(table_)),
                    errhint("Drop and create the extension sealcast. Its objects must not be changed by hand.")));
  }
  return number;
}

void IndexLookup::find(std::span<const Datum> keys) {
  Assert(keys.size() <= kMaxConditions);
  Condition conditions[kMaxConditions];
  for (std::size_t i = 0; i < keys.size(); ++i) {
    conditions[i] = {static_cast<int>(i), BTEqualStrategyNumber, keys[i]};
  }
  find(std::span<const Condition>(conditions, keys.size()));
}

void IndexLookup::find(std::span<const Condition> conditions) {
  Assert(conditions.size() <= kMaxConditions);
  ScanKeyData keys[kMaxConditions];
  for (std::size_t i = 0; i < conditions.size(); ++i) {
    const Condition& condition = conditions[i];
    ScanKeyEntryInitialize(&keys[i], 0, static_cast<AttrNumber>(condition.column + 1), condition.compare, InvalidOid,
                           index_->rd_indcollation[condition.column], comparison(index_, condition), condition.value);
  }
  const int count = static_cast<int>(conditions.size());
  if (scan_ != nullptr && conditions_ != count) {
    index_endscan(scan_);
    scan_ = nullptr;
  }
  MemoryContext const before = MemoryContextSwitchTo(memory_);
  if (scan_ == nullptr) scan_ = index_beginscan(table_, index_, GetActiveSnapshot(), count, 0);
  conditions_ = count;
  index_rescan(scan_, keys, count, nullptr, 0);
  MemoryContextSwitchTo(before);
}

bool IndexLookup::step(ScanDirection direction) { return index_getnext_slot(scan_, direction, slot_); }

Datum IndexLookup::value(int column) {
  bool null;
  const Datum found = slot_getattr(slot_, column, &null);
  if (null) elog(ERROR, "unexpected null in column %d of %s", column, RelationGetRelationName(table_));
  return found;
}

std::optional<Datum> IndexLookup::optional(int column) {
  bool null;
  const Datum found = slot_getattr(slot_, column, &null);
  if (null) return std::nullopt;
  return found;
}

}  // namespace sealcast::server
