// Raises a verdict as an ERROR: for SQL callers, or for PostgREST.
#include "admission/batch.h"
#include "admission/postgrest.h"

namespace sealcast::admission {

// PostgREST sends the message of an ERROR PTnnn as the reason phrase of the HTTP status line, as it is, and since
// version 13 the code of an ERROR PGRST in the header Proxy-Status (mapSQLtoHTTP and errorResponseFor in
// PostgREST/postgrest, src/PostgREST/Error.hs). A line break in it would begin a header of the response. Other control
// characters are not allowed there (RFC 9112, section 4).
static const char* without_controls(const char* message) {
  char* const line = pstrdup(message);
  for (char* c = line; *c != '\0'; ++c) {
    // U+0080 to U+009F have two bytes.
    const auto next = static_cast<unsigned char>(c[1]);
    const bool c1 = static_cast<unsigned char>(*c) == 0xC2 && next >= 0x80 && next < 0xA0;
    if (c1) *c++ = '?';
    if (c1 || static_cast<unsigned char>(*c) < 0x20 || *c == 0x7F) *c = '?';
  }
  return line;
}

[[noreturn]] static void refuse_to_sql(const Verdict& refusal) {
  const auto digit = [&refusal](int place) { return '0' + refusal.status / place % 10; };
  ereport(ERROR,
          (errcode(MAKE_SQLSTATE('P', 'T', digit(100), digit(10), digit(1))), errmsg_internal("%s", refusal.message),
           refusal.details == nullptr ? errdetail_internal("%s", refusal.code)
                                      : errdetail_internal("%s: %s", refusal.code, refusal.details),
           errhint("%s", refusal.hint)));
  pg_unreachable();
}

void refuse(const Verdict& verdict, std::optional<Rate> exceeded) {
  Verdict refusal = verdict;
  refusal.code = without_controls(verdict.code);
  refusal.message = verdict.message == nullptr ? refusal.code : without_controls(verdict.message);
  const char* const hint = verdict.hint == nullptr ? "" : verdict.hint;
  if (verdict.retry_after_ms) {
    refusal.hint = psprintf(INT64_FORMAT " ms%s%s", *verdict.retry_after_ms, *hint == '\0' ? "" : ": ", hint);
  } else if (*hint == '\0') {
    refusal.hint = "A retry with the same arguments cannot succeed.";
  }
  if (postgrest::is_calling()) postgrest::refuse(refusal, exceeded);
  refuse_to_sql(refusal);
}

SEALCAST_FUNCTION(sealcast_refuse) {
  const auto text_argument = [fcinfo](int i) {
    return PG_ARGISNULL(i) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(i));
  };
  const char* const code = text_argument(1);
  refuse({.status = PG_ARGISNULL(0) ? 500 : PG_GETARG_INT32(0),
          .code = code == nullptr ? "internal_error" : code,
          .message = text_argument(2),
          .details = text_argument(3),
          .hint = text_argument(4),
          .retry_after_ms = PG_ARGISNULL(5) ? std::nullopt : std::optional(PG_GETARG_INT64(5))});
}

}  // namespace sealcast::admission
