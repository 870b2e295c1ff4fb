// Inserts many rows of one table through the table access method, in chunks of 256, as COPY does.
#include "server/bulk_insert.h"

#include "server/catalog.h"
#include "server/versions.h"

extern "C" {
#include "access/table.h"
#include "access/xact.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "executor/execPartition.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "executor/spi.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/prs2lock.h"
#include "rewrite/rewriteDefine.h"
#include "rewrite/rewriteHandler.h"
#include "utils/lsyscache.h"
}

namespace sealcast::server {
namespace {

// Maximum number of rows per call of table_multi_insert().
constexpr int kChunk = 256;

void refuse_triggers(const ResultRelInfo* target) {
  const TriggerDesc* const triggers = target->ri_TrigDesc;
  if (triggers == nullptr) return;
  for (int i = 0; i < triggers->numtriggers; ++i) {
    const Trigger& trigger = triggers->triggers[i];
    // A foreign key of another table to this one fires when rows are deleted or updated.
    if (!TRIGGER_FOR_INSERT(trigger.tgtype) || trigger.tgenabled == TRIGGER_DISABLED) continue;
    const char* const foreign_key =
        OidIsValid(trigger.tgconstraint) ? get_constraint_name(trigger.tgconstraint) : nullptr;
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("table %s has the %s %s, which admission does not fire",
                    RelationGetRelationName(target->ri_RelationDesc), foreign_key == nullptr ? "trigger" : "constraint",
                    foreign_key == nullptr ? trigger.tgname : foreign_key),
             errhint("Drop it. To refuse messages, set message_types.admit_hook. To react to messages, read the "
                     "stream or register a handler.")));
  }
}

// INSERT into the table would rewrite the statement by its rules.
void refuse_rules(Relation table) {
  const RuleLock* const rules = table->rd_rules;
  for (int i = 0; rules != nullptr && i < rules->numLocks; ++i) {
    const RewriteRule& rule = *rules->rules[i];
    if (rule.event != CMD_INSERT || rule.enabled == RULE_DISABLED) continue;
    const ObjectAddress object = {RewriteRelationId, rule.ruleId, 0};
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("admission does not follow %s", getObjectDescription(&object, false)),
                    errhint("Drop it. To refuse messages, set message_types.admit_hook. To react to messages, read the "
                            "stream or register a handler.")));
  }
}

// The table that receives the rows: the table that bulk_insert() names, or one of its partitions.
struct Route {
  ResultRelInfo* target;
  // Both are null if the table is not partitioned.
  ModifyTableState* state = nullptr;
  PartitionTupleRouting* routing = nullptr;
};

// For a partitioned table, returns the partition into which `row` goes.
Route find_route(ResultRelInfo* root, TupleTableSlot* row, EState* estate) {
  Relation table = root->ri_RelationDesc;
  if (table->rd_rel->relkind != RELKIND_PARTITIONED_TABLE) {
    ExecOpenIndices(root, false);
    return {root};
  }
  Route route;
  route.state = makeNode(ModifyTableState);
  route.state->ps.state = estate;
  route.state->operation = CMD_INSERT;
  route.state->mt_nrels = 1;
  route.state->resultRelInfo = root;
  route.state->rootResultRelInfo = root;
  route.routing = ExecSetupPartitionTupleRouting(estate, table);
  route.target = ExecFindPartition(route.state, root, route.routing, row, estate);
  return route;
}

void end(const Route& route, ResultRelInfo* root) {
  if (route.routing != nullptr) {
    ExecCleanupTupleRouting(route.state, route.routing);
  } else {
    ExecCloseIndices(root);
  }
}

// The columns that the caller does not fill and that have a default: an operator has added them. Usually there are
// none.
struct Defaults {
  int count = 0;
  int* columns = nullptr;  // counted from 0
  ExprState** values = nullptr;
};

Defaults find_defaults(Relation table, std::span<const int> filled) {
  TupleDesc const shape = RelationGetDescr(table);
  Defaults defaults;
  for (int i = 0; i < shape->natts; ++i) {
    const FormData_pg_attribute& column = *TupleDescAttr(shape, i);
    if (column.attisdropped || column.attgenerated != '\0') continue;
    if (std::find(filled.begin(), filled.end(), i + 1) != filled.end()) continue;
    Node* const value = build_column_default(table, i + 1);
    if (value == nullptr) continue;
    if (defaults.count == 0) {
      defaults.columns = static_cast<int*>(palloc(static_cast<std::size_t>(shape->natts) * sizeof(int)));
      defaults.values = static_cast<ExprState**>(palloc(static_cast<std::size_t>(shape->natts) * sizeof(ExprState*)));
    }
    defaults.columns[defaults.count] = i;
    defaults.values[defaults.count++] = ExecInitExpr(expression_planner(reinterpret_cast<Expr*>(value)), nullptr);
  }
  return defaults;
}

}  // namespace

void bulk_insert(const char* table, std::span<const char* const> columns, int rows, FillRow fill, void* context) {
  if (rows == 0) return;
  Relation relation = table_open(table_id(table), RowExclusiveLock);
  TupleDesc const shape = RelationGetDescr(relation);
  EState* const estate = CreateExecutorState();
  MemoryContext const before = MemoryContextSwitchTo(estate->es_query_cxt);
  ResultRelInfo* const root = makeNode(ResultRelInfo);
  InitResultRelInfo(root, relation, 0, nullptr, 0);

  auto* const numbers = static_cast<int*>(palloc(columns.size() * sizeof(int)));
  for (std::size_t i = 0; i < columns.size(); ++i) {
    numbers[i] = SPI_fnumber(shape, columns[i]);
    if (numbers[i] <= 0) elog(ERROR, "column %s of relation %s does not exist", columns[i], table);
  }
  const Defaults defaults = find_defaults(relation, {numbers, columns.size()});
  auto* const values = static_cast<Datum*>(palloc(columns.size() * sizeof(Datum)));
  auto* const nulls = static_cast<bool*>(palloc(columns.size() * sizeof(bool)));
  const auto store = [&](TupleTableSlot* slot, int row) {
    std::memset(nulls, false, columns.size() * sizeof(bool));
    fill(context, row, values, nulls);
    ExecClearTuple(slot);
    std::memset(slot->tts_isnull, true, static_cast<std::size_t>(shape->natts) * sizeof(bool));
    for (std::size_t i = 0; i < columns.size(); ++i) {
      slot->tts_values[numbers[i] - 1] = values[i];
      slot->tts_isnull[numbers[i] - 1] = nulls[i];
    }
    for (int i = 0; i < defaults.count; ++i) {
      const int column = defaults.columns[i];
      slot->tts_values[column] =
          ExecEvalExprSwitchContext(defaults.values[i], GetPerTupleExprContext(estate), &slot->tts_isnull[column]);
    }
    ExecStoreVirtualTuple(slot);
  };

  TupleTableSlot* const row = MakeSingleTupleTableSlot(shape, &TTSOpsVirtual);
  store(row, 0);
  const Route route = find_route(root, row, estate);
  Relation const target = route.target->ri_RelationDesc;
  refuse_rules(relation);
  refuse_triggers(root);
  refuse_triggers(route.target);
  const TupleConversionMap* const to_partition = root_to_target_map(route.target, estate);

  TupleTableSlot* slots[kChunk];
  const int chunk = Min(rows, kChunk);
  for (int i = 0; i < chunk; ++i) slots[i] = table_slot_create(target, &estate->es_tupleTable);
  const CommandId command = GetCurrentCommandId(true);
  for (int first = 0; first < rows; first += chunk) {
    const int count = Min(chunk, rows - first);
    for (int i = 0; i < count; ++i) {
      if (to_partition == nullptr) {
        store(slots[i], first + i);
      } else {
        store(row, first + i);
        execute_attr_map_slot(to_partition->attrMap, row, slots[i]);
      }
      const TupleConstr* const constraints = target->rd_att->constr;
      if (constraints != nullptr && constraints->has_generated_stored) {
        ExecComputeStoredGenerated(route.target, estate, slots[i], CMD_INSERT);
      }
      if (constraints != nullptr) ExecConstraints(route.target, slots[i], estate);
    }
    table_multi_insert(target, slots, count, command, 0, nullptr);
    if (route.target->ri_NumIndices > 0) {
      for (int i = 0; i < count; ++i) insert_index_tuples(route.target, slots[i], estate);
    }
    ResetPerTupleExprContext(estate);
  }

  end(route, root);
  ExecDropSingleTupleTableSlot(row);
  ExecResetTupleTable(estate->es_tupleTable, false);
  MemoryContextSwitchTo(before);
  FreeExecutorState(estate);
  table_close(relation, NoLock);
}

}  // namespace sealcast::server
