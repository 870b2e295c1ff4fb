// Writes the frame that all transports and the history share.
#include <charconv>

#include "transport/transport.h"

namespace sealcast {

void append_frame(std::int64_t offset, std::int64_t prev, std::string_view envelope, std::string& out) {
  auto number = [&out](std::int64_t value) {
    char digits[24];
    out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
  };
  out.reserve(out.size() + envelope.size() + 64);
  out += "{\"offset\":";
  number(offset);
  out += ",\"prev\":";
  number(prev);
  out += ",\"envelope\":";
  out += envelope;
  out += '}';
}

}  // namespace sealcast
