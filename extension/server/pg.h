// The server's C headers, in the one order that C++ bears: postgres.h renames printf and more, so the library goes
// first.
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
// postgres.h goes before all its kin.
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
}

// Symbols are hidden unless they say otherwise (and exports.map holds back what templates of the library leave behind).
#define SEALCAST_EXPORT extern "C" __attribute__((visibility("default")))

// Opens a function that SQL can call.
#define SEALCAST_FUNCTION(name)                                 \
  SEALCAST_EXPORT const Pg_finfo_record* pg_finfo_##name(void); \
  const Pg_finfo_record* pg_finfo_##name(void) {                \
    static const Pg_finfo_record info = {1};                    \
    return &info;                                               \
  }                                                             \
  SEALCAST_EXPORT Datum name(FunctionCallInfo fcinfo);          \
  Datum name([[maybe_unused]] FunctionCallInfo fcinfo)
