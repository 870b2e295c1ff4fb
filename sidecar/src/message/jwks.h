// The public keys that verify sessions: a file with a JWK Set (RFC 7517), which is read again when it changes.
#pragma once

#include <string>
#include <vector>

#include "base/file_stamp.h"
#include "core/token/jwt.h"
#include "core/token/public_key.h"

namespace sealcast::message {

class Jwks {
 public:
  // Throws std::runtime_error, which names the file, the problem and the fix.
  explicit Jwks(std::string path);

  // Reads the file again if it has changed. Returns true if its new keys are in force. If the new content cannot be
  // used, logs the reason, keeps the last keys and returns false.
  bool reload_if_changed();

  // Verifies the signature with the key that the token's `kid` names. Returns false if that key has another algorithm
  // than the token. A token without `kid` is verified with the only key of its algorithm. If several keys have that
  // algorithm, returns false.
  bool verify(const core::token::Jwt& jwt) const;

 private:
  struct Key {
    std::string kid;  // empty if the JWK has none
    core::token::PublicKey key;
  };

  std::vector<Key> load() const;

  std::string path_;
  FileStamp stamp_;
  std::vector<Key> keys_;
};

}  // namespace sealcast::message
