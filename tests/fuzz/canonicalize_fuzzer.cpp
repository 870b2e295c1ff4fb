// Any bytes through the canonicalizer: refused cleanly, or a form that is stable and that the event path agrees with.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

#include "../unit/core/replay.h"
#include "core/canonical_json.h"
#include "core/error.h"
#include "core/payload.h"

namespace {

void require(bool holds, const char* property) {
  if (holds) return;
  std::cerr << "broken: " << property << '\n';
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view json(reinterpret_cast<const char*>(data), size);
  std::string form;
  try {
    sealcast::canonicalize(json, form);
  } catch (const sealcast::Error& error) {
    require(error.kind() == sealcast::ErrorKind::invalid_json, "a refusal is invalid_json");
    require(form.empty(), "a refusal leaves nothing behind");
    return 0;
  }
  std::string again;
  sealcast::canonicalize(form, again, sealcast::Numbers::exact);
  require(again == form, "canonical text is canonical, and exact");
  require(sealcast::Replay().through_writer(form) == form, "the event path writes the same");

  sealcast::Payload payload;
  try {
    sealcast::prepare_payload(json, {{"user_role", "mod"}, {"a", {}}}, payload);
  } catch (const sealcast::Error&) {
    return 0;
  }
  require(payload.sent_hash == sealcast::sha256(form), "the hash is of what was sent");
  again.clear();
  sealcast::canonicalize(payload.canonical, again, sealcast::Numbers::exact);
  require(again == payload.canonical, "a spliced payload is canonical");
  return 0;
}
