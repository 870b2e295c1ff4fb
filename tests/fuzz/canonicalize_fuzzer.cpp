// Canonicalises the input. canonicalize() must refuse the input and leave the output unchanged, or return a text that
// does not change if it is canonicalised again. CanonicalWriter must write the same text.
#include <string>

#include "../unit/core/replay.h"
#include "core/canonical_json.h"
#include "core/error.h"
#include "core/payload.h"
#include "fuzz.h"

namespace sealcast::fuzz {

void check(std::string_view json) {
  std::string form;
  try {
    core::canonicalize(json, form);
  } catch (const core::Error& error) {
    require(error.kind() == core::ErrorKind::invalid_json, "the error is invalid_json");
    require(form.empty(), "an error leaves the output unchanged");
    return;
  }
  std::string again;
  core::canonicalize(form, again);
  require(again == form, "canonical text does not change");
  again.clear();
  try {
    core::canonicalize(form, again, core::Rules::payload);
    require(again == form, "the numbers of canonical text are exact");
  } catch (const core::Error& error) {
    require(std::string_view(error.what()).find("U+0000") != std::string_view::npos, "a payload refuses only U+0000");
  }
  require(core::Replay().through_writer(form) == form, "CanonicalWriter writes the same text");

  core::Payload payload;
  try {
    core::prepare_payload(json, {{"user_role", "mod"}, {"a", {}}}, payload);
  } catch (const core::Error&) {
    return;
  }
  require(payload.sent_hash == core::sha256(form), "the hash is the hash of the payload as sent");
  again.clear();
  core::canonicalize(payload.canonical, again, core::Rules::payload);
  require(again == payload.canonical, "a payload with server fields is canonical");
}

}  // namespace sealcast::fuzz
