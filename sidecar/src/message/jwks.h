// The public keys that verify sessions: a JWK Set in a file (RFC 7517), read again when the file changes.
#pragma once

#include <string>
#include <vector>

#include "base/file_stamp.h"
#include "core/token/jwt.h"
#include "core/token/public_key.h"

namespace sealcast::message {

class Jwks {
 public:
  // Throws std::runtime_error, which names the file and the fix.
  explicit Jwks(std::string path);

  // Checks the file. Returns true if it has changed and its keys are in force. If the new content cannot be used, logs
  // the reason and keeps the last keys.
  bool reload_if_changed();

  // Verifies with the key that the token's `kid` names, and only under that key's algorithm. A token without `kid` is
  // verified with the only key of its algorithm; if there are several, it is refused.
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
