// Whole numbers that requests give as text: offsets to resume from, limits of a page.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "http/exchange.h"

namespace sealcast::http {

// Of a query parameter or header; `out` stays as it is when `text` is empty. False: the response says what is wrong.
bool read_number(std::string_view name, std::string_view text, std::int64_t min, std::int64_t max,
                 std::optional<std::int64_t>& out, Response& response);

}  // namespace sealcast::http
