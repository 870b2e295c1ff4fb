// Tests signing strings, sealed envelopes, and the changes that verification must detect.
#include "core/envelope.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"

namespace sealcast::core {
namespace {

constexpr std::int64_t kNow = 1'700'000'000'000;
constexpr char kHash[] = "17cf87dd7df38f177282a8341058a4b1384fda337e2b3820099e7481e85e2e09";

const Fields kFields = {"chat", "7d444840-9dc0-11d1-b245-5ffdce74fad2", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                        "f47ac10b-58cc-4372-a567-0e02b2c3d479", kNow};

const Keyring& keyring() {
  static const Keyring ring = [] {
    Keyring made;
    made.add("k1", "0123456789abcdef0123456789abcdef");
    made.add("k2", "fedcba9876543210fedcba9876543210");
    made.add("e1", "0123456789abcdef0123456789abcdef", Algorithm::ed25519);
    made.add("e2", "fedcba9876543210fedcba9876543210", Algorithm::ed25519);
    return made;
  }();
  return ring;
}

const Key* find_key(std::string_view kid, void*) { return keyring().find(kid); }

std::string sealed(const Fields& fields = kFields, std::string_view d = R"({"content":"hello","type":"chat"})",
                   std::string_view kid = "k1") {
  std::string signing;
  std::string out;
  append_envelope(fields, kid, d, sign_payload(fields, d, *keyring().find(kid), signing).bytes(), out);
  return out;
}

VerifyResult verify(std::string_view json, std::int64_t now = kNow,
                    std::optional<std::int64_t> max_age = std::nullopt) {
  return verify_envelope(json, now, max_age, find_key, nullptr);
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string signing_string(const Fields& fields, std::string_view payload_hash) {
  std::string text;
  append_signing_string(fields, payload_hash, text);
  return text;
}

TEST(SigningString, HasTheDocumentedForm) {
  EXPECT_EQ(signing_string(kFields, kHash),
            "v=1|t=chat|stream_id=7d444840-9dc0-11d1-b245-5ffdce74fad2|sender_id=a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
            "|txn_id=f47ac10b-58cc-4372-a567-0e02b2c3d479|ts=1700000000000|payload_hash=" +
                std::string(kHash));
}

TEST(SigningString, AForbiddenByteIsRefusedAtEachPosition) {
  for (std::size_t size = 1; size < 50; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      for (const char bad : {'|', '=', '\x1F', '\x7F', '\0'}) {
        std::string id(size, 'x');
        Fields fields = kFields;
        fields.stream_id = id;
        EXPECT_NO_THROW(signing_string(fields, kHash));
        id[at] = bad;
        EXPECT_THROW(signing_string(fields, kHash), Error) << size << ' ' << at;
      }
    }
  }
}

TEST(SigningString, AmbiguousFieldsAreRefused) {
  const std::pair<const char*, std::string_view Fields::*> members[] = {{"t", &Fields::t},
                                                                        {"stream_id", &Fields::stream_id},
                                                                        {"sender_id", &Fields::sender_id},
                                                                        {"txn_id", &Fields::txn_id}};
  using namespace std::string_view_literals;
  for (const auto& [name, member] : members) {
    for (const std::string_view bad :
         {""sv, "a|b"sv, "a=b"sv, "a\nb"sv, "\0"sv, "a\x1F"sv, "\x7F"sv, "a\xC2\x80"sv, "\xC2\x9F"sv}) {
      Fields fields = kFields;
      fields.*member = bad;
      try {
        signing_string(fields, kHash);
        ADD_FAILURE() << name << " was accepted: " << bad;
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::invalid_argument);
        EXPECT_NE(std::string(error.what()).find("\"" + std::string(name) + "\""), std::string::npos) << error.what();
      }
    }
    for (const std::string_view good : {"a b"sv, "\xC2\xA0"sv, "\xC3\x80"sv, "\xF0\x9F\x98\x80"sv, "\"\\"sv}) {
      Fields fields = kFields;
      fields.*member = good;
      EXPECT_NO_THROW(signing_string(fields, kHash)) << name << good;
    }
  }
  EXPECT_THROW(signing_string(kFields, ""), Error);
  EXPECT_THROW(signing_string(kFields, "a|b"), Error);
  for (const std::int64_t ts : {std::int64_t{-1}, std::int64_t{253402300800000}, INT64_MIN, INT64_MAX}) {
    Fields fields = kFields;
    fields.ts = ts;
    EXPECT_THROW(signing_string(fields, kHash), Error) << ts;
  }
}

// The expected signature was computed with `openssl dgst -sha256 -hmac` from the signing string above.
TEST(Envelope, KnownAnswerForHmac) {
  EXPECT_EQ(sealed(), R"({"v":1,"kid":"k1","t":"chat","stream_id":"7d444840-9dc0-11d1-b245-5ffdce74fad2",)"
                      R"("s":"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11","ts":1700000000000,)"
                      R"("txn_id":"f47ac10b-58cc-4372-a567-0e02b2c3d479","d":{"content":"hello","type":"chat"},)"
                      R"("sig":"d7499fa821404ec9db548797476cf92c03c3360381a3d94905ab7d7628dd1ee2"})");
}

// The expected signature was made with `openssl pkeyutl -sign -rawin` from the same signing string.
TEST(Envelope, KnownAnswerForEd25519) {
  const std::string json = sealed(kFields, R"({"content":"hello","type":"chat"})", "e1");
  EXPECT_TRUE(json.starts_with(R"({"v":1,"kid":"e1","t":"chat",)"));
  EXPECT_TRUE(
      json.ends_with("\"sig\":\"13953af9698eba00d9660e60b0dec47281bd3a3a2a8e0e6d3606f2d7e1144122"
                     "7f447783a9f88581d1717d20da5bc5cadd217edc5b7b433eb5b70267e055240f\"}"))
      << json;
  EXPECT_EQ(verify(json), VerifyResult::ok);
}

// The key decides on the algorithm, so a signature must verify only under the key id of the key that made it.
TEST(Envelope, OnlyTheSigningKeyVerifiesIt) {
  const char* const kids[] = {"k1", "k2", "e1", "e2"};
  for (const char* signer : kids) {
    for (const char* stated : kids) {
      const std::string json = replaced(sealed(kFields, "{}", signer), "\"kid\":\"" + std::string(signer),
                                        "\"kid\":\"" + std::string(stated));
      EXPECT_EQ(verify(json), signer == stated ? VerifyResult::ok : VerifyResult::bad_signature)
          << signer << " as " << stated;
    }
  }
}

TEST(Envelope, ASignatureOfAnotherLengthIsMalformedUnderEachKey) {
  for (const char* kid : {"k1", "e1"}) {
    const std::string json = sealed(kFields, "{}", kid);
    const std::size_t begin = json.rfind(':') + 2;
    const std::string signature = json.substr(begin, json.size() - 2 - begin);
    for (const std::size_t digits : {0, 1, 32, 62, 63, 65, 66, 96, 126, 127, 129, 130, 192, 256}) {
      const std::string other = (signature + signature + signature + signature).substr(0, digits);
      EXPECT_EQ(verify(replaced(json, signature, other)), VerifyResult::malformed) << kid << ' ' << digits;
    }
    const std::string swapped = signature.size() == 64 ? signature + signature : signature.substr(0, 64);
    EXPECT_EQ(verify(replaced(json, signature, swapped)), VerifyResult::bad_signature) << kid;
  }
}

TEST(Envelope, EachChangeIsDetectedUnderEd25519) {
  const std::string json = sealed(kFields, R"({"content":"hello","type":"chat"})", "e1");
  for (const auto& [from, to] : std::vector<std::pair<const char*, const char*>>{{R"("t":"chat")", R"("t":"chaT")"},
                                                                                 {"7d444840", "7d444841"},
                                                                                 {"a0eebc99", "a0eebc98"},
                                                                                 {"1700000000000", "1700000000001"},
                                                                                 {"f47ac10b", "f47ac10c"},
                                                                                 {R"("hello")", R"("hullo")"}}) {
    EXPECT_EQ(verify(replaced(json, from, to)), VerifyResult::bad_signature) << to;
  }
  for (std::size_t digit = json.size() - 130; digit < json.size() - 2; ++digit) {
    std::string changed = json;
    changed[digit] = changed[digit] == '0' ? '1' : '0';
    EXPECT_EQ(verify(changed), VerifyResult::bad_signature);
  }
  EXPECT_EQ(verify(json, kNow - kMaxClockSkewMs - 1), VerifyResult::from_future);
  EXPECT_EQ(verify(json, kNow + 6, 5), VerifyResult::expired);
  EXPECT_EQ(verify(replaced(json, "\"e1\"", "\"e9\"")), VerifyResult::unknown_kid);
}

TEST(Envelope, ASealedEnvelopeVerifies) {
  EXPECT_EQ(verify(sealed()), VerifyResult::ok);
  EXPECT_EQ(verify(sealed(kFields, "{}", "k2")), VerifyResult::ok);
  for (const char* d : {"null", "[1,2,3]", "\"text\"", "0", R"({"a":{"b":[{"c":1.5e-7}]}})"}) {
    EXPECT_EQ(verify(sealed(kFields, d)), VerifyResult::ok) << d;
  }
  Fields foreign = kFields;
  foreign.stream_id = "room \"5\" \\ \xC3\xA4\xF0\x9F\x98\x80";
  EXPECT_EQ(verify(sealed(foreign)), VerifyResult::ok);
}

TEST(Envelope, OrderSpaceAndEscapesDoNotMatter) {
  const std::string json = sealed();
  std::string spaced;
  for (const char c : json) {
    if (c == ',' || c == ':' || c == '{' || c == '}') spaced += " \n";
    spaced += c;
    if (c == ',' || c == ':' || c == '{') spaced += "\t ";
  }
  EXPECT_EQ(verify(spaced), VerifyResult::ok);
  EXPECT_EQ(verify(replaced(json, "\"kid\":\"k1\"", R"("k\u0069d":"\u006b1")")), VerifyResult::ok);
  EXPECT_EQ(verify(replaced(json, R"("content":"hello","type":"chat")", R"("type":"chat","content":"h\u0065llo")")),
            VerifyResult::ok);
  const std::string moved = replaced(json, R"("v":1,)", "");
  EXPECT_EQ(verify(moved.substr(0, moved.size() - 1) + R"(,"v":1.0})"), VerifyResult::ok);
}

TEST(Envelope, EachChangeIsDetectedUnderHmac) {
  const std::pair<const char*, const char*> changes[] = {
      {R"("kid":"k1")", R"("kid":"k2")"},
      {R"("t":"chat")", R"("t":"chaT")"},
      {"7d444840", "7d444841"},
      {"a0eebc99", "a0eebc98"},
      {"1700000000000", "1700000000001"},
      {"f47ac10b", "f47ac10c"},
      {R"("hello")", R"("hullo")"},
      {R"("hello")", R"("hello ")"},
      {R"({"content":"hello","type":"chat"})", R"({"content":"hello","type":"chat","x":1})"},
      {R"({"content":"hello","type":"chat"})", R"({"content":"hello"})"},
      {R"({"content":"hello","type":"chat"})", R"("{\"content\":\"hello\",\"type\":\"chat\"}")"},
  };
  for (const auto& [from, to] : changes)
    EXPECT_EQ(verify(replaced(sealed(), from, to)), VerifyResult::bad_signature) << to;
  const std::string json = sealed();
  for (std::size_t digit = json.size() - 66; digit < json.size() - 2; ++digit) {
    std::string changed = json;
    changed[digit] = changed[digit] == '0' ? '1' : '0';
    EXPECT_EQ(verify(changed), VerifyResult::bad_signature);
  }
  EXPECT_EQ(verify(replaced(json, R"("t":"chat","stream_id":"7d444840-9dc0-11d1-b245-5ffdce74fad2")",
                            R"("t":"7d444840-9dc0-11d1-b245-5ffdce74fad2","stream_id":"chat")")),
            VerifyResult::bad_signature);
}

TEST(Envelope, MissingDuplicateAndUnknownMembersAreMalformed) {
  const std::string json = sealed();
  const char* const members[] = {R"("v":1,)",
                                 R"("kid":"k1",)",
                                 R"("t":"chat",)",
                                 R"("stream_id":"7d444840-9dc0-11d1-b245-5ffdce74fad2",)",
                                 R"("s":"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",)",
                                 R"("ts":1700000000000,)",
                                 R"("txn_id":"f47ac10b-58cc-4372-a567-0e02b2c3d479",)",
                                 R"("d":{"content":"hello","type":"chat"},)"};
  for (const char* member : members) {
    EXPECT_EQ(verify(replaced(json, member, "")), VerifyResult::malformed) << "without " << member;
    EXPECT_EQ(verify(replaced(json, "{", "{" + std::string(member))), VerifyResult::malformed)
        << "duplicate " << member;
    std::string renamed = member;
    renamed.insert(1, "x");
    EXPECT_EQ(verify(replaced(json, member, renamed)), VerifyResult::malformed) << renamed;
  }
  EXPECT_EQ(verify(replaced(json, "{", R"({"x":1,)")), VerifyResult::malformed);
  EXPECT_EQ(verify(json.substr(0, json.rfind(",\"sig\"")) + "}"), VerifyResult::malformed);
}

TEST(Envelope, EachInvalidMemberIsMalformed) {
  const std::string json = sealed();
  const std::string signature = json.substr(json.size() - 66, 64);
  std::string upper = signature;
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  const std::pair<std::string, std::string> changes[] = {
      {"\"v\":1", "\"v\":2"},
      {"\"v\":1", "\"v\":\"1\""},
      {"\"v\":1", "\"v\":true"},
      {"\"k1\"", "\"\""},
      {"\"k1\"", "\"k 1\""},
      {"\"k1\"", "\"" + std::string(33, 'k') + "\""},
      {"\"k1\"", "1"},
      {"\"k1\"", "null"},
      {"\"chat\",\"str", "\"\",\"str"},
      {"\"chat\",\"str", "\"a|b\",\"str"},
      {"\"chat\",\"str", "\"a=b\",\"str"},
      {"\"chat\",\"str", "\"a\\u0000b\",\"str"},
      {"\"chat\",\"str", "\"a\\u0085b\",\"str"},
      {"\"chat\",\"str", "[\"chat\"],\"str"},
      {"\"7d444840-9dc0-11d1-b245-5ffdce74fad2\"", "7"},
      {"\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"", "{}"},
      {"\"f47ac10b-58cc-4372-a567-0e02b2c3d479\"", "false"},
      {"1700000000000", "\"1700000000000\""},
      {"1700000000000", "1700000000000.5"},
      {"1700000000000", "-1"},
      {"1700000000000", "253402300800000"},
      {"1700000000000", "1e30"},
      {"1700000000000", "null"},
      {"{\"content\":\"hello\"", "{\"content\":9007199254740993"},
      {"{\"content\":\"hello\"", "{\"type\":1,\"content\":\"hello\""},
      {"\"" + signature + "\"", "\"" + upper + "\""},
      {"\"" + signature + "\"", "\"" + signature.substr(1) + "\""},
      {"\"" + signature + "\"", "\"" + signature + "0\""},
      {"\"" + signature + "\"", "\"\""},
      {"\"" + signature + "\"", "0"},
  };
  for (const auto& [from, to] : changes) EXPECT_EQ(verify(replaced(json, from, to)), VerifyResult::malformed) << to;
  for (const char* other : {"", "null", "[]", "{}", "1", "\"x\"", "{", "[[[[", "\xFF"}) {
    EXPECT_EQ(verify(other), VerifyResult::malformed) << other;
  }
  EXPECT_EQ(verify("[" + json + "]"), VerifyResult::malformed);
  EXPECT_EQ(verify(json + json), VerifyResult::malformed);
  EXPECT_EQ(verify(std::string(1 << 20, '[')), VerifyResult::malformed);
  for (std::size_t length = 0; length < json.size(); ++length) {
    EXPECT_EQ(verify(json.substr(0, length)), VerifyResult::malformed);
  }
}

TEST(Envelope, ResultsHaveAFixedOrder) {
  const std::string unknown = replaced(sealed(), "\"k1\"", "\"k9\"");
  EXPECT_EQ(verify(unknown), VerifyResult::unknown_kid);
  EXPECT_EQ(verify(unknown, 0), VerifyResult::unknown_kid);
  EXPECT_EQ(verify(replaced(unknown, "\"chat\",\"str", "\"a|b\",\"str")), VerifyResult::malformed);
  const std::string tampered = replaced(sealed(), "hello", "hullo");
  EXPECT_EQ(verify(tampered, 0), VerifyResult::bad_signature);
  EXPECT_EQ(verify(tampered, kNow + 10, 5), VerifyResult::bad_signature);
}

TEST(Envelope, OldAndFutureTimesAreRefused) {
  const std::string json = sealed();
  EXPECT_EQ(verify(json, kNow - kMaxClockSkewMs), VerifyResult::ok);
  EXPECT_EQ(verify(json, kNow - kMaxClockSkewMs - 1), VerifyResult::from_future);
  EXPECT_EQ(verify(json, kNow + 1000, 1000), VerifyResult::ok);
  EXPECT_EQ(verify(json, kNow + 1001, 1000), VerifyResult::expired);
  EXPECT_EQ(verify(json, kNow + 100'000'000'000), VerifyResult::ok);
  EXPECT_EQ(verify(json, kNow, 0), VerifyResult::ok);
  EXPECT_EQ(verify(json, kNow, INT64_MAX), VerifyResult::ok);
  EXPECT_EQ(verify(json, kNow, INT64_MIN), VerifyResult::expired);
}

std::string redacted(std::string_view kid = "k1") {
  constexpr std::string_view kPayload = R"({"content":"hello","type":"chat"})";
  std::string signing, out;
  append_redacted_envelope(kFields, kid, kHash, sign_payload(kFields, kPayload, *keyring().find(kid), signing).bytes(),
                           out);
  return out;
}

TEST(RedactedEnvelope, KeepsTheSignatureOfItsMessage) {
  for (const char* const kid : {"k1", "e1"}) {
    const std::string whole = sealed(kFields, R"({"content":"hello","type":"chat"})", kid);
    const std::string expected = replaced(whole, R"("d":{"content":"hello","type":"chat"})",
                                          std::string(R"("d":null,"payload_hash":")") + kHash + '"');
    EXPECT_EQ(redacted(kid), expected);
    EXPECT_EQ(verify(expected), VerifyResult::redacted);
  }
  EXPECT_EQ(verify(redacted(), kNow + 10'001, 10'000), VerifyResult::expired);
  EXPECT_EQ(verify(redacted(), kNow - 60'001), VerifyResult::from_future);
}

TEST(RedactedEnvelope, EachChangeIsDetected) {
  const std::string good = redacted();
  std::string other_hash = kHash;
  other_hash[0] = 'f';
  EXPECT_EQ(verify(replaced(good, kHash, other_hash)), VerifyResult::bad_signature);
  EXPECT_EQ(verify(replaced(good, R"("t":"chat")", R"("t":"chut")")), VerifyResult::bad_signature);
  EXPECT_EQ(verify(replaced(good, R"("kid":"k1")", R"("kid":"k9")")), VerifyResult::unknown_kid);
}

TEST(RedactedEnvelope, OnlyANullPayloadMayHaveAHash) {
  const std::string good = redacted();
  const std::string hash_member = std::string(R"(,"payload_hash":")") + kHash + '"';
  EXPECT_EQ(verify(replaced(sealed(), R"(,"sig")", hash_member + R"(,"sig")")), VerifyResult::malformed);
  for (const char* const d : {"{}", "0", "false", "\"null\"", "[null]"}) {
    EXPECT_EQ(verify(replaced(good, R"("d":null)", std::string(R"("d":)") + d)), VerifyResult::malformed) << d;
  }
  EXPECT_EQ(verify(replaced(good, R"("d":null,)", "")), VerifyResult::malformed);
  EXPECT_EQ(verify(replaced(good, "payload_hash", "payload_hush")), VerifyResult::malformed);
  for (const std::string bad : {"", "17cf", "17CF87DD7DF38F177282A8341058A4B1384FDA337E2B3820099E7481E85E2E09"}) {
    EXPECT_EQ(verify(replaced(good, kHash, bad)), VerifyResult::malformed) << bad;
  }
  EXPECT_EQ(verify(replaced(good, std::string("\"") + kHash + '"', "null")), VerifyResult::malformed);
  // seal() signs any JSON value, also null. Such an envelope has nine members and was not redacted.
  EXPECT_EQ(verify(sealed(kFields, "null")), VerifyResult::ok);
}

TEST(RedactedEnvelope, OpensWithItsHash) {
  const std::optional<OpenedEnvelope> opened = open_envelope(redacted(), find_key, nullptr);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->payload_hash, kHash);
  EXPECT_TRUE(opened->as_sealed);
  const std::optional<OpenedEnvelope> whole = open_envelope(sealed(), find_key, nullptr);
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->payload_hash, "");
}

TEST(Envelope, PassesACancelOn) {
  const volatile int raised = 1;
  const std::string json = sealed(kFields, "\"" + std::string(200'000, 'x') + "\"");
  EXPECT_THROW(verify_envelope(json, kNow, std::nullopt, find_key, nullptr, &raised), Error);
}

TEST(Envelope, OpensAnEnvelopeOfAnyAge) {
  const std::optional<OpenedEnvelope> opened = open_envelope(sealed(), find_key, nullptr);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->t, kFields.t);
  EXPECT_EQ(opened->stream_id, kFields.stream_id);
  EXPECT_EQ(opened->sender_id, kFields.sender_id);
  EXPECT_EQ(opened->txn_id, kFields.txn_id);
  EXPECT_EQ(opened->canonical_d, R"({"content":"hello","type":"chat"})");
  EXPECT_EQ(opened->ts, kFields.ts);
  EXPECT_TRUE(opened->as_sealed);
  EXPECT_EQ(opened->result, VerifyResult::ok);
  const std::optional<OpenedEnvelope> spaced =
      open_envelope(replaced(sealed(), ",\"t\"", ", \"t\""), find_key, nullptr);
  ASSERT_TRUE(spaced);
  EXPECT_FALSE(spaced->as_sealed);
  EXPECT_EQ(spaced->result, VerifyResult::ok);
  EXPECT_EQ(open_envelope(replaced(sealed(), "hello", "hallo"), find_key, nullptr)->result,
            VerifyResult::bad_signature);
  EXPECT_EQ(open_envelope(replaced(sealed(), "\"k1\"", "\"gone\""), find_key, nullptr)->result,
            VerifyResult::unknown_kid);
  EXPECT_FALSE(open_envelope("{}", find_key, nullptr));
}

TEST(Envelope, NamesItsVerdicts) {
  EXPECT_EQ(to_string(VerifyResult::ok), "ok");
  EXPECT_EQ(to_string(VerifyResult::malformed), "malformed");
  EXPECT_EQ(to_string(VerifyResult::unknown_kid), "unknown_kid");
  EXPECT_EQ(to_string(VerifyResult::bad_signature), "bad_signature");
  EXPECT_EQ(to_string(VerifyResult::expired), "expired");
  EXPECT_EQ(to_string(VerifyResult::from_future), "from_future");
}

// Whatever was sealed verifies: the levels of the envelope do not count.
TEST(Verify, ThePayloadMayHave128Levels) {
  const auto nested = [](int depth) {
    std::string d;
    for (int i = 0; i < depth; ++i) d += "{\"a\":";
    d += "1";
    return d.append(static_cast<std::size_t>(depth), '}');
  };
  for (const int depth : {127, 128}) EXPECT_EQ(verify(sealed(kFields, nested(depth))), VerifyResult::ok) << depth;
  EXPECT_EQ(verify(sealed(kFields, nested(129))), VerifyResult::malformed);
}

TEST(Verify, ANulInThePayloadIsMalformed) {
  EXPECT_EQ(verify(sealed(kFields, R"({"a":"\u0000"})")), VerifyResult::malformed);
}

}  // namespace
}  // namespace sealcast::core
