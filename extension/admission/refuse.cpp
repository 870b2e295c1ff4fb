// Raises a verdict as an ERROR. PostgREST turns an ERROR with the SQLSTATE PTnnn into an HTTP response with the status
// nnn.
#include "admission/batch.h"

namespace sealcast::admission {

void refuse(const Verdict& verdict) {
  constexpr const char* kNoHint = "A retry with the same arguments cannot succeed.";
  const char* hint = verdict.hint == nullptr ? "" : verdict.hint;
  if (verdict.retry_after_ms) {
    hint = psprintf(INT64_FORMAT " ms%s%s", *verdict.retry_after_ms, *hint == '\0' ? "" : ": ", hint);
  }
  const auto digit = [&verdict](int place) { return '0' + verdict.status / place % 10; };
  ereport(ERROR, (errcode(MAKE_SQLSTATE('P', 'T', digit(100), digit(10), digit(1))),
                  errmsg_internal("%s", verdict.message == nullptr ? verdict.code : verdict.message),
                  verdict.details == nullptr ? errdetail_internal("%s", verdict.code)
                                             : errdetail_internal("%s: %s", verdict.code, verdict.details),
                  errhint("%s", *hint == '\0' ? kNoHint : hint)));
  pg_unreachable();
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
