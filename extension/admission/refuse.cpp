// Raises a verdict as an ERROR. PostgREST turns an ERROR with the SQLSTATE PTnnn into an HTTP response with the status
// nnn.
#include "admission/batch.h"

namespace sealcast::admission {

// PostgREST sends the message of an error as the reason phrase of the HTTP status line, as it is. A line break in it
// would begin a header of the response. Other control characters are not allowed there (RFC 9112, section 4).
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

void refuse(const Verdict& verdict) {
  constexpr const char* kNoHint = "A retry with the same arguments cannot succeed.";
  const char* hint = verdict.hint == nullptr ? "" : verdict.hint;
  if (verdict.retry_after_ms) {
    hint = psprintf(INT64_FORMAT " ms%s%s", *verdict.retry_after_ms, *hint == '\0' ? "" : ": ", hint);
  }
  const auto digit = [&verdict](int place) { return '0' + verdict.status / place % 10; };
  ereport(ERROR, (errcode(MAKE_SQLSTATE('P', 'T', digit(100), digit(10), digit(1))),
                  errmsg_internal("%s", without_controls(verdict.message == nullptr ? verdict.code : verdict.message)),
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
