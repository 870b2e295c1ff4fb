// Any bytes through verification: a verdict, never an exception; and nothing but a true envelope is ok.
#include <string>

#include "core/canonical_json.h"
#include "core/envelope.h"
#include "core/error.h"
#include "fuzz.h"

namespace sealcast::fuzz {
namespace {

constexpr std::int64_t kNow = 1'700'000'000'000;

const core::Keyring& keyring() {
  static const core::Keyring ring = [] {
    core::Keyring made;
    made.add("k1", "0123456789abcdef0123456789abcdef");
    made.add("k2", "0123456789abcdef0123456789abcdef", core::Algorithm::ed25519);
    return made;
  }();
  return ring;
}

const core::Key* find_key(std::string_view kid, void*) { return keyring().find(kid); }

core::Verdict verdict(std::string_view json) { return core::verify_envelope(json, kNow, 60'000, find_key, nullptr); }

}  // namespace

void check(std::string_view input) {
  const core::Verdict given = verdict(input);
  std::string canonical;
  try {
    core::canonicalize(input, canonical, core::Numbers::exact);
    require(verdict(canonical) == given, "canonicalizing does not change the verdict");
  } catch (const core::Error&) {
    require(given == core::Verdict::malformed, "what is no JSON is malformed");
  }

  // The same bytes as the fields of an envelope that is sealed here.
  const std::size_t half = input.size() / 2;
  const core::Fields fields = {input.substr(0, half), "stream", input.substr(half), "txn", kNow};
  std::string signing;
  for (const core::Key& key : keyring().keys()) {
    for (const core::Key& said : keyring().keys()) {
      std::string envelope;
      try {
        const core::Signature sig = core::sign_payload(fields, "{}", key, signing);
        core::append_envelope(fields, said.kid, "{}", sig.bytes(), envelope);
      } catch (const core::Error& error) {
        require(error.kind() == core::ErrorKind::invalid_argument, "a refused field is invalid_argument");
        return;
      }
      const bool own = &key == &said;
      require(verdict(envelope) == (own ? core::Verdict::ok : core::Verdict::bad_signature),
              "what was sealed verifies, under the key that sealed it");
    }
  }
}

}  // namespace sealcast::fuzz
