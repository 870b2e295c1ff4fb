// Writes a value as bytes that are the same for equal values and different for all others, and digests the bytes of the
// two columns. The bytes do not depend on settings such as DateStyle, TimeZone, bytea_output or search_path.
#include "triggers/row_key.h"

#include <bit>
#include <limits>

#include "core/digest.h"
#include "server/datum.h"
#include "server/guard.h"

extern "C" {
#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/pg_collation.h"
#include "commands/extension.h"
#include "utils/array.h"
#include "utils/formatting.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/multirangetypes.h"
#include "utils/numeric.h"
#include "utils/rangetypes.h"
#include "utils/typcache.h"
}

namespace sealcast::triggers {
namespace {

// How the values of a type become bytes.
enum class Form {
  unstable,
  plain_text,   // the bytes of the text
  padded_text,  // char(n): trailing spaces do not count
  folded_text,  // citext: upper and lower case are equal
  output,       // the output function, which depends on no setting
  binary,       // the send function
  real,         // float4 and float8: -0 equals 0
  numeric,      // 1.0 equals 1.00
  interval,     // 1 month equals 30 days
  json,
  array,
  row,
  range,
  multirange,
};

bool is_citext(Oid type) {
  const Oid extension = getExtensionOfObject(TypeRelationId, type);
  const char* const name = OidIsValid(extension) ? get_extension_name(extension) : nullptr;
  return name != nullptr && std::strcmp(name, "citext") == 0;
}

Form form_of(Oid base) {
  switch (base) {
    case TEXTOID:
    case VARCHAROID:
      return Form::plain_text;
    case BPCHAROID:
      return Form::padded_text;
    case INT2OID:
    case INT4OID:
    case INT8OID:
    case OIDOID:
    case UUIDOID:
    case BOOLOID:
    case CHAROID:
    case NAMEOID:
    case MACADDROID:
    case MACADDR8OID:
    case INETOID:
    case CIDROID:
    case BITOID:
    case VARBITOID:
    case XIDOID:
    case XID8OID:
    case CIDOID:
    case TIDOID:
    case PG_LSNOID:
    case TSVECTOROID:
      return Form::output;
    case BYTEAOID:
    case DATEOID:
    case TIMEOID:
    case TIMETZOID:
    case TIMESTAMPOID:
    case TIMESTAMPTZOID:
    case CASHOID:
    case REGPROCOID:
    case REGPROCEDUREOID:
    case REGOPEROID:
    case REGOPERATOROID:
    case REGCLASSOID:
    case REGCOLLATIONOID:
    case REGTYPEOID:
    case REGROLEOID:
    case REGNAMESPACEOID:
    case REGCONFIGOID:
    case REGDICTIONARYOID:
      return Form::binary;
    case FLOAT4OID:
    case FLOAT8OID:
      return Form::real;
    case NUMERICOID:
      return Form::numeric;
    case INTERVALOID:
      return Form::interval;
    case JSONBOID:
      return Form::json;
    default:
      break;
  }
  switch (get_typtype(base)) {
    case TYPTYPE_ENUM:
      return Form::output;
    case TYPTYPE_COMPOSITE:
      return Form::row;
    case TYPTYPE_RANGE:
      return Form::range;
    case TYPTYPE_MULTIRANGE:
      return Form::multirange;
    default:
      break;
  }
  if (type_is_array(base)) return Form::array;
  return is_citext(base) ? Form::folded_text : Form::unstable;
}

void append_value(StringInfo out, Oid type, Oid collation, Datum value);

// Appends the length of what `body` appends, and then its bytes, so that two values next to each other stay apart.
template <class Body>
void append_sized(StringInfo out, Body body) {
  const int at = out->len;
  appendStringInfoSpaces(out, 4);
  body();
  const auto size = static_cast<uint32>(out->len - at - 4);
  for (int i = 0; i < 4; ++i) out->data[at + i] = static_cast<char>(size >> (24 - 8 * i));
}

void append_optional(StringInfo out, Oid type, Oid collation, Datum value, bool is_null) {
  appendStringInfoChar(out, is_null ? 'n' : 'v');
  if (!is_null) append_sized(out, [&] { append_value(out, type, collation, value); });
}

void append_bytes(StringInfo out, std::string_view bytes) {
  appendBinaryStringInfo(out, bytes.data(), static_cast<int>(bytes.size()));
}

void append_integer(StringInfo out, uint64 value) {
  for (int shift = 56; shift >= 0; shift -= 8) appendStringInfoChar(out, static_cast<char>(value >> shift));
}

void append_real(StringInfo out, double value) {
  if (value == 0) value = 0;  // -0
  if (value != value) value = std::numeric_limits<double>::quiet_NaN();
  append_integer(out, std::bit_cast<uint64>(value));
}

// As in comparisons, a month has 30 days and a day has 24 hours.
void append_interval(StringInfo out, const Interval* value) {
  const int64 days = static_cast<int64>(value->month) * DAYS_PER_MONTH + value->day;
  const int128 microseconds = static_cast<int128>(days) * USECS_PER_DAY + value->time;
  append_integer(out, static_cast<uint64>(microseconds >> 64));
  append_integer(out, static_cast<uint64>(microseconds));
}

void append_json(StringInfo out, Jsonb* document) {
  JsonbIterator* position = JsonbIteratorInit(&document->root);
  JsonbValue value;
  for (;;) {
    const JsonbIteratorToken token = JsonbIteratorNext(&position, &value, false);
    appendStringInfoChar(out, static_cast<char>('0' + token));
    if (token == WJB_DONE) return;
    if (token == WJB_BEGIN_ARRAY) appendStringInfoChar(out, value.val.array.rawScalar ? 's' : 'a');
    if (token != WJB_KEY && token != WJB_VALUE && token != WJB_ELEM) continue;
    appendStringInfoChar(out, static_cast<char>('0' + value.type));
    append_sized(out, [&] {
      if (value.type == jbvString) append_bytes(out, {value.val.string.val, static_cast<size_t>(value.val.string.len)});
      if (value.type == jbvNumeric) appendStringInfoString(out, numeric_normalize(value.val.numeric));
      if (value.type == jbvBool) appendStringInfoChar(out, value.val.boolean ? 't' : 'f');
    });
  }
}

void append_array(StringInfo out, const ArrayType* array, Oid element, Oid collation) {
  append_integer(out, static_cast<uint64>(ARR_NDIM(array)));
  for (int i = 0; i < ARR_NDIM(array); ++i) {
    append_integer(out, static_cast<uint64>(ARR_DIMS(array)[i]));
    append_integer(out, static_cast<uint64>(ARR_LBOUND(array)[i]));
  }
  ArrayIterator const elements = array_create_iterator(const_cast<ArrayType*>(array), 0, nullptr);
  Datum value;
  bool is_null;
  while (array_iterate(elements, &value, &is_null)) append_optional(out, element, collation, value, is_null);
  array_free_iterator(elements);
}

void append_row(StringInfo out, HeapTupleHeader row) {
  const TupleDesc columns = lookup_rowtype_tupdesc_copy(HeapTupleHeaderGetTypeId(row), HeapTupleHeaderGetTypMod(row));
  HeapTupleData tuple = {};
  tuple.t_len = HeapTupleHeaderGetDatumLength(row);
  tuple.t_data = row;
  for (int i = 0; i < columns->natts; ++i) {
    const Form_pg_attribute column = TupleDescAttr(columns, i);
    if (column->attisdropped) continue;
    bool is_null;
    const Datum value = heap_getattr(&tuple, i + 1, columns, &is_null);
    append_optional(out, column->atttypid, column->attcollation, value, is_null);
  }
}

void append_range(StringInfo out, TypeCacheEntry* type, const RangeType* range) {
  RangeBound bounds[2];
  bool empty;
  range_deserialize(type, range, &bounds[0], &bounds[1], &empty);
  appendStringInfoChar(out, empty ? 'e' : 'r');
  if (empty) return;
  for (const RangeBound& bound : bounds) {
    appendStringInfoChar(out, bound.infinite ? 'u' : bound.inclusive ? 'i' : 'x');
    append_optional(out, type->rngelemtype->type_id, type->rng_collation, bound.val, bound.infinite);
  }
}

void append_multirange(StringInfo out, TypeCacheEntry* type, const MultirangeType* ranges) {
  for (uint32 i = 0; i < ranges->rangeCount; ++i) {
    append_range(out, type->rngtype, multirange_get_range(type->rngtype, ranges, static_cast<int>(i)));
  }
}

void append_output(StringInfo out, Oid type, Datum value) {
  Oid function;
  bool is_varlena;
  getTypeOutputInfo(type, &function, &is_varlena);
  appendStringInfoString(out, OidOutputFunctionCall(function, value));
}

void append_binary(StringInfo out, Oid type, Datum value) {
  Oid function;
  bool is_varlena;
  getTypeBinaryOutputInfo(type, &function, &is_varlena);
  append_bytes(out, server::view(OidSendFunctionCall(function, value)));
}

void append_value(StringInfo out, Oid type, Oid collation, Datum value) {
  check_stack_depth();
  const Oid base = getBaseType(type);
  switch (form_of(base)) {
    case Form::plain_text:
      return append_bytes(out, server::view(DatumGetTextPP(value)));
    case Form::padded_text: {
      const std::string_view padded = server::view(DatumGetTextPP(value));
      return append_bytes(out, padded.substr(0, padded.find_last_not_of(' ') + 1));
    }
    case Form::folded_text: {
      const std::string_view mixed = server::view(DatumGetTextPP(value));
      return appendStringInfoString(out, str_tolower(mixed.data(), mixed.size(), DEFAULT_COLLATION_OID));
    }
    case Form::output:
      return append_output(out, base, value);
    case Form::binary:
      return append_binary(out, base, value);
    case Form::real:
      return append_real(out, base == FLOAT4OID ? DatumGetFloat4(value) : DatumGetFloat8(value));
    case Form::numeric:
      return appendStringInfoString(out, numeric_normalize(DatumGetNumeric(value)));
    case Form::interval:
      return append_interval(out, DatumGetIntervalP(value));
    case Form::json:
      return append_json(out, DatumGetJsonbP(value));
    case Form::array:
      return append_array(out, DatumGetArrayTypeP(value), get_element_type(base), collation);
    case Form::row:
      return append_row(out, DatumGetHeapTupleHeader(value));
    case Form::range:
      return append_range(out, lookup_type_cache(base, TYPECACHE_RANGE_INFO), DatumGetRangeTypeP(value));
    case Form::multirange:
      return append_multirange(out, lookup_type_cache(base, TYPECACHE_MULTIRANGE_INFO), DatumGetMultirangeTypeP(value));
    case Form::unstable:
      break;
  }
  ereport(ERROR,
          (errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("a value of type %s cannot be a row key: %s",
                                                      format_type_be(type), problem_of_key_type(type, collation))));
}

const char* problem_of_text(Oid collation) {
  return OidIsValid(collation) && !get_collation_isdeterministic(collation)
             ? "its collation is nondeterministic, so equal values have different bytes"
             : nullptr;
}

const char* problem_of_row_type(Oid type) {
  const TupleDesc columns = lookup_rowtype_tupdesc_copy(type, -1);
  for (int i = 0; i < columns->natts; ++i) {
    const Form_pg_attribute column = TupleDescAttr(columns, i);
    if (column->attisdropped) continue;
    if (const char* problem = problem_of_key_type(column->atttypid, column->attcollation)) return problem;
  }
  return nullptr;
}

}  // namespace

const char* problem_of_key_type(Oid type, Oid collation) {
  check_stack_depth();
  const Oid base = getBaseType(type);
  switch (form_of(base)) {
    case Form::unstable:
      return "equal values of the type may have different bytes";
    case Form::plain_text:
    case Form::padded_text:
      return problem_of_text(collation);
    case Form::array:
      return problem_of_key_type(get_element_type(base), collation);
    case Form::row:
      return problem_of_row_type(base);
    case Form::range: {
      const TypeCacheEntry* const range = lookup_type_cache(base, TYPECACHE_RANGE_INFO);
      return problem_of_key_type(range->rngelemtype->type_id, range->rng_collation);
    }
    case Form::multirange:
      return problem_of_key_type(lookup_type_cache(base, TYPECACHE_MULTIRANGE_INFO)->rngtype->type_id, collation);
    default:
      return nullptr;
  }
}

RowKey make_row_key(Oid root, const KeyColumn& sender, const KeyColumn& txn) {
  StringInfoData bytes;
  initStringInfo(&bytes);
  append_sized(&bytes, [&] { append_value(&bytes, sender.type, sender.collation, sender.value); });
  append_value(&bytes, txn.type, txn.collation, txn.value);
  RowKey key;
  key.root = root;
  server::guarded([&](core::CancelFlag) {
    const core::Digest digest = core::sha256({bytes.data, static_cast<std::size_t>(bytes.len)});
    std::memcpy(key.digest, digest.data(), RowKey::kBytes);
  });
  pfree(bytes.data);
  return key;
}

Datum digest_datum(const RowKey& key) {
  auto* const bytes = static_cast<varlena*>(palloc(VARHDRSZ + RowKey::kBytes));
  SET_VARSIZE(bytes, VARHDRSZ + RowKey::kBytes);
  std::memcpy(VARDATA(bytes), key.digest, RowKey::kBytes);
  return PointerGetDatum(bytes);
}

// sealcast_internal.row_key(sender "any", txn "any") returns bytea
SEALCAST_FUNCTION(sealcast_row_key) {
  if (PG_ARGISNULL(0) || PG_ARGISNULL(1)) PG_RETURN_NULL();
  KeyColumn columns[2];
  for (int i = 0; i < 2; ++i) {
    columns[i] = {PG_GETARG_DATUM(i), get_fn_expr_argtype(fcinfo->flinfo, i), PG_GET_COLLATION()};
  }
  PG_RETURN_DATUM(digest_datum(make_row_key(InvalidOid, columns[0], columns[1])));
}

}  // namespace sealcast::triggers
