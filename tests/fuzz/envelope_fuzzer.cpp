// Verifies the input as an envelope. Verification must not throw. Then seals an envelope whose fields are the input: it
// must be `ok` only under the key that sealed it.
#include <optional>
#include <string>

#include "core/canonical_json.h"
#include "core/digest.h"
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

core::VerifyResult verify(std::string_view json) {
  return core::verify_envelope(json, kNow, 60'000, find_key, nullptr);
}

}  // namespace

void check(std::string_view input) {
  const core::VerifyResult result = verify(input);
  std::string canonical;
  try {
    core::canonicalize(input, canonical, core::Rules::envelope);
    require(verify(canonical) == result, "the canonical form has the same result");
  } catch (const core::Error&) {
    require(result == core::VerifyResult::malformed, "a text that is not JSON is malformed");
  }

  // Seals an envelope whose fields are the input.
  const std::size_t half = input.size() / 2;
  const core::Fields fields = {input.substr(0, half), "stream", input.substr(half), "txn", kNow};
  std::string signing;
  for (const core::Key& key : keyring().keys()) {
    for (const core::Key& stated : keyring().keys()) {
      std::string envelope;
      try {
        const core::Signature sig = core::sign_payload(fields, "{}", key, signing);
        core::append_envelope(fields, stated.kid, "{}", sig.bytes(), envelope);
      } catch (const core::Error& error) {
        require(error.kind() == core::ErrorKind::invalid_argument, "a refused field is invalid_argument");
        return;
      }
      const bool same_key = &key == &stated;
      require(verify(envelope) == (same_key ? core::VerifyResult::ok : core::VerifyResult::bad_signature),
              "a sealed envelope verifies only under the key that sealed it");

      // The same message without its content.
      const std::string hash = core::to_hex(core::sha256("{}"));
      std::string redacted;
      core::append_redacted_envelope(fields, stated.kid, hash, core::sign_payload(fields, "{}", key, signing).bytes(),
                                     redacted);
      require(verify(redacted) == (same_key ? core::VerifyResult::redacted : core::VerifyResult::bad_signature),
              "a redacted envelope keeps the signature of its message");
      const std::optional<core::OpenedEnvelope> opened = core::open_envelope(redacted, find_key, nullptr);
      require(opened && opened->payload_hash == hash && opened->as_sealed == same_key, "a redacted envelope opens");
    }
  }
}

}  // namespace sealcast::fuzz
