// Any bytes through verification: a verdict, never an exception; and nothing but a true envelope is ok.
#include <string>

#include "core/canonical_json.h"
#include "core/envelope.h"
#include "core/error.h"
#include "fuzz.h"

namespace sealcast::fuzz {
namespace {

constexpr std::int64_t kNow = 1'700'000'000'000;

const Keyring& keyring() {
  static const Keyring ring = [] {
    Keyring made;
    made.add("k1", "0123456789abcdef0123456789abcdef");
    made.add("k2", "0123456789abcdef0123456789abcdef", Algorithm::ed25519);
    return made;
  }();
  return ring;
}

const Key* find_key(std::string_view kid, void*) { return keyring().find(kid); }

Verdict verdict(std::string_view json) { return verify_envelope(json, kNow, 60'000, find_key, nullptr); }

}  // namespace

void check(std::string_view input) {
  const Verdict given = verdict(input);
  std::string canonical;
  try {
    canonicalize(input, canonical, Numbers::exact);
    require(verdict(canonical) == given, "canonicalizing does not change the verdict");
  } catch (const Error&) {
    require(given == Verdict::malformed, "what is no JSON is malformed");
  }

  // The same bytes as the fields of an envelope that is sealed here.
  const std::size_t half = input.size() / 2;
  const Fields fields = {input.substr(0, half), "stream", input.substr(half), "txn", kNow};
  std::string signing;
  for (const Key& key : keyring().keys()) {
    for (const Key& said : keyring().keys()) {
      std::string envelope;
      try {
        const Signature sig = sign_payload(fields, "{}", key, signing);
        append_envelope(fields, said.kid, "{}", sig.bytes(), envelope);
      } catch (const Error& error) {
        require(error.kind() == ErrorKind::invalid_argument, "a refused field is invalid_argument");
        return;
      }
      const bool own = &key == &said;
      require(verdict(envelope) == (own ? Verdict::ok : Verdict::bad_signature),
              "what was sealed verifies, under the key that sealed it");
    }
  }
}

}  // namespace sealcast::fuzz
