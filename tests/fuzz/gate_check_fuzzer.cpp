// Any bytes as questions to the gate's socket: refused, or said again they are the same line.
#include <string>

#include "fuzz.h"
#include "message/gate_check.h"

namespace sealcast::fuzz {

void check(std::string_view rest) {
  while (!rest.empty()) {
    const std::string_view line = next_line(rest);
    const auto question = message::parse_check(line);
    if (!question) continue;
    std::string lower(line);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c | 0x20) : c; });
    require(lower ==
                "check " + question->sender_id + " " + question->stream_id + " " + question->t + " " + question->txn_id,
            "a question is its line");
    require(!question->t.empty() && question->t.size() <= 64, "a type has 1 to 64 bytes");
    require(question->t.find_first_of("{}:?*") == std::string::npos, "a type can be part of a key of Redis");
  }
}

}  // namespace sealcast::fuzz
