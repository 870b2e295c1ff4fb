// Interprets the input as requests to the gate socket. parse_check() must refuse a line, or parse it without losing a
// part of it.
#include <string>

#include "fuzz.h"
#include "message/gate_check.h"

namespace sealcast::fuzz {

void check(std::string_view rest) {
  while (!rest.empty()) {
    const std::string_view line = next_line(rest);
    const auto request = message::parse_check(line);
    if (!request) continue;
    std::string lower(line);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c | 0x20) : c; });
    std::string written =
        "check " + request->sender_id + " " + request->stream_id + " " + request->t + " " + request->txn_id;
    if (request->text) written += " " + (request->text->empty() ? "-" : *request->text);
    require(lower == written, "the parsed request, written again, is the line");
    require(!request->t.empty() && request->t.size() <= 64, "a type has 1 to 64 bytes");
    require(request->t.find_first_of("{}:?*") == std::string::npos, "a type can be part of a Redis key");
  }
}

}  // namespace sealcast::fuzz
