// The public keys that sessions may be signed with: a JWK Set in a file (RFC 7517), read again when it changes.
#pragma once

#include <cjose/cjose.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_stamp.h"
#include "core/token/jwt.h"

namespace sealcast::message {

class Jwks {
 public:
  // Throws std::runtime_error naming the file and the fix.
  explicit Jwks(std::string path);

  // Looks at the file; true when it has changed and its keys have taken effect. One that cannot be used is logged,
  // and the last good one stays.
  bool reload_if_changed();

  // By the key that the token's `kid` names, under that key's algorithm and no other. Without a `kid`, by the only key
  // of the token's algorithm.
  bool verify(const core::token::Jwt& jwt, std::string_view token) const;

 private:
  struct Release {
    void operator()(cjose_jwk_t* key) const { cjose_jwk_release(key); }
  };
  struct Key {
    std::string kid;  // empty: none
    std::string alg;  // RS256 or ES256, decided by the key
    std::unique_ptr<cjose_jwk_t, Release> key;
  };

  std::vector<Key> load() const;
  const Key* choose(const core::token::Jwt& jwt) const;

  std::string path_;
  FileStamp stamp_;
  std::vector<Key> keys_;
};

}  // namespace sealcast::message
