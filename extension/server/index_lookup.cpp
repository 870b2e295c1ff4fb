// Finds rows by an index, through the index and table access methods and without a query plan.
#include "server/index_lookup.h"

#include "server/catalog.h"

extern "C" {
#include "access/skey.h"
#include "access/table.h"
#include "executor/spi.h"
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

void IndexLookup::close() {
  if (scan_ != nullptr) index_endscan(scan_);
  ExecDropSingleTupleTableSlot(slot_);
  index_close(index_, NoLock);
  table_close(table_, NoLock);
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
