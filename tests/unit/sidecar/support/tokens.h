// Makes session tokens for tests: valid tokens of an issuer, and invalid tokens that an attacker could make.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "config/settings.h"
#include "core/digest.h"
#include "core/token/base64.h"

namespace sealcast::test {

inline constexpr std::int64_t kNow = 1'700'000'000;
inline constexpr const char* kUser = "0a8f4a52-1c1e-4b8e-9d7e-3f2a1b0c9d8e";
inline const std::string kSecret = "0123456789abcdef0123456789abcdef";

inline config::Settings::Session session_settings(const std::string& jwks_file = {}, const std::string& issuer = {},
                                                  const std::string& audience = {}) {
  config::Settings::Session settings{};
  settings.jwks_file = jwks_file;
  settings.issuer = issuer;
  settings.audience = audience;
  return settings;
}

inline std::string base64url(std::string_view bytes) {
  std::string out;
  core::token::append_base64url(bytes, out);
  return out;
}

inline std::string claims(const std::string& more = {}, std::int64_t exp = kNow + 60) {
  return R"({"sub":")" + std::string(kUser) + R"(","exp":)" + std::to_string(exp) + more + "}";
}

inline std::string hs256(const std::string& payload, const std::string& secret = kSecret,
                         const std::string& header = R"({"alg":"HS256","typ":"JWT"})") {
  const std::string input = base64url(header) + "." + base64url(payload);
  const core::Digest mac = core::HmacKey(secret).sign(input);
  return input + "." + base64url({reinterpret_cast<const char*>(mac.data()), mac.size()});
}

}  // namespace sealcast::test
