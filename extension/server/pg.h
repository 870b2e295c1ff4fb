// Includes the C++ library and then the server's C headers: postgres.h redefines printf and other names, so the library
// must come first.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

extern "C" {
#include "postgres.h"
// postgres.h must come before all other headers of the server.
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
}

// Other symbols are hidden. exports.map also hides the symbols of templates of the library.
#define SEALCAST_EXPORT extern "C" __attribute__((visibility("default")))

// Starts the definition of a function that SQL can call.
#define SEALCAST_FUNCTION(name)                                 \
  SEALCAST_EXPORT const Pg_finfo_record* pg_finfo_##name(void); \
  const Pg_finfo_record* pg_finfo_##name(void) {                \
    static const Pg_finfo_record info = {1};                    \
    return &info;                                               \
  }                                                             \
  SEALCAST_EXPORT Datum name(FunctionCallInfo fcinfo);          \
  Datum name([[maybe_unused]] FunctionCallInfo fcinfo)
