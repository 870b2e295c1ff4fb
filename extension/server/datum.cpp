// Allocates varlenas without a longjmp on failure, and keeps the scratch buffers that the backend reuses.
#include "server/datum.h"

#include <new>

extern "C" {
#include "access/htup_details.h"
#include "utils/memutils.h"
}

namespace sealcast::server {
namespace {

// A scratch buffer with a larger capacity is freed after its use.
constexpr std::size_t kKeptBytes = 1 << 20;
constexpr int kBuffers = 4;  // maximum number of Scratch objects that exist at the same time

std::string buffers[kBuffers];
int buffers_in_use = 0;

}  // namespace

varlena* new_varlena(std::string_view bytes) {
  if (bytes.size() > MaxAllocSize - VARHDRSZ) throw std::length_error("the result is larger than 1 GB");
  auto* result = static_cast<varlena*>(palloc_extended(VARHDRSZ + bytes.size(), MCXT_ALLOC_NO_OOM));
  if (result == nullptr) throw std::bad_alloc();
  SET_VARSIZE(result, VARHDRSZ + bytes.size());
  std::memcpy(VARDATA(result), bytes.data(), bytes.size());
  return result;
}

varlena* new_hex(std::string_view bytes) {
  Scratch text;
  core::append_hex(bytes, *text);
  return new_varlena(*text);
}

UuidText::UuidText(const pg_uuid_t& uuid) {
  static constexpr char kHex[] = "0123456789abcdef";
  char* out = text;
  for (int i = 0; i < UUID_LEN; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *out++ = '-';
    *out++ = kHex[uuid.data[i] >> 4];
    *out++ = kHex[uuid.data[i] & 15];
  }
}

TupleDesc record_type(FunctionCallInfo fcinfo) {
  FmgrInfo* const info = fcinfo->flinfo;
  if (info->fn_extra == nullptr) {
    TupleDesc found;
    if (get_call_result_type(fcinfo, nullptr, &found) != TYPEFUNC_COMPOSITE) {
      elog(ERROR, "a function that returns a record was declared without OUT parameters");
    }
    MemoryContext before = MemoryContextSwitchTo(info->fn_mcxt);
    info->fn_extra = BlessTupleDesc(CreateTupleDescCopy(found));
    MemoryContextSwitchTo(before);
  }
  return static_cast<TupleDesc>(info->fn_extra);
}

std::string& Scratch::acquire() {
  if (buffers_in_use == kBuffers) throw std::logic_error("no scratch buffer left");
  return buffers[buffers_in_use++];
}

Scratch::Scratch() : buffer_(acquire()) { buffer_.clear(); }

Scratch::~Scratch() {
  --buffers_in_use;
  if (buffer_.capacity() > kKeptBytes) std::string().swap(buffer_);
}

}  // namespace sealcast::server
