// Checks the form of a UUID and converts it to lower case.
#include "core/uuid.h"

#include <cstddef>

namespace sealcast::core {

bool normalize_uuid(std::string_view text, std::string& out) {
  if (text.size() != kNilUuid.size()) return false;
  char lower[kNilUuid.size()];
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (kNilUuid[i] == '-') {
      if (c != '-') return false;
    } else {
      if (c >= 'A' && c <= 'F') c = static_cast<char>(c | 0x20);
      if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
    }
    lower[i] = c;
  }
  out.assign(lower, sizeof lower);
  return true;
}

}  // namespace sealcast::core
