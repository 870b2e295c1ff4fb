// Turns a C++ exception into a Postgres ERROR: catches it, copies its text into a Report, and raises the Report after
// all C++ frames have been left.
#include "server/guard.h"

#include <new>

namespace sealcast::server {
namespace {

int sqlstate_of(core::ErrorKind kind) noexcept {
  switch (kind) {
    case core::ErrorKind::invalid_json:
      return ERRCODE_INVALID_TEXT_REPRESENTATION;
    case core::ErrorKind::invalid_argument:
      return ERRCODE_INVALID_PARAMETER_VALUE;
    case core::ErrorKind::unknown_key:
      return ERRCODE_UNDEFINED_OBJECT;
    case core::ErrorKind::bad_keyring:
      return ERRCODE_CONFIG_FILE_ERROR;
    case core::ErrorKind::interrupted:
      return ERRCODE_QUERY_CANCELED;
  }
  return ERRCODE_INTERNAL_ERROR;
}

void fill(Report& report, int sqlstate, std::string_view message, std::string_view detail = {},
          std::string_view hint = {}) noexcept {
  report.sqlstate = sqlstate;
  report.interrupted = false;
  copy_clipped(report.message, sizeof report.message, message);
  copy_clipped(report.detail, sizeof report.detail, detail);
  copy_clipped(report.hint, sizeof report.hint, hint);
}

}  // namespace

void copy_clipped(char* to, std::size_t size, std::string_view from) noexcept {
  std::size_t length = from.size();
  if (length >= size) {
    length = size - 1;
    while (length > 0 && (static_cast<unsigned char>(from[length]) & 0xC0) == 0x80) --length;
  }
  std::memcpy(to, from.data(), length);
  to[length] = '\0';
  if (!pg_verify_mbstr(PG_UTF8, to, static_cast<int>(length), true)) {
    for (char* p = to; *p != '\0'; ++p) {
      if (static_cast<unsigned char>(*p) >= 0x80) *p = '?';
    }
  }
}

bool try_call(Body body, void* context, core::CancelFlag cancel, Report& report) noexcept {
  try {
    body(context, cancel);
    return true;
  } catch (const core::Error& error) {
    fill(report, sqlstate_of(error.kind()), error.what(), error.detail(), error.hint());
    report.interrupted = error.kind() == core::ErrorKind::interrupted;
  } catch (const std::bad_alloc&) {
    fill(report, ERRCODE_OUT_OF_MEMORY, "out of memory");
  } catch (const std::length_error& error) {
    fill(report, ERRCODE_PROGRAM_LIMIT_EXCEEDED, error.what());
  } catch (const std::exception& error) {
    fill(report, ERRCODE_INTERNAL_ERROR, "unexpected C++ exception in sealcast", error.what());
  } catch (...) {
    fill(report, ERRCODE_INTERNAL_ERROR, "unknown C++ exception in sealcast");
  }
  return false;
}

void raise(const Report& report) {
  ereport(ERROR, (errcode(report.sqlstate), errmsg_internal("%s", report.message),
                  report.detail[0] != '\0' ? errdetail_internal("%s", report.detail) : 0,
                  report.hint[0] != '\0' ? errhint("%s", report.hint) : 0));
  pg_unreachable();
}

void call_guarded(Body body, void* context) {
  static_assert(std::is_same_v<sig_atomic_t, int>, "CancelFlag points at Postgres' own flag");
  Report report;
  // Any interrupt may stop the first call of the body. Only a cancel may stop the later calls: otherwise frequent
  // interrupts of other kinds could restart the body for ever.
  core::CancelFlag watched = &InterruptPending;
  while (true) {
    // While interrupts are held off, CHECK_FOR_INTERRUPTS() does not clear them. A body that stops for one would then
    // be restarted for ever.
    if (try_call(body, context, INTERRUPTS_CAN_BE_PROCESSED() ? watched : nullptr, report)) return;
    if (!report.interrupted) raise(report);
    CHECK_FOR_INTERRUPTS();
    watched = &QueryCancelPending;
  }
}

}  // namespace sealcast::server
