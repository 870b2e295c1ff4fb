// Any bytes through the canonicalizer: refused cleanly, or a form that is stable and that the event path agrees with.
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
    require(error.kind() == core::ErrorKind::invalid_json, "a refusal is invalid_json");
    require(form.empty(), "a refusal leaves nothing behind");
    return;
  }
  std::string again;
  core::canonicalize(form, again, core::Numbers::exact);
  require(again == form, "canonical text is canonical, and exact");
  require(core::Replay().through_writer(form) == form, "the event path writes the same");

  core::Payload payload;
  try {
    core::prepare_payload(json, {{"user_role", "mod"}, {"a", {}}}, payload);
  } catch (const core::Error&) {
    return;
  }
  require(payload.sent_hash == core::sha256(form), "the hash is of what was sent");
  again.clear();
  core::canonicalize(payload.canonical, again, core::Numbers::exact);
  require(again == payload.canonical, "a spliced payload is canonical");
}

}  // namespace sealcast::fuzz
