// Builds requests and verifies envelopes. Uses only OpenSSL, not the code under test.
#include "messages.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <array>
#include <charconv>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace sealcast::bench {
namespace {

constexpr std::string_view kTxnIdPlaceholder = "00000000-0000-4000-8000-000000000000";
constexpr char kHex[] = "0123456789abcdef";

std::string read_secret(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string secret{std::istreambuf_iterator<char>(file), {}};
  if (!file.good() && secret.empty()) throw std::runtime_error("cannot read " + path.string());
  if (secret.ends_with('\n')) secret.pop_back();
  return secret;
}

std::string hex(std::string_view bytes) {
  std::string out;
  for (unsigned char byte : bytes) {
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
  return out;
}

std::string base64url(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');
  int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                             reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(size));
  while (out.ends_with('=')) out.pop_back();
  for (char& c : out) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return out;
}

std::string random_uuid() {
  std::array<unsigned char, 16> bytes;
  RAND_bytes(bytes.data(), bytes.size());
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  std::string out = hex({reinterpret_cast<char*>(bytes.data()), bytes.size()});
  for (std::size_t dash : {8, 13, 18, 23}) out.insert(dash, 1, '-');
  return out;
}

// Removes `expected` from the front of `text`. Returns false if the text starts differently.
bool skip(std::string_view& text, std::string_view expected) {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(expected.size());
  return true;
}

std::string_view take_until(std::string_view& text, char end) {
  std::string_view taken = text.substr(0, text.find(end));
  text.remove_prefix(taken.size());
  return taken;
}

}  // namespace

Hmac::Hmac(std::string_view key) {
  EVP_MAC* mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  context_.reset(EVP_MAC_CTX_new(mac));
  EVP_MAC_free(mac);
  char digest[] = "SHA256";
  OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                         OSSL_PARAM_construct_end()};
  if (EVP_MAC_init(context_.get(), reinterpret_cast<const unsigned char*>(key.data()), key.size(), params) != 1) {
    throw std::runtime_error("OpenSSL has no HMAC-SHA-256");
  }
}

std::string Hmac::digest(std::string_view text) {
  std::string out(32, '\0');
  std::size_t size = 0;
  EVP_MAC_init(context_.get(), nullptr, 0, nullptr);
  EVP_MAC_update(context_.get(), reinterpret_cast<const unsigned char*>(text.data()), text.size());
  EVP_MAC_final(context_.get(), reinterpret_cast<unsigned char*>(out.data()), &size, out.size());
  return out;
}

Messages::Messages(const MessageOptions& options) : type_(options.type) {
  constexpr std::string_view kEmptyPayload = R"({"content":""})";
  std::string content(options.bytes - std::min(options.bytes, kEmptyPayload.size()), 'x');
  d_ = R"({"content":")" + content + "\"}";
  std::string digest(32, '\0');
  EVP_Digest(d_.data(), d_.size(), reinterpret_cast<unsigned char*>(digest.data()), nullptr, EVP_sha256(), nullptr);
  payload_hash_ = hex(digest);
  RAND_bytes(reinterpret_cast<unsigned char*>(&run_), sizeof run_);

  Hmac session(read_secret(options.secret_file));
  std::string_view tail = "\"}";
  txn_id_from_end_ = tail.size() + kTxnIdPlaceholder.size();
  for (std::size_t i = 0; i < options.senders; i++) {
    std::string id = random_uuid();
    const std::string& stream_id = options.stream_ids[i % options.stream_ids.size()];
    std::string token =
        base64url(R"({"alg":"HS256","typ":"JWT"})") + '.' +
        base64url(R"({"sub":")" + id + R"(","exp":)" + std::to_string(std::time(nullptr) + 86400) + '}');
    token += '.' + base64url(session.digest(token));
    std::string body = R"({"stream_id":")" + stream_id + R"(","t":")" + type_ + R"(","d":)" + d_ + R"(,"txn_id":")";
    body += kTxnIdPlaceholder;
    body += tail;
    senders_.push_back({id, stream_id,
                        "POST /rpc/send_message HTTP/1.1\r\nHost: " + options.host + "\r\nAuthorization: Bearer " +
                            token + "\r\nContent-Type: application/json\r\nContent-Length: " +
                            std::to_string(body.size()) + "\r\n\r\n" + body});
  }
  if (options.keyring.empty()) return;
  for (const auto& file : std::filesystem::directory_iterator(options.keyring)) {
    keys_.emplace(file.path().filename().string(), Hmac(read_secret(file.path())));
  }
}

MessageId Messages::id_of(std::uint64_t number) const {
  return {static_cast<std::uint32_t>(number % senders_.size()), number};
}

MessageId Messages::next() { return id_of(count_++); }

std::optional<MessageId> Messages::identify(std::string_view envelope) const {
  constexpr std::string_view kMember = R"("txn_id":")";
  std::size_t at = envelope.find(kMember);
  if (at == envelope.npos || envelope.size() < at + kMember.size() + kTxnIdPlaceholder.size()) return std::nullopt;
  std::string_view txn_id = envelope.substr(at + kMember.size(), kTxnIdPlaceholder.size());
  std::uint64_t number = 0;
  std::from_chars(txn_id.data() + 24, txn_id.data() + txn_id.size(), number, 16);
  char ours[kTxnIdPlaceholder.size()];
  write_txn_id(number, ours);
  if (number >= count_ || txn_id != std::string_view(ours, sizeof ours)) return std::nullopt;
  return id_of(number);
}

void Messages::append_request(MessageId id, std::string& out) const {
  out += senders_[id.sender].request;
  write_txn_id(id.number, out.data() + out.size() - txn_id_from_end_);
}

// Writes hex digits of `run_` and `number` into the placeholder. Keeps its dashes, its version digit and its variant
// digit, so that the txn_id has the form of a random UUID (version 4).
void Messages::write_txn_id(std::uint64_t number, char* out) const {
  std::memcpy(out, kTxnIdPlaceholder.data(), kTxnIdPlaceholder.size());
  std::uint64_t run = run_;
  for (std::size_t i : {0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 15, 16, 17}) {
    out[i] = kHex[run & 15];
    run >>= 4;
  }
  for (std::size_t i = kTxnIdPlaceholder.size(); i-- > 24;) {
    out[i] = kHex[number & 15];
    number >>= 4;
  }
}

bool Messages::verify(MessageId id, std::string_view body) {
  char txn_id_text[kTxnIdPlaceholder.size()];
  write_txn_id(id.number, txn_id_text);
  std::string_view txn_id(txn_id_text, sizeof txn_id_text);
  const auto& [sender, stream_id, request] = senders_[id.sender];
  const std::string_view parts[] = {R"(","t":")", type_, R"(","stream_id":")", stream_id, R"(","s":")", sender};
  const std::string_view rest[] = {R"(,"txn_id":")", txn_id, R"(","d":)", d_, R"(,"sig":")"};

  if (!skip(body, R"({"v":1,"kid":")")) return false;
  auto key = keys_.find(take_until(body, '"'));
  if (key == keys_.end()) return false;
  for (std::string_view part : parts) {
    if (!skip(body, part)) return false;
  }
  if (!skip(body, R"(","ts":)")) return false;
  std::string_view ts = take_until(body, ',');
  for (std::string_view part : rest) {
    if (!skip(body, part)) return false;
  }
  std::string_view sig = take_until(body, '"');
  if (body != "\"}") return false;

  std::string signing = "v=1|t=" + type_ + "|stream_id=" + stream_id + "|sender_id=" + sender + "|txn_id=";
  signing.append(txn_id).append("|ts=").append(ts).append("|payload_hash=").append(payload_hash_);
  return sig == hex(key->second.digest(signing));
}

}  // namespace sealcast::bench
