// Includes the C++ standard headers and then the C headers of Postgres. The order matters: postgres.h redefines printf
// and other names.
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

// Makes a function visible to Postgres. -fvisibility=hidden hides all other symbols of ours. exports.map also hides
// those of templates of the C++ standard library.
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
