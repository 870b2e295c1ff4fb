// Measures how long the steps of sealing a message take, and how long OpenSSL alone takes for the same bytes.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <benchmark/benchmark.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/canonical_json.h"
#include "core/digest.h"
#include "core/envelope.h"
#include "core/payload.h"
#include "core/terms/review.h"

namespace sealcast {
namespace {

const std::string kSecret = "0123456789abcdef0123456789abcdef";
const core::Fields kFields = {"chat", "7d444840-9dc0-11d1-b245-5ffdce74fad2", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                              "f47ac10b-58cc-4372-a567-0e02b2c3d479", 1'700'000'000'000};

const std::string kSigningString = [] {
  std::string text;
  core::append_signing_string(kFields, core::to_hex(core::sha256("{}")), text);
  return text;
}();

// Returns a chat message of about `bytes` bytes as a client writes it: with spaces, and with members in no particular
// order.
std::string message(std::size_t bytes) {
  std::string json =
      R"({"type": "chat", "content": "Did you see that goal? \ud83d\ude00", "room": {"id": 42, "lang": "en"}, )"
      R"("client": {"ver": "2.4.1", "os": "web"}, "mentions": [17, 23])";
  for (int i = 0; json.size() + 60 < bytes; ++i) {
    json +=
        R"(, "part)" + std::to_string(i) + R"(": {"text": "so it goes on", "at": )" + std::to_string(12.5 * i) + "}";
  }
  if (json.size() + 12 < bytes) json += R"(, "pad": ")" + std::string(bytes - json.size() - 12, 'x') + "\"";
  return json + "}";
}

void report(benchmark::State& state, std::size_t bytes) {
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
}

void BM_Canonicalize(benchmark::State& state) {
  const std::string json = message(static_cast<std::size_t>(state.range(0)));
  std::string out;
  for (auto _ : state) {
    out.clear();
    core::canonicalize(json, out, core::Rules::payload);
    benchmark::DoNotOptimize(out.data());
  }
  report(state, json.size());
}

void BM_CanonicalizeHashSign(benchmark::State& state) {
  const std::string json = message(static_cast<std::size_t>(state.range(0)));
  const core::Key key("k1", kSecret);
  std::string out;
  std::string signing;
  for (auto _ : state) {
    out.clear();
    core::canonicalize(json, out, core::Rules::payload);
    benchmark::DoNotOptimize(core::sign_payload(kFields, out, key, signing));
  }
  report(state, json.size());
}

void BM_PreparePayload(benchmark::State& state) {
  const std::string json = message(static_cast<std::size_t>(state.range(0)));
  const std::vector<core::ServerField> fields = {{"user_role", "viewer"}};
  core::Payload payload;
  for (auto _ : state) {
    core::prepare_payload(json, fields, payload);
    benchmark::DoNotOptimize(payload.canonical.data());
  }
  report(state, json.size());
}

void BM_VerifyEnvelope(benchmark::State& state) {
  static core::Keyring ring = [] {
    core::Keyring made;
    made.add("k1", kSecret);
    return made;
  }();
  std::string d;
  core::canonicalize(message(static_cast<std::size_t>(state.range(0))), d);
  std::string signing;
  std::string envelope;
  core::append_envelope(kFields, "k1", d, core::sign_payload(kFields, d, ring.keys()[0], signing).bytes(), envelope);
  const core::FindKey find = [](std::string_view kid, void*) { return ring.find(kid); };
  for (auto _ : state) {
    if (core::verify_envelope(envelope, kFields.ts, {}, find, nullptr) != core::VerifyResult::ok)
      state.SkipWithError("not ok");
  }
  report(state, envelope.size());
}

// Invented words of the same syllables, so that terms and messages have many beginnings in common.
std::string word(std::mt19937& random) {
  static constexpr const char* kSyllables[] = {"ba", "be", "con", "der", "en",  "fa",  "gra", "hi",  "in", "jo", "ka",
                                               "lo", "mi", "no",  "o",   "pre", "qui", "re",  "sta", "ti", "un", "ver",
                                               "wa", "ex", "y",   "zo",  "ing", "er",  "s",   "t",   "th", "ou"};
  std::string made;
  for (int n = 2 + static_cast<int>(random() % 3); n > 0; --n) made += kSyllables[random() % std::size(kSyllables)];
  return made;
}

// Ten thousand terms, and 1,000 payloads of 200 bytes that have none of them.
struct TermScene {
  explicit TermScene(bool whole_words) {
    std::mt19937 random(20);
    std::set<std::string> words;
    while (words.size() < core::terms::kMaxTerms) words.insert((whole_words ? "" : "q") + word(random));
    for (const std::string& each : words) {
      terms.push_back({each, core::terms::Kind::literal, whole_words, core::terms::Action::flag});
    }
    names = std::move(words);
    for (core::terms::Term& term : terms) term.text = *names.find(std::string(term.text));
    while (payloads.size() < 1000) {
      std::string d = R"({"content":")";
      while (d.size() < 198) {
        std::string next = word(random);
        if (next.find('q') == std::string::npos && !names.contains(next)) d += next + ' ';
      }
      d.resize(198);
      payloads.push_back(d + "\"}");
    }
  }

  std::set<std::string> names;
  std::vector<core::terms::Term> terms;
  std::vector<std::string> payloads;
};

void BM_ReviewTerms(benchmark::State& state) {
  const TermScene scene(state.range(0) != 0);
  core::terms::Reviewer reviewer;
  std::vector<core::terms::TermSet::Rejected> rejected;
  const core::terms::TermSet set(scene.terms, reviewer.folder(), rejected);
  const core::terms::TermSet* const sets[] = {&set};
  core::terms::Review review;
  std::size_t next = 0;
  for (auto _ : state) {
    reviewer.review(scene.payloads[next++ % scene.payloads.size()], "user_role", sets, review);
    benchmark::DoNotOptimize(review.masked);
  }
  state.counters["set_bytes"] = static_cast<double>(set.memory_bytes());
  report(state, 200);
}

void BM_CompileTerms(benchmark::State& state) {
  const TermScene scene(state.range(0) != 0);
  core::terms::Reviewer reviewer;
  std::vector<core::terms::TermSet::Rejected> rejected;
  for (auto _ : state) {
    const core::terms::TermSet set(scene.terms, reviewer.folder(), rejected);
    benchmark::DoNotOptimize(set.memory_bytes());
  }
}

// Measures one signature of a signing string with an Ed25519 key, for a comparison with HMAC.
void BM_Ed25519Sign(benchmark::State& state) {
  const core::Key key("k1", kSecret.substr(0, core::kEd25519Seed), core::Algorithm::ed25519);
  for (auto _ : state) benchmark::DoNotOptimize(key.sign(kSigningString));
}

void BM_Ed25519Verify(benchmark::State& state) {
  const core::Key key("k1", kSecret.substr(0, core::kEd25519Seed), core::Algorithm::ed25519);
  const core::Signature signature = key.sign(kSigningString);
  for (auto _ : state) {
    if (!key.verify(kSigningString, signature)) state.SkipWithError("not ok");
  }
}

// Measures the lower bound of sealing: one SHA-256 of the payload and one HMAC of a signing string. The contexts of
// OpenSSL are reused, and no JSON is parsed or written.
void BM_OpenSslAlone(benchmark::State& state) {
  std::string d;
  core::canonicalize(message(static_cast<std::size_t>(state.range(0))), d);
  std::string signing;
  core::append_signing_string(kFields, core::to_hex(core::sha256(d)), signing);
  unsigned char digest[32];
  EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  EVP_MD_CTX* const hash = EVP_MD_CTX_new();
  HMAC_CTX* const hmac = HMAC_CTX_new();
  HMAC_Init_ex(hmac, kSecret.data(), static_cast<int>(kSecret.size()), algorithm, nullptr);
  for (auto _ : state) {
    EVP_DigestInit_ex(hash, algorithm, nullptr);
    EVP_DigestUpdate(hash, d.data(), d.size());
    EVP_DigestFinal_ex(hash, digest, nullptr);
    HMAC_Init_ex(hmac, nullptr, 0, nullptr, nullptr);
    HMAC_Update(hmac, reinterpret_cast<const unsigned char*>(signing.data()), signing.size());
    HMAC_Final(hmac, digest, nullptr);
    benchmark::DoNotOptimize(digest);
  }
  HMAC_CTX_free(hmac);
  EVP_MD_CTX_free(hash);
  EVP_MD_free(algorithm);
  report(state, d.size());
}

BENCHMARK(BM_Canonicalize)->Arg(200)->Arg(2000);
BENCHMARK(BM_CanonicalizeHashSign)->Arg(200)->Arg(2000);
BENCHMARK(BM_PreparePayload)->Arg(200)->Arg(2000);
BENCHMARK(BM_VerifyEnvelope)->Arg(200)->Arg(2000);
BENCHMARK(BM_ReviewTerms)->ArgName("whole_words")->Arg(1)->Arg(0);
BENCHMARK(BM_CompileTerms)->ArgName("whole_words")->Arg(1)->Arg(0)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_Ed25519Sign);
BENCHMARK(BM_Ed25519Verify);
BENCHMARK(BM_OpenSslAlone)->Arg(200)->Arg(2000);

}  // namespace
}  // namespace sealcast

// The repetitions of all measurements are interleaved, so that other load on the machine affects all of them alike.
int main(int argc, char** argv) {
  std::vector<char*> arguments(argv, argv + argc);
  char interleaved[] = "--benchmark_enable_random_interleaving=true";
  char repeated[] = "--benchmark_repetitions=5";
  char brief[] = "--benchmark_report_aggregates_only=true";
  arguments.insert(arguments.begin() + 1, {interleaved, repeated, brief});  // the user's arguments override these
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  benchmark::RunSpecifiedBenchmarks();
}
