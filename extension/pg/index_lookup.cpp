// Index scans through the table access method: see index_lookup.h.
#include "index_lookup.h"

extern "C" {
#include "access/skey.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "executor/spi.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
}

namespace sealcast {
namespace {

constexpr char kSchema[] = "sealcast";
constexpr int kMaxKeys = 2;

// The = operator's function of a btree index's column.
RegProcedure equality(Relation index, int column) {
  const Oid type = index->rd_opcintype[column];
  const Oid equals = get_opfamily_member(index->rd_opfamily[column], type, type, BTEqualStrategyNumber);
  return get_opcode(equals);
}

}  // namespace

Oid table_id(const char* name) {
  const Oid id = get_relname_relid(name, get_namespace_oid(kSchema, false));
  if (!OidIsValid(id)) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("there is no relation %s.%s", kSchema, name),
                    errhint("Drop and create the extension sealcast; its objects are not to be altered by hand.")));
  }
  return id;
}

IndexLookup IndexLookup::open(const char* table, const char* index) {
  IndexLookup lookup;
  lookup.table_ = table_open(table_id(table), AccessShareLock);
  const Oid index_id = index != nullptr ? table_id(index) : RelationGetPrimaryKeyIndex(lookup.table_);
  lookup.index_ = index_open(index_id, AccessShareLock);
  lookup.slot_ = table_slot_create(lookup.table_, nullptr);
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
                    errmsg("%s has no column %s", RelationGetRelationName(table_), name),
                    errhint("Drop and create the extension sealcast; its objects are not to be altered by hand.")));
  }
  return number;
}

void IndexLookup::find(std::span<const Datum> keys) {
  Assert(keys.size() <= kMaxKeys);
  ScanKeyData conditions[kMaxKeys];
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const int column = static_cast<int>(i);
    ScanKeyEntryInitialize(&conditions[i], 0, static_cast<AttrNumber>(column + 1), BTEqualStrategyNumber, InvalidOid,
                           index_->rd_indcollation[column], equality(index_, column), keys[i]);
  }
  const int count = static_cast<int>(keys.size());
  if (scan_ == nullptr) scan_ = index_beginscan(table_, index_, GetActiveSnapshot(), count, 0);
  index_rescan(scan_, conditions, count, nullptr, 0);
}

bool IndexLookup::next() { return index_getnext_slot(scan_, ForwardScanDirection, slot_); }

Datum IndexLookup::value(int column) {
  bool null;
  const Datum found = slot_getattr(slot_, column, &null);
  if (null) elog(ERROR, "column %d of %s holds an unexpected null", column, RelationGetRelationName(table_));
  return found;
}

std::optional<Datum> IndexLookup::optional(int column) {
  bool null;
  const Datum found = slot_getattr(slot_, column, &null);
  if (null) return std::nullopt;
  return found;
}

}  // namespace sealcast
