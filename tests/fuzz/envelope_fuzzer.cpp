// Any bytes through verification: a verdict, never an exception; and nothing but a true envelope is ok.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

#include "core/canonical_json.h"
#include "core/envelope.h"
#include "core/error.h"

namespace {

constexpr std::int64_t kNow = 1'700'000'000'000;

const sealcast::Keyring& keyring() {
  static const sealcast::Keyring ring = [] {
    sealcast::Keyring made;
    made.add("k1", "0123456789abcdef0123456789abcdef");
    made.add("k2", "0123456789abcdef0123456789abcdef", sealcast::Algorithm::ed25519);
    return made;
  }();
  return ring;
}

const sealcast::Key* find_key(std::string_view kid, void*) { return keyring().find(kid); }

sealcast::Verdict verdict(std::string_view json) {
  return sealcast::verify_envelope(json, kNow, 60'000, find_key, nullptr);
}

void require(bool holds, const char* property) {
  if (holds) return;
  std::cerr << "broken: " << property << '\n';
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const sealcast::Verdict given = verdict(input);
  std::string canonical;
  try {
    sealcast::canonicalize(input, canonical, sealcast::Numbers::exact);
    require(verdict(canonical) == given, "canonicalizing does not change the verdict");
  } catch (const sealcast::Error&) {
    require(given == sealcast::Verdict::malformed, "what is no JSON is malformed");
  }

  // The same bytes as the fields of an envelope that is sealed here.
  const std::size_t half = size / 2;
  const sealcast::Fields fields = {input.substr(0, half), "stream", input.substr(half), "txn", kNow};
  std::string signing;
  for (const sealcast::Key& key : keyring().keys()) {
    for (const sealcast::Key& said : keyring().keys()) {
      std::string envelope;
      try {
        const sealcast::Signature sig = sealcast::sign_payload(fields, "{}", key, signing);
        sealcast::append_envelope(fields, said.kid, "{}", sig.bytes(), envelope);
      } catch (const sealcast::Error& error) {
        require(error.kind() == sealcast::ErrorKind::invalid_argument, "a refused field is invalid_argument");
        return 0;
      }
      const bool own = &key == &said;
      require(verdict(envelope) == (own ? sealcast::Verdict::ok : sealcast::Verdict::bad_signature),
              "what was sealed verifies, under the key that sealed it");
    }
  }
  return 0;
}
