// Tests which session tokens are accepted, and that every known kind of forgery is refused.
#include "message/session.h"

#include <gtest/gtest.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <memory>

#include "core/token/jwt.h"
#include "support/scratch.h"
#include "support/tokens.h"

namespace sealcast::message {
namespace {

using test::base64url;
using test::claims;
using test::hs256;
using test::kNow;
using test::kSecret;
using test::kUser;

template <auto function>
struct Call {
  template <typename T>
  void operator()(T* value) const {
    function(value);
  }
};

// The key pair of an issuer. It can also sign tokens that state a wrong algorithm.
struct Key {
  explicit Key(EVP_PKEY* pair) : pair(pair) {}
  static Key rsa(std::size_t bits = 2048) { return Key(EVP_RSA_gen(static_cast<unsigned>(bits))); }
  static Key ec(const char* curve = "P-256") { return Key(EVP_EC_gen(curve)); }

  std::string member(const char* name) const {
    BIGNUM* number = nullptr;
    EXPECT_EQ(EVP_PKEY_get_bn_param(pair.get(), name, &number), 1);
    const std::unique_ptr<BIGNUM, Call<BN_free>> owner(number);
    // In a JWK, a coordinate of a curve has the full length of the field, with leading zeros (RFC 7518 §6.2.1.2).
    const int size = is_rsa() ? BN_num_bytes(number) : (EVP_PKEY_get_bits(pair.get()) + 7) / 8;
    std::string bytes(static_cast<std::size_t>(size), '\0');
    BN_bn2binpad(number, reinterpret_cast<unsigned char*>(bytes.data()), size);
    return bytes;
  }

  bool is_rsa() const { return EVP_PKEY_get_base_id(pair.get()) == EVP_PKEY_RSA; }

  std::string signature(const std::string& alg, const std::string& input) const {
    const std::unique_ptr<EVP_MD_CTX, Call<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* options = nullptr;
    EXPECT_EQ(EVP_DigestSignInit_ex(context.get(), &options, ("SHA" + alg.substr(2)).c_str(), nullptr, nullptr,
                                    pair.get(), nullptr),
              1);
    if (alg.starts_with("PS")) {
      EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING);
      EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST);
    }
    const auto* const bytes = reinterpret_cast<const unsigned char*>(input.data());
    std::size_t size = 0;
    EVP_DigestSign(context.get(), nullptr, &size, bytes, input.size());
    std::string out(size, '\0');
    EXPECT_EQ(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size, bytes, input.size()),
              1);
    out.resize(size);
    return is_rsa() ? out : fixed_length(out);
  }

  std::string sign(const std::string& alg, const std::string& payload, const std::string& kid = {}) const {
    const std::string header = R"({"alg":")" + alg + '"' + (kid.empty() ? "" : R"(,"kid":")" + kid + '"') + "}";
    const std::string input = base64url(header) + "." + base64url(payload);
    return input + "." + base64url(signature(alg, input));
  }

  std::string json(const std::string& kid, const std::string& more = {}) const {
    const std::string members =
        is_rsa()
            ? R"("kty":"RSA","n":")" + base64url(member("n")) + R"(","e":")" + base64url(member("e"))
            : R"("kty":"EC","crv":"P-256","x":")" + base64url(member("qx")) + R"(","y":")" + base64url(member("qy"));
    return "{" + members + R"(","kid":")" + kid + '"' + more + "}";
  }

  std::unique_ptr<EVP_PKEY, Call<EVP_PKEY_free>> pair;

 private:
  // Converts an ECDSA signature from DER to the form of JWTs: r and s, each with a fixed length.
  std::string fixed_length(const std::string& der) const {
    const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
    const std::unique_ptr<ECDSA_SIG, Call<ECDSA_SIG_free>> parts(
        d2i_ECDSA_SIG(nullptr, &bytes, static_cast<long>(der.size())));
    const int size = (EVP_PKEY_get_bits(pair.get()) + 7) / 8;
    std::string out(2 * static_cast<std::size_t>(size), '\0');
    auto* const to = reinterpret_cast<unsigned char*>(out.data());
    BN_bn2binpad(ECDSA_SIG_get0_r(parts.get()), to, size);
    BN_bn2binpad(ECDSA_SIG_get0_s(parts.get()), to + size, size);
    return out;
  }
};

class SessionTest : public testing::Test {
 protected:
  SessionProblem problem(const std::string& token) { return problem(verifier_, token); }
  static SessionProblem problem(SessionVerifier& verifier, const std::string& token) {
    const SessionResult result = verifier.verify(token, test::kNow);
    EXPECT_FALSE(result.session) << token;
    return result.problem;
  }
  SessionVerifier with_jwks(const std::string& keys, const std::string& secret = {}) {
    return SessionVerifier(secret, test::session_settings(scratch_.write("jwks.json", R"({"keys":[)" + keys + "]}")));
  }

  test::Scratch scratch_;
  SessionVerifier verifier_{test::kSecret, {}};
};

TEST_F(SessionTest, AValidTokenIdentifiesItsUser) {
  for (int time = 0; time < 2; ++time) {  // the second result comes from the cache
    const SessionResult result = verifier_.verify(test::hs256(test::claims()), test::kNow);
    ASSERT_TRUE(result.session);
    EXPECT_EQ(result.session->user_id, test::kUser);
    EXPECT_EQ(result.session->expires_at, test::kNow + 60);
  }
}

TEST_F(SessionTest, ATokenOfAnotherImplementationIsAccepted) {  // the token was made with PyJWT
  SessionVerifier verifier(std::string(64, 'k'), {});
  const SessionResult result = verifier.verify(
      "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
      "eyJzdWIiOiIwYThmNGE1Mi0xYzFlLTRiOGUtOWQ3ZS0zZjJhMWIwYzlkOGUiLCJleHAiOjE3MDAwMDAwNjB9."
      "uWiUX0K6AC8rQewClmrTJsm2L9Q_atnf_Qni_Tz52nA",
      test::kNow);
  ASSERT_TRUE(result.session);
  EXPECT_EQ(result.session->user_id, test::kUser);
}

TEST_F(SessionTest, TheUserIdIsLowerCased) {
  const std::string upper =
      R"({"sub":"0A8F4A52-1C1E-4B8E-9D7E-3F2A1B0C9D8E","exp":)" + std::to_string(test::kNow + 1) + "}";
  const SessionResult result = verifier_.verify(test::hs256(upper), test::kNow);
  ASSERT_TRUE(result.session);
  EXPECT_EQ(result.session->user_id, test::kUser);
}

TEST_F(SessionTest, AMissingTokenIsMissingAndNotInvalid) { EXPECT_EQ(problem(""), SessionProblem::missing); }

TEST_F(SessionTest, AlgNoneIsRefused) {
  for (const char* alg : {"none", "None", "NONE", "nOnE", ""}) {
    const std::string header = R"({"alg":")" + std::string(alg) + R"("})";
    const std::string input = test::base64url(header) + "." + test::base64url(test::claims()) + ".";
    EXPECT_EQ(problem(input), SessionProblem::invalid);
    EXPECT_EQ(problem(input + "AAAA"), SessionProblem::invalid);
    EXPECT_EQ(problem(test::hs256(test::claims(), test::kSecret, header)), SessionProblem::invalid);
  }
}

TEST_F(SessionTest, OtherAlgorithmsUnderTheSecretAreRefused) {
  for (const char* alg : {"HS384", "HS512", "RS256", "ES256", "hs256", "HS256 "}) {
    EXPECT_EQ(problem(test::hs256(test::claims(), test::kSecret, R"({"alg":")" + std::string(alg) + R"("})")),
              SessionProblem::invalid);
  }
}

TEST_F(SessionTest, TokensOfAnotherTypeAreRefused) {
  const auto header = [](const std::string& type) { return R"({"alg":"HS256","typ":)" + type + "}"; };
  for (const char* type : {R"("JWT")", R"("jwt")", R"("at+jwt")", R"("application/at+JWT")"}) {
    EXPECT_TRUE(verifier_.verify(test::hs256(test::claims(), test::kSecret, header(type)), test::kNow).session) << type;
  }
  for (const char* type : {R"("logout+jwt")", R"("dpop+jwt")", R"("secevent+jwt")", R"("JOSE")", R"("")",
                           R"("application/")", R"("JWT ")", "null", "7", R"(["JWT"])"}) {
    EXPECT_EQ(problem(test::hs256(test::claims(), test::kSecret, header(type))), SessionProblem::invalid) << type;
  }
}

TEST_F(SessionTest, ATokenWithAFlippedBitIsRefused) {
  const std::string token = test::hs256(test::claims());
  for (std::size_t i = 0; i < token.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = token;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      EXPECT_FALSE(verifier_.verify(changed, test::kNow).session) << i << " " << bit;
    }
  }
}

TEST_F(SessionTest, ATruncatedOrExtendedTokenIsRefused) {
  const std::string token = test::hs256(test::claims());
  for (std::size_t size = 1; size < token.size(); ++size) {
    EXPECT_EQ(problem(token.substr(0, size)), SessionProblem::invalid) << size;
  }
  for (const char* more : {"=", "A", ".", ".AAAA", " ", "\n"}) {
    EXPECT_EQ(problem(token + more), SessionProblem::invalid);
  }
  EXPECT_EQ(problem(" " + token), SessionProblem::invalid);
}

TEST_F(SessionTest, ATokenUnderAnotherSecretIsRefused) {
  EXPECT_EQ(problem(test::hs256(test::claims(), std::string(32, 'x'))), SessionProblem::invalid);
  EXPECT_EQ(problem(test::hs256(test::claims(), "")), SessionProblem::invalid);
}

TEST_F(SessionTest, ATokenExpiresFiveSecondsAfterExp) {
  EXPECT_TRUE(verifier_.verify(test::hs256(test::claims("", test::kNow - 4)), test::kNow).session);
  EXPECT_EQ(problem(test::hs256(test::claims("", test::kNow - 5))), SessionProblem::expired);
  EXPECT_EQ(problem(test::hs256(test::claims("", -1))), SessionProblem::expired);
  EXPECT_EQ(problem(test::hs256(test::claims("", test::kNow - 5), std::string(32, 'x'))), SessionProblem::invalid)
      << "only a token with a valid signature may be called expired";
  EXPECT_TRUE(verifier_.verify(test::hs256(test::claims(R"(,"exp2":1)", test::kNow)), test::kNow).session);
  EXPECT_EQ(problem(test::hs256(R"({"sub":")" + std::string(test::kUser) + R"("})")), SessionProblem::invalid);
  EXPECT_EQ(problem(test::hs256(R"({"sub":")" + std::string(test::kUser) + R"(","exp":"9999999999"})")),
            SessionProblem::invalid);
  EXPECT_TRUE(verifier_.verify(test::hs256(R"({"sub":")" + std::string(test::kUser) + R"(","exp":1e300})"), test::kNow)
                  .session);
  EXPECT_EQ(problem(test::hs256(R"({"sub":")" + std::string(test::kUser) + R"(","exp":-1e300})")),
            SessionProblem::expired);
  EXPECT_TRUE(
      verifier_.verify(test::hs256(R"({"sub":")" + std::string(test::kUser) + R"(","exp":1700000060.5})"), test::kNow)
          .session);
}

TEST_F(SessionTest, ACachedTokenExpiresToo) {
  const std::string token = test::hs256(test::claims());
  EXPECT_TRUE(verifier_.verify(token, test::kNow).session);
  EXPECT_EQ(verifier_.verify(token, test::kNow + 64).session.has_value(), true);
  const SessionResult late = verifier_.verify(token, test::kNow + 65);
  EXPECT_FALSE(late.session);
  EXPECT_EQ(late.problem, SessionProblem::expired);
}

TEST_F(SessionTest, ATokenBeforeNbfIsRefused) {
  EXPECT_EQ(problem(test::hs256(test::claims(R"(,"nbf":)" + std::to_string(test::kNow + 6)))), SessionProblem::invalid);
  EXPECT_TRUE(
      verifier_.verify(test::hs256(test::claims(R"(,"nbf":)" + std::to_string(test::kNow + 5))), test::kNow).session);
  EXPECT_EQ(problem(test::hs256(test::claims(R"(,"nbf":"now")"))), SessionProblem::invalid);
}

TEST_F(SessionTest, ASubjectThatIsNoUserIdIsRefused) {
  for (const char* sub : {R"("")", R"("00000000-0000-0000-0000-000000000000")", R"("alice")", "null", "7",
                          R"(["0a8f4a52-1c1e-4b8e-9d7e-3f2a1b0c9d8e"])", R"("0a8f4a521c1e4b8e9d7e3f2a1b0c9d8e")",
                          R"("0a8f4a52-1c1e-4b8e-9d7e-3f2a1b0c9d8e\u0000")"}) {
    EXPECT_EQ(problem(test::hs256(R"({"exp":1800000000,"sub":)" + std::string(sub) + "}")), SessionProblem::invalid)
        << sub;
  }
  EXPECT_EQ(problem(test::hs256(R"({"exp":1800000000})")), SessionProblem::invalid);
}

TEST_F(SessionTest, DuplicateClaimsAreRefused) {
  EXPECT_EQ(problem(test::hs256(test::claims(R"(,"sub":"0a8f4a52-1c1e-4b8e-9d7e-3f2a1b0c9d8f")"))),
            SessionProblem::invalid);
  EXPECT_EQ(problem(test::hs256(test::claims(R"(,"exp":1800000000)"))), SessionProblem::invalid);
  EXPECT_EQ(problem(test::hs256(test::claims(), test::kSecret, R"({"alg":"HS256","alg":"HS256"})")),
            SessionProblem::invalid);
  EXPECT_EQ(problem(test::hs256(test::claims(), test::kSecret, R"({"alg":"none","\u0061lg":"HS256"})")),
            SessionProblem::invalid);
}

TEST_F(SessionTest, HeadersAndClaimsThatAreNoValidJsonAreRefused) {
  for (const char* payload : {"", "null", "[]", "{", R"({"sub":)", "\"x\"", "{\"exp\":1800000000,\"sub\":\"\xff\"}"}) {
    EXPECT_EQ(problem(test::hs256(payload)), SessionProblem::invalid) << payload;
  }
  for (const char* header : {"", "null", "[]", "{}", R"({"alg":7})", R"({"alg":null})", R"({"alg":"HS256","kid":7})",
                             R"({"alg":["HS256"]})", R"({"alg":"HS256","crit":["exp"]})"}) {
    EXPECT_EQ(problem(test::hs256(test::claims(), test::kSecret, header)), SessionProblem::invalid) << header;
  }
  EXPECT_EQ(problem(".."), SessionProblem::invalid);
  EXPECT_EQ(problem(std::string(100, '.')), SessionProblem::invalid);
}

TEST_F(SessionTest, HugeTokensAreRefused) {
  EXPECT_EQ(problem(test::hs256(test::claims(R"(,"x":")" + std::string(8192, 'x') + '"'))), SessionProblem::invalid);
  EXPECT_EQ(problem(std::string(64 * 1024 * 1024, 'A')), SessionProblem::invalid);
  EXPECT_EQ(problem(test::hs256(test::claims(R"(,"x":)" + std::string(2000, '[') + std::string(2000, ']')))),
            SessionProblem::invalid);
}

TEST_F(SessionTest, IssuerAndAudienceMustMatch) {
  SessionVerifier verifier(test::kSecret, test::session_settings("", "https://issuer.example", "sealcast"));
  const std::string iss = R"(,"iss":"https://issuer.example")";
  EXPECT_TRUE(verifier.verify(test::hs256(test::claims(iss + R"(,"aud":"sealcast")")), test::kNow).session);
  EXPECT_TRUE(verifier.verify(test::hs256(test::claims(iss + R"(,"aud":["other","sealcast"])")), test::kNow).session);
  for (const std::string& more :
       {iss, iss + R"(,"aud":"other")", iss + R"(,"aud":["other"])", iss + R"(,"aud":[])",
        iss + R"(,"aud":["sealcast",7])", iss + R"(,"aud":"Sealcast")", std::string(R"(,"aud":"sealcast")"),
        std::string(R"(,"aud":"sealcast","iss":"https://issuer.example/")"),
        std::string(R"(,"aud":"sealcast","iss":["https://issuer.example"])")}) {
    EXPECT_EQ(problem(verifier, test::hs256(test::claims(more))), SessionProblem::invalid) << more;
  }
}

TEST_F(SessionTest, ATokenVerifiesOnlyUnderItsKeyAndAlgorithm) {
  const Key rsa = Key::rsa();
  const Key ec = Key::ec();
  SessionVerifier verifier = with_jwks(rsa.json("r") + "," + ec.json("e"));
  EXPECT_TRUE(verifier.verify(rsa.sign("RS256", test::claims(), "r"), test::kNow).session);
  EXPECT_TRUE(verifier.verify(ec.sign("ES256", test::claims(), "e"), test::kNow).session);
  EXPECT_TRUE(verifier.verify(rsa.sign("RS256", test::claims()), test::kNow).session)
      << "the only key of that algorithm";
  EXPECT_EQ(problem(verifier, rsa.sign("RS256", test::claims("", test::kNow - 9), "r")), SessionProblem::expired);

  EXPECT_EQ(problem(verifier, rsa.sign("RS256", test::claims(), "e")), SessionProblem::invalid);
  EXPECT_EQ(problem(verifier, rsa.sign("RS256", test::claims(), "unknown")), SessionProblem::invalid);
  EXPECT_EQ(problem(verifier, rsa.sign("RS256", test::claims(), "../../../dev/null")), SessionProblem::invalid);
  EXPECT_EQ(problem(verifier, rsa.sign("RS256", test::claims(), "r' OR '1'='1")), SessionProblem::invalid);
  EXPECT_EQ(problem(verifier, Key::rsa().sign("RS256", test::claims(), "r")), SessionProblem::invalid);
  for (const char* alg : {"RS384", "RS512", "PS256", "PS384", "PS512"}) {
    EXPECT_EQ(problem(verifier, rsa.sign(alg, test::claims(), "r")), SessionProblem::invalid) << alg;
  }
  EXPECT_EQ(problem(verifier, Key::ec("P-384").sign("ES384", test::claims(), "e")), SessionProblem::invalid);
  EXPECT_EQ(problem(verifier, test::hs256(test::claims())), SessionProblem::invalid) << "HS256 is off without a secret";
}

TEST_F(SessionTest, APublicKeyIsNotUsedAsAnHmacSecret) {
  const Key rsa = Key::rsa();
  const std::string jwk = rsa.json("r");
  SessionVerifier verifier = with_jwks(jwk, test::kSecret);
  const std::string header = R"({"alg":"HS256","kid":"r"})";
  const std::unique_ptr<BIO, decltype(&BIO_free)> pem(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio_PUBKEY(pem.get(), rsa.pair.get());
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(pem.get(), &bytes);
  const std::string modulus = rsa.member("n");
  for (const std::string& secret : {std::string(bytes, static_cast<std::size_t>(size)), jwk, modulus}) {
    EXPECT_EQ(problem(verifier, test::hs256(test::claims(), secret, header)), SessionProblem::invalid);
  }
  EXPECT_TRUE(verifier.verify(test::hs256(test::claims(), test::kSecret, header), test::kNow).session)
      << "the secret itself still works";
}

TEST_F(SessionTest, KeysInTheTokenAreIgnored) {
  const Key trusted = Key::rsa();
  SessionVerifier verifier = with_jwks(trusted.json("r"));
  const Key evil = Key::rsa();
  const std::string input = test::base64url(R"({"alg":"RS256","kid":"r","jwk":)" + evil.json("r") +
                                            R"(,"jku":"https://evil.example/jwks","x5u":"https://evil.example"})") +
                            "." + test::base64url(test::claims());
  EXPECT_EQ(problem(verifier, input + "." + test::base64url(evil.signature("RS256", input))), SessionProblem::invalid);
}

TEST_F(SessionTest, AChangedSignatureOfAPublicKeyIsRefused) {
  const Key rsa = Key::rsa();
  const Key ec = Key::ec();
  SessionVerifier verifier = with_jwks(rsa.json("r") + "," + ec.json("e"));
  for (const std::string& token : {rsa.sign("RS256", test::claims(), "r"), ec.sign("ES256", test::claims(), "e")}) {
    ASSERT_TRUE(verifier.verify(token, test::kNow).session);
    for (std::size_t i = token.rfind('.') + 1; i < token.size(); i += 7) {
      std::string changed = token;
      changed[i] = changed[i] == 'A' ? 'B' : 'A';
      EXPECT_EQ(problem(verifier, changed), SessionProblem::invalid) << i;
    }
    EXPECT_EQ(problem(verifier, token.substr(0, token.rfind('.') + 1)), SessionProblem::invalid);
    EXPECT_EQ(problem(verifier, token.substr(0, token.size() - 4)), SessionProblem::invalid);
    EXPECT_EQ(problem(verifier, token + "AAAA"), SessionProblem::invalid);
  }
  const std::string empty =
      test::base64url(R"({"alg":"ES256","kid":"e"})") + "." + test::base64url(test::claims()) + ".";
  EXPECT_EQ(problem(verifier, empty + test::base64url(std::string(64, '\0'))), SessionProblem::invalid);
}

TEST_F(SessionTest, AnEs256SignatureHasExactly64Bytes) {
  const Key ec = Key::ec();
  SessionVerifier verifier = with_jwks(ec.json("e"));
  const std::string input = base64url(R"({"alg":"ES256","kid":"e"})") + "." + base64url(claims());
  const std::string signature = ec.signature("ES256", input);
  const std::string zero(1, '\0');
  ASSERT_TRUE(verifier.verify(input + "." + base64url(signature), kNow).session);
  // The same two numbers r and s, with additional leading zeros.
  const std::string longer = zero + signature.substr(0, 32) + zero + signature.substr(32);
  EXPECT_EQ(problem(verifier, input + "." + base64url(longer)), SessionProblem::invalid);
  EXPECT_EQ(problem(verifier, input + "." + base64url(signature + zero)), SessionProblem::invalid);
  EXPECT_EQ(problem(verifier, input + "." + base64url(signature.substr(0, 63))), SessionProblem::invalid);
  const std::string half(signature, 0, 32);
  EXPECT_EQ(problem(verifier, input + "." + base64url(half + std::string(32, '\0'))), SessionProblem::invalid);
  EXPECT_EQ(problem(verifier, input + "." + base64url(std::string(32, '\0') + half)), SessionProblem::invalid);
}

TEST_F(SessionTest, ATokenWithoutKidIsRefusedIfTwoKeysMatch) {
  const Key one = Key::ec();
  const Key two = Key::ec();
  SessionVerifier verifier = with_jwks(one.json("1") + "," + two.json("2"));
  EXPECT_EQ(problem(verifier, one.sign("ES256", test::claims())), SessionProblem::invalid);
  EXPECT_EQ(problem(verifier, two.sign("ES256", test::claims())), SessionProblem::invalid);
  EXPECT_TRUE(verifier.verify(two.sign("ES256", test::claims(), "2"), test::kNow).session);
}

TEST_F(SessionTest, AChangedKeySetTakesEffectAlsoForCachedTokens) {
  const Key old_key = Key::ec();
  const Key new_key = Key::ec();
  SessionVerifier verifier = with_jwks(old_key.json("1"));
  const std::string token = old_key.sign("ES256", test::claims(), "1");
  ASSERT_TRUE(verifier.verify(token, test::kNow).session);
  scratch_.write("jwks.json", "{ broken");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  testing::internal::CaptureStderr();
  std::string log;
  while (log.find("cannot be read again") == std::string::npos && std::chrono::steady_clock::now() < deadline) {
    EXPECT_TRUE(verifier.verify(token, test::kNow).session) << "an invalid file must not lock users out";
    log += testing::internal::GetCapturedStderr();
    testing::internal::CaptureStderr();
  }
  testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("cannot be read again"), std::string::npos);
  scratch_.write("jwks.json", R"({"keys":[)" + new_key.json("2") + "]}");
  while (verifier.verify(token, test::kNow).session && std::chrono::steady_clock::now() < deadline) {
  }
  EXPECT_FALSE(verifier.verify(token, test::kNow).session) << "a token of the removed key is still accepted";
  EXPECT_TRUE(verifier.verify(new_key.sign("ES256", test::claims(), "2"), test::kNow).session);
}

TEST_F(SessionTest, AnUnusableKeySetIsRefusedWithItsReason) {
  const auto message = [&](const std::string& content) -> std::string {
    try {
      SessionVerifier verifier("", test::session_settings(scratch_.write("bad.json", content)));
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_NE(message("nonsense").find("is not a JWK Set"), std::string::npos);
  EXPECT_NE(message("[]").find("is not a JWK Set"), std::string::npos);
  EXPECT_NE(message(R"({"keys":[]})").find("contains no public key"), std::string::npos);
  EXPECT_NE(message(R"({"keys":[{"kty":"oct","k":"AAAA"}]})").find("contains no public key"), std::string::npos);
  EXPECT_NE(message(R"({"keys":[{"kty":"RSA","kid":"x","n":"AQAB","e":"AQAB"}]})").find("shorter than 2048 bits"),
            std::string::npos);
  EXPECT_NE(
      message(R"({"keys":[{"kty":"EC","crv":"P-256","kid":"x","x":"AAAA","y":"AAAA"}]})").find("is not a valid JWK"),
      std::string::npos);
  EXPECT_NE(message(R"({"keys":[{"kty":"RSA","kid":"x","n":"A===","e":"AQAB"}]})").find("is not a valid JWK"),
            std::string::npos);
  EXPECT_NE(message(R"({"keys":[{"kty":"RSA","kid":"x","e":"AQAB"}]})").find("is not a valid JWK"), std::string::npos);
  EXPECT_NE(message(R"({"keys":[)" + Key::rsa(1024).json("x") + "]}").find("shorter than 2048 bits"),
            std::string::npos);
  const Key key = Key::ec();
  // The coordinates are of a point that is not on the curve.
  EXPECT_NE(message(R"({"keys":[{"kty":"EC","crv":"P-256","kid":"x","x":")" + base64url(key.member("qx")) +
                    R"(","y":")" + base64url(Key::ec().member("qy")) + R"("}]})")
                .find("is not a valid JWK"),
            std::string::npos);
  EXPECT_EQ(message(R"({"keys":[)" + key.json("a", R"(,"x5c":["A==="],"x5t":"A===")") + "]}"), "no error");
  EXPECT_NE(message(R"({"keys":[)" + key.json("a", R"(,"use":"enc")") + "]}").find("contains no public key"),
            std::string::npos);
  EXPECT_NE(message(R"({"keys":[)" + key.json("a", R"(,"alg":"ES512")") + "]}").find("contains no public key"),
            std::string::npos);
  EXPECT_EQ(message(R"({"keys":[)" + key.json("a", R"(,"use":"sig","alg":"ES256")") + "]}"), "no error");
  EXPECT_THROW(SessionVerifier("", test::session_settings(scratch_.path("missing"))), std::runtime_error);
  EXPECT_THROW(SessionVerifier("short", {}), std::runtime_error);
  EXPECT_THROW(SessionVerifier("", {}), std::runtime_error);
}

TEST_F(SessionTest, AKeyThatCannotBeUsedIsIgnoredAndNamedInTheLog) {
  const Key key = Key::ec(), rsa = Key::rsa();
  testing::internal::CaptureStderr();
  SessionVerifier verifier =
      with_jwks(Key::rsa(1024).json("short") + R"(,{"kty":"EC","crv":"P-256","kid":"half","x":"AAAA"},)" +
                R"({"kty":"OKP","crv":"Ed25519","kid":"unknown","x":"AAAA"},)" +
                Key::ec("P-384").json("other", R"(,"use":"enc")") + "," + key.json("good") + "," + rsa.json("good") +
                "," + Key::ec().json("good"));
  const std::string log = testing::internal::GetCapturedStderr();
  for (const char* line :
       {R"("kid":"short","reason":"is shorter than 2048 bits")", R"("kid":"half","reason":"is not a valid JWK")",
        R"("kid":"unknown","reason":"is neither for RS256 nor for ES256")",
        R"("kid":"good","reason":"has the kid and the type of a key before it")"}) {
    EXPECT_NE(log.find(line), std::string::npos) << line << log;
  }
  EXPECT_EQ(log.find(R"("kid":"other")"), std::string::npos) << "a key for encryption is no mistake";
  EXPECT_TRUE(verifier.verify(key.sign("ES256", test::claims(), "good"), test::kNow).session);
  EXPECT_TRUE(verifier.verify(rsa.sign("RS256", test::claims(), "good"), test::kNow).session)
      << "keys of different types may have one kid";
}

TEST_F(SessionTest, ARefusalHasItsReason) {
  const Key key = Key::ec();
  SessionVerifier verifier(
      test::kSecret,
      test::session_settings(scratch_.write("jwks.json", R"({"keys":[)" + key.json("1") + "]}"), "me", "you"));
  const auto reason = [&](const std::string& token) { return verifier.verify(token, test::kNow).invalid; };
  const auto with = [](const std::string& more) { return test::hs256(test::claims(more)); };
  const std::string valid = R"(,"iss":"me","aud":"you")", sub = std::string(test::kUser);
  EXPECT_EQ(reason(with(valid)), InvalidToken::none);
  EXPECT_EQ(reason("x.y"), InvalidToken::malformed);
  EXPECT_EQ(reason(test::hs256(test::claims(), test::kSecret, R"({"alg":"HS512"})")), InvalidToken::algorithm);
  EXPECT_EQ(reason(key.sign("ES256", test::claims(), "2")), InvalidToken::unknown_key);
  EXPECT_EQ(reason(Key::ec().sign("ES256", test::claims(), "1")), InvalidToken::signature);
  EXPECT_EQ(reason(test::hs256(test::claims(), std::string(32, 'x'))), InvalidToken::signature);
  EXPECT_EQ(reason(test::hs256("[]")), InvalidToken::claims);
  EXPECT_EQ(reason(test::hs256(R"({"sub":")" + sub + R"("})")), InvalidToken::no_expiry);
  EXPECT_EQ(reason(test::hs256(R"({"exp":1800000000,"iss":"me","aud":"you","sub":"a"})")), InvalidToken::subject);
  EXPECT_EQ(reason(with(valid + R"(,"nbf":1800000000)")), InvalidToken::not_yet_valid);
  EXPECT_EQ(reason(with(R"(,"iss":"he","aud":"you")")), InvalidToken::issuer);
  EXPECT_EQ(reason(with(R"(,"iss":"me","aud":"he")")), InvalidToken::audience);
  EXPECT_TRUE(is_of_claims(InvalidToken::audience));
  EXPECT_FALSE(is_of_claims(InvalidToken::signature));
}

TEST_F(SessionTest, TokensThatTheCacheHasDroppedAreVerifiedAgain) {
  for (int i = 0; i < 70'000; ++i) {
    ASSERT_TRUE(verifier_.verify(test::hs256(test::claims(R"(,"n":)" + std::to_string(i))), test::kNow).session);
  }
  EXPECT_TRUE(verifier_.verify(test::hs256(test::claims(R"(,"n":0)")), test::kNow).session);
}

TEST_F(SessionTest, AClaimNamedTargetMayHaveAnyType) {
  EXPECT_TRUE(verifier_.verify(test::hs256(test::claims(R"(,"target":{"a":1})")), test::kNow).session);
}

}  // namespace
}  // namespace sealcast::message
