// The public keys that verify sessions: a file with a JWK Set (RFC 7517), which is read again when it changes.
#pragma once

#include <string>
#include <vector>

#include "base/file_stamp.h"
#include "core/token/jwt.h"
#include "core/token/public_key.h"

namespace simdjson::dom {
class object;
}

namespace sealcast::message {

class Jwks {
 public:
  // Throws std::runtime_error, which names the file, the problem and the fix.
  explicit Jwks(std::string path);

  // Reads the file again if it has changed. Returns true if its new keys are in force. If the new content cannot be
  // used, logs the reason, keeps the last keys and returns false.
  bool reload_if_changed();

  enum class Outcome {
    verified,
    unknown_key,   // no key has this kid and algorithm
    several_keys,  // the token has no kid, and several keys have its algorithm
    bad_signature,
  };
  // Verifies the signature with the key of the token's algorithm that its `kid` names. A token without `kid` is
  // verified with the only key of its algorithm.
  Outcome verify(const core::token::Jwt& jwt) const;

 private:
  struct Key {
    std::string kid;  // empty if the JWK has none
    core::token::PublicKey key;
  };

  std::vector<Key> load() const;
  static std::string add_key(const simdjson::dom::object& jwk, const std::string& kid, std::vector<Key>& keys);

  std::string path_;
  FileStamp stamp_;
  std::vector<Key> keys_;
};

}  // namespace sealcast::message
